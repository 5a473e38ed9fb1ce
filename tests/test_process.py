"""The process by Woodbury's formula against one covariance of all shifts."""

import numpy as np
import pytest

from dped_build.patches.refinement.lens import LensTerms
from dped_build.patches.refinement.process import (
    JITTER_PX,
    NARROW,
    WIDE,
    Process,
    inverse_of_lower,
)

PLACES = np.array([(x, y) for y in range(6) for x in range(8)], float)
SIZES = 0.3, 0.1


def measured():
    """Shifts (N, 2) and their covariances: every third window sees one way only."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, len(PLACES))
    way = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    noise = rng.uniform(0.01, 0.1, len(PLACES))[:, None, None] * np.eye(2)
    noise[::3] += 4 * way[::3, :, None] * way[::3, None]
    return rng.normal(0, 0.5, (len(PLACES), 2)), noise


def covariance_of_all(terms, noise, trust):
    """Of all shifts, x and y of a window side by side, (2N, 2N)."""
    distance2 = ((PLACES[:, None] - PLACES) ** 2).sum(axis=-1)
    kernel = SIZES[0] ** 2 * np.exp(-0.5 * distance2 / WIDE**2)
    kernel += SIZES[1] ** 2 * np.exp(-0.5 * distance2 / NARROW**2)
    kernel += terms.each[:, 0] @ terms.each[:, 0].T
    flat = terms.shared[:, 0].reshape(2 * len(PLACES), -1)
    whole = flat @ flat.T + np.kron(kernel, np.eye(2))
    for number, own in enumerate(noise + JITTER_PX**2 * np.eye(2)):
        at = slice(2 * number, 2 * number + 2)
        whole[at, at] += own / trust[number]
    return whole


@pytest.fixture(name="known")
def process_and_covariance():
    shifts, noise = measured()
    terms = LensTerms.of(PLACES)
    trust = np.random.default_rng(1).uniform(0.1, 1, len(PLACES))
    process = Process(PLACES, terms, shifts, noise)
    return process, trust, shifts, covariance_of_all(terms, noise, trust)


def test_predictions_are_those_from_all_other_windows(known):
    process, trust, shifts, whole = known
    told = process._leave_out(SIZES, trust)
    for number in range(len(PLACES)):
        own = np.arange(2 * number, 2 * number + 2)
        other = np.setdiff1d(np.arange(len(whole)), own)
        gain = whole[np.ix_(own, other)] @ np.linalg.inv(whole[np.ix_(other, other)])
        rest = shifts[number] - gain @ shifts.ravel()[other]
        np.testing.assert_allclose(told.rest[number], rest, atol=1e-6)


def test_likelihoods_differ_as_those_of_the_whole_covariance(known):
    process, trust, shifts, whole = known
    doubted = trust / 2
    other = covariance_of_all(process.terms, measured()[1], doubted)
    costs = [
        (y := shifts.ravel()) @ np.linalg.solve(s, y) / 2
        + np.linalg.slogdet(s).logabsdet / 2
        for s in (whole, other)
    ]
    found = process._cost(SIZES, doubted) - process._cost(SIZES, trust)
    assert found == pytest.approx(costs[1] - costs[0], abs=1e-6)


@pytest.mark.parametrize("count", [1, 5, 33, 100])
def test_a_lower_triangle_is_inverted(count):
    lower = np.tril(np.random.default_rng(count).normal(size=(count, count)))
    lower += 5 * np.eye(count)
    found = inverse_of_lower(lower) @ lower
    np.testing.assert_allclose(found, np.eye(count), atol=1e-6)
