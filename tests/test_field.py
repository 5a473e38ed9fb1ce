"""A smooth field is found again from noisy measurements, a fifth of them wild."""

import numpy as np
import pytest

from dped_build.patches.refinement.field import neighbour_field

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


def covariance(count, deviation=NOISE_PX):
    """Of `count` measurements, (N, 2, 2)."""
    return np.tile(deviation**2 * np.eye(2), (count, 1, 1))


def field_of(points, shifts, deviation=NOISE_PX):
    return neighbour_field(
        points, shifts, covariance(len(points), deviation), spacing=SPACING
    )


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
    field = field_of(GRID, given)
    errors = np.linalg.norm(field.shift - shifts, axis=1)
    assert np.median(errors) < 0.1
    assert errors.max() < 0.3
    at_border = np.abs(field.slope - slopes).max(axis=(1, 2)) * SPACING / 2  # px
    assert np.median(at_border) < 0.05
    assert at_border.max() < 0.15


def lens_and_homography(points):
    """What a radial distortion and a turned camera move, (N, 2), and its slope."""

    def shift(places):
        unit = (places - MIDDLE - 20) / REACH  # the lens looks beside the middle
        square = (unit**2).sum(axis=1, keepdims=True)
        turned = unit * (unit @ [[3.0], [-2.0]])
        return 4 + unit * (6 * square - 2 * square**2) + turned

    steps = 0.5 * np.eye(2)
    slopes = [shift(points + step) - shift(points - step) for step in steps]
    return shift(points), np.stack(slopes, axis=-1)


@pytest.mark.parametrize("seed", range(3))
def test_the_lens_is_known_where_nothing_was_measured(seed):
    shifts, slopes = lens_and_homography(GRID)
    given = shifts + np.random.default_rng(seed).normal(0, NOISE_PX, GRID.shape)
    blank = GRID[:, 0] > 700
    noise = covariance(len(GRID))
    noise[blank] = 30.0**2 * np.eye(2)
    field = neighbour_field(
        GRID, np.where(blank[:, None], 0, given), noise, spacing=SPACING
    )
    errors = np.linalg.norm(field.shift - shifts, axis=1)
    assert errors[blank].max() < 1.5
    assert np.median(errors[blank]) < 0.5
    doubt = np.sqrt(np.trace(field.covariance, axis1=1, axis2=2))
    assert (errors < 3 * doubt).all()
    steep = np.abs(field.slope - slopes) / np.sqrt(field.slope_variance)
    assert np.percentile(steep, 95) < 3
    assert np.percentile(steep, 95) > 0.3


@pytest.mark.parametrize("index", [0, 5, 38, 44, 87])  # corners, a border, the inside
@pytest.mark.parametrize("wild", [(15, -12), (0.3, -0.2)])
def test_no_value_enters_its_own_prediction(index, wild):
    """Only through the sizes of the kernels, which all windows choose together."""
    given = measured(GRID, np.random.default_rng(0))
    before = field_of(GRID, given)
    given[index] += wild
    after = field_of(GRID, given)
    np.testing.assert_allclose(after.shift[index], before.shift[index], atol=0.02)
    np.testing.assert_allclose(after.slope[index], before.slope[index], atol=5e-4)


def test_what_was_not_measured_is_predicted_and_does_not_count():
    rng = np.random.default_rng(1)
    shifts, _ = cubic_field(GRID)
    given = measured(GRID, rng)
    unknown = rng.choice(len(GRID), len(GRID) // 4, replace=False)
    given[unknown] = rng.uniform(-30, 30, (len(unknown), 2))
    noise = covariance(len(GRID))
    noise[unknown] *= (30 / NOISE_PX) ** 2
    field = neighbour_field(GRID, given, noise, spacing=SPACING)
    np.testing.assert_allclose(field.shift[unknown], shifts[unknown], atol=0.3)


def test_windows_that_know_one_direction_only_tell_each_other_the_other():
    """Every second window sees along x only, the rest along y: cables and railings."""
    shifts, _ = cubic_field(GRID)
    rng = np.random.default_rng(2)
    given = measured(GRID, rng)
    blind = np.arange(len(GRID)) % 2
    given[np.arange(len(GRID)), blind] += rng.uniform(-5, 5, len(GRID))
    noise = covariance(len(GRID))
    noise[np.arange(len(GRID)), blind, blind] = 5.0**2
    field = neighbour_field(GRID, given, noise, spacing=SPACING)
    assert np.median(np.linalg.norm(field.shift - shifts, axis=1)) < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_stated_covariance_is_that_of_the_errors(seed):
    shifts, _ = cubic_field(GRID)
    field = field_of(GRID, measured(GRID, np.random.default_rng(seed)))
    rest = (field.shift - shifts)[..., None]
    distance2 = (rest * np.linalg.solve(field.covariance, rest)).sum(axis=(1, 2))
    assert 0.1 < distance2.mean() / 2 < 2


def test_a_step_in_depth_makes_the_field_rough_and_its_predictions_uncertain():
    given = np.zeros_like(GRID)
    given[GRID[:, 0] > 650, 0] = 4.0  # a wall 4 px nearer than the ground
    stepped, smooth = field_of(GRID, given, 0.05), field_of(GRID, 0 * given, 0.05)
    assert stepped.roughness.min() > 3 * smooth.roughness.max()
    spreads = [np.sqrt(f.covariance[:, 0, 0]).mean() for f in (stepped, smooth)]
    assert spreads[0] > 3 * spreads[1]


def test_many_windows_are_answered_tile_by_tile_as_well_as_at_once(monkeypatch):
    shifts, _ = cubic_field(GRID)
    given = measured(GRID, np.random.default_rng(3))
    whole = field_of(GRID, given)
    monkeypatch.setattr("dped_build.patches.refinement.field.MAX_UNTILED", 50)
    monkeypatch.setattr("dped_build.patches.refinement.field.TILE", 5.0)
    tiled = field_of(GRID, given)
    assert np.abs(tiled.shift - whole.shift).max() < 0.2
    assert np.linalg.norm(tiled.shift - shifts, axis=1).max() < 0.3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_windows_give_their_common_shift(count):
    points, given = GRID[:count], np.tile([4.0, -3.0], (count, 1))
    field = field_of(points, given, 0.05)
    if count > 1:
        np.testing.assert_allclose(field.shift, given, atol=0.5)
    assert np.isfinite(field.covariance).all()


def test_without_any_measurement_the_homography_stands():
    given = np.zeros((20, 2))
    field = field_of(GRID[:20], given, 30)
    np.testing.assert_allclose(field.shift, 0, atol=1e-6)
    assert (np.sqrt(np.trace(field.covariance, axis1=1, axis2=2)) > 5).all()
