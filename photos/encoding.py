"""Pixels → the bytes of a PNG or JPEG file.

Pictures are RGB, (H, W, 3). The same pixels and options give the same bytes.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8] | NDArray[np.uint16]


def png_bytes(
    picture: Picture, *, level: int | None = None, exif: bytes = b"", icc: bytes = b""
) -> bytes:
    """A PNG file of 8 or 16 bits.

    Args:
        picture: RGB, uint8 or uint16.
        level: Of the compression, 0 to 9; None: OpenCV's fastest.
        exif: EXIF data without its prefix, a TIFF header first; empty for none.
        icc: Colour profile; empty for none.
    """
    options = [] if level is None else [cv2.IMWRITE_PNG_COMPRESSION, level]
    return _encoded(picture, ".png", options, exif, icc)


def jpeg_bytes(
    picture: NDArray[np.uint8],
    *,
    quality: int,
    subsampled: bool = False,
    exif: bytes = b"",
    icc: bytes = b"",
) -> bytes:
    """A JPEG file.

    Args:
        picture: RGB.
        quality: 1 to 100.
        subsampled: Colours at half the resolution (4:2:0), not at all of it (4:4:4).
        exif: As of `png_bytes`.
        icc: As of `png_bytes`.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if not subsampled:
        options += [
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]
    return _encoded(picture, ".jpg", options, exif, icc)


def _encoded(
    picture: Picture, suffix: str, options: Sequence[int], exif: bytes, icc: bytes
) -> bytes:
    blocks = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: icc}
    stated = {kind: block for kind, block in blocks.items() if block}
    _, data = cv2.imencodeWithMetadata(
        suffix,
        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
        list(stated),
        [np.frombuffer(block, np.uint8) for block in stated.values()],
        options,
    )
    return bytes(data)
