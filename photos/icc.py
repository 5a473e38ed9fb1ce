"""ICC profiles → sRGB; unusable profiles are ignored."""

import io
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from dped_build.photos.matrix_profiles import Shaper, shaper_of
from dped_build.workspace.errors import UnfitPhotoError
from dped_build.workspace.text import one_line

STRIP_ROWS = 256  # converted at once
SRGB_TOLERANCE = 2  # grey levels; a profile that moves no colour further is sRGB
_PROBES = 2**17  # colours by which a fast conversion shows that it is exact
_KINDS = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK", b"Lab ": "LAB"}
_MAX_NAME = 60


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A decoded image as 8-bit RGB in sRGB, from `profile`; no samples of 32 bits."""
    if image.mode in ("I", "F"):
        raise UnfitPhotoError("32-bit samples; save it with 8 or 16 bits")
    if image.mode in ("CMYK", "LAB"):
        transform = _transform(profile, image.mode) if profile else None
        if transform is None:
            return image.convert("RGB")
        return ImageCms.applyTransform(image, transform) or image
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if not profile:
        return rgb
    photo = np.array(rgb)
    convert_to_srgb(photo, profile)
    return Image.fromarray(photo)


def convert_to_srgb(photo: NDArray[np.uint8], profile: bytes) -> None:
    """Convert RGB values in place, a strip at a time to save memory.

    Of a profile of greys the first channel is converted, and stands for all.
    """
    if kind_of(profile) == "L":
        levels = _grey_levels(profile)
        if levels is not None:
            for top in range(0, len(photo), STRIP_ROWS):
                strip = photo[top : top + STRIP_ROWS]
                strip[:] = cv2.LUT(strip, levels)
        return
    transform, shaper = _conversion(profile)
    if shaper is not None:
        shaper.convert(photo)
    elif transform is not None:
        for top in range(0, len(photo), STRIP_ROWS):
            strip = photo[top : top + STRIP_ROWS]
            converted = ImageCms.applyTransform(Image.fromarray(strip), transform)
            strip[:] = np.asarray(converted)


def shaper_for(profile: bytes) -> Shaper | None:
    """The fast conversion of a profile of RGB, where it has one."""
    return _conversion(profile)[1] if kind_of(profile) == "RGB" else None


def kind_of(profile: bytes) -> str | None:
    """Pillow's mode of the colours that a profile describes; None for others."""
    return _KINDS.get(profile[16:20])


def is_usable(profile: bytes, mode: str) -> bool:
    """Whether a profile describes the values of an image of this mode, L or RGB, ….

    Greys may be described by a profile of RGB as well.
    """
    kind = kind_of(profile)
    fits = kind == mode or (kind, mode) == ("RGB", "L")
    return fits and kind is not None and _transform(profile, kind) is not None


def name_of(profile: bytes) -> str:
    """What a usable profile calls itself; sRGB where it moves no colour."""
    if kind_of(profile) == "RGB" and _conversion(profile)[0] is None:
        return "sRGB"
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        told = ImageCms.getProfileDescription(opened)
    except (ImageCms.PyCMSError, OSError, ValueError):
        told = ""
    return one_line(told)[:_MAX_NAME].strip() or "unnamed"


@lru_cache(maxsize=8)
def _conversion(
    profile: bytes,
) -> tuple[ImageCms.ImageCmsTransform | None, Shaper | None]:
    """LittleCMS's way from RGB, and a faster one of the same bytes; None: sRGB."""
    transform = _transform(profile, "RGB")
    if transform is None:
        return None, None
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
    change = np.abs(moved.astype(int) - lattice.astype(int)).max()
    if change <= SRGB_TOLERANCE:
        return None, None
    shaper = shaper_of(profile)
    probes = np.random.default_rng(0).integers(0, 256, (_PROBES, 1, 3), np.uint8)
    expected = np.asarray(ImageCms.applyTransform(Image.fromarray(probes), transform))
    if shaper is not None:
        shaper.convert(probes)
    return transform, shaper if np.array_equal(probes, expected) else None


@lru_cache(maxsize=8)
def _grey_levels(profile: bytes) -> NDArray[np.uint8] | None:
    """SRGB's levels of a grey profile's, (256,); None where it cannot be used."""
    transform = _transform(profile, "L")
    if transform is None:
        return None
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.asarray(ImageCms.applyTransform(ramp, transform))[0, :, 1]
    change = np.abs(levels.astype(int) - np.arange(256)).max()
    return None if change <= SRGB_TOLERANCE else levels


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """LittleCMS's conversion from a profile's values to sRGB.

    A profile that cannot be used is passed over, as browsers do.
    """
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
