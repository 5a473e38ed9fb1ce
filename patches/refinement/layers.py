"""Surfaces in windows: planes of parallax, and which windows lie on one surface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.align.rig import Rig
from dped_build.patches.refinement.pyramid import Image

NEAR_PX = 1.0  # from a plane, within which pixels make it
SAMPLED_PX = 4  # between the pixels that planes are fitted to
SEEDS = (0.5, 0.1, 0.25, 0.75, 0.9)  # quantiles of a window's parallax to start from
LIMITS_PX = (4.0, 2.5, 1.5, NEAR_PX)  # narrowing, around a plane being fitted
FLAT_WEIGHT = 3.0  # pixels by which slopes are held to 0
MIN_SHARE, MIN_SECOND_SHARE = 0.28, 0.3  # of a window's pixels that a plane explains
EXPLAINED = 0.05  # of a window's known pixels that a further seed need not explain
SAME_SURFACE_PX = 0.5  # between two windows' planes, half the way between them
CONTINUED_PX = 2.5  # ... and at either's centre
UNKNOWN = np.float32(1e6)  # px of parallax, beyond all limits
AROUND = ((1, 0), (0, 1), (1, 1), (-1, 1))  # half of a window's neighbours: x, y


@dataclass(frozen=True)
class Layers:
    """K surfaces in windows, one or two a window.

    A plane is the parallax at the window's centre, and by how much it grows towards the
    right and the lower border, full-size px.
    """

    window: NDArray[np.intp]  # (K,) which window
    planes: FloatArray  # (K, 3): along x, along y, at the centre

    def __len__(self) -> int:
        """How many."""
        return len(self.window)


def window_layers(
    parallax: Image, corners: NDArray[np.int32], size: int, reduction: int
) -> Layers:
    """The plane of each window that most of its pixels lie on, and the next one.

    Args:
        parallax: Map (H, W) of the reduced photo, full-size px.
        corners: Top-left pixels (N, 2) of the windows, full-size px.
        size: Side of a window, full-size px.
        reduction: Full-size px per px of the map.
    """
    step = max(1, SAMPLED_PX // reduction)
    at = np.arange(step // 2, size // reduction, step)
    rows, columns = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
    places = np.stack([columns, rows], axis=1)
    left_top = corners // reduction
    found = parallax[left_top[:, 1:] + rows, left_top[:, :1] + columns]
    half = size / 2
    unit = places * reduction + (reduction - 1) / 2 - (size - 1) / 2
    terms = np.column_stack([unit / half, np.ones(len(unit))]).astype(np.float32)
    values = np.where(np.isfinite(found), found, UNKNOWN)
    planes, share = _best_planes(values, terms)
    near = np.abs(values - planes @ terms.T) <= 2 * NEAR_PX
    values[near] = UNKNOWN
    seconds, second_share = _best_planes(values, terms)
    first = share > MIN_SHARE
    second = first & (second_share > MIN_SECOND_SHARE)
    return Layers(
        np.concatenate([np.flatnonzero(first), np.flatnonzero(second)]),
        np.concatenate([planes[first], seconds[second]]),
    )


def _best_planes(values: Image, terms: Image) -> tuple[Image, FloatArray]:
    """Planes (N, 3) near most of N windows' pixels, and the share of those (N,)."""
    planes, best = np.zeros((len(values), 3), np.float32), np.zeros(len(values))
    ordered = np.sort(values)
    count = (ordered < UNKNOWN).sum(axis=1)
    share_known = count / values.shape[1]
    held = np.diag([FLAT_WEIGHT, FLAT_WEIGHT, 1e-6])
    products = (terms[:, :, None] * terms[:, None]).reshape(len(terms), -1)
    for seed in SEEDS:
        rows = np.flatnonzero((best < share_known - EXPLAINED) & (share_known > 0.1))
        if not len(rows):
            break
        value = values[rows]
        start = _quantiles(ordered[rows], count[rows], seed)
        error = np.abs(value - start[:, None])
        for limit in LIMITS_PX:
            weight = (error < limit).astype(np.float32)
            normal = (weight @ products).reshape(-1, *held.shape) + held
            right = (weight * value) @ terms
            plane = np.linalg.solve(normal, right[..., None])[..., 0]
            error = np.abs(value - plane.astype(np.float32) @ terms.T)
        share = (error < NEAR_PX).mean(axis=1)
        better = share > best[rows]
        planes[rows[better]] = plane[better]
        best[rows] = np.maximum(best[rows], share)
    return planes, best


def _quantiles(
    ordered: FloatArray, count: NDArray[np.intp], share: float
) -> FloatArray:
    """Of the first values of each row (N, P), as np.quantile has it, (N,).

    `np.nanquantile` does the same row by row, in ten times the time.
    """
    place = (count - 1) * share
    before = np.floor(place).astype(np.intp)
    each, part = np.arange(len(ordered)), place - before
    low = ordered[each, before]
    high = ordered[each, np.minimum(before + 1, count - 1)]
    step = high - low
    # From the nearer end, so that rounding is NumPy's.
    return np.asarray(np.where(part < 0.5, low + step * part, high - step * (1 - part)))


def expected_by_rig(
    rig: Rig, centres: FloatArray, planes: FloatArray, size: int
) -> FloatArray:
    """Places (K, 6) of windows at `centres` (K, 2) whose parallax is these planes."""
    half = size / 2
    middle = rig.across(centres, planes[:, 2])
    places = np.empty((len(planes), 6))
    places[:, :2] = planes[:, 2:] * rig.along + middle[:, None] * rig.normal
    for axis, way in enumerate(np.eye(2) * half):
        slope = planes[:, axis]
        beyond = rig.across(centres + way, planes[:, 2] + slope)
        before = rig.across(centres - way, planes[:, 2] - slope)
        across = (beyond - before) / 2
        # A place holds x's slopes along x and y, then y's.
        for part in range(2):
            along = slope * rig.along[part]
            places[:, 2 + 2 * part + axis] = along + across * rig.normal[part]
    return places


def surfaces(centres: FloatArray, planes: FloatArray, size: int) -> NDArray[np.intp]:
    """Labels (K,) of windows whose planes continue each other; gaps between labels.

    Windows lie on one grid, of `size` px; `centres` is (K, 2), `planes` (K, 3).
    """
    one, other = _neighbours(np.rint((centres - centres[:1]) / size).astype(np.intp))
    way = (centres[other] - centres[one]) / size  # half of it, in half sides
    rise, other_rise = (
        (planes[number, :2] * way).sum(axis=1) for number in (one, other)
    )
    apart = planes[other, 2] - planes[one, 2]
    same = np.abs(apart - rise - other_rise) < SAME_SURFACE_PX
    # A ramp meets both surfaces that it leads between, but continues neither.
    for whole in (2 * rise, 2 * other_rise):
        same &= np.abs(apart - whole) < CONTINUED_PX
    return _connected(len(planes), one[same], other[same])


def _neighbours(cells: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs (M,), (M,) of members of neighbouring cells (K, 2)."""
    cells = cells - cells.min(axis=0, initial=0)
    width = int(cells[:, 0].max(initial=0)) + 2  # no row ends where the next begins
    key = cells @ (1, width)
    order = np.argsort(key, kind="stable")
    ones, others = [], []
    for x, y in AROUND:
        wanted = key + (x + y * width)
        first = np.searchsorted(key[order], wanted, "left")
        count = np.searchsorted(key[order], wanted, "right") - first
        ones.append(np.repeat(np.arange(len(key)), count))
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        others.append(order[np.repeat(first, count) + number])
    return np.concatenate(ones), np.concatenate(others)


def _connected(
    count: int, one: NDArray[np.intp], other: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The least member of each one's component, (count,), by links `one` - `other`."""
    label = np.arange(count)
    while True:
        low = np.minimum(label[one], label[other])
        following = label.copy()
        for ends in (one, other):
            np.minimum.at(following, label[ends], low)
            np.minimum.at(following, ends, low)
        following = following[following]
        if np.array_equal(following, label):
            return label
        label = following


def plane_distance(
    parallax: Image, origin: NDArray[np.int32], planes: FloatArray, squares: "Squares"
) -> Image:
    """Parallax less each layer's plane over squares of the map, (K, side, side) px.

    Args:
        parallax: Map of the reduced photo, full-size px; NaN where unknown.
        origin: Top-left map px of the squares (K, 2), also beyond the map.
        planes: (K, 3).
        squares: Where they lie.
    """
    height, width = parallax.shape
    offset = np.arange(squares.side)
    rows, columns = origin[:, 1:] + offset, origin[:, :1] + offset
    inside_y, inside_x = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    found = parallax.take((inside_y * width)[:, :, None] + inside_x[:, None, :])
    beyond = ((inside_y != rows)[:, :, None]) | ((inside_x != columns)[:, None, :])
    if beyond.any():
        found[beyond] = np.nan
    unit_x, unit_y = (
        (
            (origin[:, axis : axis + 1] + offset) * squares.reduction
            + (squares.reduction - 1) / 2
            - squares.centres[:, axis : axis + 1]
        )
        / squares.half
        for axis in range(2)
    )
    along_x = (planes[:, :1] * unit_x).astype(np.float32)
    along_y = (planes[:, 1:2] * unit_y + planes[:, 2:]).astype(np.float32)
    found -= along_x[:, None, :]
    found -= along_y[:, :, None]
    return np.asarray(found)


@dataclass(frozen=True)
class Squares:
    """Squares of a reduced photo around K windows."""

    centres: FloatArray  # (K, 2) of the windows, full-size px
    half: float  # of a window's side, full-size px
    side: int  # of a square, reduced px
    reduction: int
