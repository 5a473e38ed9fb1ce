"""A photo on another grid, sampled once: neither aliased nor blurred.

Each output pixel is the mean of the photo over the pixel's own area, taken from cubic
samples at least as dense as the photo's pixels. That is what a sensor with the output's
pixels would have seen.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    corners,
    local_jacobian,
    rescaling,
    translation,
)

SAMPLES_PER_PIXEL = 1.5  # of the source, along each axis
MIN_SAMPLES = 2  # per output pixel, along each axis
MARGIN = 4  # source px around a part, for the cubic kernel
STRIP_SAMPLES = 4_000_000  # samples held at once; bounds the memory


def sample(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The photo on a grid of `size` = (width, height) px.

    Args:
        photo: (H, W) or (H, W, 3).
        to_photo: Homography (3, 3), output px → photo px.
        size: Width and height of the output, px.

    Returns:
        uint8 (height, width) or (height, width, 3). Beyond the photo its border is
        repeated.
    """
    return np.rint(sample_float(photo, to_photo, size)).astype(np.uint8)


def sample_float(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.float32]:
    """As `sample`, unrounded: float32 in [0, 255]."""
    width, height = size
    per_pixel = _samples_per_pixel(to_photo, size)
    rows = max(1, STRIP_SAMPLES // (width * per_pixel**2))
    strips = [
        _sample_strip(
            photo,
            to_photo @ translation(0, top),
            (width, min(rows, height - top)),
            per_pixel,
        )
        for top in range(0, height, rows)
    ]
    return np.clip(np.concatenate(strips), 0, 255)


def _samples_per_pixel(to_photo: FloatArray, size: tuple[int, int]) -> int:
    centre = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    stretch = np.linalg.norm(local_jacobian(to_photo, centre), axis=0).max()
    return max(MIN_SAMPLES, int(np.ceil(SAMPLES_PER_PIXEL * stretch)))


def _sample_strip(
    photo: NDArray[np.uint8],
    to_photo: FloatArray,
    size: tuple[int, int],
    per_pixel: int,
) -> NDArray[np.float32]:
    width, height = size
    # Only the part in view is converted: OpenCV also limits a side to 32,767 px.
    quad = apply_homography(to_photo, corners(size))
    margin = MARGIN + per_pixel
    limits = np.array(photo.shape[1::-1])
    first = np.clip(np.floor(quad.min(axis=0)) - margin, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(quad.max(axis=0)) + margin + 1, first + 1, limits)
    part = photo[first[1] : int(last[1]), first[0] : int(last[0])].astype(np.float32)
    fine = cv2.warpPerspective(
        part,
        translation(*-first) @ to_photo @ rescaling(1 / per_pixel),
        (width * per_pixel, height * per_pixel),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mean = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(mean, dtype=np.float32)
