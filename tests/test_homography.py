"""A known homography is found among outliers; impossible ones are named."""

import cv2
import numpy as np
import pytest

from dped_build.align.geometry import (
    apply_homography,
    corners,
    rescaling,
    translation,
)
from dped_build.align.homography import (
    HomographyFit,
    estimate_homography,
    implausible,
    reprojection_rmse,
    settle,
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


def rig_homography(roll_deg, pitch_deg, yaw_deg, *, phone_fov_deg=53.0):
    """Phone of SIZE to a DSLR of 960x720 that sees 46 degrees, exactly."""
    cameras = []
    for (width, height), fov_deg in ((SIZE, phone_fov_deg), ((960, 720), 46.0)):
        focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
        middle = translation((width - 1) / 2, (height - 1) / 2)
        cameras.append(middle @ np.diag([focal, focal, 1]))
    axes = np.radians(np.diag([pitch_deg, yaw_deg, roll_deg]))
    pitch, yaw, roll = (cv2.Rodrigues(axis)[0] for axis in axes)
    return cameras[1] @ roll @ pitch @ yaw @ np.linalg.inv(cameras[0])


def settled(truth, phone, *, noise, seed):
    """The settled fit, and the worst corner of it and the plain one, phone px."""
    dslr = apply_homography(truth, phone)
    dslr += noise * np.random.default_rng(seed).normal(size=dslr.shape)
    fit = estimate_homography(phone, dslr, threshold_px=9.0)
    better = settle(
        fit,
        phone,
        dslr,
        phone_size=SIZE,
        dslr_size=(960, 720),
        noise_px=noise / 1.7,
        threshold_px=9.0,
    )
    errors = [
        apply_homography(np.linalg.inv(truth) @ found.phone_to_dslr, corners(SIZE))
        - corners(SIZE)
        for found in (fit, better)
    ]
    return better, [np.linalg.norm(error, axis=1).max() for error in errors]


RIG_TURNS = [(0, 0, 0), (1.5, 1.0, -0.8), (15, -1, 1), (90, 1, 1), (180, -1, 2)]


@pytest.mark.parametrize("turn_deg", RIG_TURNS)
def test_matches_in_one_corner_settle_the_whole_photo(turn_deg):
    truth, plain, better = rig_homography(*turn_deg), [], []
    for seed in range(6):
        phone = np.random.default_rng(seed).uniform((20, 20), (220, 180), size=(60, 2))
        _, errors = settled(truth, phone, noise=2.0, seed=seed)
        plain.append(errors[0])
        better.append(errors[1])
    assert max(better) < 12  # phone px, in the corner 500 px away
    assert np.mean(better) < np.mean(plain) / 2


@pytest.mark.parametrize("turn_deg", [*RIG_TURNS, (0, 15, 0), (10, 5, -20)])
@pytest.mark.parametrize("phone_fov_deg", [40.0, 53.0, 66.0])
def test_matches_everywhere_are_believed(turn_deg, phone_fov_deg):
    truth = rig_homography(*turn_deg, phone_fov_deg=phone_fov_deg)
    phone = np.random.default_rng(0).uniform(0, SIZE, size=(400, 2))
    better, errors = settled(truth, phone, noise=0.5, seed=1)
    assert errors[1] < 0.8  # phone px
    assert better.inliers.all()


def test_inliers_are_the_matches_near_the_settled_homography():
    truth = rig_homography(1, 1, -1)
    phone, dslr, wrong = matches(outliers=0.4)
    right = np.setdiff1d(np.arange(len(phone)), wrong)
    dslr[right] = apply_homography(truth, phone[right])
    found = settle(
        estimate_homography(phone, dslr, threshold_px=3.0),
        phone,
        dslr,
        phone_size=SIZE,
        dslr_size=(960, 720),
        noise_px=1.0,
        threshold_px=3.0,
    )
    error = apply_homography(found.phone_to_dslr, phone) - dslr
    np.testing.assert_array_equal(found.inliers, np.linalg.norm(error, axis=1) < 3)
    assert found.inliers[right].all()


def test_a_mirrored_fit_is_left_as_it_is():
    phone = np.random.default_rng(0).uniform(0, SIZE, size=(50, 2))
    mirror = np.array([[-1.0, 0, 639], [0, 1, 0], [0, 0, 1]])
    fit = HomographyFit(mirror, np.ones(50, bool))
    sizes = {"phone_size": SIZE, "dslr_size": SIZE}
    dslr = apply_homography(mirror, phone)
    assert settle(fit, phone, dslr, noise_px=1.0, threshold_px=3.0, **sizes) is fit


def test_one_place_with_many_orientations_settles_nothing():
    points = np.concatenate([np.full((9, 2), 7.0), [[90, 40], [30, 80]]])
    fit = HomographyFit(np.eye(3), np.ones(11, bool))
    sizes = {"phone_size": SIZE, "dslr_size": SIZE}
    same = settle(fit, points, points, noise_px=1.0, threshold_px=3.0, **sizes)
    assert same.phone_to_dslr is fit.phone_to_dslr


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
        (np.diag([1.0, 1.5, 1.0]), "scaled differently"),
        (np.array([[1, 0, 0], [0, 1, 0], [1e-3, 0, 1.0]]), "opposite sides differ"),
        (np.array([[1, 0, 0], [0, 1, 0], [-3e-3, 0, 1.0]]), "behind the camera"),
        (rescaling(0.75), "are the phone and the DSLR folder swapped?"),
    ],
)
def test_what_no_rig_can_make_is_named(matrix, what):
    found = implausible(matrix, SIZE)
    assert what in found.message
    assert found.swapped == ("swapped" in what)
