"""Fast decoding of plain JPEG files, and a limit on progressive scans."""

from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.header_limits import MAX_JPEG_HEADER_BYTES, MAX_SCANS, jpeg_scans

MAX_JPEG_DEPTH = 12  # bytes per pixel; no JPEG's pixels take more


def refuse_many_scans(path: Path, image: Image.Image) -> None:
    """Stop (ValueError) before a progressive JPEG is drawn a thousand times."""
    if image.info.get("progressive") and jpeg_scans(path) > MAX_SCANS:
        raise ValueError(f"more than {MAX_SCANS} scans")


def decode_plain_jpeg(path: Path, image: Image.Image) -> NDArray[np.uint8] | None:
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
