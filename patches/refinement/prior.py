"""The prior of each window's position, and its posterior with the pixels."""

from dataclasses import dataclass

import numpy as np

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.field import Field
from dped_build.patches.refinement.likelihood import Evidence
from dped_build.patches.refinement.rows import Rows

SLOPE_PX = 0.03  # displacement at the border beyond the field's slope, at least
MAX_SLOPE_PX = 0.5  # ... and at most
SLOPE_SHARE = 0.2  # ... as a share of the field's roughness
LOOSE_PX = 3.0  # of a prior that hardly holds
UNKNOWN_PX = 30.0  # error where nothing is known
CONFLICT_FREEDOM = 3.0  # degrees; the prior hardly leaves the slopes free
LEAST_INFO = 1e-3  # 1/px²; pixels that say nothing contradict nothing


@dataclass(frozen=True)
class Prior(Rows):
    """What is expected of N windows before their pixels are looked at."""

    places: FloatArray  # (N, 6)
    precision: FloatArray  # (N, 6, 6)


def expected_places(field: Field, size: int) -> FloatArray:
    """Places (N, 6) by the field alone."""
    slopes = field.slope.reshape(-1, 4) * (size / 2)
    return np.concatenate([field.shift, slopes], axis=1)


def field_prior(field: Field, covariance: FloatArray, size: int) -> Prior:
    """What the field expects, with this covariance (N, 2, 2) of its shifts."""
    precision = np.zeros((len(covariance), 6, 6))
    precision[:, :2, :2] = np.linalg.inv(covariance)
    slope = np.hypot(SLOPE_PX, SLOPE_SHARE * field.roughness)
    variance = np.minimum(slope, MAX_SLOPE_PX)[:, None] ** 2
    variance = variance + field.slope_variance.reshape(-1, 4) * (size / 2) ** 2
    precision[:, range(2, 6), range(2, 6)] = 1 / variance
    return Prior(expected_places(field, size), precision)


def loose_prior(field: Field, size: int, start: FloatArray) -> Prior:
    """The field's slopes, and shifts hardly held to those of `start`."""
    wide = np.broadcast_to(LOOSE_PX**2 * np.eye(2), field.covariance.shape)
    prior = field_prior(field, wide, size)
    prior.places[:, :2] = start[:, :2]
    return prior


def solve(
    places: FloatArray, evidence: Evidence, prior: Prior
) -> tuple[FloatArray, FloatArray]:
    """The step (N, 6) to the most probable places, and their covariance (N, 6, 6)."""
    covariance = np.linalg.inv(evidence.info + prior.precision)
    pull = (prior.precision @ (prior.places - places)[..., None])[..., 0]
    return (covariance @ (evidence.score + pull)[..., None])[..., 0], covariance


def conflict(places: FloatArray, evidence: Evidence, prior: Prior) -> FloatArray:
    """Chi squared per degree of freedom between pixels and neighbours, (N,).

    Where they contradict each other, their common variance is too small by as much
    (Birge, Physical Review 40, 1932).
    """
    column = (prior.places - places)[..., None]
    pull = prior.precision @ column
    known = np.linalg.solve(evidence.info + LEAST_INFO * np.eye(6), pull)
    chi2 = (pull * (column + known)).sum(axis=(1, 2))
    return np.asarray(chi2 / CONFLICT_FREEDOM)


def distance(difference: FloatArray, covariance: FloatArray) -> FloatArray:
    """Mahalanobis distance of each row (N, 2)."""
    column = difference[..., None]
    square = (column * np.linalg.solve(covariance, column)).sum(axis=(1, 2))
    return np.asarray(np.sqrt(square))


def measured_shifts(
    places: FloatArray, evidence: Evidence, loose: Prior
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
