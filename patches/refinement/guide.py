"""What is known of a pair's depth before its windows are placed, and of each layer."""

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray, row_mask
from dped_build.align.rig import Rig, fit_rig
from dped_build.align.tracks import (
    Luma,
    Tracks,
    find_corners,
    follow_points,
    whitened,
)
from dped_build.patches.refinement.layers import (
    Squares,
    expected_by_rig,
    plane_distance,
)
from dped_build.patches.refinement.parallax import parallax_map
from dped_build.patches.refinement.prior import Prior
from dped_build.patches.refinement.pyramid import Fine, Image, reduced

GUIDE_REDUCTION = 2
STRIP_PIXELS, MARGIN = 2_000_000, 64  # whitened at once, and rows of what is around
WHOLE_ROWS = 4  # a strip begins where the pixels of the blurred pictures do
MAX_SPREAD_PX = 0.5  # across a rig that is one
# Of the alignment's places, those off one surface: hardly any, less than a railing has;
# or so many that a first look would not be the last.
FLAT_SHARE, DEEP_SHARE = 0.015, 0.035
# Corners are followed at this size first; with so little depth a pair is flat.
FIRST_REDUCTION, SURELY_FLAT = 4, 0.4
MIN_PHOTO_PX = 128  # in smaller ones optical flow finds no way
ALONG_PX, ACROSS_PX = 0.2, 0.05  # error of the guide and of the rig
SLOPE_ALONG_PX, SLOPE_ACROSS_PX = 0.2, 0.03  # ... of displacements at a border
COUNTED_PX, OTHER_PX = 1.5, 2.0  # of parallax: to a window's surface, to another one

Values = TypeVar("Values", Image, NDArray[np.bool_])


@dataclass(frozen=True)
class Guide:
    """What is known of a pair's depth before its windows are placed."""

    rig: Rig
    parallax: Image  # of the photo reduced by GUIDE_REDUCTION, full-size px


def find_guide(
    phone: Luma,
    dslr: Fine,
    visible: NDArray[np.int64],
    *,
    max_shift: float,
    off_surface: float | None = None,
) -> Guide | None:
    """The depth of a pair; None where one surface, or no rig, explains its corners.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid, (H, W).
        visible: First and last column of each row that the DSLR shows, (H, 2).
        max_shift: Parallax that is looked for at most, px.
        off_surface: As the alignment states it.
    """
    share = FLAT_SHARE if off_surface is None else off_surface
    if min(phone.shape) < MIN_PHOTO_PX or share < FLAT_SHARE:
        return None
    if share < DEEP_SHARE:
        _, tracks = _tracks(phone, dslr, visible, FIRST_REDUCTION)
        rig = fit_rig(tracks, phone.shape[::-1])
        if rig and rig.depth(tracks) < SURELY_FLAT:
            return None
    lumas, tracks = _tracks(phone, dslr, visible, GUIDE_REDUCTION)
    rig = fit_rig(tracks, phone.shape[::-1])
    if rig is None or rig.spread_px > MAX_SPREAD_PX or rig.depth(tracks) < 1:
        return None
    low, high = (float(np.clip(limit, -max_shift, max_shift)) for limit in rig.limits)
    rig = replace(rig, limits=(low, high))
    return Guide(rig, parallax_map(*lumas, rig, GUIDE_REDUCTION))


def _tracks(
    phone: Luma, dslr: Fine, visible: NDArray[np.int64], reduction: int
) -> tuple[tuple[Luma, Luma], Tracks]:
    """Both photos reduced and whitened, and the corners followed between them."""
    one, other = (_whitened(luma, reduction) for luma in (phone, dslr))
    rows = visible[::reduction][: one.shape[0]] / reduction
    corners = find_corners(one, row_mask(rows, one.shape[1]))
    return (one, other), follow_points(one, other, corners, reduction=reduction)


def _whitened(luma: Luma | Fine, reduction: int) -> Luma:
    """Luma (H, W) reduced and whitened; strip by strip, as that takes many floats."""
    height, width = (side // reduction for side in luma.shape)
    found = np.empty((height, width), np.uint8)
    rows = max(STRIP_PIXELS // width, MARGIN) // WHOLE_ROWS * WHOLE_ROWS
    for top in range(0, height, rows):
        first, bottom = max(top - MARGIN, 0), min(top + rows, height)
        last = min(bottom + MARGIN, height)
        small = reduced(luma[first * reduction : last * reduction], reduction)
        found[top:bottom] = whitened(small)[top - first : bottom - first]
    return found


class LayerGuide:
    """What the guide says of each layer: its place, and which pixels lie on it."""

    def __init__(
        self, guide: Guide, planes: FloatArray, corners: NDArray[np.int32], size: int
    ) -> None:
        self.guide, self.planes, self.corners, self.size = guide, planes, corners, size
        self.centres = corners + (size - 1) / 2
        places = expected_by_rig(guide.rig, self.centres, planes, size)
        held = _held(guide.rig)
        self.prior = Prior(places, np.tile(held, (len(planes), 1, 1)))

    def distance(self, rows: NDArray[np.intp], margin: int) -> Image:
        """Parallax to the surface, around the windows by `margin` map px, (K, n, n)."""
        inner = -(-self.size // GUIDE_REDUCTION)
        squares = Squares(
            self.centres[rows], self.size / 2, inner + 2 * margin, GUIDE_REDUCTION
        )
        origin = self.corners[rows] // GUIDE_REDUCTION - margin
        return plane_distance(self.guide.parallax, origin, self.planes[rows], squares)

    def directions(self, rows: NDArray[np.intp]) -> FloatArray:
        """Displacement by 1 px of parallax at the windows' centres, (K, 2)."""
        rig, centres = self.guide.rig, self.centres[rows]
        middle = np.full(len(rows), rig.middle)
        bend = rig.across(centres, middle + 1) - rig.across(centres, middle)
        return np.asarray(rig.along + bend[:, None] * rig.normal)

    def full_size(self, rows: NDArray[np.intp], squares: Values) -> Values:
        """Map px of windows (K, n, n) as their own pixels (K, S, S)."""
        found: Values = np.empty((len(rows), self.size, self.size), squares.dtype)
        phases = self.corners[rows] % GUIDE_REDUCTION
        for phase in np.unique(phases, axis=0):  # of windows on a grid all are one
            own = (phases == phase).all(axis=1)
            at = (phase[:, None] + np.arange(self.size)) // GUIDE_REDUCTION
            x, y = np.minimum(at, squares.shape[1] - 1)
            found[own] = squares[own].take(y, axis=1).take(x, axis=2)
        return found

    def counted(
        self, rows: NDArray[np.intp], side: int, reduction: int
    ) -> NDArray[np.bool_]:
        """Pixels of the windows' surfaces, in their middle, (K, side, side)."""
        with np.errstate(invalid="ignore"):
            near = np.abs(self.distance(rows, 0)) < COUNTED_PX
        if reduction != GUIDE_REDUCTION:
            near = self.full_size(rows, near)
        return middle(near, side)


def _held(rig: Rig) -> FloatArray:
    """Precision (6, 6) of a place that the guide and the rig expect."""
    both = np.outer(rig.along, rig.along), np.outer(rig.normal, rig.normal)
    shift = both[0] / ALONG_PX**2 + both[1] / ACROSS_PX**2
    slope = both[0] / SLOPE_ALONG_PX**2 + both[1] / SLOPE_ACROSS_PX**2
    precision = np.zeros((6, 6))
    for rows, part in (((0, 1), shift), ((2, 4), slope), ((3, 5), slope)):
        precision[np.ix_(rows, rows)] = part
    return precision


def middle(masks: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """The middle squares (K, side, side) of masks (K, n, n)."""
    first = (masks.shape[1] - side) // 2
    return masks[:, first : first + side, first : first + side]


def distance_from_others(square: Image) -> Image:
    """Full-size px from each map px (n, n) to the nearest of another surface."""
    with np.errstate(invalid="ignore"):
        other = (np.abs(square) > OTHER_PX).astype(np.uint8)
    other = cv2.morphologyEx(other, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    if not other.any():
        return np.full(square.shape, np.inf, np.float32)
    distance = cv2.distanceTransform(1 - other, cv2.DIST_L2, 3)
    return np.asarray(distance * GUIDE_REDUCTION)
