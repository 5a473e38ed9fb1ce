"""Displacement of a window's parts against the whole: depth edges, moving objects.

A part is a square of 2x2 of the window's 5x5 blocks. What the blocks' own quadratics
say once the window has its place is the shift of each part on its own.
"""

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.likelihood import Evidence
from dped_build.patches.refinement.pyramid import BLOCKS

# Shifts within a window: at least, as a share of how its neighbours' differ, and of the
# whole field's roughness.
BLOCK_PX, BLOCK_SHARE, PHOTO_SHARE = 0.02, 0.2, 0.05
APART_PX, APART_SIGMA = 0.5, 2.8  # a part that lies apart for certain
APART_PRIOR_PX = 1.0  # of its displacement
PARTS = (BLOCKS - 1) ** 2
BEYOND_PX = 5.0  # of a block that contradicts its window: beyond the band's reach


def part_displacements(
    evidence: Evidence, around: FloatArray, roughness: FloatArray
) -> FloatArray:
    """RMS displacement of each part against its window's place, (N, 16) px.

    Args:
        evidence: At the windows' final places.
        around: How much neighbouring windows' shifts differ, (N,) px.
        roughness: ... and all windows', (N,) px.
    """
    shares = BLOCK_SHARE * around, PHOTO_SHARE * roughness
    rough = np.sqrt(shares[0] ** 2 + shares[1] ** 2 + BLOCK_PX**2)
    shift, covariance = _posterior(evidence, 1 / rough[:, None] ** 2)
    variance = np.trace(covariance, axis1=-2, axis2=-1)
    return np.asarray(np.sqrt((shift**2).sum(axis=-1) + variance))


def worst_part(
    displacements: FloatArray,
    evidence: Evidence,
    counted: NDArray[np.bool_] | None = None,
) -> FloatArray:
    """The largest displacement of any part (N, 16) → (N,), certain ones in full.

    Where only `counted` (N, 16) parts are asked, pixels that contradict their window
    are left to its mask.
    """
    found = np.maximum(displacements, _certain(evidence))
    if counted is not None:
        return np.asarray(np.where(counted, found, 0).max(axis=1, initial=0))
    worst = found.max(axis=1, initial=0)
    return np.where(evidence.contradicted.any(axis=1), BEYOND_PX, worst)


def part_shares(counted: NDArray[np.bool_]) -> FloatArray:
    """Share of pixels that count in each part, (N, side, side) → (N, 16)."""
    count, side = counted.shape[:2]
    block = side // BLOCKS
    blocks = counted[:, : block * BLOCKS, : block * BLOCKS]
    blocks = blocks.reshape(count, BLOCKS, block, BLOCKS, block)
    return _merge(blocks.mean(axis=(2, 4)).reshape(count, BLOCKS**2)) / 4


def _certain(evidence: Evidence) -> FloatArray:
    """Displacement of parts that certainly lie apart, (N, 16) px; else 0.

    Judged by their pixels alone: neighbours know nothing of an edge within a window.
    """
    shift, covariance = _posterior(evidence, np.full((1, 1), APART_PRIOR_PX**-2))
    length = np.linalg.norm(shift, axis=-1)
    variance = np.einsum("nbi,nbij,nbj->nb", shift, covariance, shift)
    # Against the deviation along the shift, whose square is variance / length².
    certain = (length > APART_PX) & (length**4 > APART_SIGMA**2 * variance)
    return np.asarray(np.where(certain, length, 0))


def _posterior(
    evidence: Evidence, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Each part's own shift (N, 16, 2) and its covariance, held by `precision`."""
    information = _merge(evidence.block_info) + precision[..., None, None] * np.eye(2)
    covariance = np.linalg.inv(information)
    shift = (covariance @ _merge(evidence.block_score)[..., None])[..., 0]
    return shift, covariance


def _merge(values: FloatArray) -> FloatArray:
    """Sums over all squares of 2x2 neighbouring blocks: (N, 25, …) → (N, 16, …)."""
    square = values.reshape(-1, BLOCKS, BLOCKS, *values.shape[2:])
    rows = square[:, :-1] + square[:, 1:]
    merged = rows[:, :, :-1] + rows[:, :, 1:]
    return merged.reshape(len(values), (BLOCKS - 1) ** 2, *values.shape[2:])
