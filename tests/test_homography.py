"""A known homography is found among outliers; impossible ones are named."""

import numpy as np
import pytest

from dped_build.align.geometry import apply_homography, rescaling, translation
from dped_build.align.homography import (
    SWAPPED,
    estimate_homography,
    implausible,
    reprojection_rmse,
)

SIZE = (640, 480)
TRUTH = np.array([[1.4, 0.05, 30], [-0.04, 1.45, -20], [2e-5, -1e-5, 1]])


def matches(*, outliers, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    phone = rng.uniform(0, SIZE, size=(300, 2))
    dslr = apply_homography(TRUTH, phone) + noise * rng.normal(size=phone.shape)
    wrong = np.arange(int(outliers * 300))
    dslr[wrong] = rng.uniform(0, (960, 720), size=(len(wrong), 2))
    return phone, dslr, wrong


@pytest.mark.parametrize("outliers", [0, 0.3, 0.6])
def test_truth_is_found_among_outliers(outliers):
    phone, dslr, wrong = matches(outliers=outliers, noise=0.3)
    fit = estimate_homography(phone, dslr, threshold_px=3.0)
    points = np.stack(np.meshgrid([50, 320, 590], [50, 240, 430]), axis=-1)
    error = apply_homography(fit.phone_to_dslr, points) - apply_homography(
        TRUTH, points
    )
    assert np.linalg.norm(error, axis=-1).max() < 0.3  # px
    assert fit.inliers.sum() >= 300 - len(wrong)
    assert fit.inliers[wrong].sum() <= 3


def test_same_matches_give_the_same_matrix():
    phone, dslr, _ = matches(outliers=0.5, noise=0.3)
    fits = [estimate_homography(phone, dslr, threshold_px=3.0) for _ in range(3)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.phone_to_dslr, fits[0].phone_to_dslr)


def test_one_point_many_times_has_no_homography():
    points = np.full((20, 2), 7.0)
    assert estimate_homography(points, points, threshold_px=3.0) is None


def test_reprojection_error_is_in_phone_pixels():
    phone = np.random.default_rng(0).uniform(0, 100, size=(50, 2))
    dslr = 2 * phone + (6, 8)  # 10 DSLR px are 5 phone px
    matrix = np.diag([2.0, 2.0, 1.0])
    assert reprojection_rmse(matrix, phone, dslr) == pytest.approx(5)


def turn(angle_deg):
    angle = np.radians(angle_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


@pytest.mark.parametrize("angle_deg", [0, 15, 90, 180, 270])
@pytest.mark.parametrize("scale", [0.85, 1, 11])
def test_turns_and_scales_of_two_cameras_are_plausible(angle_deg, scale):
    matrix = translation(40, -90) @ rescaling(scale) @ turn(angle_deg)
    assert implausible(matrix, SIZE) is None


@pytest.mark.parametrize(
    "matrix, what",
    [
        (np.diag([-1.0, 1.0, 1.0]), "mirrored"),
        (np.diag([1.0, 1.4, 1.0]), "scaled differently"),
        (np.array([[1, 0, 0], [0, 1, 0], [1e-3, 0, 1.0]]), "opposite sides differ"),
        (np.array([[1, 0, 0], [0, 1, 0], [-3e-3, 0, 1.0]]), "behind the camera"),
        (rescaling(0.75), SWAPPED),
    ],
)
def test_what_no_rig_can_make_is_named(matrix, what):
    assert what in implausible(matrix, SIZE)
