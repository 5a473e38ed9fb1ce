"""Photo file formats: suffixes, kinds, and the extras they need."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from dped_build.workspace.errors import DpedBuildError

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo")
PLAIN_SUFFIXES = (*JPEG_SUFFIXES, ".png", ".tif", ".tiff", ".webp", ".avif")
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
RAW_SUFFIXES = (  # that LibRaw reads
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".srw"),
    *(".raf", ".orf", ".ori", ".rw2", ".rwl", ".raw", ".pef", ".ptx", ".pxn", ".3fr"),
    *(".fff", ".iiq", ".cap", ".mef", ".mos", ".mfw", ".mrw", ".mdc", ".dcr", ".dcs"),
    *(".kdc", ".kc2", ".k25", ".dc2", ".erf", ".bay", ".cs1", ".sti", ".rdc", ".rwz"),
    *(".qtk", ".ari"),
)
SUFFIXES = (*PLAIN_SUFFIXES, *HEIF_SUFFIXES, *RAW_SUFFIXES)
UNREAD_SUFFIXES = (  # of pictures that nothing here reads
    *(".jxl", ".gpr", ".x3f", ".eip", ".lri", ".livp", ".jp2", ".j2k", ".jpx", ".jxr"),
    *(".wdp", ".hdp", ".avci", ".heics", ".bmp", ".gif", ".psd", ".psb", ".xcf"),
    *(".exr", ".hdr", ".tga", ".ppm", ".pgm", ".pnm", ".qoi", ".bpg"),
)
NAMES = "JPEG, PNG, TIFF, WebP, AVIF, HEIF or RAW"

HEIF, RAW = "heif", "raw"  # the extras
PREFERENCES = ("jpeg", "raw")
_ORDERS = {  # which file stands for a shot; by the extra that it needs
    "jpeg": (None, HEIF, RAW),
    "raw": (RAW, None, HEIF),
}
_PACKAGES = {HEIF: "pillow_heif", RAW: "rawpy"}


def needs(path: Path) -> str | None:
    """The extra without which a photo of this suffix cannot be read."""
    suffix = path.suffix.lower()
    if suffix in HEIF_SUFFIXES:
        return HEIF
    return RAW if suffix in RAW_SUFFIXES else None


def preferred_kinds(
    shots: Iterable[Sequence[Path]], prefer: str | None
) -> tuple[str | None, ...]:
    """The order in which a shot's files are chosen from, by the extra they need.

    The first kind of which every shot has a file goes first, so that a set is of one
    kind; where none is, or `prefer` names one, the order stands.
    """
    order = _ORDERS[prefer or PREFERENCES[0]]
    if prefer:
        return order
    common = set(order).intersection(*({*map(needs, files)} for files in shots))
    return tuple(sorted(order, key=lambda kind: kind not in common))


def is_missing(extra: str) -> bool:
    """Whether the package that an extra brings is not installed."""
    return find_spec(_PACKAGES[extra]) is None


def install(extras: Iterable[str]) -> str:
    """The command that installs extras."""
    return f"pip install 'dped-build[{','.join(sorted(extras))}]'"


def refuse_missing(folder: Path, photos: Sequence[Path]) -> None:
    """Stop where all photos of a folder need an extra that is not installed."""
    needed = {needs(photo) for photo in photos}
    missing = {extra for extra in needed if extra and is_missing(extra)}
    if missing and missing == needed:
        kinds = " and ".join(sorted(extra.upper() for extra in missing))
        raise DpedBuildError(
            f"{folder}: all of its photos are {kinds}; to read them: {install(missing)}"
        )
