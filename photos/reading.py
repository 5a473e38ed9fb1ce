"""Photos on disk → upright sRGB arrays, or a PhotoError that names file and reason.

A photo is decoded strictly: a file that ends early is an error, never grey rows. Its
pixels are turned upright (EXIF orientation) and converted to sRGB where another colour
space is stated; nothing else touches them. Plain JPEGs take the shortest way, other
JPEG, PNG and TIFF go through Pillow, HEIF and RAW through their own libraries; what a
file is its content says, of RAW files the name.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from dped_build.photos.c_words import caught_words
from dped_build.photos.capture_time import Taken, taken
from dped_build.photos.colours import Colours, stated_colours
from dped_build.photos.formats import (
    HEIF,
    NAMES,
    RAW,
    install,
    is_missing,
    needs,
)
from dped_build.photos.header_limits import MAX_FILE_BYTES, HeaderFile
from dped_build.photos.heif import HeifImage, is_heif
from dped_build.photos.icc import convert_to_srgb, in_srgb, shaper_for
from dped_build.photos.jpeg import decode_plain_jpeg, refuse_many_scans
from dped_build.photos.orientation import SIDEWAYS, known_orientation, upright
from dped_build.photos.pillow_settings import no_warnings, own_limits
from dped_build.photos.raw import RawImage
from dped_build.photos.raw_bytes import is_raw
from dped_build.photos.settings import MAX_MEGAPIXELS
from dped_build.photos.sixteen_bit import eight_bits_of
from dped_build.photos.truncation import lacks_end
from dped_build.photos.written_parts import require_written
from dped_build.workspace.errors import (
    NO_MEMORY,
    PhotoError,
    PhotoMemoryError,
    UnfitPhotoError,
)
from dped_build.workspace.text import natural_key

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF")
MAX_SIDE = 32_766  # px; OpenCV's limit for the photos that it resamples
_ORIENTATION = 0x0112
_TURNED = ("TIFF", "HEIF", "RAW")  # upright as they come, their size as well
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG")  # whatever the suffix says

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
_LIBTIFF = re.compile(r"^\S*: .*\.$")  # what goes wrong comes as an error as well
_EARLY = (  # in the words of the decoders
    "truncated",
    "broken data stream",
    "not enough image data",
    "unexpected end",
    "premature end",
)
_UNREAD_PIXELS = ("unknown raw mode", "of an unsupported kind")
_BIG_ENDIAN_BIGTIFF = b"MM\0\x2b"  # Pillow takes its offsets for those of TIFF
ENDS_EARLY = "the file ends early; copy it again"
_NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def path_key(path: Path) -> tuple[tuple[tuple[int, int | str], ...], ...]:
    """Sort key of a relative path: its folders and its name in natural order."""
    return tuple(natural_key(part) for part in path.parts)


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
        _check_file(path)
        with own_limits(), HeaderFile(path) as file:
            with no_warnings():
                image = _opened(path, file)
            with image:
                file.release()
                _check_size(path, image.size, max_megapixels)
                yield image
    except (MemoryError, cv2.error) as error:
        what = f"{NO_MEMORY} to read it; lower --jobs or raise --max-memory"
        raise _refused(path, "too_large", what, PhotoMemoryError) from error
    except DECODE_ERRORS as error:
        with no_warnings():
            cut = (file is not None and file.cut) or lacks_end(path)
        if cut:
            raise _refused(path, "truncated", ENDS_EARLY) from error
        raise _decode_error(path, error) from error


def _check_file(path: Path) -> None:
    """Refuse what can be no photo, before it is opened."""
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
        what = f"{length / 1e9:.0f} GB is too large for a photo; remove it"
        raise _refused(path, "too_large", what)


def _opened(path: Path, file: HeaderFile) -> Image.Image:
    """The photo's header, read by whoever knows its format."""
    start = file.peek(16)
    if start.startswith(_BIG_ENDIAN_BIGTIFF):
        what = "a big-endian BigTIFF is not read; save it as TIFF or PNG"
        raise _refused(path, "unreadable", what)
    named = needs(path) == RAW and not start.startswith(_PICTURES)
    raw = named or is_raw(file, start)
    file.seek(0)
    extra = HEIF if is_heif(start) else RAW if raw else None
    if extra is None:
        return Image.open(file, formats=FORMATS)
    if is_missing(extra):
        what = f"to read {extra.upper()} photos: {install([extra])}"
        raise _refused(path, "unreadable", what)
    return HeifImage(file) if extra == HEIF else RawImage(path)


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


def is_transparent(path: Path) -> bool:
    """Whether a photo has transparency, which reading drops; errors as `open_photo`."""
    with open_photo(path, max_megapixels=float("inf")) as image, no_warnings():
        return image.has_transparency_data


def photo_size(
    path: Path, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[int, int]:
    """Upright width and height from the header alone, px; errors as of `open_photo`."""
    with open_photo(path, max_megapixels=max_megapixels) as image:
        width, height = image.size
        turned = _orientation(image) in SIDEWAYS
    return (height, width) if turned else (width, height)


@dataclass(frozen=True)
class Header:
    """What a photo's header says.

    Attributes:
        kind: Format of the content: JPEG, HEIF, RAW.
        size: Upright width and height, pixels.
        colours: The colour space that it states, and by what.
        taken: When it was taken; None where unknown.
    """

    kind: str
    size: tuple[int, int]
    colours: str
    taken: Taken | None


def read_header(path: Path) -> Header:
    """What a photo's header says; no pixel is decoded.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    size = photo_size(path, max_megapixels=float("inf"))
    with open_photo(path, max_megapixels=float("inf")) as image, no_warnings():
        colours = str(_colours(path, image))
        kind = "JPEG" if image.format == "MPO" else str(image.format)
    return Header(kind, size, colours, when_taken(path))


def capture_time(path: Path) -> datetime | None:
    """When the photo was taken by its EXIF data (camera clock); None if unknown."""
    found = when_taken(path)
    return found.time if found else None


def when_taken(path: Path) -> Taken | None:
    """When the photo was taken, what says so and in which zone; None if unknown."""
    try:
        with open_photo(path, max_megapixels=float("inf")) as image, no_warnings():
            return taken(image.getexif())
    except (PhotoError, *DECODE_ERRORS):
        return None


def read_photo(
    path: str | Path, *, color: str = "srgb", max_megapixels: float = MAX_MEGAPIXELS
) -> NDArray[np.uint8]:
    """Decode a photo strictly to RGB uint8 (H, W, 3), upright.

    Args:
        path: The photo.
        color: "srgb" converts from the colour space that the photo states, "keep"
            leaves values as stored.
        max_megapixels: Photos larger than this by their header are not decoded.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    return read_with_colours(Path(path), color=color, max_megapixels=max_megapixels)[0]


def read_with_colours(
    path: Path, *, color: str = "srgb", max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[NDArray[np.uint8], Colours]:
    """As `read_photo`, and the colour space that the photo states.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    with open_photo(path, max_megapixels=max_megapixels) as image, no_warnings():
        words = caught_words(_LIBTIFF) if image.format == "TIFF" else nullcontext()
        with words:
            return _decoded(path, image, converted=color == "srgb")


def _decoded(
    path: Path, image: Image.Image, *, converted: bool
) -> tuple[NDArray[np.uint8], Colours]:
    refuse_many_scans(path, image)
    require_written(path, image.format, getattr(image, "tag_v2", {}))
    colours = _colours(path, image)  # while the file is open
    if converted and colours.refusal:
        raise UnfitPhotoError(colours.refusal)
    profile = colours.profile if converted else None
    photo = decode_plain_jpeg(path, image)
    if photo is None and isinstance(image, HeifImage | RawImage):
        photo = image.pixels()
    if photo is None:
        shaper = shaper_for(profile) if profile else None
        photo = eight_bits_of(
            path, image, formats=FORMATS, scaled=converted, shaper=shaper
        )
        profile = None if photo is not None and shaper is not None else profile
    if photo is None:
        image.load()  # what stands behind the pixels counts as well
    orientation = _orientation(image)
    if photo is None:
        photo = np.array(in_srgb(image, profile))
    elif profile:
        convert_to_srgb(photo, profile)
    return upright(photo, orientation), colours


def _colours(path: Path, image: Image.Image) -> Colours:
    """The colour space that a photo states; odd tags state none."""
    try:
        with no_warnings():
            return stated_colours(path, image)
    except DECODE_ERRORS:
        return Colours()


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; an odd tag counts as upright."""
    if image.format in _TURNED:
        return 1
    try:
        with no_warnings():
            return known_orientation(image.getexif().get(_ORIENTATION))
    except DECODE_ERRORS:
        return 1


def _decode_error(path: Path, error: Exception) -> PhotoError:
    # An OSError in full names the whole path.
    told = error.strerror if isinstance(error, OSError) else None
    text = " ".join((told or str(error)).split())
    if isinstance(error, UnfitPhotoError):
        return _refused(path, "unreadable", text)
    if any(word in text.lower() for word in _EARLY):
        return _refused(path, "truncated", ENDS_EARLY)
    if any(word in text for word in _UNREAD_PIXELS):
        what = f"pixels of a kind that is not read ({text}); save it as 8-bit RGB"
        return _refused(path, "unreadable", what)
    if isinstance(error, PermissionError):
        return _refused(path, "unreadable", "no permission to read it")
    what = f"cannot be decoded ({printable(text)})"
    if isinstance(error, UnidentifiedImageError):
        what = f"not a {NAMES} photo"
    return _refused(path, "unreadable", f"{what}; copy it again or remove it")


def _refused(
    path: Path, reason: str, what: str, kind: type[PhotoError] = PhotoError
) -> PhotoError:
    return kind(reason, f"{printable(path.name)}: {what}")
