"""Homographies as 3x3 arrays: mapping points, scale and overlap.

Points are (x, y) with pixel centres at integers; matrices act on columns (x, y, 1) and
are named by direction.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]  # float64 throughout


def apply_homography(matrix: FloatArray, points: ArrayLike) -> FloatArray:
    """Map points (..., 2); those at or behind infinity come out as NaN."""
    xy = np.asarray(points, dtype=np.float64)
    x, y = xy[..., 0], xy[..., 1]
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    w = np.where(w > 0, w, np.nan)
    return np.stack([u / w, v / w], axis=-1)


def apply_homographies(matrices: FloatArray, points: FloatArray) -> FloatArray:
    """Map the points of each matrix (N, 3, 3): (K, 2) or (N, K, 2) → (N, K, 2)."""
    return apply_homography(np.moveaxis(matrices, 0, -1)[..., None], points)


def rescaling(x: float, y: float | None = None) -> FloatArray:
    """Full-size px → px of the photo scaled by x and y; centres map to centres."""
    y = x if y is None else y
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def translation(x: float, y: float) -> FloatArray:
    """The matrix that adds (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def corners(size: tuple[int, int]) -> FloatArray:
    """Outer pixel centres of a (width, height) photo, (4, 2), clockwise from (0, 0)."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])


def local_jacobian(matrix: FloatArray, point: ArrayLike) -> FloatArray:
    """Derivative (..., 2, 2) of the mappings (..., 3, 3) at `point` (..., 2)."""
    xy = np.asarray(point, dtype=np.float64)[..., None]
    u, v, w = np.moveaxis(matrix[..., :2] @ xy + matrix[..., 2:], -2, 0)[..., None]
    there = np.concatenate([u, v], axis=-2)
    return np.asarray((matrix[..., :2, :2] * w - there * matrix[..., 2:, :2]) / w**2)


def visible_rows(
    matrix: FloatArray, size: tuple[int, int], target_size: tuple[int, int]
) -> NDArray[np.int64]:
    """Which pixels of each row map into the target photo: (height, 2), first and last.

    Each border of the target is a straight line in this photo, so every row's share is
    one interval; an empty one has first > last. Exact up to rounding.
    """
    width, height = size
    u, v, w = matrix
    first = np.zeros(height)
    last = np.full(height, width - 1.0)
    y = np.arange(height, dtype=np.float64)
    right, bottom = target_size[0] - 1.0, target_size[1] - 1.0
    for line in (u, v, right * w - u, bottom * w - v, w):
        # line[0]·x + line[1]·y + line[2] >= 0 bounds x from one side.
        rest = line[1] * y + line[2]
        with np.errstate(over="ignore"):  # by 1e-308: beyond the photo all the same
            if line[0] > 0:
                first = np.maximum(first, -rest / line[0])
            elif line[0] < 0:
                last = np.minimum(last, -rest / line[0])
            else:
                last = np.where(rest < 0, -1.0, last)
    first = np.clip(first, 0, width)
    last = np.clip(last, -1, width - 1)
    whole = (np.ceil(first - 1e-9), np.floor(last + 1e-9))
    return np.stack(whole, axis=1).astype(np.int64)


def row_mask(rows: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Which pixels lie within each row's first and last, (height, 2): (height, width).

    `rows` is as of `visible_rows`, or scaled.
    """
    columns = np.arange(width)
    return np.asarray((columns >= rows[:, :1]) & (columns <= rows[:, 1:]))


def overlap_share(rows: NDArray[np.int64], size: tuple[int, int]) -> float:
    """Share of a photo's pixels inside the intervals of `visible_rows`, 0 to 1."""
    inside = np.maximum(rows[:, 1] - rows[:, 0] + 1, 0).sum()
    return float(inside / (size[0] * size[1]))


def largest_box(rows: NDArray[np.int64]) -> tuple[int, int, int, int] | None:
    """Largest rectangle inside a convex region: (left, top, width, height) in px.

    `rows` holds each row's first and last pixel. In a convex region a rectangle is
    inside if its top and bottom rows are, so pairs of rows are tried, the most
    promising top first. None where the region is empty.
    """
    widths = np.maximum(rows[:, 1] - rows[:, 0] + 1, 0)
    limits = widths * np.arange(len(rows), 0, -1)  # no box with this top is larger
    best, box = 0, None
    for top in np.argsort(-limits, kind="stable").tolist():
        if limits[top] <= best:
            break
        left, right = rows[top]
        first = top + best // widths[top]  # a box that ends earlier is no larger
        wide = np.minimum(rows[first:, 1], right) - np.maximum(rows[first:, 0], left)
        area = np.maximum(wide + 1, 0) * np.arange(first - top + 1, len(rows) - top + 1)
        down = int(area.argmax())
        if area[down] > best:
            best = int(area[down])
            x = int(max(left, rows[first + down, 0]))
            box = (x, top, int(wide[down]) + 1, int(first) - top + down + 1)
    return box
