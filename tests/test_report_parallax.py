"""Parallax along the main direction of the placed windows' shifts."""

import numpy as np
import pytest

from dped_build.patches.records import REASONS, empty_windows
from dped_build.report.parallax import FEWEST, parallax
from dped_build.report.tables import WindowTable


def shifts(direction, along, across=0.01, seed=0):
    """Shifts (N, 2) of `along` px, about (5, -3), with little noise across."""
    x, y = np.array(direction) / np.hypot(*direction)
    noise = across * np.random.default_rng(seed).normal(size=len(along))
    moved = np.outer(along, [x, y]) + np.outer(noise, [-y, x])
    return (moved + [5, -3]).astype(np.float32)


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (1, 1), (3, -2), (-2, 3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_displacement_is_told_along_its_direction_from_the_median(direction, sign):
    along = np.r_[np.zeros(60), np.full(20, 30.0), np.linspace(-2, 2, 21)] * sign
    found = parallax(shifts(direction, along), np.ones(len(along), bool))
    unit = np.array(direction) / np.hypot(*direction)
    np.testing.assert_allclose(found.direction, unit, atol=0.01)
    np.testing.assert_allclose(found.along_px, along, atol=0.05)
    low, high = np.quantile(along, (0.05, 0.95))
    assert found.ends == pytest.approx((low, high), abs=0.05)


def test_windows_that_are_not_placed_have_none_and_change_nothing():
    along = np.linspace(-3, 9, 40)
    placed = np.arange(40) % 4 > 0
    moved = shifts((1, 0), along)
    before = parallax(moved, placed)
    moved[~placed] = [[np.nan, np.nan], [0, 900]] * 5
    found = parallax(moved, placed)
    np.testing.assert_array_equal(np.isnan(found.along_px), ~placed)
    np.testing.assert_array_equal(found.along_px, before.along_px)
    assert found.ends == before.ends


def test_few_windows_show_no_direction():
    moved, placed = shifts((1, 0), np.arange(9.0)), np.arange(9) < FEWEST
    assert parallax(moved, placed) is not None
    assert parallax(moved, placed & (np.arange(9) > 0)) is None


def test_windows_that_do_not_move_have_no_parallax():
    found = parallax(np.ones((9, 2), np.float32), np.ones(9, bool))
    assert (found.along_px == 0).all() and found.ends == (0, 0)


def test_windows_are_placed_unless_their_reason_doubts_it():
    windows = empty_windows(len(REASONS))
    windows.shift_px[:] = 1
    windows.shift_px[REASONS.index("soft_target")] = np.nan
    number = np.arange(len(REASONS))
    accepted = number == REASONS.index("accepted")
    every = WindowTable(["a"], 0 * number, list(REASONS), number, accepted, windows)
    assert {REASONS[row] for row in np.flatnonzero(every.placed)} == {
        *("accepted", "depth_edge", "low_valid"),
        *("color_misfit", "clipped", "surplus"),
    }
