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
    """Smooth displacements that are likely, with their sizes, at N windows.

    Values, and their changes by window along x and along y.
    """

    each: FloatArray  # (N, 3, P), of x and likewise of y
    shared: FloatArray  # (N, 3, 2, T), of x and y

    @staticmethod
    def of(places: FloatArray) -> "LensTerms":
        """Terms at all windows of a photo, in units of half their extent."""
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        reach = max(float(np.ptp(places, axis=0).max()) / 2, 1.0)
        x, y = ((places - middle) / reach).T
        each, shared = _polynomials(x, y), _of_lenses(x, y)
        each[:, 1:] /= reach
        shared[:, 1:] /= reach
        return LensTerms(each, shared)


def _polynomials(x: FloatArray, y: FloatArray) -> FloatArray:
    """Scaled monomials at N points and their derivatives, (N, 3, P)."""
    of_x, of_y = ([np.zeros_like(x), np.ones_like(x)] for _ in range(2))
    for _ in POLYNOMIAL_PX[1:]:
        of_x.append(of_x[-1] * x)
        of_y.append(of_y[-1] * y)
    found = []
    for degree, size in enumerate(POLYNOMIAL_PX):
        for j in range(degree + 1):
            i = degree - j
            value = of_x[i + 1] * of_y[j + 1]
            slopes = i * of_x[i] * of_y[j + 1], j * of_x[i + 1] * of_y[j]
            found.append(size * np.array([value, *slopes]))
    return np.stack(found, axis=-1).swapaxes(0, 1)


def _of_lenses(x: FloatArray, y: FloatArray) -> FloatArray:
    """Likewise what x and y share, (N, 3, 2, T).

    Homographies near the identity move points by a polynomial whose quadratic terms x
    and y share, lenses along the radius by its odd powers.
    """
    none = np.zeros_like(x)
    found = []
    square = x * x + y * y
    grown = np.ones_like(x)
    for power, size in enumerate(RADIAL_PX, 1):
        grown, steep = grown * square, 2 * power * grown
        moved_x = [x * grown, grown + x * x * steep, x * y * steep]
        moved_y = [y * grown, x * y * steep, grown + y * y * steep]
        found.append(size * np.array([moved_x, moved_y]))
    found += [
        PROJECTIVE_PX * np.array([[x * x, 2 * x, none], [x * y, y, x]]),
        PROJECTIVE_PX * np.array([[x * y, y, x], [y * y, none, 2 * y]]),
    ]
    return np.stack(found, axis=-1).transpose(2, 1, 0, 3)
