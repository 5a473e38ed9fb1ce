"""Sub-pixel registration of each phone window in the DSLR photo, coarse to fine.

The DSLR luma, brought onto the phone's grid by the homography, is matched window by
window: a coarse search, a fit at half the size that hardly knows its neighbours and one
at full size, then the best of what pixels (`likelihood`) and neighbours (`field`) say.
What is left between the blocks of a window shows depth edges and moving objects.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.blocks import part_displacements
from dped_build.patches.refinement.field import Field, local_roughness, neighbour_field
from dped_build.patches.refinement.likelihood import (
    Evidence,
    moved,
    no_evidence,
)
from dped_build.patches.refinement.placement import (
    FIRST_STEPS,
    FLOOR_PX,
    MIN_HALVED_SIZE,
    Frame,
    Refinement,
    first_reduction,
    fit,
    stated,
)
from dped_build.patches.refinement.prior import (
    UNKNOWN_PX,
    Prior,
    distance,
    expected_places,
    field_prior,
    loose_prior,
    measured_shifts,
    solve,
)
from dped_build.patches.refinement.pyramid import (
    Fine,
    Image,
    Luma,
    reduced,
    without_coarse,
)
from dped_build.patches.refinement.search import coarse_search

FULL_STEPS = 1  # of the fit at full size
SEARCH_REDUCTION = 4  # of the coarse search
SEARCH_BAND = (4.0, 32.0)  # phone px
ROUNDING = 1e-3  # grey levels
MIN_COARSE_NCC = 0.4  # below, a coarse match says nothing
COARSE_ERROR_PX = 1.0  # of a coarse match, at least
FIELD_PX = 1.0  # error of the coarse matches' field, at least
LOST_SIGMA = 4.0  # a match further from its field is a wrong one


def refine_windows(
    phone: Luma,
    dslr: Fine,
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
    frame = Frame(phone, dslr, windows, size, max_shift)
    start, field = _coarse_places(frame)
    loose = loose_prior(field, size, start)
    reduction = first_reduction(size)
    places, evidence = _fits(frame, start, loose, reduction, FIRST_STEPS)
    shifts, covariances = measured_shifts(places, evidence, loose)
    centres = windows + (size - 1) / 2
    field = neighbour_field(centres, shifts, covariances, spacing=size)
    prior = field_prior(field, field.covariance + FLOOR_PX**2 * np.eye(2), size)
    lost = distance(shifts - field.shift, field.covariance + covariances) > LOST_SIGMA
    places = places + solve(places, evidence, prior)[0]
    places[lost] = prior.places[lost]

    loose = loose_prior(field, size, places)
    places, evidence = _fits(frame, places, loose, 1, FULL_STEPS)
    shifts, covariances = measured_shifts(places, evidence, loose)
    field = neighbour_field(centres, shifts, covariances, spacing=size, before=field)
    prior = field_prior(field, field.covariance + FLOOR_PX**2 * np.eye(2), size)
    change, covariance = solve(places, evidence, prior)
    places, evidence = places + change, moved(evidence, change)

    around = local_roughness(centres / size, shifts - field.shift, covariances)
    parts = part_displacements(evidence, around, field.roughness)
    return stated(places, covariance, evidence, prior, parts, size=size)


def _coarse_places(frame: Frame) -> tuple[FloatArray, Field]:
    """Places (N, 6) by the coarse search and its field, and that field."""
    centres = frame.windows + (frame.size - 1) / 2
    found, covariances = _search(frame)
    field = neighbour_field(
        centres, found, covariances, spacing=frame.size, choose=False
    )
    expected = field.covariance + FIELD_PX**2 * np.eye(2)
    lost = distance(found - field.shift, expected + covariances) > LOST_SIGMA
    gain = expected @ np.linalg.inv(expected + covariances)
    gain[lost] = 0
    places = expected_places(field, frame.size)
    places[:, :2] += (gain @ (found - field.shift)[..., None])[..., 0]
    return places, field


def _search(frame: Frame) -> tuple[FloatArray, FloatArray]:
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
    smooth[np.abs(smooth) < ROUNDING] = 0  # in a clipped sky it would correlate
    return np.asarray(smooth)


def _fits(
    frame: Frame, start: FloatArray, loose: Prior, reduction: int, steps: int
) -> tuple[FloatArray, Evidence]:
    """Places (N, 6) that the pixels say, hardly held, and the evidence there."""
    places, evidence = start.copy(), no_evidence(len(start))
    for rows, level in frame.levels(reduction=reduction):
        places[rows], found = fit(level, places[rows], loose.rows(rows), steps)
        evidence.put(rows, found)
    return places, evidence
