"""Where each phone window lies in the DSLR photo, to a fraction of a pixel.

The DSLR luma, brought onto the phone's grid by the homography, is matched window by
window: a coarse search, a fit at half the size that hardly knows its neighbours, and at
full size the best of what the pixels (`likelihood`) and the neighbours (`field`) say.
What is left between the blocks of a window shows depth edges and moving objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.field import Field, local_roughness, neighbour_field
from dped_build.patches.levels import (
    BLOCKS,
    Image,
    Level,
    Luma,
    reduced,
    strips_of_levels,
    without_coarse,
)
from dped_build.patches.likelihood import (
    Evidence,
    gather_evidence,
    moved,
    no_evidence,
)
from dped_build.patches.search import coarse_search

SEARCH_REDUCTION = 4  # of the coarse search
FIRST_REDUCTION = 2  # of the fits without neighbours
SEARCH_BAND = (4.0, 32.0)  # phone px
FIRST_STEPS = 3
MIN_HALVED_SIZE = 50  # px; smaller windows are fitted at full size at once
MIN_COARSE_NCC = 0.4  # below, a coarse match says nothing
COARSE_ERROR_PX = 1.0  # of a coarse match, at least
FIELD_PX = 1.0  # error of the coarse matches' field, at least
UNKNOWN_PX = 30.0  # error of a coarse match that says nothing
LOST_SIGMA = 4.0  # a match further from its field is a wrong one
LOOSE_PX = 3.0  # prior of the first fit's shift
MAX_STEP_PX = 2.0  # of one Gauss-Newton step
SLOPE_PX = 0.03  # displacement at the border beyond the field's slope, at least
MAX_SLOPE_PX = 0.5  # ... and at most
SLOPE_SHARE = 0.2  # ... as a share of the field's roughness
FLOOR_PX = 0.02  # error that no window goes below
# Shifts within a window: at least, as a share of how its neighbours' differ, and of the
# whole field's roughness.
BLOCK_PX, BLOCK_SHARE, PHOTO_SHARE = 0.02, 0.2, 0.05
APART_PX, APART_SIGMA = 0.5, 2.0  # a part that lies apart for certain
APART_PRIOR_PX = 1.0  # of its displacement
BEYOND_PX = 5.0  # displacement of a block that contradicts its window: past the band


@dataclass(frozen=True)
class Refinement:
    """Placement of N windows: where patch px q lies on the phone's grid.

    aligned = centre + shift + (I + linear) (q - patch centre), all in phone px.
    """

    shift: FloatArray  # (N, 2)
    linear: FloatArray  # (N, 2, 2)
    sigma_px: FloatArray  # (N,) RMS displacement over the patch, one sigma
    depth_px: FloatArray  # (N,) RMS displacement of the worst block of the patch


def refine_windows(
    phone: Luma,
    dslr: Luma,
    windows: NDArray[np.int32],
    *,
    size: int,
    max_shift: float,
) -> Refinement:
    """Place every window of the phone photo in the DSLR photo.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid by the homography, (H, W).
        windows: Top-left pixels (N, 2).
        size: Side of a window, px.
        max_shift: Range of the coarse search, phone px.
    """
    frame = _Frame(phone, dslr, windows, size, max_shift)
    start, field = _coarse_places(frame)
    loose = _loose(field, size, start)
    places, evidence = _first_fits(frame, start, loose)
    shifts, covariances = _measured(places, evidence, loose)
    centres = windows + (size - 1) / 2
    field = neighbour_field(centres, shifts, covariances, spacing=size)
    prior = _prior(field, field.covariance + FLOOR_PX**2 * np.eye(2), size)
    lost = _distance(shifts - field.shift, field.covariance + covariances) > LOST_SIGMA
    places = places + _solve(places, evidence, prior)[0]
    places[lost] = prior.places[lost]

    for rows, level in frame.levels(reduction=1):
        evidence.put(rows, gather_evidence(level, places[rows]))
    change, covariance = _solve(places, evidence, prior)
    around = local_roughness(centres / size, shifts - field.shift, covariances)
    parts = BLOCK_SHARE * around, PHOTO_SHARE * field.roughness
    rough = np.sqrt(parts[0] ** 2 + parts[1] ** 2 + BLOCK_PX**2)
    depth = _block_displacements(moved(evidence, change), rough)
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    affine = variances[:, :2].sum(axis=1) + variances[:, 2:].sum(axis=1) / 3
    sigma = np.sqrt(affine + 2 * FLOOR_PX**2 + (depth**2).mean(axis=1))
    # Neighbours alone may be those of another depth.
    sigma[evidence.info[:, 0, 0] == 0] = UNKNOWN_PX
    places = places + change
    linear = places[:, 2:].reshape(-1, 2, 2) / (size / 2)
    worst = depth.max(axis=1, initial=0)
    worst = np.maximum(worst, _parts_apart(moved(evidence, change)))
    worst[evidence.contradicted.any(axis=1)] = BEYOND_PX
    return Refinement(places[:, :2], linear, sigma, worst)


@dataclass(frozen=True)
class _Frame:
    """What is to be refined: the arguments of `refine_windows`."""

    phone: Luma
    dslr: Luma
    windows: NDArray[np.int32]
    size: int
    max_shift: float

    def levels(self, *, reduction: int) -> Iterator[tuple[NDArray[np.intp], Level]]:
        return strips_of_levels(
            self.phone,
            self.dslr,
            self.windows,
            self.size,
            reduction=reduction,
            reach=self.max_shift,
        )


@dataclass(frozen=True)
class _Prior:
    """What is expected of N windows before their pixels are looked at."""

    places: FloatArray  # (N, 6)
    precision: FloatArray  # (N, 6, 6)

    def rows(self, chosen: NDArray[np.intp]) -> "_Prior":
        return _Prior(self.places[chosen], self.precision[chosen])


def _coarse_places(frame: _Frame) -> tuple[FloatArray, Field]:
    """Places (N, 6) by the coarse search and its field, and that field."""
    centres = frame.windows + (frame.size - 1) / 2
    found, covariances = _search(frame)
    field = neighbour_field(centres, found, covariances, spacing=frame.size)
    expected = field.covariance + FIELD_PX**2 * np.eye(2)
    lost = _distance(found - field.shift, expected + covariances) > LOST_SIGMA
    gain = expected @ np.linalg.inv(expected + covariances)
    gain[lost] = 0
    places = _expected(field, frame.size)
    places[:, :2] += (gain @ (found - field.shift)[..., None])[..., 0]
    return places, field


def _search(frame: _Frame) -> tuple[FloatArray, FloatArray]:
    """Coarse shifts (N, 2) and their covariances (N, 2, 2), phone px."""
    reduction = SEARCH_REDUCTION if frame.size >= MIN_HALVED_SIZE else 1
    one, other = (
        _search_band(reduced(luma, reduction), reduction)
        for luma in (frame.phone, frame.dslr)
    )
    side = frame.size // reduction
    corners = frame.windows // reduction
    corners = np.clip(corners, 0, np.array(one.shape[::-1]) - side)
    radius = int(np.ceil(frame.max_shift / reduction))
    shifts, spreads, ncc = coarse_search(one, other, corners, side=side, radius=radius)
    error = np.where(ncc > MIN_COARSE_NCC, COARSE_ERROR_PX, UNKNOWN_PX)
    floor = error[:, None, None] ** 2 * np.eye(2)
    return shifts * reduction, spreads * reduction**2 + floor


def _search_band(luma: Image, reduction: int) -> Image:
    fine, coarse = (sigma / reduction for sigma in SEARCH_BAND)
    smooth = cv2.GaussianBlur(without_coarse(luma, coarse), (0, 0), fine)
    return np.asarray(smooth)


def _first_fits(
    frame: _Frame, start: FloatArray, loose: _Prior
) -> tuple[FloatArray, Evidence]:
    """Places (N, 6) that the pixels say, hardly held, and the evidence there."""
    places, evidence = start.copy(), no_evidence(len(start))
    reduction = FIRST_REDUCTION if frame.size >= MIN_HALVED_SIZE else 1
    for rows, level in frame.levels(reduction=reduction):
        places[rows], found = _fit(level, places[rows], loose.rows(rows), FIRST_STEPS)
        evidence.put(rows, found)
    return places, evidence


def _fit(
    level: Level, places: FloatArray, prior: _Prior, steps: int
) -> tuple[FloatArray, Evidence]:
    """Places (K, 6) some Gauss-Newton steps further, and the evidence there."""
    for _ in range(steps):
        evidence = gather_evidence(level, places)
        change, _ = _solve(places, evidence, prior)
        longest = np.maximum(np.abs(change).max(axis=1), 1e-9)
        change = change * np.minimum(1, MAX_STEP_PX / longest)[:, None]
        places = places + change
    return places, moved(evidence, change)


def _measured(
    places: FloatArray, evidence: Evidence, loose: _Prior
) -> tuple[FloatArray, FloatArray]:
    """Shifts (N, 2) and covariances (N, 2, 2) that the pixels alone say.

    The loose prior is taken out again: where the pixels say nothing, it must not pass
    for a measurement.
    """
    both = np.linalg.inv(np.linalg.inv(evidence.info + loose.precision)[:, :2, :2])
    taken = (LOOSE_PX**-2 - UNKNOWN_PX**-2) * np.eye(2)
    covariance = np.linalg.inv(both - taken)
    weighted = (both @ places[:, :2, None])[..., 0] - loose.places[:, :2] @ taken
    return (covariance @ weighted[..., None])[..., 0], covariance


def _loose(field: Field, size: int, start: FloatArray) -> _Prior:
    """The field's slopes, and shifts hardly held to those of `start`."""
    wide = np.broadcast_to(LOOSE_PX**2 * np.eye(2), field.covariance.shape)
    prior = _prior(field, wide, size)
    prior.places[:, :2] = start[:, :2]
    return prior


def _expected(field: Field, size: int) -> FloatArray:
    return np.concatenate(
        [field.shift, field.slope.reshape(-1, 4) * (size / 2)], axis=1
    )


def _prior(field: Field, covariance: FloatArray, size: int) -> _Prior:
    """What the field expects, with this covariance (N, 2, 2) of its shifts."""
    precision = np.zeros((len(covariance), 6, 6))
    precision[:, :2, :2] = np.linalg.inv(covariance)
    slope = np.hypot(SLOPE_PX, SLOPE_SHARE * field.roughness)
    variance = np.minimum(slope, MAX_SLOPE_PX)[:, None] ** 2
    variance = variance + field.slope_variance.reshape(-1, 4) * (size / 2) ** 2
    precision[:, range(2, 6), range(2, 6)] = 1 / variance
    return _Prior(_expected(field, size), precision)


def _solve(
    places: FloatArray, evidence: Evidence, prior: _Prior
) -> tuple[FloatArray, FloatArray]:
    """The step (N, 6) to the most probable places, and their covariance (N, 6, 6)."""
    covariance = np.linalg.inv(evidence.info + prior.precision)
    pull = (prior.precision @ (prior.places - places)[..., None])[..., 0]
    return (covariance @ (evidence.score + pull)[..., None])[..., 0], covariance


def _distance(difference: FloatArray, covariance: FloatArray) -> FloatArray:
    """Mahalanobis distance of each row (N, 2)."""
    column = difference[..., None]
    square = (column * np.linalg.solve(covariance, column)).sum(axis=(1, 2))
    return np.asarray(np.sqrt(square))


def _block_displacements(evidence: Evidence, rough: FloatArray) -> FloatArray:
    """RMS displacement of 2x2 blocks against their window's place, (N, 16) px."""
    information = _merge(evidence.block_info)
    covariance = np.linalg.inv(
        information + np.eye(2) / rough[:, None, None, None] ** 2
    )
    shift = (covariance @ _merge(evidence.block_score)[..., None])[..., 0]
    variance = np.trace(covariance, axis1=-2, axis2=-1)
    return np.asarray(np.sqrt((shift**2).sum(axis=-1) + variance))


def _parts_apart(evidence: Evidence) -> FloatArray:
    """Displacement of the 2x2 blocks that certainly lie apart, (N,) px; else 0.

    Judged by their pixels alone: neighbours know nothing of an edge within a window.
    """
    information = _merge(evidence.block_info) + np.eye(2) / APART_PRIOR_PX**2
    covariance = np.linalg.inv(information)
    shift = (covariance @ _merge(evidence.block_score)[..., None])[..., 0]
    length = np.linalg.norm(shift, axis=-1)
    variance = np.einsum("nbi,nbij,nbj->nb", shift, covariance, shift)
    # length / deviation along the shift, and that deviation² is variance / length²
    certain = (length > APART_PX) & (length**4 > APART_SIGMA**2 * variance)
    return np.where(certain, length, 0).max(axis=1, initial=0)


def _merge(values: FloatArray) -> FloatArray:
    """Sums over all squares of 2x2 neighbouring blocks: (N, 25, …) → (N, 16, …)."""
    square = values.reshape(-1, BLOCKS, BLOCKS, *values.shape[2:])
    rows = square[:, :-1] + square[:, 1:]
    merged = rows[:, :, :-1] + rows[:, :, 1:]
    return merged.reshape(len(values), (BLOCKS - 1) ** 2, *values.shape[2:])
