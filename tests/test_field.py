"""A smooth field is found again from noisy measurements, a fifth of them wild."""

import numpy as np
import pytest

from dped_build.patches.field import smooth_field

SPACING = 100
NOISE_PX = 0.1
GRID = np.array(
    [(x, y) for y in range(50, 850, SPACING) for x in range(50, 1150, SPACING)], float
)
MIDDLE, REACH = np.array([550.0, 400.0]), 550.0


def cubic_field(points):
    """A shift (N, 2) of several px, cubic in place, and its slope (N, 2, 2)."""
    x, y = ((points - MIDDLE) / REACH).T
    shift = np.stack(
        [
            3 + 2 * x - 1.5 * y + 1.2 * x * x * y - 2.5 * x**3 + 0.8 * y**3,
            -2 + 0.7 * x + 1.8 * y - 1.1 * x * y * y + 1.4 * y**3 + x * x,
        ],
        axis=1,
    )
    along_x = [2 + 2.4 * x * y - 7.5 * x**2, 0.7 - 1.1 * y**2 + 2 * x]
    along_y = [-1.5 + 1.2 * x**2 + 2.4 * y**2, 1.8 - 2.2 * x * y + 4.2 * y**2]
    slope = np.stack([np.stack(along_x, 1), np.stack(along_y, 1)], axis=-1)
    return shift, slope / REACH


def measured(points, rng):
    return cubic_field(points)[0] + rng.normal(0, NOISE_PX, points.shape)


@pytest.mark.parametrize("seed", range(4))
def test_a_cubic_field_is_found_among_wild_measurements(seed):
    rng = np.random.default_rng(seed)
    shifts, slopes = cubic_field(GRID)
    given = measured(GRID, rng)
    wild = rng.choice(len(GRID), len(GRID) // 5, replace=False)
    signs = rng.choice([-1, 1], (len(wild), 2))
    given[wild] += signs * rng.uniform(10, 40, (len(wild), 2))
    sigmas = np.full(len(GRID), NOISE_PX)
    field = smooth_field(GRID, given, sigmas, spacing=SPACING)
    errors = np.linalg.norm(field.shift - shifts, axis=1)
    assert np.median(errors) < 0.1
    assert errors.max() < 0.3
    at_border = np.abs(field.slope - slopes).max(axis=(1, 2)) * SPACING / 2  # px
    assert np.median(at_border) < 0.05
    assert at_border.max() < 0.15


@pytest.mark.parametrize("index", [0, 5, 38, 44, 87])  # corners, a border, the inside
def test_a_wild_value_does_not_pull_its_own_prediction(index):
    given = measured(GRID, np.random.default_rng(0))
    sigmas = np.full(len(GRID), NOISE_PX)
    before = smooth_field(GRID, given, sigmas, spacing=SPACING)
    given[index] += 15, -12
    after = smooth_field(GRID, given, sigmas, spacing=SPACING)
    np.testing.assert_allclose(after.shift, before.shift, atol=0.1)


@pytest.mark.parametrize("index", [5, 38, 44])
def test_a_value_too_small_to_be_wild_hardly_enters_its_own_prediction(index):
    """Only through the polynomial; the local plane leaves the window itself out."""
    given = measured(GRID, np.random.default_rng(0))
    sigmas = np.full(len(GRID), NOISE_PX)
    before = smooth_field(GRID, given, sigmas, spacing=SPACING)
    given[index] += 0.3, -0.2
    after = smooth_field(GRID, given, sigmas, spacing=SPACING)
    moved = np.abs(after.shift - before.shift)[index].max()
    assert moved < 0.06 * 0.3


def test_what_was_not_measured_is_predicted_and_does_not_count():
    rng = np.random.default_rng(1)
    shifts, _ = cubic_field(GRID)
    given = measured(GRID, rng)
    unknown = rng.choice(len(GRID), len(GRID) // 4, replace=False)
    given[unknown] = rng.uniform(-100, 100, (len(unknown), 2))
    sigmas = np.full(len(GRID), NOISE_PX)
    sigmas[unknown] = np.inf
    field = smooth_field(GRID, given, sigmas, spacing=SPACING)
    np.testing.assert_allclose(field.shift[unknown], shifts[unknown], atol=0.3)


def test_a_step_in_depth_widens_the_spread_where_it_is():
    given = np.zeros_like(GRID)
    given[GRID[:, 0] > 650, 0] = 4.0  # a wall 4 px nearer than the ground
    field = smooth_field(GRID, given, np.full(len(GRID), 0.05), spacing=SPACING)
    at_step = np.abs(GRID[:, 0] - 650) < 110
    assert field.spread[at_step].mean() > 1.5 * field.spread[~at_step].mean()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_windows_give_their_common_shift(count):
    points, given = GRID[:count], np.tile([4.0, -3.0], (count, 1))
    field = smooth_field(points, given, np.full(count, 0.05), spacing=SPACING)
    np.testing.assert_allclose(field.shift, given, atol=0.01)
    np.testing.assert_allclose(field.slope, 0, atol=1e-4)


def test_without_any_measurement_the_homography_stands():
    given = np.full((20, 2), 7.0)
    field = smooth_field(GRID[:20], given, np.full(20, np.inf), spacing=SPACING)
    np.testing.assert_allclose(field.shift, 0, atol=1e-6)
    assert np.isfinite(field.spread).all()
