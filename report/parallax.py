"""Parallax: how far what the windows show is displaced by its depth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 5  # windows of a pair that show a direction
ENDS = 0.05, 0.95  # quantiles between which the parallax of a pair lies


@dataclass(frozen=True)
class Parallax:
    """The displacement of one pair's windows beyond its homography.

    Attributes:
        along_px: Along `direction`, from the placed windows' median, (N,), phone px;
            NaN where a window is not placed.
        direction: In which the displacements differ most, (2,), a unit vector.
        ends: Quantiles of `along_px` between which it lies, phone px.
    """

    along_px: NDArray[np.float64]
    direction: NDArray[np.float64]
    ends: tuple[float, float]


def parallax(
    shift_px: NDArray[np.float32], placed: NDArray[np.bool_]
) -> Parallax | None:
    """The parallax of one pair; None with too few windows.

    The direction is the first principal one, of the two the one that points more right
    and down than left and up: in a rig's photos, what is nearer mostly has one sign.

    Args:
        shift_px: Of its windows, (N, 2).
        placed: Which of them are where they should be, (N,).
    """
    if placed.sum() < FEWEST:
        return None
    moved = shift_px.astype(np.float64)
    moved -= np.median(moved[placed], axis=0)
    direction = np.linalg.eigh(moved[placed].T @ moved[placed])[1][:, 1]
    direction *= np.copysign(1.0, direction.sum())
    along = np.where(placed, moved @ direction, np.nan)
    low, high = np.quantile(along[placed], ENDS).tolist()
    return Parallax(along, direction, (low, high))
