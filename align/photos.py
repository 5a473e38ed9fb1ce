"""Photos on disk → upright sRGB arrays, or a PhotoError that names file and reason.

A photo is decoded strictly: a file that ends early is an error, never grey rows. Its
pixels are turned upright (EXIF orientation) and converted to sRGB where another ICC
profile is embedded; nothing else touches them. Pillow reads the headers and decodes
what is not a plain JPEG; plain JPEGs take a shorter way to the same pixels.
"""

import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from dped_build.align.errors import DpedBuildError, PhotoError, UsageError
from dped_build.align.settings import MAX_MEGAPIXELS

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "TIFF")
MAX_SIDE = 32_766  # px; OpenCV's limit for the photos that it resamples
STRIP_ROWS = 256  # converted to sRGB at once
SRGB_TOLERANCE = 2  # grey levels; a profile that moves no colour further is sRGB
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
    OverflowError,
    struct.error,
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

# Every photo's header is held against our own limit, which the user can raise.
Image.MAX_IMAGE_PIXELS = None


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which IMG_2 comes before IMG_10; ties break by spelling."""
    parts = re.split(r"([0-9]+)", name)
    key = [(0, int(p)) if i % 2 else (1, p) for i, p in enumerate(parts) if p]
    return (*key, (-1, name))


def list_photos(folder: Path) -> list[Path]:
    """The photos in `folder` (not below it), in natural order of their names.

    Raises:
        UsageError: `folder` is missing or not a folder.
        DpedBuildError: It cannot be listed, or a file name cannot be written to JSON.
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
    for path in found:
        if not is_plain_text(path.name):
            raise DpedBuildError(
                f"{folder}: the file name {path.name!r} is not plain UTF-8; rename it"
            )
    return sorted(found, key=lambda path: natural_key(path.name))


def is_plain_text(name: str) -> bool:
    """Whether a file name can stand in a text file: UTF-8, no control characters."""
    return re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]+", name) is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: what matters in them comes as an error as well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def open_photo(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """Open a photo and check its header; no pixel is decoded yet.

    Raises:
        PhotoError: `unreadable`, `truncated` or `too_large`.
    """
    try:
        if not path.is_file():
            what = "not a photo file" if path.exists() else "no such file"
            raise PhotoError("unreadable", f"{path.name}: {what}")
        with _quiet():
            image = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError as error:
        empty = path.stat().st_size == 0
        what = "the file is empty" if empty else "not a JPEG, PNG or TIFF photo"
        raise PhotoError(
            "unreadable", f"{path.name}: {what}; copy it again or remove it"
        ) from error
    except DECODE_ERRORS as error:
        raise _decode_error(path, error) from error
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        image.close()
        raise PhotoError(
            "too_large",
            f"{path.name}: {width}x{height} px is over {max_megapixels:g} megapixels; "
            "raise --max-megapixels to read it",
        )
    if max(width, height) > MAX_SIDE:
        image.close()
        raise PhotoError(
            "too_large",
            f"{path.name}: {width}x{height} px is over {MAX_SIDE} px on a side; "
            "scale it down or remove it",
        )
    return image


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
        try:
            photo = _decode_plain_jpeg(path, image)
            if photo is None:
                image.load()  # what stands behind the pixels counts as well
            orientation = _orientation(image)
            profile = image.info.get("icc_profile") if color == "srgb" else None
            if photo is None:
                photo = np.array(_in_srgb(image, profile))
            elif profile:
                _convert_to_srgb(photo, profile)
        except DECODE_ERRORS as error:
            raise _decode_error(path, error) from error
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
    try:
        photo = simplejpeg.decode_jpeg(path.read_bytes(), "RGB", strict=True)
    except ValueError:
        return None
    return np.asarray(photo, dtype=np.uint8)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode.startswith("I;16"):  # 16-bit grey: keep the upper byte
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit samples; save it with 8 or 16 bits")
    if image.mode not in ("RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    transform = _srgb_transform(profile, image.mode) if profile else None
    if transform is not None:
        return ImageCms.applyTransform(image, transform) or image
    return image.convert("RGB")


def _convert_to_srgb(photo: NDArray[np.uint8], profile: bytes) -> None:
    """Convert RGB values in place, a strip at a time to save memory."""
    transform = _srgb_transform(profile, "RGB")
    if transform is None:
        return
    for top in range(0, len(photo), STRIP_ROWS):
        strip = photo[top : top + STRIP_ROWS]
        converted = ImageCms.applyTransform(Image.fromarray(strip), transform)
        strip[:] = np.asarray(converted)


def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion that an embedded profile asks for; None where it is sRGB already.

    A profile that cannot be used is passed over, as browsers do.
    """
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode != "RGB":
        return transform
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
    change = np.abs(moved.astype(int) - lattice.astype(int)).max()
    return None if change <= SRGB_TOLERANCE else transform


def _decode_error(path: Path, error: Exception) -> PhotoError:
    text = " ".join(str(error).split())
    early = (
        "truncated",
        "broken data stream",
        "not enough image data",
        "unexpected end",
    )
    if any(word in text.lower() for word in early):
        return PhotoError(
            "truncated", f"{path.name}: the file ends early; copy it again"
        )
    if isinstance(error, PermissionError):
        return PhotoError("unreadable", f"{path.name}: no permission to read it")
    return PhotoError(
        "unreadable",
        f"{path.name}: cannot be decoded ({text}); copy it again or remove it",
    )
