"""A photo on another grid, sampled once: neither aliased nor blurred.

Each output pixel is the mean of the photo over the pixel's own area: what a sensor with
the output's pixels would have seen. The photo is filtered by a box as wide as the pixel
and then interpolated, which costs a fraction of averaging many samples. The box lies
along the photo's axes; under a turn only its fourth moments differ from the pixel's.
Where rows nearly follow the photo's, the compiled loop filters down and along each row:
a box then leans as much, and beyond the photo its border is repeated along the row.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.area_taps import area_taps
from dped_build.align.geometry import (
    FloatArray,
    apply_homographies,
    corners,
    local_jacobian,
    rescaling,
    translation,
)
from dped_build.compiled.loops import run

WIDEST_BOX = 3.0  # photo px that five taps can hold; wider pixels are means of several
LINEAR_FROM = 1.2  # photo px; a narrower box leaves detail that only cubic keeps
FINE = 64  # parts of a grey level
REACH = 2  # px that the taps reach to each side
MOST_SLOPE = 0.15  # of rows; the boxes lean as much, and nobody can tell
MOST_MEANS = 64  # along a side of an output px: beyond, near a horizon, some are enough
EDGE = 6  # px outside a photo from which taps and interpolation find nothing but border
MARGIN = 5  # photo px around places, for the taps and the interpolation
TILE = 256  # photo px along a side held as floats at once: fits a core's cache


def sample(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The photo, (H, W) or (H, W, 3), on a grid of `size` = (width, height), rounded.

    `to_photo`, (3, 3), leads from output px to photo px. Gives uint8 (height, width) or
    (height, width, 3); beyond the photo its border is repeated.
    """
    found = np.empty((*size[::-1], *photo.shape[2:]), np.uint8)
    _fill(found[None], photo, to_photo[None])
    return found


def sample_finely(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> NDArray[np.uint16]:
    """As `sample`, in parts of levels, `FINE` each: for measuring."""
    found = np.empty((*size[::-1], *photo.shape[2:]), np.uint16)
    _fill(found[None], photo, to_photo[None])
    return found


def sample_patches(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: int
) -> NDArray[np.uint8]:
    """The photo on many square grids of `size` px, each as `sample` gives it alone.

    `to_photo` is (N, 3, 3). Returns uint8 (N, size, size) or (N, size, size, 3).
    """
    found = np.empty((len(to_photo), size, size, *photo.shape[2:]), np.uint8)
    if len(to_photo):
        _fill(found, photo, to_photo)
    return found


@dataclass(frozen=True)
class _Tiles:
    """Parts of grids, M that make them up, each on its part of a photo."""

    grids: NDArray[np.intp]  # (M,) of which each is a part
    corners: NDArray[np.intp]  # (M, 2) of its pixels: left, top
    sizes: NDArray[np.intp]  # (M, 2) width, height
    parts: NDArray[np.intp]  # (M, 4) left, top, columns, rows: within EDGE of the photo
    to_part: FloatArray  # (M, 3, 3) px of the tile → px of the part
    boxes: FloatArray  # (M, 2) that means are over: across, down, photo px
    per_pixel: NDArray[np.intp]  # (M,) such means along a side of an output px
    linear: NDArray[np.bool_]  # (M,) whether two px along a side are read, not four


def _fill(found: NDArray[Any], photo: NDArray[np.uint8], to_photo: FloatArray) -> None:
    """Sample a photo on grids (N, 3, 3) into `found` (N, height, width, ...)."""
    height, width = found.shape[1:3]
    tiles = _tiles(photo, to_photo, (width, height))
    channels = photo.shape[2] if photo.ndim == 3 else 1
    if channels not in (1, 3) or not _run(found, photo, channels, tiles):
        for number in range(len(tiles.grids)):
            _fill_tile(found, photo, tiles, number)


def _run(
    found: NDArray[Any], photo: NDArray[np.uint8], channels: int, tiles: _Tiles
) -> bool:
    """Whether the compiled loop has filled `found`."""
    (height, width), (left, top) = found.shape[1:3], tiles.corners.T
    linear = tiles.linear
    numbers = np.column_stack(
        (
            *(tiles.parts, tiles.sizes, tiles.per_pixel, np.where(linear, 2, 4)),
            (tiles.grids * height + top) * width + left,
        )
    ).astype(np.int64)
    weights = [
        [area_taps(box, linear=reading) for box in boxes]
        for boxes, reading in zip(tiles.boxes.tolist(), linear.tolist(), strict=True)
    ]
    rounded = found.dtype == np.uint8
    return run(
        "sample_grids",
        *(
            np.ascontiguousarray(photo, np.uint8),
            *photo.shape[:2],
            channels,
            len(numbers),
        ),
        *(numbers, tiles.to_part, np.array(weights), width),
        *((found, None) if rounded else (None, found)),
    )


def _fill_tile(
    found: NDArray[Any], photo: NDArray[np.uint8], tiles: _Tiles, number: int
) -> None:
    """As the compiled loop, one tile, by OpenCV: places are rounded to 1/32 px."""
    across, down = tiles.boxes[number].tolist()
    part = _part(photo, tiles.parts[number] + (-REACH, -REACH, 2 * REACH, 2 * REACH))
    smooth, reading = _smoothed(part, (across, down), linear=bool(tiles.linear[number]))
    times, (width, height) = int(tiles.per_pixel[number]), tiles.sizes[number].tolist()
    samples = cv2.warpPerspective(
        smooth,
        translation(REACH, REACH) @ tiles.to_part[number] @ rescaling(1 / times),
        (width * times, height * times),
        flags=reading | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        samples = cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)
    x, y = tiles.corners[number].tolist()
    place = found[tiles.grids[number], y : y + height, x : x + width]
    if found.dtype == np.uint8:
        # Clips and rounds in one pass.
        cv2.add(samples, 0.0, dst=place, dtype=cv2.CV_8U)
    else:
        place[:] = np.rint(np.clip(samples, 0, 255) * FINE)


def _part(photo: NDArray[np.uint8], box: NDArray[np.intp]) -> NDArray[np.uint8]:
    """A part (left, top, width, height) of a photo whose border repeats beyond it."""
    left, top, width, height = box.tolist()
    if min(left, top) >= 0 and (photo.shape[:2] >= (box[:2] + box[2:])[::-1]).all():
        return photo[top : top + height, left : left + width]
    rows = photo.take(np.arange(top, top + height), axis=0, mode="clip")
    return rows.take(np.arange(left, left + width), axis=1, mode="clip")


def _tiles(
    photo: NDArray[np.uint8], to_photo: FloatArray, size: tuple[int, int]
) -> _Tiles:
    """Of grids (N, 3, 3), all at once: one by one, numbers cost more than pixels."""
    of_each = [_cut(size, side) for side in _tile_sides(to_photo, size).tolist()]
    grids = np.repeat(np.arange(len(of_each)), [len(boxes) for boxes in of_each])
    first, sizes = np.split(np.concatenate(of_each), 2, axis=1)
    matrices = np.array(to_photo[grids], np.float64, order="C")
    matrices[..., 2] += (matrices[..., :2] @ first[..., None])[..., 0]
    # The rows' norms are the sides of the upright box with the pixel's second moments.
    widths = np.linalg.norm(local_jacobian(matrices, (sizes - 1) / 2), axis=2)
    means = np.ceil(widths.max(axis=1) / WIDEST_BOX)
    per_pixel = np.clip(means, 1, MOST_MEANS).astype(int)
    boxes = np.minimum(np.round(widths / per_pixel[:, None], 2), WIDEST_BOX)
    quads = apply_homographies(matrices, corners((2, 2)) * (sizes[:, None] - 1))
    margin = (3 * per_pixel)[:, None]  # half a turned px, and the taps
    length = np.array(photo.shape[1::-1])
    start = np.floor(quads.min(axis=1)).astype(int) - margin
    start = np.clip(start, -EDGE, length + 1)
    end = np.floor(quads.max(axis=1)).astype(int) + margin + 2
    end = np.maximum(np.minimum(end, length + EDGE), start + EDGE)
    linear = (boxes.min(axis=1) >= LINEAR_FROM) & _along_rows(quads)
    matrices[:, :2] -= start[..., None] * matrices[:, 2:]
    parts = np.concatenate([start, end - start], axis=1)
    return _Tiles(grids, first, sizes, parts, matrices, boxes, per_pixel, linear)


def _along_rows(quads: FloatArray) -> NDArray[np.bool_]:
    """Whether rows of grids, by corners (M, 4, 2), nearly follow the photo's, (M,)."""
    x, y = np.abs(quads[:, [1, 2]] - quads[:, [0, 3]]).transpose(2, 0, 1)
    return np.asarray((y <= MOST_SLOPE * x).all(axis=1))


@lru_cache(maxsize=64)
def _cut(size: tuple[int, int], side: int) -> NDArray[np.intp]:
    """Squares that make up a grid: (K, 4) left, top, width, height; do not write."""
    lefts, tops = (np.arange(0, length, side) for length in size)
    first = np.stack([a.ravel() for a in np.meshgrid(lefts, tops)], axis=1)
    return np.concatenate([first, np.minimum(first + side, size) - first], axis=1)


def _tile_sides(to_photo: FloatArray, size: tuple[int, int]) -> NDArray[np.intp]:
    """Output px of tiles that hold `TILE` photo px, of grids of one size, (N,)."""
    centre = (np.array(size) - 1) / 2
    widest = np.abs(local_jacobian(to_photo, centre)).sum(axis=2).max(axis=1)
    return np.asarray(np.maximum(TILE / widest, 1), dtype=np.intp)


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
    """The photo at places, not clipped; `pixel` (2, 2) is an output pixel in it."""
    widths = np.linalg.norm(pixel, axis=1)
    per_pixel = max(1, int(np.ceil(widths.max() / WIDEST_BOX)))
    across, down = (round(float(width) / per_pixel, 2) for width in widths)
    columns, rows = (
        _span(places[..., axis], MARGIN + int(np.ceil(widths.max())), length)
        for axis, length in enumerate(photo.shape[1::-1])
    )
    linear = min(across, down) >= LINEAR_FROM
    smooth, reading = _smoothed(photo[rows, columns], (across, down), linear=linear)
    samples: list[NDArray[np.float32]] = []
    steps = (np.arange(per_pixel) + 0.5) / per_pixel - 0.5
    for offset in np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2):
        at = places + (pixel @ offset - (columns.start, rows.start)).astype(np.float32)
        edge = cv2.BORDER_REPLICATE
        samples.append(cv2.remap(smooth, at, None, reading, borderMode=edge))
    return np.asarray(sum(samples) / len(samples), dtype=np.float32)


def _smoothed(
    part: NDArray[np.uint8], boxes: tuple[float, float], *, linear: bool
) -> tuple[NDArray[np.float32], int]:
    """A part of the photo filtered for means over `boxes`, and how it is then read."""
    smooth = cv2.sepFilter2D(
        part,
        cv2.CV_32F,
        *(area_taps(box, linear=linear) for box in boxes),
        borderType=cv2.BORDER_REPLICATE,
    )
    return smooth, cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC


def _span(ends: FloatArray, margin: int, length: int) -> slice:
    """Pixels between `ends` along one axis of a photo, and `margin` more, not none."""
    first = min(max(int(ends.min()) - margin, 0), length - 1)
    return slice(first, min(max(int(ends.max()) + margin + 2, first + 1), length))
