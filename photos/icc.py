"""Embedded ICC profiles → sRGB; unusable profiles are ignored."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

STRIP_ROWS = 256  # converted at once
SRGB_TOLERANCE = 2  # grey levels; a profile that moves no colour further is sRGB


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A decoded image as 8-bit RGB in sRGB, from `profile`; no samples of 32 bits."""
    if image.mode in ("I", "F"):
        raise ValueError("32-bit samples; save it with 8 or 16 bits")
    if image.mode not in ("RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    transform = _srgb_transform(profile, image.mode) if profile else None
    if transform is not None:
        return ImageCms.applyTransform(image, transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


def convert_to_srgb(photo: NDArray[np.uint8], profile: bytes) -> None:
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


def profile_name(profile: bytes | None) -> str:
    """What an embedded profile is called; without one, colours count as sRGB."""
    if not profile:
        return "no colour profile"
    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return " ".join(str(ImageCms.getProfileDescription(found)).split())
    except (ImageCms.PyCMSError, OSError):
        return "a damaged colour profile"
