"""Read a folder of patches: its manifest, its split, its windows and its shards.

Whoever reads such a folder does it here; `publication` and `shards` write it. What is
damaged is a DpedBuildError that names the file.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.hdf5_files import (
    BITS,
    DAMAGE,
    VALID,
    damaged,
    opened,
    read_column,
    read_owners,
    read_texts,
    stored,
)
from dped_build.patches.manifest import require_shards, require_sound
from dped_build.patches.masks import Bits, packed_length
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, empty_windows
from dped_build.patches.split import DamagedSplitError, SplitRow, parse_split
from dped_build.workspace.json_files import read_document, read_lines
from dped_build.workspace.stage import Stage
from dped_build.workspace.text import one_line

MANIFEST = "manifest.json"
SPLIT_FILE = "split.csv"
SHARDS = "*-[0-9]*.h5"
SIDES = ("phone", "dslr")
WITHOUT_MASKS = {"valid_share": 1}  # what files from before there were masks mean


@dataclass(frozen=True)
class Rows:
    """The rows of a shard or of `windows.h5`, in their order.

    Attributes:
        photos: The pair names of the file, in order.
        photo: Of each row, (N,): index into `photos`.
        windows: Their columns; what was not asked for, or is absent, is NaN or 0.
        reasons: Of each row, (N,): `accepted` or why not; `""` where not asked for.
    """

    photos: list[str]
    photo: NDArray[np.integer]
    windows: Windows
    reasons: NDArray[np.object_]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.photo)

    @property
    def pairs(self) -> NDArray[np.object_]:
        """Pair name of each row, (N,)."""
        return np.asarray(np.array(self.photos, dtype=object)[self.photo])

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which rows are those of patches that were kept, (N,)."""
        return np.asarray(self.reasons == ACCEPTED)

    def rows_of_pairs(self) -> dict[str, NDArray[np.intp]]:
        """Pair name → numbers of its rows, ascending, for every pair of the file."""
        order = np.argsort(self.photo, kind="stable")
        bounds = np.searchsorted(self.photo[order], np.arange(len(self.photos) + 1))
        return {
            pair: order[bounds[at] : bounds[at + 1]]
            for at, pair in enumerate(self.photos)
        }

    def by_pair(self) -> dict[str, Windows]:
        """Pair name → its rows, for every pair of the file."""
        rows = self.rows_of_pairs()
        return {pair: self.windows.rows(own) for pair, own in rows.items()}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder of shards; None where it came without.

    Raises:
        DpedBuildError: It is damaged.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = read_document(path)
        require_shards(manifest)
        if not isinstance(manifest.get("settings", {}), dict):
            raise TypeError("settings is no object")
    except DAMAGE as error:
        raise damaged(path, error) from error
    return manifest


def finished_manifest(stage: Stage) -> dict[str, Any] | None:
    """The manifest of a finished stage, with all that we write; None where none is.

    Raises:
        DpedBuildError: It is damaged, or of another format or version.
    """
    manifest = stage.manifest()
    if manifest is not None:
        try:
            require_sound(manifest)
        except DAMAGE as error:
            raise damaged(stage.folder / MANIFEST, error) from error
    return manifest


def list_shards(
    folder: Path, manifest: Mapping[str, Any] | None, split: str = "*"
) -> list[tuple[Path, int | None]]:
    """Paths of the shards by name and, where a manifest says, how many rows they hold.

    Without a manifest the names decide, so that copied or hand-made shards work too.
    """
    if manifest is None:
        return [(path, None) for path in sorted(folder.glob(f"{split}-*.h5"))]
    entries = [line for line in manifest["shards"] if split in ("*", line["split"])]
    entries.sort(key=itemgetter("file"))
    return [(folder / line["file"], line["patches"]) for line in entries]


def read_split_rows(folder: Path) -> list[SplitRow] | None:
    """The lines of `split.csv`; None where it did not come along.

    Raises:
        DamagedSplitError: They cannot be trusted.
    """
    path = folder / SPLIT_FILE
    if not path.is_file():
        return None
    try:
        return parse_split(b"".join(read_lines(path)).decode())
    except (OSError, ValueError, csv.Error) as error:
        said = one_line(error, 100)
        what = f"{path}: cannot be read ({said}); restore it"
        raise DamagedSplitError(what) from error


def read_rows(
    path: Path,
    columns: Sequence[str] = tuple(COLUMNS),
    *,
    reasons: bool = False,
    lenient: bool = False,
) -> Rows:
    """The rows of a shard or of `windows.h5`.

    Args:
        path: The file.
        columns: Of `COLUMNS`; the others are not read.
        reasons: Whether to read why each window was kept or not.
        lenient: Whether a column may be absent, as in hand-made files.

    Raises:
        DpedBuildError: The file is missing or damaged.
    """
    with opened(path) as file:
        return rows_of(file, columns, reasons=reasons, lenient=lenient)


def rows_of(
    file: h5py.File,
    columns: Sequence[str],
    *,
    reasons: bool = False,
    lenient: bool = False,
) -> Rows:
    """As `read_rows`, of an open file; raises as `stored`."""
    photo, photos = read_owners(file)
    found: dict[str, Any] = {
        name: read_column(file, name)
        for name in columns
        if name in file or not (lenient or name in WITHOUT_MASKS)
    }
    for name in WITHOUT_MASKS.keys() & set(columns) - found.keys():
        found[name] = np.full(len(photo), WITHOUT_MASKS[name], COLUMNS[name][0])
    texts = read_texts(file, "reason") if reasons else [""] * len(photo)
    if {len(texts), *map(len, found.values())} != {len(photo)}:
        raise OSError("its columns differ in length")
    windows = replace(empty_windows(len(photo)), **found)
    return Rows(photos, photo, windows, np.array(texts, dtype=object))


def read_keys(path: Path) -> dict[str, str]:
    """Pair name → key of its measurements in `windows.h5`; raises as `read_rows`."""
    with opened(path) as file:
        names, keys = (read_texts(file, name) for name in ("photos", "photo_key"))
        return dict(zip(names, keys, strict=True))


def read_pixels(
    rows: Sequence[tuple[Path, int]],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both sides' pixels (N, S, S, 3) of rows of shards, in the order asked for.

    Raises:
        DpedBuildError: A shard is missing or damaged.
    """
    if not rows:
        none = np.zeros((0, 0, 0, 3), np.uint8)
        return none, none
    found: list[list[NDArray[np.uint8]]] = []
    for path, group in groupby(rows, key=itemgetter(0)):
        with opened(path) as file:
            sides = [_whole(file, side) for side in SIDES]
            for run in _runs([row for _, row in group]):
                found.append([side[run] for side in sides])
    phone, dslr = (np.concatenate(side) for side in zip(*found, strict=True))
    return phone, dslr


def read_valid(path: Path, rows: Sequence[int]) -> NDArray[np.uint8]:
    """`valid` of rows of a shard as it is stored, (N, S, S); ones where it has none.

    Raises:
        DpedBuildError: The shard is missing or damaged.
    """
    with opened(path) as file:
        count, size = _whole(file, SIDES[0]).shape[:2]
        if VALID not in file:
            return np.ones((len(rows), size, size), np.uint8)
        valid = _whole(file, VALID)
        if valid.shape != (count, size, size):
            raise OSError(f"{VALID} is {valid.shape}")
        return _taken(valid, rows)


def read_masks(path: Path, rows: NDArray[np.intp], size: int) -> Bits:
    """The masks of rows of `windows.h5`, packed, where patches are `size` px a side.

    Raises:
        DpedBuildError: The file is missing or damaged.
    """
    with opened(path) as file:
        bits = _whole(file, BITS)
        if bits.shape != (len(stored(file, "photo")), packed_length(size)):
            raise OSError(f"{BITS} is {bits.shape}")
        return _taken(bits, rows.tolist())


def _taken(stored_rows: h5py.Dataset, rows: Sequence[int]) -> NDArray[np.uint8]:
    """These rows of a dataset, in the order asked for."""
    none = np.zeros((0, *stored_rows.shape[1:]), np.uint8)
    return np.concatenate([none, *(stored_rows[run] for run in _runs(rows))])


def _whole(file: h5py.File, name: str) -> h5py.Dataset:
    """Pixels or masks, if every row of them was written."""
    pixels = stored(file, name)
    written = pixels.id.get_storage_size() // max(pixels.nbytes, 1) * len(pixels)
    if pixels.chunks:
        written = pixels.id.get_num_chunks() * pixels.chunks[0]
    if written < len(pixels):
        raise OSError(f"rows of {name} were never written")
    return pixels


def _runs(rows: Sequence[int]) -> Iterator[slice]:
    """Neighbouring rows as slices, which are read in one go."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end] != rows[end - 1] + 1:
            yield slice(rows[start], rows[end - 1] + 1)
            start = end
