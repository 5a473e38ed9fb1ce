"""Pixels → the bytes of a PNG or JPEG file."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8] | NDArray[np.uint16]


def encode(
    picture: Picture,
    *,
    quality: int | None = None,
    subsampled: bool = False,
    level: int | None = None,
    exif: bytes = b"",
    icc: bytes = b"",
) -> bytes:
    """A picture as a file; the same pixels and options give the same bytes.

    Args:
        picture: RGB, (H, W, 3); uint16 for PNG alone.
        quality: Of a JPEG file, 1 to 100; None: a PNG file.
        subsampled: JPEG's colours at half the resolution (4:2:0).
        level: PNG's compression, 0 to 9; None: OpenCV's fastest.
        exif: EXIF data, a TIFF header first; empty for none.
        icc: Colour profile; empty for none.
    """
    import cv2  # here: the type above is wanted where there is none

    suffix = ".png" if quality is None else ".jpg"
    options = [] if level is None else [cv2.IMWRITE_PNG_COMPRESSION, level]
    if quality is not None:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        if not subsampled:
            full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
            options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
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
