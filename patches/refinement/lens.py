"""Displacements that lenses and turned cameras cause: terms with their prior sizes."""

from dataclasses import dataclass

import numpy as np

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.rows import Rows

# Prior sizes, phone px at the outermost windows.
POLYNOMIAL_PX = (20.0, 10.0, 2.0, 1.0)  # of each term of x and of y, by its degree
PROJECTIVE_PX, RADIAL_PX = 6.0, (4.0, 2.0)  # of terms that x and y share


@dataclass(frozen=True)
class LensTerms(Rows):
    """Smooth displacements that are likely, at N windows, with their sizes."""

    value: FloatArray  # (N, 2, T) of x and y
    along_x: FloatArray  # (N, 2, T), changes by window
    along_y: FloatArray

    @staticmethod
    def of(places: FloatArray) -> "LensTerms":
        """Terms at all windows of a photo, in units of half their extent."""
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        reach = max(float(np.ptp(places, axis=0).max()) / 2, 1.0)
        value, along_x, along_y = _smooth((places - middle) / reach)
        return LensTerms(value, along_x / reach, along_y / reach)


def _smooth(unit: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scaled terms at points (N, 2), and their derivatives: (N, 2, T) each.

    Homographies near the identity move points by a polynomial whose quadratic terms x
    and y share, lenses along the radius by its odd powers.
    """
    x, y = unit.T
    none = np.zeros_like(x)
    found = []
    for degree, size in enumerate(POLYNOMIAL_PX):
        for j in range(degree + 1):
            i = degree - j
            along_x = i * x ** max(i - 1, 0) * y**j
            along_y = j * x**i * y ** max(j - 1, 0)
            term = size * np.stack([x**i * y**j, along_x, along_y])
            found += [np.stack([term, 0 * term]), np.stack([0 * term, term])]
    square = x * x + y * y
    for power, size in enumerate(RADIAL_PX, 1):
        grown, steep = square**power, 2 * power * square ** (power - 1)
        moved_x = [x * grown, grown + x * x * steep, x * y * steep]
        moved_y = [y * grown, x * y * steep, grown + y * y * steep]
        found.append(size * np.array([moved_x, moved_y]))
    found += [
        PROJECTIVE_PX * np.array([[x * x, 2 * x, none], [x * y, y, x]]),
        PROJECTIVE_PX * np.array([[x * y, y, x], [y * y, none, 2 * y]]),
    ]
    value, along_x, along_y = np.stack(found, axis=-1).transpose(1, 2, 0, 3)
    return value, along_x, along_y
