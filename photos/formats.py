"""Photo file formats: suffixes, extras they need, and RAW beside JPEG."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from dped_build.workspace.errors import DpedBuildError

PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".nef", ".arw"),
    *(".raf", ".orf", ".rw2", ".pef"),
)
SUFFIXES = (*PLAIN_SUFFIXES, *HEIF_SUFFIXES, *RAW_SUFFIXES)
NAMES = "JPEG, PNG, TIFF, HEIF or RAW"

HEIF, RAW = "heif", "raw"  # the extras
_PACKAGES = {HEIF: "pillow_heif", RAW: "rawpy"}


def needs(path: Path) -> str | None:
    """The extra without which a photo of this suffix cannot be read."""
    suffix = path.suffix.lower()
    if suffix in HEIF_SUFFIXES:
        return HEIF
    return RAW if suffix in RAW_SUFFIXES else None


def is_missing(extra: str) -> bool:
    """Whether the package that an extra brings is not installed."""
    return find_spec(_PACKAGES[extra]) is None


def install(extras: Iterable[str]) -> str:
    """The command that installs extras."""
    return f"pip install 'dped-build[{','.join(sorted(extras))}]'"


def without_companions(photos: Sequence[Path]) -> list[Path]:
    """One file a photo: cameras write a RAW file beside the JPEG of the same name.

    Of files of one stem and different kinds the JPEG, PNG or TIFF stands for the
    others, and HEIF stands for RAW; files of one kind are all kept.
    """
    ranks = [(None, HEIF, RAW).index(needs(photo)) for photo in photos]
    best: dict[tuple[Path, str], int] = {}
    for photo, rank in zip(photos, ranks, strict=True):
        key = photo.parent, photo.stem
        best[key] = min(best.get(key, rank), rank)
    return [
        photo
        for photo, rank in zip(photos, ranks, strict=True)
        if rank == best[photo.parent, photo.stem]
    ]


def refuse_missing(folder: Path, photos: Sequence[Path]) -> None:
    """Stop where all photos of a folder need an extra that is not installed."""
    needed = {needs(photo) for photo in photos}
    missing = {extra for extra in needed if extra and is_missing(extra)}
    if missing and missing == needed:
        kinds = " and ".join(sorted(extra.upper() for extra in missing))
        raise DpedBuildError(
            f"{folder}: all of its photos are {kinds}; to read them: {install(missing)}"
        )
