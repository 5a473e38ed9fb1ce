"""The simulated rig is exact where it claims to be."""

import numpy as np
import pytest

from dped_build.align.simulate import PhoneLook, Rig, photograph

PLAIN = PhoneLook(blur_px=0.01, vignetting=0, gains=(1, 1, 1), noise=0, tone=0)


def test_straight_rig_maps_centre_to_centre():
    rig = Rig()
    centre = (np.array(rig.phone_size) - 1) / 2
    expected = (np.array(rig.dslr_size) - 1) / 2
    np.testing.assert_allclose(rig.dslr_points(centre), expected)


def test_field_of_view_is_the_frames_width():
    rig = Rig(phone_fov_deg=50, dslr_fov_deg=50, distortion=(0, 0))
    middle = (np.array(rig.phone_size) - 1) / 2
    edge = middle + (rig.phone_size[0] / 2, 0)
    x, _ = rig.dslr_points(edge)
    assert x == pytest.approx((rig.dslr_size[0] - 1) / 2 + rig.dslr_size[0] / 2)


def test_roll_turns_about_the_centre():
    rig = Rig(turn_deg=(90, 0, 0), distortion=(0, 0))
    middle = (np.array(rig.phone_size) - 1) / 2
    centre, right = rig.dslr_points(np.stack([middle, middle + (100, 0)]))
    offset = right - centre
    assert abs(offset[0]) < 1e-9
    assert abs(offset[1]) > 100


@pytest.mark.parametrize("turn", [(0, 0, 0), (12, 1, -2)])
def test_residual_gives_a_known_displacement_back(turn):
    rig = Rig(turn_deg=turn)
    points = np.random.default_rng(0).uniform(100, 500, size=(20, 2))
    moved = points + (0.3, -0.2)
    residual = rig.residual_px(points, rig.dslr_points(moved))
    np.testing.assert_allclose(residual, [(0.3, -0.2)] * 20, atol=2e-3)


def test_phone_sees_what_the_dslr_sees_at_its_points(textured):
    rig = Rig((160, 120), (240, 160), turn_deg=(3.0, 0.0, 0.0))
    phone, dslr = photograph(textured(0, (480, 320)), rig, PLAIN, seed=0)
    assert (phone.shape, dslr.shape) == ((120, 160, 3), (160, 240, 3))
    x, y = np.meshgrid(np.arange(45, 115, 5), np.arange(35, 85, 5))
    places = np.stack([x, y], axis=-1)
    there = np.rint(rig.dslr_points(places)).astype(int)
    seen = phone[y, x].astype(float).ravel()
    expected = dslr[there[..., 1], there[..., 0]].astype(float).ravel()
    assert np.corrcoef(seen, expected)[0, 1] > 0.9
    elsewhere = dslr[there[..., 1] + 5, there[..., 0]].astype(float).ravel()
    assert np.corrcoef(seen, elsewhere)[0, 1] < 0.8


def test_same_seed_gives_the_same_photos_and_another_other_noise(textured):
    rig, picture = Rig((160, 120), (240, 160)), textured(0, (240, 160))
    one, again, other = (
        photograph(picture, rig, PhoneLook(), seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert (one[0] != other[0]).mean() > 0.3


def test_phone_is_darker_in_its_corners():
    rig, grey = Rig((160, 120), (240, 160)), np.full((160, 240, 3), 180, np.uint8)
    phone, dslr = photograph(grey, rig, PhoneLook(noise=0), seed=0)
    assert phone[60, 80].mean() > phone[0, 0].mean() + 10
    assert dslr.std() < 3
