"""What both ways to place windows share: the frame, a fit's steps, the stated error."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.blocks import worst_part
from dped_build.patches.refinement.likelihood import (
    Evidence,
    gather_evidence,
    moved,
    no_evidence,
)
from dped_build.patches.refinement.prior import UNKNOWN_PX, Prior, conflict, solve
from dped_build.patches.refinement.pyramid import Fine, Level, Luma, strips_of_levels
from dped_build.patches.refinement.rows import Rows

FIRST_REDUCTION, FIRST_STEPS = 2, 3  # of the fits without neighbours
MIN_HALVED_SIZE = 50  # px; smaller windows are fitted at full size at once
MAX_STEP_PX, SETTLED_PX = 2.0, 0.1  # of one Gauss-Newton step; after which none
FLOOR_PX = 0.02  # error that no window goes below


@dataclass(frozen=True)
class Refinement(Rows):
    """Placement of N windows: where patch px q lies on the phone's grid.

    aligned = centre + shift + (I + linear) (q - patch centre), all in phone px.
    """

    shift: FloatArray  # (N, 2)
    linear: FloatArray  # (N, 2, 2)
    sigma_px: FloatArray  # (N,) RMS displacement over the patch, one sigma
    depth_px: FloatArray  # (N,) RMS displacement of the worst block of the patch


@dataclass(frozen=True)
class Frame:
    """What is to be refined: windows of a phone photo."""

    phone: Luma
    dslr: Fine
    windows: NDArray[np.int32]
    size: int
    max_shift: float

    def levels(self, *, reduction: int) -> Iterator[tuple[NDArray[np.intp], Level]]:
        """Strip by strip: which windows it holds, and their level."""
        return strips_of_levels(
            self.phone,
            self.dslr,
            self.windows,
            self.size,
            reduction=reduction,
            reach=self.max_shift,
        )


def first_reduction(size: int) -> int:
    """Of the photos that windows of this side are first fitted in."""
    return FIRST_REDUCTION if size >= MIN_HALVED_SIZE else 1


def fit(
    level: Level,
    places: FloatArray,
    prior: Prior,
    steps: int,
    counted: NDArray[np.bool_] | None = None,
) -> tuple[FloatArray, Evidence]:
    """Places (K, 6) some Gauss-Newton steps further, and the evidence there."""
    places, found = places.copy(), no_evidence(len(places))
    left = np.arange(len(places))
    for _ in range(steps):
        mask = None if counted is None else counted[left]
        evidence = gather_evidence(level.rows(left), places[left], mask)
        change, _ = solve(places[left], evidence, prior.rows(left))
        longest = np.abs(change).max(axis=1)
        change *= np.minimum(1, MAX_STEP_PX / np.maximum(longest, 1e-9))[:, None]
        places[left] += change
        found.put(left, moved(evidence, change))
        left = left[longest > SETTLED_PX]
    return places, found


def stated(
    places: FloatArray,
    covariance: FloatArray,
    evidence: Evidence,
    prior: Prior,
    parts: FloatArray,
    *,
    size: int,
    seen: NDArray[np.bool_] | None = None,
) -> Refinement:
    """Final places (N, 6) of windows of `size` px with what is not sure of them.

    Args:
        places: Where the windows lie.
        covariance: Of those, (N, 6, 6), as pixels and prior give it.
        evidence: At these places.
        prior: That they were found with.
        parts: Displacement of each part against the whole, (N, 16) px.
        size: Side of a window, px.
        seen: Which parts are asked, (N, 16); None for all.
    """
    doubt = np.maximum(conflict(places, evidence, prior), 1)
    return Refinement(
        places[:, :2],
        places[:, 2:].reshape(-1, 2, 2) / (size / 2),
        _sigma(covariance * doubt[:, None, None], evidence, parts, seen),
        worst_part(parts, evidence, seen),
    )


def _sigma(
    covariance: FloatArray,
    evidence: Evidence,
    parts: FloatArray,
    seen: NDArray[np.bool_] | None,
) -> FloatArray:
    """RMS displacement over each patch, one sigma, (N,) px; of its `seen` parts."""
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    # Over a patch, the square of a share of the way to its border is a third.
    whole = variances[:, :2].sum(axis=1) + variances[:, 2:].sum(axis=1) / 3
    if seen is None:
        apart = (parts**2).mean(axis=1)
    else:
        apart = (parts**2 * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    sigma = np.sqrt(whole + 2 * FLOOR_PX**2 + apart)
    # Neighbours alone may be those of another depth.
    return np.where(evidence.info[:, 0, 0] > 0, sigma, UNKNOWN_PX)
