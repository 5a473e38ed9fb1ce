"""The homography once more, at a size that the photos deserve.

The first fit stands on keypoints of a small picture: it is good to some px, and best
where keypoints crowd. That is enough to say where to look. Blobs all over the overlap
are followed from the phone's photo into the DSLR's, and the likely homography of two
cameras is fitted to them, and to the first matches where nothing can be followed, by
least absolute deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    local_jacobian,
    rescaling,
    row_mask,
    visible_rows,
)
from dped_build.align.homography import CELL_ERROR, crowd, likely_homography
from dped_build.align.rig import off_surface
from dped_build.align.tracks import (
    Tracks,
    blob_contrast,
    find_blobs,
    follow_points,
    smaller,
    whitened,
)
from dped_build.photos.orientation import reduced

Luma = NDArray[np.uint8]
Sizes = tuple[tuple[int, int], tuple[int, int]]  # (width, height) of phone and DSLR

SIDE = 1000  # px of the phone's long side at which points are followed, at most
CELLS = 40  # along it; each has one point
WINDOW = (17, 21)  # px, compared around a point
FLOW_REDUCTION = 4  # of the pictures whose flow says where to look
MIN_TRACKS = 40
ROUNDS, FAR = 3, 2.0  # followed again where the fit moved by more, px
CLEAR = 3.0  # contrast of a clear blob, grey levels (Lowe's 0.04 is 3.4)
# Unit and error of a clear blob's track and of a faint one's, px of that size.
CLEAR_PX, FAINT_PX = (1.0, 0.15), (3.0, 4.0)
# Least deviation that counts less than in full, and from which none counts, units.
DEVIATIONS = ((5.0, 40.0), (0.5, 5.0))
STEPS = 4  # of reweighting, with each
# Share of tracks that far off, in long sides, from which one plane is as good as
# another: the scene is deep, and the first fit, a mean of all, stays.
DEEP_SHARE, OFF_PLANE = 0.1, 0.003
FIELD = 8  # cells of the displacement field along the long side
MIN_SURFACE = 100  # tracks; among fewer, those of a railing may be missed
MIN_IN_CELL = 3  # tracks; fewer state nothing


@dataclass(frozen=True)
class Matches:
    """Points that both photos show."""

    phone: FloatArray  # (N, 2), px
    dslr: FloatArray  # (N, 2), px
    unit_px: float  # of their deviations, phone px
    error_px: float  # standard error, phone px

    def of(self, chosen: NDArray[np.bool_]) -> "Matches":
        """Those that are chosen, (N,)."""
        return replace(self, phone=self.phone[chosen], dslr=self.dslr[chosen])


@dataclass(frozen=True)
class Refit:
    """A homography and the places that it was fitted to.

    Attributes:
        phone_to_dslr: (3, 3); of a deep scene the one that was given.
        field: Where the photos depart from it, (rows, columns, 2), phone px: the median
            displacement in each cell of the phone's photo; NaN where nothing is known.
        rmse_px: RMS of such displacements from a fit that has not seen their cells,
            phone px; None where they are too few.
        off_surface: Share of the places that lie off one smooth surface of such
            displacements; likewise.
    """

    phone_to_dslr: FloatArray
    field: FloatArray
    rmse_px: float | None
    off_surface: float | None


def refit(
    phone: Luma, dslr: Luma, phone_to_dslr: FloatArray, first: Matches
) -> Refit | None:
    """The homography near `phone_to_dslr`; None where too little can be followed.

    Both lumas are whole photos, (H, W); `first` are the matches of the first fit.
    """
    reduction = max(1, -(-max(phone.shape) // SIDE))
    sizes = (phone.shape[1], phone.shape[0]), (dslr.shape[1], dslr.shape[0])
    small = reduced(phone, reduction)
    contrast = blob_contrast(small)
    matrix = phone_to_dslr
    for _ in range(ROUNDS):
        tracks = _follow(small, dslr, matrix, contrast, reduction)
        if len(tracks.points) < MIN_TRACKS:
            return None
        seen = apply_homography(matrix, tracks.points + tracks.displacements)
        columns, rows = np.floor(tracks.points / reduction).astype(int).T
        clear = np.abs(contrast[rows, columns]) > CLEAR
        followed = [
            Matches(tracks.points[which], seen[which], unit, error)
            for which, unit, error in (
                (clear, *np.multiply(CLEAR_PX, reduction)),
                (~clear, *np.multiply(FAINT_PX, reduction)),
            )
        ]
        groups = [*followed, first]
        before, matrix = matrix, fit(groups, matrix, sizes)
        moved = apply_homography(np.linalg.inv(matrix) @ before, tracks.points)
        if not np.abs(moved - tracks.points).max() > FAR * reduction:
            break
    back = apply_homography(np.linalg.inv(matrix), seen)
    off = np.linalg.norm(back - tracks.points, axis=1) / max(sizes[0])
    beyond = None
    if len(back) >= MIN_SURFACE:
        beyond = off_surface(Tracks(tracks.points, back - tracks.points), sizes[0])
    if (off > OFF_PLANE).mean() > DEEP_SHARE:
        field = _field(phone_to_dslr, tracks.points, seen, sizes[0])
        return Refit(phone_to_dslr, field, _rms(field), beyond)
    field = _field(matrix, tracks.points, seen, sizes[0])
    return Refit(matrix, field, _independent_rmse(groups, matrix, sizes), beyond)


def fit(
    groups: Sequence[Matches],
    start: FloatArray,
    sizes: Sizes,
    deviations: Sequence[tuple[float, float]] = DEVIATIONS,
) -> FloatArray:
    """Reweighted least squares from `start`: the homography (3, 3) that groups state.

    A crowded cell counts by the square root of its points: they share an error, but
    they are what patches are cut from.
    """
    phone = np.concatenate([group.phone for group in groups])
    dslr = np.concatenate([group.dslr for group in groups])
    unit = np.concatenate(
        [np.full(len(group.phone), group.unit_px) for group in groups]
    )
    shared = (CELL_ERROR * max(sizes[0]) / 2) ** 2
    crowds = [np.sqrt(crowd(group.phone, sizes[0])) for group in groups]
    information = np.concatenate(
        [
            1 / (many * shared + group.error_px**2)
            for many, group in zip(crowds, groups, strict=True)
        ]
    )
    matrix = start
    for least, most in deviations:
        for _ in range(STEPS):
            back = apply_homography(np.linalg.inv(matrix), dslr)
            off = np.linalg.norm(back - phone, axis=1) / unit
            lower = least / np.hypot(off, least)
            weights = information * np.where(off < most, lower, 0)
            matrix = likely_homography(phone, dslr, *sizes, weights)
    return matrix


def _field(
    matrix: FloatArray, phone: FloatArray, dslr: FloatArray, size: tuple[int, int]
) -> FloatArray:
    """Median displacement by cell, (rows, columns, 2); see `Refit`."""
    displacements = apply_homography(np.linalg.inv(matrix), dslr) - phone
    across, down = _grid(size)
    cell = _cells(phone, size) @ (1, across)
    counts = np.bincount(cell, minlength=across * down)
    known = counts >= MIN_IN_CELL
    first, count = (np.cumsum(counts) - counts)[known], counts[known]
    field = np.full((across * down, 2), np.nan)
    for axis, values in enumerate(displacements.T):
        ordered = values[np.lexsort((values, cell))]
        both = ordered[first + (count - 1) // 2], ordered[first + count // 2]
        field[known, axis] = np.mean(both, axis=0)
    return field.reshape(down, across, 2)


def _independent_rmse(
    groups: Sequence[Matches], matrix: FloatArray, sizes: Sizes
) -> float | None:
    """Cells of a chequerboard: white ones against a fit to black ones, and reverse."""
    fields: list[FloatArray] = []
    colours = [_cells(group.phone, sizes[0]).sum(axis=1) % 2 for group in groups]
    for colour in (0, 1):
        seen, unseen = (
            [g.of((c == colour) == own) for g, c in zip(groups, colours, strict=True)]
            for own in (True, False)
        )
        if sum(len(group.phone) for group in seen) < MIN_TRACKS:
            return None
        other = fit(seen, matrix, sizes, DEVIATIONS[-1:])
        followed = unseen[:-1]  # the first matches are too coarse to judge by
        phone, dslr = (
            np.concatenate([getattr(group, photo) for group in followed])
            for photo in ("phone", "dslr")
        )
        fields.append(_field(other, phone, dslr, sizes[0]))
    return _rms(np.stack(fields))


def _rms(field: FloatArray) -> float | None:
    """RMS length of the displacements that are known."""
    known = field[np.isfinite(field[..., 0])]
    return float(np.sqrt((known**2).sum(axis=1).mean())) if len(known) else None


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    """Cells along x and y."""
    across, down = (max(1, round(FIELD * side / max(size))) for side in size)
    return across, down


def _cells(points: FloatArray, size: tuple[int, int]) -> NDArray[np.int64]:
    """Column and row of each point's cell of the field, (N, 2)."""
    cell = (points + 0.5) * _grid(size) / size
    return np.asarray(np.clip(cell, 0, np.array(_grid(size)) - 1).astype(np.int64))


def _follow(
    phone: Luma,
    dslr: Luma,
    phone_to_dslr: FloatArray,
    contrast: NDArray[np.float32],
    reduction: int,
) -> Tracks:
    """Blobs of the phone's reduced luma, followed; the DSLR's luma is full-size."""
    size = (phone.shape[1], phone.shape[0])
    to_dslr = phone_to_dslr @ rescaling(reduction)
    rows = visible_rows(to_dslr, size, (dslr.shape[1], dslr.shape[0]))
    inside = row_mask(rows, size[0])
    points = find_blobs(contrast, inside, CELLS)
    if len(points) < MIN_TRACKS:
        return Tracks(np.zeros((0, 2)), np.zeros((0, 2)))
    middle = np.linalg.det(local_jacobian(to_dslr, np.array(size) / 2))
    times = max(1, round(np.sqrt(max(middle, 1))))
    to_small = rescaling(1 / times) @ to_dslr
    # Among px of nearly its own size, interpolation hardly aliases or blurs.
    seen = cv2.warpPerspective(
        smaller(dslr, times),
        to_small,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    one, other = whitened(phone), whitened(np.asarray(seen, np.uint8))
    return follow_points(
        one,
        other,
        points,
        reduction=reduction,
        window=WINDOW,
        flow_reduction=FLOW_REDUCTION,
    )
