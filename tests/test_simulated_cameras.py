"""The simulated rig is exact where it claims to be."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dped_build.selftest.simulated_cameras import DslrLook, PhoneLook, Rig, photograph

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


GRID = np.stack(np.meshgrid(np.arange(0.0, 800, 20), np.arange(0.0, 600, 20)), axis=-1)


def displacement(**depth):
    """What depth adds to where the phone's points lie, phone px."""
    flat, deep = Rig(relief_seed=4), Rig(relief_seed=4, **depth)
    return flat.residual_px(GRID, deep.dslr_points(GRID))


def test_parallax_is_smooth_and_no_larger_than_stated():
    moved = displacement(parallax_px=10.0)
    assert 4 < np.abs(moved).max() < 10.5
    assert np.abs(np.diff(moved, axis=1)).max() < 2.5  # in 20 px


def test_near_objects_are_displaced_sideways_by_the_edge():
    moved = displacement(edge_px=12.0)[..., 0]
    near, far = (moved > 11).mean(), (np.abs(moved) < 0.5).mean()
    assert 0.05 < near < 0.5
    assert far > 0.3
    assert near + far > 0.8  # the rest are edges


def test_rolling_shutter_moves_whole_rows():
    moved = displacement(rolling_px=4.0)
    assert 3 < np.abs(moved[..., 0]).max() < 4.2
    across = moved - moved[:, 20:21]
    assert np.abs(across).max() < 0.3  # the lens distorts what the sensor swings


@pytest.mark.parametrize(
    "depth", [{}, {"parallax_px": 8.0}, {"rolling_px": 3.0}, {"turn_deg": (90, 1, 0)}]
)
def test_photos_agree_with_the_stated_geometry_to_a_hundredth_of_a_pixel(
    textured, depth
):
    rig = Rig((320, 240), (570, 380), relief_seed=3, **depth)
    soft = cv2.GaussianBlur(textured(0, (570, 380)), (0, 0), 2.0)
    photos = photograph(soft, rig, PLAIN, seed=0, dslr_look=DslrLook(noise=0))
    phone, dslr = (photo.mean(axis=-1, dtype=np.float32) for photo in photos)
    grid = np.stack(np.meshgrid(np.arange(320.0), np.arange(240.0)), axis=-1)
    points = rig.dslr_points(grid)
    there = cv2.remap(dslr, points.astype(np.float32), None, cv2.INTER_CUBIC)
    inside = ((points > 20) & (points < (549, 359))).all(axis=-1)
    down, across = np.gradient(there)
    columns = [across, down, there, np.ones_like(there)]
    system = np.stack([column[inside] for column in columns], axis=1)
    x, y, gain, _ = np.linalg.lstsq(system, phone[inside], rcond=None)[0]
    assert np.hypot(x, y) / gain < 0.01


def test_aberration_parts_the_colours_in_the_corners_only(textured):
    rig = Rig((320, 240), (570, 380))
    picture = np.repeat(textured(0, (570, 380))[..., :1], 3, axis=2)
    look = replace(PLAIN, aberration_px=2.0)
    phone, dslr = photograph(
        picture, rig, look, seed=0, dslr_look=DslrLook(0.0, aberration_px=2.0)
    )
    for photo in (phone, dslr):
        height, width = photo.shape[:2]
        parted = np.abs(photo[..., 0].astype(float) - photo[..., 2])
        middle = parted[height // 2 - 8 : height // 2 + 8, width // 2 - 8 :][:, :16]
        assert parted[:24, :24].mean() > 5 * middle.mean()


def test_red_is_seen_further_out():
    spot = np.zeros((380, 570, 3), np.uint8)
    spot[40:46, 60:66] = 255
    rig = Rig((320, 240), (570, 380))
    looks = DslrLook(noise=0, aberration_px=4.0)
    _, dslr = photograph(spot, rig, PLAIN, seed=0, dslr_look=looks)
    middle = np.array([284.5, 189.5])
    y, x = np.mgrid[:380, :570]
    places = [
        np.array([(x * w).sum(), (y * w).sum()]) / w.sum()
        for w in np.moveaxis(dslr.astype(float), -1, 0)
    ]
    red, green, blue = (np.linalg.norm(place - middle) for place in places)
    expected = 4.0 * green / np.linalg.norm(middle)
    assert red - green == pytest.approx(expected, rel=0.1)
    assert green - blue == pytest.approx(expected, rel=0.1)


def test_sharpening_adds_detail_and_denoising_takes_it(textured):
    rig, picture = Rig((160, 120), (240, 160)), textured(0, (240, 160))
    sharp, plain, smooth = (
        photograph(picture, rig, replace(PLAIN, **change), seed=0)[0]
        for change in ({"sharpening": 1.0}, {}, {"denoise": 40.0})
    )
    detail = [cv2.Laplacian(p, cv2.CV_64F).std() for p in (sharp, plain, smooth)]
    assert detail[0] > 1.3 * detail[1] > 1.5 * detail[2]
