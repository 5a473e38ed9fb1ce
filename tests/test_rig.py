"""The rig's geometry comes out of the corners, whatever else moves."""

import numpy as np
import pytest
from depth_fixture import PARALLAX, deep_pair

from dped_build.align.rig import MIN_TRACKS, fit_rig, off_surface
from dped_build.align.tracks import Tracks, find_corners, follow_points, whitened

SIZE = (2000, 1500)


def tracks(*, angle=20.0, movers=0, depth=20.0, noise=0.05, count=1000):
    """Corners at random depths, over a lens' cubic, with some that moved elsewhere."""
    rng = np.random.default_rng(3)
    points = rng.uniform((0, 0), SIZE, (count, 2))
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    normal = np.array([-along[1], along[0]])
    parallax = depth * rng.integers(0, 3, count) / 2
    x, y = ((points - np.array(SIZE) / 2) / (SIZE[0] / 2)).T
    across = 0.6 * x * (x**2 + y**2) - 0.3 * y + 0.02 * parallax * x
    moved = parallax[:, None] * along + across[:, None] * normal
    moved[:movers] += rng.uniform(-30, 30, (movers, 2))
    return Tracks(points, moved + rng.normal(0, noise, moved.shape)), along


@pytest.mark.parametrize("angle", [0.0, 20.0, 88.0, 135.0])
def test_direction_and_displacement_across_are_found(angle):
    found, along = tracks(angle=angle)
    rig = fit_rig(found, SIZE)
    assert abs(rig.along @ along) > np.cos(np.radians(0.5))
    parallax = found.displacements @ rig.along
    error = found.displacements @ rig.normal - rig.across(found.points, parallax)
    assert np.sqrt((error**2).mean()) < 0.08
    assert rig.spread_px == pytest.approx(0.1, abs=0.01)


def test_a_third_of_movers_turns_nothing():
    found, along = tracks(movers=300)
    rig = fit_rig(found, SIZE)
    assert abs(rig.along @ along) > np.cos(np.radians(1))


def test_limits_hold_the_parallax_of_those_that_follow():
    found, along = tracks(movers=100)
    rig = fit_rig(found, SIZE)
    low, high = sorted(limit * np.sign(rig.along @ along) for limit in rig.limits)
    assert low == pytest.approx(0, abs=1)
    assert high == pytest.approx(20, abs=1)


def test_depth_shows_only_where_there_is_some():
    deep, _ = tracks()
    assert fit_rig(deep, SIZE).depth(deep) > 1
    flat, _ = tracks(depth=0.0)
    assert fit_rig(flat, SIZE).depth(flat) < 1
    few, _ = tracks(depth=0.0, movers=30)  # people who walk are no depth
    assert fit_rig(few, SIZE).depth(few) < 1


def test_a_railing_of_few_corners_is_depth():
    found, along = tracks(depth=0.0)
    found.displacements[:30] += 40 * along
    assert fit_rig(found, SIZE).depth(found) > 1
    found.displacements[:30] -= 36 * along  # smooth parallax is often 4 px
    assert fit_rig(found, SIZE).depth(found) < 1


def test_of_one_surface_only_what_moves_is_off():
    flat, _ = tracks(depth=0.0, movers=50)
    assert off_surface(flat, SIZE) == pytest.approx(0.05, abs=0.005)
    deep, _ = tracks()
    assert off_surface(deep, SIZE) > 0.3


def test_noise_is_no_depth():
    noisy, _ = tracks(depth=0.0, noise=1.2)
    assert fit_rig(noisy, SIZE).depth(noisy) < 1


def test_too_few_corners_tell_no_rig():
    found, _ = tracks(count=MIN_TRACKS - 1)
    assert fit_rig(found, SIZE) is None


def test_corners_are_followed_on_both_surfaces(textured):
    pair = deep_pair(textured)
    lumas = [whitened(luma.astype(np.float32)) for luma in (pair.phone, pair.dslr)]
    corners = find_corners(lumas[0], np.ones(pair.phone.shape, bool))
    found = follow_points(*lumas, corners, reduction=1)
    columns, rows = np.rint(found.points).astype(int).T
    truth = np.where(pair.card[rows, columns], PARALLAX, 0)
    error = np.abs(found.displacements - np.column_stack([truth, 0 * truth]))
    assert len(found.points) > 300
    assert (error.max(axis=1) < 0.3).mean() > 0.95


def test_a_plain_photo_has_no_corners():
    plain = np.full((200, 300), 128, np.uint8)
    corners = find_corners(plain, np.ones(plain.shape, bool))
    found = follow_points(plain, plain, corners, reduction=2)
    assert len(found.points) == 0
    assert fit_rig(found, (600, 400)) is None
