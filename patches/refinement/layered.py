"""Registration of windows in front of depth: each on its surface, with its mask.

A parallax map along the rig's direction says which surfaces a window holds. Each is
fitted on its own pixels only, held by the rig's geometry and by the windows that its
surface goes on in; the better one is kept, with the pixels that both photos show.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.align.tracks import Luma
from dped_build.patches.refinement.blocks import (
    PARTS,
    part_displacements,
    part_shares,
    worst_part,
)
from dped_build.patches.refinement.field import local_roughness, neighbour_field
from dped_build.patches.refinement.guide import (
    COUNTED_PX,
    GUIDE_REDUCTION,
    Guide,
    LayerGuide,
    distance_from_others,
    middle,
)
from dped_build.patches.refinement.layers import Layers, surfaces, window_layers
from dped_build.patches.refinement.likelihood import (
    Evidence,
    gather_evidence,
    moved,
    no_evidence,
)
from dped_build.patches.refinement.placement import (
    FIRST_STEPS,
    FLOOR_PX,
    Frame,
    Refinement,
    first_reduction,
    fit,
    stated,
)
from dped_build.patches.refinement.prior import (
    LOOSE_PX,
    UNKNOWN_PX,
    Prior,
    field_prior,
    measured_shifts,
    solve,
)
from dped_build.patches.refinement.pyramid import BLOCKS, Fine
from dped_build.patches.refinement.visibility import (
    CALM_DEPTH_PX,
    Placed,
    Surroundings,
    visible_pixels,
)

MARGIN_PX = 34  # around a window, in which other surfaces count as near
UNKNOWN_FAR = 24.0  # px from other surfaces, where unknown parallax is no doubt
MIN_FIELD = 3  # windows of a surface that tell of each other
ALONE_PX = 0.3  # roughness of a surface that too few windows lie on
MAX_CORRECTION_PX = 3.0
MIN_PART = 0.5  # of a part's pixels, from which on it is asked
REACH_PX = 16  # beyond the tracks' parallax, for lens and homography
SETTLED = 2  # full-size fits of a layer that the first one leaves doubtful
LEAST_VALID = 0.3  # of its pixels, for the second
AT_ONCE = 256  # layers, whose pixels are held as floats
TRUSTED_PX = 0.25  # a window's sigma, beyond which its other surface is preferred


def refine_layers(
    phone: Luma, dslr: Fine, windows: NDArray[np.int32], guide: Guide, *, size: int
) -> tuple[Refinement, NDArray[np.bool_]]:
    """Place every window on the surface that most of its pixels show.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid, (H, W).
        windows: Top-left pixels (N, 2).
        guide: Of this pair.
        size: Side of a window, px.

    Returns:
        The places, and which pixels are valid, (N, size, size). Windows without a
        surface are left where they are, none of their pixels valid.
    """
    layers, found, valid = place_layers(phone, dslr, windows, guide, size=size)
    return _best_of_windows(len(windows), layers.window, found, valid)


def place_layers(
    phone: Luma, dslr: Fine, windows: NDArray[np.int32], guide: Guide, *, size: int
) -> tuple[Layers, Refinement, NDArray[np.bool_]]:
    """As `refine_layers`, but every surface of every window.

    Returns:
        The K surfaces, their places, and which pixels are valid, (K, size, size).
    """
    layers = window_layers(guide.parallax, windows, size, GUIDE_REDUCTION)
    corners = windows[layers.window]
    said = LayerGuide(guide, layers.planes, corners, size)
    reach = int(np.ceil(np.abs(guide.rig.limits).max())) + REACH_PX
    frame = Frame(phone, dslr, corners, size, reach)
    places, evidence = said.prior.places.copy(), no_evidence(len(layers))
    for rows, level in frame.levels(reduction=first_reduction(size)):
        near = said.counted(rows, level.block * BLOCKS, level.reduction)
        places[rows], part = fit(
            level, places[rows], said.prior.rows(rows), FIRST_STEPS, near
        )
        evidence.put(rows, part)
    prior, around, roughness = _with_surfaces(said, places, evidence)
    places = places + _bounded(solve(places, evidence, prior)[0])
    ground = _Ground(frame, said, prior, around, roughness)
    return layers, *_settled_all(ground, places)


@dataclass(frozen=True)
class _Ground:
    """What full-size fits of all layers start from."""

    frame: Frame
    said: LayerGuide
    prior: Prior
    around: FloatArray  # (K,) px by which neighbours' shifts differ
    roughness: FloatArray  # (K,) ... and all of a surface's


def _settled_all(
    ground: _Ground, places: FloatArray
) -> tuple[Refinement, NDArray[np.bool_]]:
    """All layers from `places` (K, 6) on, and which of their pixels are valid.

    Doubtful ones are fitted again on their valid pixels: what disturbed the first fit,
    a wire before a plain wall, is not among them.
    """
    frame, count = ground.frame, len(places)
    found, calm = _nowhere(count), np.zeros(count, bool)
    valid = np.zeros((count, frame.size, frame.size), bool)
    rows, counted = np.arange(count), None
    for _ in range(SETTLED):
        at = places[rows]
        places[rows], settled, calm[rows] = _settled(ground, rows, at, counted)
        found.put(rows, settled)
        placed = Placed(frame.windows, places, frame.size, calm)
        valid[rows] = _visible(frame, ground.said, placed, rows)
        enough = valid.mean(axis=(1, 2)) > LEAST_VALID
        rows, counted = np.flatnonzero(_doubtful(found) & enough), valid
    return found, valid


def _settled(
    ground: _Ground,
    rows: NDArray[np.intp],
    places: FloatArray,
    counted: NDArray[np.bool_] | None,
) -> tuple[FloatArray, Refinement, NDArray[np.bool_]]:
    """Some layers' places (k, 6) at full size, and whether their parts lie together.

    Args:
        ground: Of all layers.
        rows: Which of them, (k,).
        places: Where they are, (k, 6).
        counted: Pixels of all layers to fit them on, (K, S, S); None for those that
            the guide has near their surfaces.
    """
    size, prior = ground.frame.size, ground.prior.rows(rows)
    frame = replace(ground.frame, windows=ground.frame.windows[rows])
    evidence = no_evidence(len(rows))
    seen = np.zeros((len(rows), PARTS), bool)
    for part, level in frame.levels(reduction=1):
        side = level.block * BLOCKS
        if counted is None:
            mask = ground.said.counted(rows[part], side, 1)
        else:
            mask = middle(counted[rows[part]], side)
        evidence.put(part, gather_evidence(level, places[part], mask))
        seen[part] = part_shares(mask) > MIN_PART
    change, covariance = solve(places, evidence, prior)
    change = _bounded(change)
    places, evidence = places + change, moved(evidence, change)
    parts = part_displacements(evidence, ground.around[rows], ground.roughness[rows])
    found = stated(places, covariance, evidence, prior, parts, size=size, seen=seen)
    calm = worst_part(parts, evidence, None if counted is None else seen)
    return places, found, calm <= CALM_DEPTH_PX


def _doubtful(found: Refinement) -> NDArray[np.bool_]:
    return (found.sigma_px > TRUSTED_PX) | (found.depth_px > CALM_DEPTH_PX)


def _nowhere(count: int) -> Refinement:
    """Windows that were not moved, of which nothing is known."""
    return Refinement(
        np.zeros((count, 2)),
        np.zeros((count, 2, 2)),
        np.full(count, UNKNOWN_PX),
        np.full(count, UNKNOWN_PX),
    )


def _bounded(change: FloatArray) -> FloatArray:
    return np.clip(change, -MAX_CORRECTION_PX, MAX_CORRECTION_PX)


def _with_surfaces(
    said: LayerGuide, places: FloatArray, evidence: Evidence
) -> tuple[Prior, FloatArray, FloatArray]:
    """The prior with what a surface's other windows say, and the surface's roughness.

    Returns:
        The prior, how much neighbours' shifts differ (K,), and all of a surface's (K,).
    """
    guided = said.prior
    precision = guided.precision.copy()
    precision[:, :2, :2] = np.eye(2) / LOOSE_PX**2
    loose = Prior(guided.places.copy(), precision)
    loose.places[:, :2] = places[:, :2]
    change = solve(places, evidence, loose)[0]
    shifts, covariances = measured_shifts(
        places + change, moved(evidence, change), loose
    )
    expected, precision = guided.places.copy(), guided.precision.copy()
    around = np.full(len(places), ALONE_PX)
    roughness = around.copy()
    label = surfaces(said.centres, said.planes, said.size)
    for one in np.flatnonzero(np.bincount(label) >= MIN_FIELD):
        rows = np.flatnonzero(label == one)
        centres, shift = said.centres[rows], shifts[rows]
        field = neighbour_field(centres, shift, covariances[rows], spacing=said.size)
        floor = FLOOR_PX**2 * np.eye(2)
        told = field_prior(field, field.covariance + floor, said.size)
        precision[rows] += told.precision
        pull = guided.precision[rows] @ guided.places[rows, :, None]
        pull = pull + told.precision @ told.places[..., None]
        expected[rows] = np.linalg.solve(precision[rows], pull)[..., 0]
        around[rows] = local_roughness(
            centres / said.size, shift - field.shift, covariances[rows]
        )
        roughness[rows] = field.roughness
    return Prior(expected, precision), around, roughness


def _visible(
    frame: Frame, said: LayerGuide, placed: Placed, asked: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Valid pixels of the layers asked for, (k, S, S), some at a time."""
    valid = np.zeros((len(asked), said.size, said.size), bool)
    margin = MARGIN_PX // GUIDE_REDUCTION
    for first in range(0, len(valid), AT_ONCE):
        rows = asked[first : first + AT_ONCE]
        squares = said.distance(rows, margin)
        inner = slice(margin, squares.shape[1] - margin)
        distance = said.full_size(rows, squares[:, inner, inner])
        away = np.array([distance_from_others(square) for square in squares])
        away = said.full_size(rows, away[:, inner, inner])
        with np.errstate(invalid="ignore"):
            near = np.abs(distance) < COUNTED_PX
        near |= np.isnan(distance) & (away > UNKNOWN_FAR)
        part = Surroundings(distance, near, away, said.directions(rows))
        valid[first : first + len(rows)] = visible_pixels(
            frame.phone, frame.dslr, placed, rows, part
        )
    return valid


def _best_of_windows(
    count: int,
    window: NDArray[np.intp],
    layers: Refinement,
    valid: NDArray[np.bool_],
) -> tuple[Refinement, NDArray[np.bool_]]:
    """Of each window's layers the one with most valid pixels, trusted ones first."""
    rank = valid.sum(axis=(1, 2)) - valid[0:1].size * _doubtful(layers)
    order = np.lexsort((rank, window))
    last = np.append(np.diff(window[order]) > 0, True)[: len(order)]
    best = order[last]
    size = valid.shape[1]
    found = _nowhere(count)
    masks = np.zeros((count, size, size), bool)
    found.put(window[best], layers.rows(best))
    masks[window[best]] = valid[best]
    return found, masks
