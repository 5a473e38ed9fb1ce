"""Reader of the folder `aligned/`: manifest, records and paths of the photos."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from dped_build.align.records import MAX_PIXELS, Alignment
from dped_build.align.settings import MAX_REDUCTION, PairingSettings
from dped_build.photos.reading import is_plain_text
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.json_files import (
    Count,
    converted,
    is_plain_name,
    json_bytes,
    parse_object,
    read_document,
    read_lines,
)
from dped_build.workspace.stage import SUMS, Stage, sha256
from dped_build.workspace.text import one_line

FORMAT = "dped-build/alignment"
NAME = "aligned"
CAMERA_KEYS = ("phone_camera", "dslr_camera")  # of every manifest
FILES = ("manifest.json", "alignment.jsonl", "local.json", SUMS)  # beside the crops
NEEDED = ("phone", "dslr", "phone_size", "dslr_size", "phone_to_dslr")  # where aligned

FileState = tuple[Annotated[Count, "Bytes."], Annotated[int, "Changed, ns since 1970."]]
Folder = Annotated[str, Meta(pattern="^[^\0]*$")]


class PhotoFiles(TypedDict):
    """What the photos looked like."""

    phone: Annotated[dict[str, FileState], "Files as they were when aligned, by name."]
    dslr: Annotated[dict[str, FileState], "Files as they were when aligned, by name."]


@dataclass(frozen=True)
class Local:
    """Where the photos lie on this machine; leave it out when sharing."""

    phone_root: Annotated[Folder, "Folder of the phone photos."]
    dslr_root: Annotated[Folder, "Folder of the DSLR photos."]
    files: PhotoFiles


@dataclass(frozen=True)
class UsedSettings:
    """Recorded settings by which photos are read again."""

    max_megapixels: Annotated[float, Meta(gt=0, le=MAX_PIXELS / 1e6)]
    color: Literal["srgb", "keep"]
    reduce_phone: Annotated[int, Meta(ge=1, le=MAX_REDUCTION)] = 1


@dataclass(frozen=True)
class Manifest:
    """What of `manifest.json` other stages rely on."""

    phone_camera: str
    dslr_camera: str
    settings: UsedSettings

    def __post_init__(self) -> None:
        """Refuse names that lead elsewhere."""
        if not all(map(is_plain_name, (self.phone_camera, self.dslr_camera))):
            raise ValueError("a camera's name is no folder name")


@dataclass(frozen=True)
class Aligned:
    """A finished alignment, read back."""

    manifest: Mapping[str, Any]  # `manifest.json`
    records: Mapping[str, Alignment]  # all records, by pair name, in order
    phone_root: Path  # the folder of the phone photos on this machine
    dslr_root: Path  # the folder of the DSLR photos
    # (camera, path) → size and time when aligned.
    states: Mapping[tuple[str, str], FileState]

    def paths(self, record: Alignment) -> tuple[Path, Path]:
        """Both photos of an aligned pair."""
        return self.phone_root / str(record.phone), self.dslr_root / str(record.dslr)

    def changed(self, record: Alignment, *, rehash: bool = False) -> str | None:
        """Name of a photo whose content is not what was aligned; None where all is.

        Size and modification time speak for the content; where they differ, or with
        `rehash`, its SHA-256 does.
        """
        for camera, root in (("phone", self.phone_root), ("dslr", self.dslr_root)):
            name = getattr(record, camera)
            if name is None:
                continue
            path, known = root / name, getattr(record, f"{camera}_sha256")
            if leads_out(root, name):
                return str(path)
            try:
                same = file_state(path) == self.states.get((camera, name))
                if rehash or not same:
                    same = known is not None and sha256(path) == known
            except OSError:
                same = False
            if not same:
                return str(path)
        return None


def leads_out(root: Path, name: str) -> bool:
    """Whether a folder on the way to `root`/`name` is a link to somewhere else."""
    if "/" not in name:
        return False
    return not (root / name).parent.resolve().is_relative_to(root.resolve())


def aligned_stage(workspace: Path) -> Stage:
    """The alignment's folder in a workspace."""
    return Stage(workspace, NAME, FORMAT)


def camera_names(
    phone_dir: Path, dslr_dir: Path, pairing: PairingSettings
) -> dict[str, str]:
    """The cameras' names: as the settings say, else the last components of the folders.

    Raises:
        UsageError: They cannot be folders' names, or are alike.
    """
    # As given: a link is not followed. "." and ".." have no name of their own.
    phone, dslr = (
        folder.resolve().name if folder.name in ("", "..") else folder.name
        for folder in (phone_dir, dslr_dir)
    )
    if phone == dslr or not phone or not dslr:
        phone, dslr = "phone", "dslr"
    phone, dslr = pairing.phone_camera or phone, pairing.dslr_camera or dslr
    names = dict(zip(CAMERA_KEYS, (phone, dslr), strict=True))
    require_camera_names(names)
    return names


def require_camera_names(names: Mapping[str, str]) -> None:
    """Refuse names that folders of crops cannot have, or both have (UsageError)."""
    for key, name in names.items():
        plain = is_plain_name(name) and is_plain_text(name)
        if not plain or name in FILES:
            option = key.replace("_", "-")
            raise UsageError(f"--{option} {name!r}: must be a name for a folder")
    called = set(names.values())
    if len(called) < len(names):
        raise UsageError(
            f"both cameras would be called {called.pop()}: "
            "--phone-camera and --dslr-camera tell them apart"
        )


def file_state(path: Path) -> FileState:
    """Size and modification time of a file."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def parse_records(lines: bytes | Iterable[bytes]) -> list[Alignment]:
    """The records of an `alignment.jsonl`, or of its lines; ValueError if damaged."""
    if isinstance(lines, bytes):  # which end at line feeds alone
        lines = lines.splitlines()
    records = [Alignment.from_json(parse_object(line)) for line in lines]
    if len({record.pair for record in records}) < len(records):
        raise ValueError("a duplicate pair")
    return records


def read_records(path: Path) -> list[Alignment]:
    """The records of an `alignment.jsonl`, in order; DpedBuildError if damaged."""
    try:
        return parse_records(read_lines(path))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def read_aligned(workspace: Path) -> Aligned | None:
    """A workspace's finished alignment; None without, DpedBuildError if damaged."""
    stage = aligned_stage(workspace)
    manifest = stage.manifest()
    if manifest is None:
        return None
    path = stage.folder / "manifest.json"
    records = read_records(stage.folder / "alignment.jsonl")
    try:
        _require_sound(manifest, records)
        path = stage.folder / "local.json"
        local = converted(read_document(path), Local)
        both = (("phone", local.files["phone"]), ("dslr", local.files["dslr"]))
        states = {
            (camera, name): state
            for camera, files in both
            for name, state in files.items()
        }
        return Aligned(
            manifest,
            {record.pair: record for record in records},
            Path(local.phone_root),
            Path(local.dslr_root),
            states,
        )
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def unfinished(
    lines: Iterable[Mapping[str, Any]],
) -> dict[str, tuple[object, Alignment]]:
    """What the journal's lines tell: pair → what it depends on, and its record.

    Lines that we would not have written are passed over.
    """
    found = {}
    for line in lines:
        with suppress(ValueError):
            record = Alignment.from_json(line.get("record", {}))
            if _is_whole(record):
                found[record.pair] = line.get("key"), record
    return found


def _is_whole(record: Alignment) -> bool:
    """Whether a pair that is called aligned can be cut."""
    return not record.aligned or None not in (getattr(record, n) for n in NEEDED)


def _require_sound(manifest: Mapping[str, Any], records: Sequence[Alignment]) -> None:
    """Refuse a manifest that is not ours, and pairs that cannot be cut."""
    converted(manifest, Manifest)
    for record in records:
        if not _is_whole(record):
            raise ValueError(f"pair {record.pair} of alignment.jsonl is incomplete")


def _damaged(path: Path, error: Exception) -> DpedBuildError:
    said = one_line(error)
    return DpedBuildError(
        f"{path}: damaged ({said}); run dped-build align again with --force"
    )


def files_of(
    records: Sequence[Alignment],
    manifest: Mapping[str, Any],
    roots: tuple[Path, Path],
    states: Mapping[tuple[str, str], FileState],
) -> dict[str, bytes]:
    """The files of `aligned/` but for crops and sums: name → content."""
    files: dict[str, dict[str, FileState]] = {"phone": {}, "dslr": {}}
    for (camera, name), state in sorted(states.items()):
        files[camera][name] = state
    local = {
        "phone_root": str(roots[0].resolve()),
        "dslr_root": str(roots[1].resolve()),
        "files": files,
    }
    lines = [json_bytes(record.to_json(), indent=None) for record in records]
    return {
        "alignment.jsonl": b"".join(lines),
        "manifest.json": json_bytes(manifest),
        "local.json": json_bytes(local),
    }
