"""Where each phone window lies in the DSLR photo, to a fraction of a pixel.

The DSLR luma, brought onto the phone's grid by the homography, is matched window by
window: a coarse search, a fit at half the size that hardly knows its neighbours, and at
full size the best of what the pixels (`likelihood`) and the neighbours (`field`) say.
What is left between the blocks of a window shows depth edges and moving objects.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.field import Field, neighbour_field
from dped_build.patches.likelihood import (
    BLOCKS,
    Evidence,
    Image,
    Level,
    band_pass,
    gather_evidence,
    make_level,
    moved,
    reduce_whole,
)
from dped_build.patches.search import coarse_search

SEARCH_REDUCTION = 4  # of the coarse search
FIRST_REDUCTION = 2  # of the fits without neighbours
SEARCH_BAND = (4.0, 32.0)  # phone px
FINE_BAND = (0.7, 5.0)
FIRST_FITS = (((1.4, 8.0), 3), (FINE_BAND, 1))  # bands and steps: reach, then precision
MIN_HALVED_SIZE = 50  # px; smaller windows are fitted at full size at once
MIN_COARSE_NCC = 0.4  # below, a coarse match says nothing
COARSE_ERROR_PX = 1.0  # of a coarse match of NCC 1; grows with 1 / NCC²
UNKNOWN_PX = 30.0  # error of a coarse match that says nothing
LOST_PX = 3.0  # a coarse match further from the field's spread is a wrong one
LOST_SIGMA = 4.0  # ... and so is a first fit
LOOSE_PX = 3.0  # prior of the first fit's shift
MAX_STEP_PX = 2.0  # of one Gauss-Newton step
SLOPE_PX = 0.03  # displacement at the border beyond the field's slope, at least
MAX_SLOPE_PX = 0.5  # ... and at most
SLOPE_SHARE = 0.2  # ... as a share of the field's roughness
FLOOR_PX = 0.02  # error that no window goes below
# Shifts within a window: at least, as a share of how its neighbours' differ, and of the
# whole field's roughness.
BLOCK_PX, BLOCK_SHARE, PHOTO_SHARE = 0.02, 0.2, 0.05
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
    phone: Image,
    dslr: Image,
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
    centres = windows + (size - 1) / 2
    found, errors = _search(phone, dslr, windows, size, max_shift)
    spread = errors[:, None, None] ** 2 * np.eye(2)
    field = neighbour_field(centres, found, spread, spacing=size)
    apart = np.linalg.norm(found - field.shift, axis=1)
    wrong = (errors >= UNKNOWN_PX) | (apart > LOST_PX * (1 + _deviation(field)))
    start = np.where(wrong[:, None], field.shift, found)

    first = FIRST_REDUCTION if size >= MIN_HALVED_SIZE else 1
    places = _expected(field, size)
    places[:, :2] = start
    for band, steps in FIRST_FITS:
        level = make_level(phone, dslr, windows, size, reduction=first, band=band)
        begun = places[:, :2]
        places, evidence = _fit(level, places, field, size, steps)
    shifts, covariances = _measured(places, evidence, begun, field, size)
    field = neighbour_field(centres, shifts, covariances, spacing=size)
    prior, precision = _prior(field, field.covariance + FLOOR_PX**2 * np.eye(2), size)
    lost = _distance(shifts - field.shift, field.covariance + covariances) > LOST_SIGMA
    places = places + _solve(places, evidence, prior, precision)[0]
    places[lost] = prior[lost]

    level = make_level(phone, dslr, windows, size, reduction=1, band=FINE_BAND)
    evidence = gather_evidence(level, places)
    change, covariance = _solve(places, evidence, prior, precision)
    rough = _roughness(centres / size, shifts - field.shift, covariances, field)
    depth = _block_displacements(moved(evidence, change), rough)
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    affine = variances[:, :2].sum(axis=1) + variances[:, 2:].sum(axis=1) / 3
    sigma = np.sqrt(affine + 2 * FLOOR_PX**2 + (depth**2).mean(axis=1))
    places = places + change
    linear = places[:, 2:].reshape(-1, 2, 2) / (size / 2)
    worst = depth.max(axis=1, initial=0)
    worst[evidence.contradicted.any(axis=1)] = BEYOND_PX
    return Refinement(places[:, :2], linear, sigma, worst)


def _search(
    phone: Image,
    dslr: Image,
    windows: NDArray[np.int32],
    size: int,
    max_shift: float,
) -> tuple[FloatArray, FloatArray]:
    """Coarse shifts (N, 2) and their errors (N,), phone px."""
    reduction = SEARCH_REDUCTION if size >= MIN_HALVED_SIZE else 1
    one, other = (
        band_pass(reduce_whole(luma, reduction), SEARCH_BAND, reduction)
        for luma in (phone, dslr)
    )
    side, small = size // reduction, np.array(one.shape[::-1])
    corners = np.clip(windows // reduction, 0, small - side)
    radius = int(np.ceil(max_shift / reduction))
    shifts, ncc = coarse_search(one, other, corners, side=side, radius=radius)
    known = ncc > MIN_COARSE_NCC
    errors = np.where(known, COARSE_ERROR_PX / np.maximum(ncc, 0.1) ** 2, UNKNOWN_PX)
    return shifts * (np.array(phone.shape[::-1]) / small), errors


def _fit(
    level: Level, start: FloatArray, field: Field, size: int, steps: int
) -> tuple[FloatArray, Evidence]:
    """Places (N, 6) that the pixels alone say, near `start`, and the evidence there."""
    loose = np.broadcast_to(LOOSE_PX**2 * np.eye(2), field.covariance.shape)
    prior, precision = _prior(field, loose, size)
    prior[:, :2] = start[:, :2]
    places = start.copy()
    for _ in range(steps):
        evidence = gather_evidence(level, places)
        change, _ = _solve(places, evidence, prior, precision)
        longest = np.maximum(np.abs(change).max(axis=1), 1e-9)
        change = change * np.minimum(1, MAX_STEP_PX / longest)[:, None]
        places = places + change
    return places, moved(evidence, change)


def _measured(
    places: FloatArray,
    evidence: Evidence,
    begun: FloatArray,
    field: Field,
    size: int,
) -> tuple[FloatArray, FloatArray]:
    """Shifts (N, 2) and covariances (N, 2, 2) that the pixels alone say.

    The loose prior around `begun` is taken out again: where the pixels say nothing, it
    must not pass for a measurement.
    """
    loose = np.broadcast_to(LOOSE_PX**2 * np.eye(2), field.covariance.shape)
    _, precision = _prior(field, loose, size)
    both = np.linalg.inv(np.linalg.inv(evidence.info + precision)[:, :2, :2])
    taken = (LOOSE_PX**-2 - UNKNOWN_PX**-2) * np.eye(2)
    covariance = np.linalg.inv(both - taken)
    weighted = (both @ places[:, :2, None])[..., 0] - begun @ taken
    return (covariance @ weighted[..., None])[..., 0], covariance


def _expected(field: Field, size: int) -> FloatArray:
    return np.concatenate(
        [field.shift, field.slope.reshape(-1, 4) * (size / 2)], axis=1
    )


def _prior(
    field: Field, covariance: FloatArray, size: int
) -> tuple[FloatArray, FloatArray]:
    """Places that the field expects (N, 6), and the precision of that (N, 6, 6)."""
    expected = _expected(field, size)
    precision = np.zeros((len(expected), 6, 6))
    precision[:, :2, :2] = np.linalg.inv(covariance)
    slope = np.hypot(SLOPE_PX, SLOPE_SHARE * field.roughness)
    variance = np.minimum(slope, MAX_SLOPE_PX)[:, None] ** 2
    variance = variance + field.slope_variance.reshape(-1, 4) * (size / 2) ** 2
    precision[:, range(2, 6), range(2, 6)] = 1 / variance
    return expected, precision


def _solve(
    places: FloatArray, evidence: Evidence, prior: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The step (N, 6) to the most probable places, and their covariance (N, 6, 6)."""
    covariance = np.linalg.inv(evidence.info + precision)
    pull = (precision @ (prior - places)[..., None])[..., 0]
    return (covariance @ (evidence.score + pull)[..., None])[..., 0], covariance


def _distance(difference: FloatArray, covariance: FloatArray) -> FloatArray:
    """Mahalanobis distance of each row (N, 2)."""
    column = difference[..., None]
    square = (column * np.linalg.solve(covariance, column)).sum(axis=(1, 2))
    return np.asarray(np.sqrt(square))


def _deviation(field: Field) -> FloatArray:
    variance = np.trace(field.covariance, axis1=1, axis2=2) / 2
    return np.asarray(np.sqrt(variance))


def _roughness(
    places: FloatArray, rest: FloatArray, covariances: FloatArray, field: Field
) -> FloatArray:
    """How much shifts differ within a window, judged by those around it, (N,) px."""
    noise = np.trace(covariances, axis1=1, axis2=2)
    excess = np.clip((rest**2).sum(axis=1) - noise, 0, 9)
    distance2 = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
    weights = np.exp(-0.5 * distance2) / (noise + 0.05)
    around = (weights @ excess) / weights.sum(axis=1)
    parts = (BLOCK_SHARE * np.sqrt(around), PHOTO_SHARE * field.roughness)
    return np.asarray(np.sqrt(parts[0] ** 2 + parts[1] ** 2 + BLOCK_PX**2))


def _block_displacements(evidence: Evidence, rough: FloatArray) -> FloatArray:
    """RMS displacement of 2x2 blocks against their window's place, (N, 16) px."""
    information = _merge(evidence.block_info)
    covariance = np.linalg.inv(
        information + np.eye(2) / rough[:, None, None, None] ** 2
    )
    shift = (covariance @ _merge(evidence.block_score)[..., None])[..., 0]
    variance = np.trace(covariance, axis1=-2, axis2=-1)
    return np.asarray(np.sqrt((shift**2).sum(axis=-1) + variance))


def _merge(values: FloatArray) -> FloatArray:
    """Sums over all squares of 2x2 neighbouring blocks: (N, 25, …) → (N, 16, …)."""
    square = values.reshape(-1, BLOCKS, BLOCKS, *values.shape[2:])
    rows = square[:, :-1] + square[:, 1:]
    merged = rows[:, :, :-1] + rows[:, :, 1:]
    return merged.reshape(len(values), (BLOCKS - 1) ** 2, *values.shape[2:])
