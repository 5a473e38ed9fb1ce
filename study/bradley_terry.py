"""One scale for all classes from comparisons of two (Bradley & Terry, 1952). Pure.

A class of strength s is preferred to one of strength t with probability
1 / (1 + exp(t - s)). A class that always wins would be infinitely strong: each is
given PRIOR virtual comparisons with an average class, half of them won, so that the
most probable strengths exist, are unique, and stay finite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

PRIOR = 0.5  # comparisons a class
MAX_STEPS = 100
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Strengths:
    """Log odds against an average class; they sum to 0."""

    strength: NDArray[np.float64]  # (K,)
    error: NDArray[np.float64]  # (K,), as if all answers were independent
    # (K,), knows who gave which; never below `error`.
    clustered_error: NDArray[np.float64]


def fit_strengths(wins: NDArray[np.float64]) -> Strengths:
    """The most probable strengths (Hunter, 2004, by Newton's method).

    `wins`: how often each participant preferred class i to class j, (M, K, K), no
    preference as half a win for each.
    """
    total = wins.sum(axis=0)
    strength = _maximise(total)
    covariance = np.linalg.inv(_information(strength, total))
    scores = np.array([_gradient(strength, one) for one in wins])
    people = int((wins.sum(axis=(1, 2)) > 0).sum())
    centring = np.eye(len(total)) - 1 / len(total)
    error = _errors(centring @ covariance @ centring)
    if people > 1:
        spread = people / (people - 1) * scores.T @ scores
        sandwich = covariance @ spread @ covariance
        clustered = np.maximum(error, _errors(centring @ sandwich @ centring))
    else:
        clustered = error
    return Strengths(strength - strength.mean(), error, clustered)


def _errors(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0)), np.float64)


def _maximise(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton steps, halved until they climb; the target is strictly concave."""
    strength = np.zeros(len(total))
    height = _log_posterior(strength, total)
    for _ in range(MAX_STEPS):
        slope = _gradient(strength, total) + PRIOR * (0.5 - expit(strength))
        step = np.linalg.solve(_information(strength, total), slope)
        while np.abs(step).max() > TOLERANCE:
            higher = _log_posterior(strength + step, total)
            if higher >= height:
                break
            step /= 2
        else:
            break
        strength, height = strength + step, higher
    return strength


def _log_posterior(strength: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    difference = strength[:, None] - strength[None, :]
    virtual = log_expit(strength) + log_expit(-strength)
    return float((total * log_expit(difference)).sum() + PRIOR / 2 * virtual.sum())


def _gradient(
    strength: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Wins beyond those expected, (K,)."""
    expected = (total + total.T) * expit(strength[:, None] - strength[None, :])
    return np.asarray((total - expected).sum(axis=1), np.float64)


def _information(
    strength: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Minus the second derivatives, (K, K); positive definite by the prior."""
    share = expit(strength[:, None] - strength[None, :])
    weight = (total + total.T) * share * (1 - share)
    own = expit(strength)
    diagonal = weight.sum(axis=1) + PRIOR * own * (1 - own)
    return np.asarray(np.diag(diagonal) - weight, np.float64)
