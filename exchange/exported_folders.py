"""Recognise what `dped-build export` wrote: each patch's photo, split and geometry.

`manifest.json` names files of JSON lines, one line for each pair of pictures. A line is
believed about where the patch was cut; what pixels say (NCC …) is measured again.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from dped_build.exchange.import_blocks import (
    EXPORTED_FOLDERS,
    Block,
    PatchFolders,
    Refusal,
)
from dped_build.exchange.import_settings import OF_PAIRED_FOLDERS, ImportSettings
from dped_build.exchange.out_folder import with_name
from dped_build.patches.manifest import Split
from dped_build.patches.records import COLUMNS
from dped_build.photos.listing import list_photos
from dped_build.photos.reading import is_plain_text
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.json_files import (
    converted,
    decoded,
    is_plain_name,
    read_document,
    read_lines,
)
from dped_build.workspace.text import natural_key, one_line

EXPORT_FORMAT = "dped-build/export"
MASK_NAME = "valid_file_name"
FILE_NAMES = ("phone_file_name", "dslr_file_name")  # `datasets` loads these as images
GEOMETRY = (  # the columns that pixels do not tell
    "window_xy",
    "patch_to_phone",
    "patch_to_dslr",
    "shift_px",
    "rotation_deg",
    "sigma_px",
    "depth_px",
)
ROW = np.dtype([(name, *COLUMNS[name]) for name in GEOMETRY])

Pixel = Annotated[int, Meta(gt=-(2**31), lt=2**31)]
Known = Annotated[float, Meta(gt=-(2**31), lt=2**31)] | None  # None: not known
Row = Annotated[list[Known], Meta(min_length=3, max_length=3), "A row."]
Matrix = Annotated[list[Row], Meta(min_length=3, max_length=3)]


class Cut(TypedDict):
    """Where one pair of patches was cut."""

    split: Annotated[Split, "Its split."]
    pair: Annotated[str, "Pair it is from."]
    group: Annotated[str, "Scene it is from."]
    window_xy: Annotated[tuple[Pixel, Pixel], "Top-left pixel, upright phone px."]
    patch_to_phone: Annotated[Matrix | None, "Patch px to upright phone px."]
    patch_to_dslr: Annotated[
        Matrix | None, "Patch px to upright DSLR px, all refinement included."
    ]
    shift_px: Annotated[
        tuple[Known, Known] | None, "Shift that the refinement found, (x, y), phone px."
    ]
    rotation_deg: Annotated[Known, "Rotation that the refinement found, degrees."]
    sigma_px: Annotated[Known, "Stated uncertainty, one sigma, phone px."]
    depth_px: Annotated[Known, "How far the parts lie apart, phone px."]


class PlacedLine(Cut):
    """The same, and where the pictures of both sides lie below the line's file."""

    phone_file_name: str
    dslr_file_name: str
    valid_file_name: NotRequired[str]


class ExportedFolder(TypedDict):
    """What of the manifest tells where the pairs are."""

    phone_camera: str
    dslr_camera: str
    metadata: list[str]


@dataclass(frozen=True)
class _Line:
    """One line of the metadata."""

    files: tuple[PurePosixPath, PurePosixPath]  # relative to the source
    mask: PurePosixPath | None
    pair: str
    group: str
    split: str
    geometry: bytes  # a row of ROW

    @property
    def places(self) -> tuple[str, str]:
        """The phone's and the DSLR's folder."""
        return self.files[0].parent.as_posix(), self.files[1].parent.as_posix()


def find_exported(source: Path, settings: ImportSettings) -> PatchFolders | None:
    """List the pairs of an exported folder; None where `source` is none.

    Its `<phone>/`, which has DPED's layout, stands for the whole of it.

    Raises:
        DpedBuildError: It is damaged, or of a format without pictures in folders.
        UsageError: An option does not fit: all is known.
    """
    root, manifest = _exported(source)
    if manifest is None:
        return None
    option = settings.changed(("phone", "dslr", *OF_PAIRED_FOLDERS))
    if option:
        raise UsageError(
            f"{option}: {root} is an export, whose metadata already says so"
        )
    if not manifest.get("metadata"):
        raise DpedBuildError(
            f"{root}: exported as {manifest.get('export')!s:.20}; only png and "
            "dped-folders can be imported again"
        )
    try:
        stated = converted(manifest, ExportedFolder)
        cameras = stated["phone_camera"], stated["dslr_camera"]
        if not all(map(is_plain_name, cameras)):
            raise ValueError("the cameras have no plain names")
        lines = [
            line for name in stated["metadata"] for line in _read_lines(root, name)
        ]
        _require_consistent(lines)
        blocks, leftovers = _blocks(root, lines), [*_strangers(root, lines)]
        return PatchFolders(root, EXPORTED_FOLDERS, cameras, blocks, leftovers)
    except (OSError, ValueError) as error:
        said = one_line(error)
        raise DpedBuildError(
            f"{root}: its metadata is damaged ({said}); export it again, or delete its "
            "manifest.json to import the pictures alone"
        ) from error


def geometry_columns(rows: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """The columns of GEOMETRY, (N, …), from what `Block.geometry` holds."""
    table = np.frombuffer(b"".join(rows), ROW)
    return {name: table[name].copy() for name in GEOMETRY}


def _exported(source: Path) -> tuple[Path, dict[str, Any] | None]:
    """The exported folder that `source` is or lies in, and its manifest."""
    dped = any((source / name).is_dir() for name in ("training_data", "test_data"))
    for folder in (source, *([with_name(source).parent] if dped else [])):
        try:
            manifest = read_document(folder / "manifest.json")
        except (OSError, ValueError):  # somebody's own file, or none
            continue
        if manifest.get("format") == EXPORT_FORMAT:
            return folder, manifest
    return source, None


def _read_lines(root: Path, name: str) -> list[_Line]:
    """The lines of one metadata file; OSError or ValueError says what is wrong."""
    place = _inside(name).parent
    return [
        _parsed(place, decoded(line, PlacedLine)) for line in read_lines(root / name)
    ]


def _parsed(place: PurePosixPath, line: PlacedLine) -> _Line:
    pair, group, split = line["pair"], line["group"], line["split"]
    if not is_plain_name(pair) or not is_plain_text(pair):
        raise ValueError(f"{pair!r:.80} is no name of a pair")
    if not is_plain_text(group):
        raise ValueError(f"{pair:.80} has no possible group")
    phone, dslr = (
        place / _inside(name)
        for name in (line["phone_file_name"], line["dslr_file_name"])
    )
    if len(phone.parts) < 2 or phone.parent.parent != dslr.parent.parent:
        raise ValueError(f"{phone} and {dslr} do not lie in two neighbouring folders")
    values: Mapping[str, object] = line
    geometry = np.array([tuple(values[name] for name in GEOMETRY)], ROW).tobytes()
    mask = place / _inside(line["valid_file_name"]) if MASK_NAME in line else None
    return _Line((phone, dslr), mask, pair, group, split, geometry)


def _inside(name: str) -> PurePosixPath:
    """A relative path that stays where it starts; ValueError where it does not."""
    if not all(map(is_plain_name, name.split("/"))):
        raise ValueError(f"{name!r:.80} is no path below the folder")
    return PurePosixPath(name)


def _require_consistent(lines: Sequence[_Line]) -> None:
    """Refuse lines each of which may be ours, but not all of them together."""
    found = {tuple(path.parent.name for path in line.files) for line in lines}
    if len(found) != 1:
        raise ValueError(f"{len(found)} pairs of folders instead of one")
    for side in (0, 1):
        if len({line.files[side] for line in lines}) < len(lines):
            raise ValueError("a picture is listed twice")
    if len({line.mask is None for line in lines}) > 1:
        raise ValueError("only some pairs have a mask")
    homes = {(line.pair, line.group, line.split, line.places) for line in lines}
    if len({line.pair for line in lines}) < len(homes):
        raise ValueError("a photo is in two splits, groups or folders")


def _blocks(root: Path, lines: Sequence[_Line]) -> list[Block]:
    """Photos in natural order, their pairs in the order of the metadata."""
    photos: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        photos[line.pair].append(line)
    return [
        Block(
            pair,
            members[0].group,
            members[0].split,
            members[0].places,
            [(root / line.files[0], root / line.files[1]) for line in members],
            [line.geometry for line in members],
            [root / line.mask for line in members if line.mask],
        )
        for pair, members in sorted(photos.items(), key=lambda p: natural_key(p[0]))
    ]


def _strangers(root: Path, lines: Sequence[_Line]) -> Iterator[Refusal]:
    """The pictures that the metadata does not list."""
    known = {path for line in lines for path in line.files}
    for places in dict.fromkeys(line.places for line in lines):
        for place in filter(lambda place: (root / place).is_dir(), places):
            for path in list_photos(root / place):
                if PurePosixPath(place, path.name) not in known:
                    message = f"{place}/{path.name}: not listed in the metadata"
                    yield Refusal(f"{place}/{path.stem}", "not_listed", message)
