"""A photo on another grid, sampled once: neither aliased nor blurred.

Each output pixel is the mean of the photo over the pixel's own area: what a sensor with
the output's pixels would have seen. The photo is filtered by a box as wide as the pixel
and then interpolated, which costs a fraction of averaging many samples. The box lies
along the photo's axes; under a turn only its fourth moments differ from the pixel's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homographies,
    corners,
    local_jacobian,
    rescaling,
    translation,
)

WIDEST_BOX = 3.0  # photo px that five taps can hold; wider pixels are means of several
LINEAR_FROM = 1.2  # photo px; a narrower box leaves detail that only cubic keeps
CUBIC_A = -0.75  # the parameter of OpenCV's cubic kernel
MARGIN = 5  # photo px around a part, for the taps and the interpolation
TILE = 512  # photo px along a side held as floats at once: fits a core's cache
_FREQUENCIES = np.arange(1, 65) / 128  # cycles per photo px, up to the Nyquist limit


def sample(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The photo, (H, W) or (H, W, 3), on a grid of `size` = (width, height), rounded.

    `to_photo`, (3, 3), leads from output px to photo px. Gives uint8 (height, width) or
    (height, width, 3); beyond the photo its border is repeated.
    """
    found = np.empty((*size[::-1], *photo.shape[2:]), np.uint8)
    for rows, columns, samples in _tiles(photo, to_photo, size):
        # Clips and rounds in one pass.
        cv2.add(samples, 0.0, dst=found[rows, columns], dtype=cv2.CV_8U)
    return found


def sample_unrounded(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.float32]:
    """As `sample`, 0 to 255, float32: for measuring, where rounding is noise."""
    found = np.empty((*size[::-1], *photo.shape[2:]), np.float32)
    for rows, columns, samples in _tiles(photo, to_photo, size):
        np.clip(samples, 0, 255, out=found[rows, columns])
    return found


def sample_patches(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: int
) -> NDArray[np.uint8]:
    """The photo on many square grids of `size` px, each as `sample` gives it alone.

    `to_photo` is (N, 3, 3). Returns uint8 (N, size, size) or (N, size, size, 3).
    """
    found = np.empty((len(to_photo), size, size, *photo.shape[2:]), np.uint8)
    whole = _tile_sides(to_photo, (size, size)) >= size
    views = _views(photo, to_photo[whole], np.full((whole.sum(), 2), size))
    for number, view in zip(np.flatnonzero(whole), views, strict=True):
        cv2.add(view.samples(photo), 0.0, dst=found[number], dtype=cv2.CV_8U)
    for number in np.flatnonzero(~whole):
        found[number] = sample(photo, to_photo[number], (size, size))
    return found


def _tiles(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Rows, columns and samples of parts that together make up the grid."""
    width, height = size
    side = int(_tile_sides(to_photo[None], size)[0])
    lefts, tops = np.arange(0, width, side), np.arange(0, height, side)
    first = np.stack([a.ravel() for a in np.meshgrid(lefts, tops)], axis=1)
    last = np.minimum(first + side, size)
    matrices = to_photo @ np.array([translation(*corner) for corner in first])
    views = _views(photo, matrices, last - first)
    for (left, top), (right, bottom), view in zip(first, last, views, strict=True):
        yield slice(top, bottom), slice(left, right), view.samples(photo)


def _tile_sides(to_photo: FloatArray, size: tuple[int, int]) -> NDArray[np.intp]:
    """Output px of tiles that hold `TILE` photo px, of grids of one size, (N,)."""
    centre = (np.array(size) - 1) / 2
    widest = np.abs(local_jacobian(to_photo, centre)).sum(axis=2).max(axis=1)
    return np.asarray(np.maximum(TILE / widest, 1), dtype=np.intp)


@dataclass(frozen=True)
class _View:
    """A grid on a part of a photo, and how the part is read."""

    rows: slice  # of the photo
    columns: slice
    to_part: FloatArray  # (3, 3) output px → px of that part
    boxes: tuple[float, float]  # that the mean is over, photo px
    per_pixel: int  # of such means along a side, of which an output px is the mean
    size: tuple[int, int]

    def samples(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The photo on the grid, not rounded and not clipped."""
        smooth, reading = _smoothed(photo[self.rows, self.columns], self.boxes)
        times, matrix = self.per_pixel, self.to_part
        samples = cv2.warpPerspective(
            smooth,
            matrix if times == 1 else matrix @ rescaling(1 / times),
            (self.size[0] * times, self.size[1] * times),
            flags=reading | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if times > 1:
            samples = cv2.resize(samples, self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(samples, dtype=np.float32)


def _views(
    photo: NDArray[np.uint8], to_photo: FloatArray, sizes: NDArray[np.integer[Any]]
) -> Iterator[_View]:
    """Of grids (N, 3, 3), all at once: one by one, numbers cost more than pixels."""
    # The rows' norms are the sides of the upright box with the pixel's second moments.
    widths = np.linalg.norm(local_jacobian(to_photo, (sizes - 1) / 2), axis=2)
    per_pixel = np.maximum(np.ceil(widths.max(axis=1) / WIDEST_BOX), 1).astype(int)
    boxes = (widths / per_pixel[:, None]).tolist()
    quads = apply_homographies(to_photo, corners((2, 2)) * (sizes[:, None] - 1))
    margin = (MARGIN + 2 * per_pixel)[:, None]
    length = np.array(photo.shape[1::-1])
    first = np.clip(quads.min(axis=1).astype(int) - margin, 0, length - 1)
    end = quads.max(axis=1).astype(int) + margin + 2
    end = np.minimum(np.maximum(end, first + 1), length)
    to_part = to_photo.copy()
    to_part[:, :2] -= first[..., None] * to_photo[:, 2:]
    for number, ((left, top), (right, bottom)) in enumerate(
        zip(first.tolist(), end.tolist(), strict=True)
    ):
        across, down = boxes[number]
        yield _View(
            slice(top, bottom),
            slice(left, right),
            to_part[number],
            (round(across, 2), round(down, 2)),
            int(per_pixel[number]),
            (int(sizes[number, 0]), int(sizes[number, 1])),
        )


def sample_at(
    photo: NDArray[np.uint8], places: NDArray[np.float32], to_photo: FloatArray
) -> NDArray[np.float32]:
    """The photo at any places of it, (h, w, 2) px: 0 to 255, float32, not rounded.

    `to_photo`, (3, 3), from the grid of the output to photo px, says how large and how
    turned the output's pixels are in the photo; `places` alone says where they lie.
    """
    height, width = places.shape[:2]
    found = np.empty((height, width, *photo.shape[2:]), np.float32)
    side = int(_tile_sides(to_photo[None], (width, height))[0])
    for top in range(0, height, side):
        for left in range(0, width, side):
            part = slice(top, top + side), slice(left, left + side)
            middle = (left + side / 2, top + side / 2)
            pixel = local_jacobian(to_photo, middle)
            np.clip(_sample_places(photo, places[part], pixel), 0, 255, out=found[part])
    return found


def _sample_places(
    photo: NDArray[np.uint8], places: NDArray[np.float32], pixel: FloatArray
) -> NDArray[np.float32]:
    """As `_View.samples`, of pixels that `pixel` (2, 2) spans in the photo."""
    widths = np.linalg.norm(pixel, axis=1)
    per_pixel = max(1, int(np.ceil(widths.max() / WIDEST_BOX)))
    across, down = (round(float(width) / per_pixel, 2) for width in widths)
    columns, rows = (
        _span(places[..., axis], MARGIN + int(np.ceil(widths.max())), length)
        for axis, length in enumerate(photo.shape[1::-1])
    )
    smooth, reading = _smoothed(photo[rows, columns], (across, down))
    samples: list[NDArray[np.float32]] = []
    steps = (np.arange(per_pixel) + 0.5) / per_pixel - 0.5
    for offset in np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2):
        at = places + (pixel @ offset - (columns.start, rows.start)).astype(np.float32)
        edge = cv2.BORDER_REPLICATE
        samples.append(cv2.remap(smooth, at, None, reading, borderMode=edge))
    return np.asarray(sum(samples) / len(samples), dtype=np.float32)


def _smoothed(
    part: NDArray[np.uint8], boxes: tuple[float, float]
) -> tuple[NDArray[np.float32], int]:
    """A part of the photo filtered for means over `boxes`, and how it is then read."""
    linear = min(boxes) >= LINEAR_FROM
    smooth = cv2.sepFilter2D(
        part,
        cv2.CV_32F,
        *(_taps(box, linear=linear) for box in boxes),
        borderType=cv2.BORDER_REPLICATE,
    )
    return smooth, cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC


def _span(ends: FloatArray, margin: int, length: int) -> slice:
    """Pixels between `ends` along one axis of a photo, and `margin` more, not none."""
    first = min(max(int(ends.min()) - margin, 0), length - 1)
    return slice(first, min(max(int(ends.max()) + margin + 2, first + 1), length))


@lru_cache(maxsize=256)
def _taps(width: float, *, linear: bool) -> FloatArray:
    """Five weights after which interpolation gives the mean over `width` photo px.

    The mean meant is that of a cubic curve through the pixels. Weights and
    interpolation together come nearest to its frequency response: least squares over
    frequencies, weighted as a photo's amplitudes fall; a constant is kept exactly.
    """
    cubic = _cubic_response(_FREQUENCIES)
    read = np.sinc(_FREQUENCIES) ** 2 if linear else cubic
    wanted = np.sinc(width * _FREQUENCIES) * cubic
    pairs = 2 * np.cos(2 * np.pi * np.outer(_FREQUENCIES, (1, 2))) - 2
    weight = 1 / (_FREQUENCIES + _FREQUENCIES[3])
    near, far = np.linalg.lstsq(
        (weight * read)[:, None] * pairs, weight * (wanted - read), rcond=None
    )[0]
    return np.array([far, near, 1 - 2 * (near + far), near, far])


def _cubic_response(frequency: FloatArray) -> FloatArray:
    """Fourier transform of the cubic kernel (Keys 1981) at cycles per px above 0."""
    double, quadruple = np.sinc(2 * frequency), np.sinc(4 * frequency)
    plain = 3 * (np.sinc(frequency) ** 2 - double)
    tail = 2 * CUBIC_A * (3 * double**2 - 2 * double - quadruple)
    return np.asarray((plain + tail) / (np.pi * frequency) ** 2)
