"""The displacement field over a photo: what its neighbours say about each window.

What one homography leaves over is lens distortion, smooth over the photo and cubic in
the distance from its centre, and parallax, smooth over neighbouring windows. So the
field is a robust cubic polynomial plus a local plane through the neighbours' residuals.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from dped_build.align.geometry import FloatArray

MIN_PER_COEFFICIENT = 3  # windows per coefficient of the polynomial
NEIGHBOURHOOD = 1.2  # sigma of the neighbours' weights, in windows
NEIGHBOURS = 48  # looked at; those further away weigh nothing
RIDGE = 0.3  # neighbours that a plane must outweigh; fewer bend it towards zero
ROUNDS = 12  # of reweighting
MIN_TOLERANCE_PX = 0.2  # errors below this are never outliers


@dataclass(frozen=True)
class Field:
    """Displacements expected at N points, phone px."""

    shift: FloatArray  # (N, 2)
    slope: FloatArray  # (N, 2, 2): change of the shift (row) along x, y (column)
    spread: FloatArray  # (N,) by how much the neighbours scatter around it


def smooth_field(
    centres: FloatArray, shifts: FloatArray, sigmas: FloatArray, *, spacing: float
) -> Field:
    """The field at every window from all *other* windows' measured shifts.

    Args:
        centres: Window centres (N, 2), phone px.
        shifts: Measured shifts (N, 2), phone px.
        sigmas: Their standard deviations (N,), phone px; infinite for no measurement.
        spacing: Distance between neighbouring windows, px.
    """
    middle = (centres.max(axis=0) + centres.min(axis=0)) / 2
    reach = max(float(np.ptp(centres, axis=0).max()) / 2, spacing)
    unit = (centres - middle) / reach
    trust = 1 / np.maximum(sigmas, 0.05) ** 2
    usable = int((trust > 0).sum())
    degree = max(
        d for d in range(4) if d == 0 or usable >= MIN_PER_COEFFICIENT * _terms(d)
    )
    basis, along_x, along_y = _polynomial(unit, degree)
    coefficients = _robust_coefficients(basis, shifts, trust)
    rest = shifts - basis @ coefficients
    slope = np.stack([along_x @ coefficients, along_y @ coefficients], axis=-1) / reach
    local = _local_planes(centres / spacing, rest, trust)
    return Field(
        basis @ coefficients + local.shift, slope + local.slope / spacing, local.spread
    )


def _robust_coefficients(
    basis: FloatArray, shifts: FloatArray, trust: FloatArray
) -> FloatArray:
    """Least squares that outliers lose: reweighted, the tolerance closing in."""
    ridge = np.eye(basis.shape[1])
    coefficients: FloatArray = np.zeros((basis.shape[1], 2))
    robust: FloatArray = np.ones(len(basis))
    for number in range(ROUNDS):
        weights = trust * robust
        normal = basis.T @ (weights[:, None] * basis)
        normal += (1e-6 * np.trace(normal) / len(normal) + 1e-12) * ridge
        coefficients = np.linalg.solve(normal, basis.T @ (weights[:, None] * shifts))
        errors = np.linalg.norm(shifts - basis @ coefficients, axis=1)
        typical = max(2 * _weighted_median(errors, trust), MIN_TOLERANCE_PX)
        robust = _cauchy_squared(errors / (typical * (1 + 4 * 0.6**number)))
    return coefficients


def _cauchy_squared(errors: FloatArray) -> FloatArray:
    """Weights of errors in units of what is tolerated; far ones count for nothing."""
    return np.asarray(1 / (1 + errors**2) ** 2)


def _terms(degree: int) -> int:
    return (degree + 1) * (degree + 2) // 2


def _polynomial(
    unit: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Monomials up to `degree` at points (N, 2), and their derivatives: (N, T) each."""
    x, y = unit.T
    powers = [(i, n - i) for n in range(degree + 1) for i in range(n + 1)]
    value = np.stack([x**i * y**j for i, j in powers], axis=1)
    along_x = np.stack([i * x ** max(i - 1, 0) * y**j for i, j in powers], axis=1)
    along_y = np.stack([j * x**i * y ** max(j - 1, 0) for i, j in powers], axis=1)
    return value, along_x, along_y


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    if not len(values) or total[-1] <= 0:
        return 0.0
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _local_planes(unit: FloatArray, rest: FloatArray, trust: FloatArray) -> Field:
    """Robust planes through the neighbours of each point, itself left out."""
    count = min(len(unit), NEIGHBOURS + 1)
    # (N, K) indices; asked for one by one, K = 1 keeps its axis too.
    _, nearest = cKDTree(unit).query(unit, k=range(1, count + 1))
    offset = unit[nearest] - unit[:, None]  # (N, K, 2): from point to neighbour
    near = np.exp(-0.5 * (offset**2).sum(axis=-1) / NEIGHBOURHOOD**2)
    near[nearest == np.arange(len(unit))[:, None]] = 0
    trust = np.minimum(trust / max(float(np.median(trust)), 1e-9), 4.0)
    near = near * trust[nearest]
    values = rest[nearest]  # (N, K, 2)
    design = np.concatenate([np.ones((*near.shape, 1)), offset], axis=-1)  # (N, K, 3)
    robust = np.ones_like(near)
    for _ in range(ROUNDS):
        weights = near * robust
        weighted = (design * weights[..., None]).transpose(0, 2, 1)
        planes = np.linalg.solve(
            weighted @ design + RIDGE * np.eye(3), weighted @ values
        )
        errors = np.linalg.norm(values - design @ planes, axis=-1)  # (N, K)
        total = np.maximum(weights.sum(axis=1), 1e-9)
        spread = np.sqrt((weights * errors**2).sum(axis=1) / total)
        scale = np.maximum(1.5 * spread, MIN_TOLERANCE_PX)[:, None]
        robust = _cauchy_squared(errors / scale)
    spread = np.sqrt(spread**2 + (1.0 / (1 + total)) ** 2)
    return Field(planes[:, 0], planes[:, 1:].transpose(0, 2, 1), spread)
