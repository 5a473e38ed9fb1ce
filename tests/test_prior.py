"""What neighbours expect and what pixels say, put together."""

from dataclasses import replace

import numpy as np
import pytest

from dped_build.patches.refinement.field import Field
from dped_build.patches.refinement.likelihood import no_evidence
from dped_build.patches.refinement.prior import (
    Prior,
    conflict,
    distance,
    loose_prior,
    measured_shifts,
    solve,
)


def evidence_at(shift, deviation_px):
    """One window whose pixels say `shift`, seen from the place 0."""
    info = np.eye(6)[None] / deviation_px**2
    score = info[:, :, :2] @ np.array(shift)
    return replace(no_evidence(1), info=info, score=score)


def prior_at(deviation_px):
    return Prior(np.zeros((1, 6)), np.eye(6)[None] / deviation_px**2)


def test_the_most_probable_place_weighs_both_by_their_precision():
    change, covariance = solve(
        np.zeros((1, 6)), evidence_at((1.0, 0.0), 0.1), prior_at(0.2)
    )
    assert change[0, 0] == pytest.approx(0.8)
    assert covariance[0, 0, 0] == pytest.approx(1 / (1 / 0.1**2 + 1 / 0.2**2))


def test_pixels_and_neighbours_that_contradict_each_other_show():
    for apart, expected in ((0.0, 0.0), (1.0, 1.0 / (0.1**2 + 0.2**2) / 3)):
        evidence, prior = evidence_at((apart, 0.0), 0.1), prior_at(0.2)
        change, _ = solve(np.zeros((1, 6)), evidence, prior)
        assert conflict(change, evidence, prior)[0] == pytest.approx(expected, rel=0.01)


def test_pixels_that_say_nothing_contradict_nothing():
    prior, away = prior_at(0.2), np.full((1, 6), 2.0)
    change, _ = solve(away, no_evidence(1), prior)
    np.testing.assert_allclose(away + change, 0, atol=1e-9)
    assert conflict(away + change, no_evidence(1), prior)[0] == pytest.approx(0)
    assert conflict(away, no_evidence(1), prior)[0] > 1


def test_a_measurement_does_not_remember_the_loose_prior(flat_field):
    loose = loose_prior(flat_field, 100, np.zeros((1, 6)))
    evidence = evidence_at((2.0, -1.0), 1.0)
    change, _ = solve(np.zeros((1, 6)), evidence, loose)
    shift, covariance = measured_shifts(change, evidence, loose)
    np.testing.assert_allclose(shift[0], (2.0, -1.0), atol=0.01)
    np.testing.assert_allclose(covariance[0], np.eye(2), atol=0.01)


def test_distance_is_in_standard_deviations_along_the_difference():
    covariance = np.diag([0.25, 4.0])[None]
    assert distance(np.array([[1.0, 0.0]]), covariance)[0] == pytest.approx(2)
    assert distance(np.array([[0.0, 1.0]]), covariance)[0] == pytest.approx(0.5)


@pytest.fixture
def flat_field():
    none, square = np.zeros((1, 2)), np.zeros((1, 2, 2))
    return Field(none, np.eye(2)[None], square, square, np.full((1, 2), 0.03))
