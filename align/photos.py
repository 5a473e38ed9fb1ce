"""Photos on disk → upright sRGB arrays, or a PhotoError that names file and reason.

A photo is decoded strictly: a file that ends early is an error, never grey rows. Its
pixels are turned upright (EXIF orientation) and converted to sRGB where another ICC
profile is embedded; nothing else touches them. Pillow reads the headers and decodes
what is not a plain JPEG; plain JPEGs take a shorter way to the same pixels.
"""

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from dped_build.align.bounded import (
    MAX_FILE_BYTES,
    MAX_JPEG_HEADER_BYTES,
    MAX_SCANS,
    HeaderFile,
    jpeg_scans,
)
from dped_build.align.errors import NO_MEMORY, DpedBuildError, PhotoError, UsageError
from dped_build.align.settings import MAX_MEGAPIXELS
from dped_build.align.srgb import convert_to_srgb, in_srgb

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "TIFF")
MAX_SIDE = 32_766  # px; OpenCV's limit for the photos that it resamples
MAX_JPEG_DEPTH = 12  # bytes per pixel; no JPEG's pixels take more
_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_DATE_TIME_ORIGINAL, _DATE_TIME = 0x9003, 0x0132

# What Pillow raises on files that are not what they say they are.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)
_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda photo: cv2.flip(photo, 1),
    3: lambda photo: cv2.rotate(photo, cv2.ROTATE_180),
    4: lambda photo: cv2.flip(photo, 0),
    5: cv2.transpose,
    6: lambda photo: cv2.rotate(photo, cv2.ROTATE_90_CLOCKWISE),
    7: lambda photo: cv2.rotate(cv2.transpose(photo), cv2.ROTATE_180),
    8: lambda photo: cv2.rotate(photo, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_SIDEWAYS = (5, 6, 7, 8)

_EARLY = (  # in the words of the decoders
    "truncated",
    "broken data stream",
    "not enough image data",
    "unexpected end",
)
ENDS_EARLY = "the file ends early; copy it again"
_NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Every photo's header is held against our own limit, which the user can raise.
Image.MAX_IMAGE_PIXELS = None
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what matters comes as an error


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which IMG_2 comes before IMG_10; ties break by spelling."""
    parts = re.split(r"([0-9]+)", name)
    key = [(0, int(p)) if i % 2 else (1, p) for i, p in enumerate(parts) if p]
    return (*key, (-1, name))


def list_photos(folder: Path) -> list[Path]:
    """The photos in `folder` (not below it), in natural order of their names.

    Raises:
        UsageError: `folder` is missing or not a folder.
        DpedBuildError: It cannot be listed.
    """
    if not folder.exists():
        raise UsageError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; name the folder that holds photos")
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        raise DpedBuildError(f"{folder}: cannot be read ({error.strerror})") from error
    return sorted(found, key=lambda path: natural_key(path.name))


def is_plain_text(name: str) -> bool:
    """Whether a name can stand in a text file: UTF-8, no controls, no ends of line."""
    return name != "" and _NOT_PLAIN.search(name) is None


def printable(name: str) -> str:
    """A file name as text files can hold it: escapes for what is not plain text."""
    return _NOT_PLAIN.sub(lambda found: _escaped(ord(found[0])), name)


def _escaped(code: int) -> str:
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # PEP 383
    return f"\\x{byte:02x}" if byte < 0x100 else f"\\u{byte:04x}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: what matters in them comes as an error as well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@contextmanager
def open_photo(
    path: Path, *, max_megapixels: float = MAX_MEGAPIXELS
) -> Iterator[Image.Image]:
    """Open a photo and check its header; no pixel is decoded yet.

    What Pillow raises while it is open comes out as a PhotoError, too.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    file = image = None
    try:
        length = _check_file(path)
        with HeaderFile(path) as file:
            with _quiet():
                image = Image.open(file, formats=FORMATS)
            with image:
                file.release()
                _check_size(path, image.size, max_megapixels)
                yield image
    except (MemoryError, cv2.error) as error:
        what = f"{NO_MEMORY} to read it; lower --jobs or raise --max-memory"
        raise _refused(path, "too_large", what) from error
    except DECODE_ERRORS as error:
        cut = file is not None and file.cut
        if cut or (image is not None and _lacks_strips(image, length)):
            raise _refused(path, "truncated", ENDS_EARLY) from error
        raise _decode_error(path, error) from error


def _check_file(path: Path) -> int:
    """The length of a file that may be a photo, bytes."""
    if not path.is_file():
        what = "not a photo file" if path.exists() else "no such file"
        raise _refused(path, "unreadable", what)
    if not is_plain_text(path.name):
        what = "the file name is not plain UTF-8 text; rename it"
        raise _refused(path, "unreadable", what)
    length = path.stat().st_size
    if length == 0:
        what = "the file is empty; copy it again or remove it"
        raise _refused(path, "unreadable", what)
    if length > MAX_FILE_BYTES:
        what = f"{length / 1e9:.0f} GB are no photo; remove it"
        raise _refused(path, "too_large", what)
    return length


def _lacks_strips(image: Image.Image, length: int) -> bool:
    """Whether the strips or tiles of a TIFF lie beyond the end of the file."""
    tags = getattr(image, "tag_v2", {})
    try:
        parts = [
            *zip(tags.get(273, ()), tags.get(279, ()), strict=False),
            *zip(tags.get(324, ()), tags.get(325, ()), strict=False),
        ]
        return any(start + count > length for start, count in parts)
    except DECODE_ERRORS:  # tags of a wrong type
        return False


def _check_size(path: Path, size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    told = f"{width}x{height} px is over"
    if width * height > max_megapixels * 1e6:
        what = (
            f"{told} {max_megapixels:g} megapixels; raise --max-megapixels to read it"
        )
        raise _refused(path, "too_large", what)
    if max(width, height) > MAX_SIDE:
        what = f"{told} {MAX_SIDE} px on a side; scale it down or remove it"
        raise _refused(path, "too_large", what)


def photo_size(
    path: Path, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[int, int]:
    """Upright width and height from the header alone, pixels.

    Raises:
        PhotoError: As `open_photo`.
    """
    with open_photo(path, max_megapixels=max_megapixels) as image:
        width, height = image.size
        turned = _orientation(image) in _SIDEWAYS
    return (height, width) if turned else (width, height)


def capture_time(path: Path) -> datetime | None:
    """When the photo was taken by its EXIF data (camera clock); None if unknown."""
    try:
        with open_photo(path, max_megapixels=float("inf")) as image, _quiet():
            exif = image.getexif()
            text = exif.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL)
            return datetime.strptime(
                str(text or exif.get(_DATE_TIME, "")).strip("\0 "), "%Y:%m:%d %H:%M:%S"
            )
    except (PhotoError, *DECODE_ERRORS):
        return None


def read_photo(
    path: Path, *, color: str = "srgb", max_megapixels: float = MAX_MEGAPIXELS
) -> NDArray[np.uint8]:
    """Decode a photo strictly to RGB uint8 (H, W, 3), upright.

    Args:
        path: The photo.
        color: "srgb" converts from an embedded profile, "keep" leaves values as stored.
        max_megapixels: Photos larger than this by their header are not decoded.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    with open_photo(path, max_megapixels=max_megapixels) as image, _quiet():
        return _decoded(path, image, color)


def _decoded(path: Path, image: Image.Image, color: str) -> NDArray[np.uint8]:
    if image.info.get("progressive") and jpeg_scans(path) > MAX_SCANS:
        raise ValueError(f"drawn over {MAX_SCANS} times")
    photo = _decode_plain_jpeg(path, image)
    if photo is None:
        image.load()  # what stands behind the pixels counts as well
    orientation = _orientation(image)
    profile = image.info.get("icc_profile") if color == "srgb" else None
    if photo is None:
        photo = np.array(in_srgb(image, profile))
    elif profile:
        convert_to_srgb(photo, profile)
    turn = _TURNS.get(orientation)
    return photo if turn is None else turn(photo)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; an odd tag counts as upright."""
    if image.format == "TIFF":
        return 1  # Pillow turns a TIFF itself and states its upright size
    try:
        with _quiet():
            found = image.getexif().get(_ORIENTATION)
    except DECODE_ERRORS:
        return 1
    return found if isinstance(found, int) and found in _TURNS else 1


def _decode_plain_jpeg(path: Path, image: Image.Image) -> NDArray[np.uint8] | None:
    """RGB values of an RGB or grey JPEG as stored; None for Pillow to judge.

    What is not whole in every detail is left to Pillow, which knows the harmless flaws.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        return None
    if (
        path.stat().st_size
        > MAX_JPEG_HEADER_BYTES + MAX_JPEG_DEPTH * image.width * image.height
    ):
        return None  # Pillow reads no more than it needs
    try:
        photo = simplejpeg.decode_jpeg(path.read_bytes(), "RGB", strict=True)
    except ValueError:
        return None
    return np.asarray(photo, dtype=np.uint8)


def _decode_error(path: Path, error: Exception) -> PhotoError:
    text = " ".join(str(error).split())
    if any(word in text.lower() for word in _EARLY):
        return _refused(path, "truncated", ENDS_EARLY)
    if isinstance(error, PermissionError):
        return _refused(path, "unreadable", "no permission to read it")
    what = f"cannot be decoded ({printable(text)})"
    if isinstance(error, UnidentifiedImageError):
        what = "not a JPEG, PNG or TIFF photo"
    return _refused(path, "unreadable", f"{what}; copy it again or remove it")


def _refused(path: Path, reason: str, what: str) -> PhotoError:
    return PhotoError(reason, f"{printable(path.name)}: {what}")
