"""Homographies, and the overlap of two photos, against the slow and obvious way."""

import numpy as np
import pytest

from dped_build.align.geometry import (
    apply_homography,
    corners,
    largest_box,
    local_jacobian,
    overlap_share,
    rescaling,
    translation,
    visible_rows,
)

SIZE, TARGET = (23, 17), (31, 19)


def random_homography(rng):
    """Turned, scaled, shifted and tilted; some views leave the target in part."""
    angle = rng.uniform(-np.pi, np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    scale = np.diag([*rng.uniform(0.6, 2, size=2), 1])
    tilt = np.eye(3)
    tilt[2, :2] = rng.uniform(-0.02, 0.02, size=2)
    middle = translation(-SIZE[0] / 2, -SIZE[1] / 2)
    place = translation(*(np.array(TARGET) / 2 + rng.uniform(-12, 12, size=2)))
    return place @ tilt @ scale @ turn @ middle


def brute_mask(matrix):
    """Which pixels land in the target, one by one, (height, width)."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    points = apply_homography(matrix, np.stack([x, y], axis=-1))
    with np.errstate(invalid="ignore"):
        inside = (points >= 0) & (points <= np.array(TARGET) - 1)
    return inside.all(axis=-1)


def rows_as_mask(rows):
    x = np.arange(SIZE[0])
    return (x >= rows[:, :1]) & (x <= rows[:, 1:])


@pytest.mark.parametrize("seed", range(30))
def test_visible_rows_are_the_pixels_that_land_in_the_target(seed):
    matrix = random_homography(np.random.default_rng(seed))
    rows = visible_rows(matrix, SIZE, TARGET)
    mask = brute_mask(matrix)
    np.testing.assert_array_equal(rows_as_mask(rows), mask)
    assert overlap_share(rows, SIZE) == pytest.approx(mask.mean())


def test_identity_sees_everything_up_to_the_border():
    rows = visible_rows(np.eye(3), SIZE, SIZE)
    np.testing.assert_array_equal(rows, [[0, SIZE[0] - 1]] * SIZE[1])
    assert overlap_share(rows, SIZE) == 1
    assert largest_box(rows) == (0, 0, *SIZE)


def test_photos_that_do_not_meet_share_nothing():
    rows = visible_rows(translation(1000, 0), SIZE, TARGET)
    assert overlap_share(rows, SIZE) == 0
    assert largest_box(rows) is None


@pytest.mark.parametrize("tiny", [1e-308, -1e-308, 5e-324, -5e-324])
def test_a_coefficient_next_to_nothing_counts_as_none(tiny):
    plain = translation(3, 1.5)  # no row lies on the border itself
    matrix = plain.copy()
    matrix[0, 1] = matrix[1, 0] = matrix[2, 0] = matrix[2, 1] = tiny
    found = visible_rows(matrix, SIZE, TARGET)
    np.testing.assert_array_equal(found, visible_rows(plain, SIZE, TARGET))


def brute_box_area(mask):
    height, width = mask.shape
    best = 0
    for top in range(height):
        for left in range(width):
            wide = width
            for bottom in range(top, height):
                run = np.flatnonzero(~mask[bottom, left:])
                wide = min(wide, run[0] if len(run) else width - left)
                best = max(best, wide * (bottom + 1 - top))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_largest_box_is_inside_and_no_box_is_larger(seed):
    matrix = random_homography(np.random.default_rng(seed))
    mask = brute_mask(matrix)
    box = largest_box(visible_rows(matrix, SIZE, TARGET))
    if box is None:
        assert not mask.any()
        return
    left, top, width, height = box
    assert mask[top : top + height, left : left + width].shape == (height, width)
    assert mask[top : top + height, left : left + width].all()
    assert width * height == brute_box_area(mask)


def test_rescaling_maps_outer_edges_to_outer_edges():
    matrix = rescaling(0.25)
    edges = apply_homography(matrix, [[-0.5, -0.5], [7.5, 3.5]])
    np.testing.assert_allclose(edges, [[-0.5, -0.5], [1.5, 0.5]])
    np.testing.assert_allclose(rescaling(4) @ matrix, np.eye(3), atol=1e-12)


def test_corners_are_pixel_centres_clockwise():
    np.testing.assert_array_equal(corners((5, 3)), [[0, 0], [4, 0], [4, 2], [0, 2]])


def test_points_behind_the_camera_are_not_a_number():
    matrix = np.array([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1.0]])
    mapped = apply_homography(matrix, [[5, 2], [10, 2], [15, 2]])
    np.testing.assert_allclose(mapped[0], [10, 4])
    assert np.isnan(mapped[1:]).all()


@pytest.mark.parametrize("seed", range(5))
def test_local_jacobian_is_the_derivative(seed):
    matrix = random_homography(np.random.default_rng(seed))
    point, step = np.array([9.0, 7.0]), 1e-5
    columns = [
        apply_homography(matrix, point + d) - apply_homography(matrix, point - d)
        for d in np.eye(2) * step
    ]
    numerical = np.stack(columns, axis=-1) / (2 * step)
    np.testing.assert_allclose(local_jacobian(matrix, point), numerical, rtol=1e-6)
