"""The paper's way finds a window's shift and turn, and never leaves its limits."""

import cv2
import numpy as np
import pytest

from dped_build.align.geometry import apply_homography, corners, rescaling, translation
from dped_build.align.sampling import sample_patches
from dped_build.patches.extract import cut
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.patches.refinement.paper_rule import (
    MAX_SHIFT,
    ROTATION_STEP_DEG,
    interpolated,
    paper_windows,
)

SIZE = 48
TRUTH = rescaling(2)  # phone px → DSLR px
INNER = np.array([[60, 40], [110, 90], [180, 120]], np.int32)


@pytest.fixture(scope="module")
def photos(textured):
    """Phone photo of 300x220 px, and the DSLR's of twice the size."""
    dslr = textured(0, (600, 440))
    return cv2.resize(dslr, (300, 220), interpolation=cv2.INTER_AREA), dslr


def placed(photos, phone_to_dslr, places):
    """Where the paper's way puts windows, and their NCC there."""
    phone, dslr = photos
    grids = [phone_to_dslr @ translation(*place) for place in places]
    templates = lumas(sample_patches(dslr, np.array(grids).reshape(-1, 3, 3), SIZE))
    grey = cv2.cvtColor(phone, cv2.COLOR_RGB2GRAY)
    limits = {"max_shift": MAX_SHIFT, "max_rotation": 2.0}
    found = paper_windows(grey, templates, places, **limits)
    own = lumas(cut(phone, found.patch_to_phone, SIZE))
    return found, normalised_cross_correlation(own, templates)


def turned(angle_deg, place):
    """Rotation of the phone's plane about the centre of the window at `place`."""
    x, y = place + (SIZE - 1) / 2
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return translation(x, y) @ turn @ translation(-x, -y)


def test_right_homography_moves_nothing(photos):
    found, ncc = placed(photos, TRUTH, INNER)
    np.testing.assert_allclose(found.shift_px, 0, atol=1e-12)
    np.testing.assert_array_equal(found.rotation_deg, 0)
    assert ncc.min() > 0.98


@pytest.mark.parametrize("shift", [(3, -2), (-5, 5), (0, 1)])
def test_wrong_homography_is_made_up_for_by_the_shift(photos, shift):
    found, _ = placed(photos, TRUTH @ translation(*shift), INNER)
    np.testing.assert_array_equal(found.shift_px, [shift] * len(INNER))
    for place, matrix in zip(INNER, found.patch_to_phone, strict=True):
        np.testing.assert_array_equal(matrix, translation(*place + shift))


@pytest.mark.parametrize("angle_deg", [-1.5, 1.0])
@pytest.mark.parametrize("shift", [(0, 0), (4, -1)])
def test_turned_window_is_found_within_a_step(photos, angle_deg, shift):
    for place in INNER:
        wrong = TRUTH @ translation(*shift) @ turned(angle_deg, place)
        found, ncc = placed(photos, wrong, place[None])
        assert found.rotation_deg[0] == pytest.approx(angle_deg, abs=ROTATION_STEP_DEG)
        np.testing.assert_allclose(found.shift_px[0], shift, atol=0.8)
        assert ncc[0] > 0.95
        grid = corners((SIZE, SIZE))
        seen = apply_homography(TRUTH @ found.patch_to_phone[0], grid)
        stated = apply_homography(wrong @ translation(*place), grid)
        assert np.linalg.norm(seen - stated, axis=1).max() < 2 * 1.0  # 1 phone px


def test_no_place_within_the_limits_correlates_better(photos):
    """Tried one by one, the turns interpolated as the stored pixels are."""
    phone, dslr = photos
    place = INNER[0]
    wrong = TRUTH @ translation(2, -1) @ turned(0.6, place)
    _, ncc = placed(photos, wrong, place[None])
    template = lumas(sample_patches(dslr, (wrong @ translation(*place))[None], SIZE))
    best = max(
        normalised_cross_correlation(
            lumas(cut(phone, (turned(a, place) @ translation(*at))[None], SIZE)),
            template,
        )[0]
        for a in np.arange(-2, 2.1, ROTATION_STEP_DEG)
        for at in place + np.stack(np.mgrid[-5:6, -5:6], -1).reshape(-1, 2)
    )
    assert ncc[0] == pytest.approx(best, abs=0.002)  # grey levels are rounded


def test_shift_beyond_the_limit_is_not_found(photos):
    found, ncc = placed(photos, TRUTH @ translation(9, 0), INNER)
    assert np.abs(found.shift_px).max() <= MAX_SHIFT * np.sqrt(2)
    assert ncc.max() < 0.9


@pytest.mark.parametrize("flat", ["phone", "dslr"])
def test_flat_window_stays(photos, flat):
    phone, dslr = (photo.copy() for photo in photos)
    if flat == "phone":
        phone[20:160, 40:200] = 200
    else:
        dslr[40:320, 80:400] = 200
    found, ncc = placed((phone, dslr), TRUTH, INNER[:1])
    assert np.isnan(ncc).all()
    np.testing.assert_array_equal(found.patch_to_phone[0], translation(*INNER[0]))
    np.testing.assert_array_equal(found.shift_px, 0)


def test_flat_neighbourhood_does_not_attract_the_window(photos):
    phone, dslr = (photo.copy() for photo in photos)
    phone[:, : INNER[0][0] - 2] = 255
    found, _ = placed((phone, dslr), TRUTH, INNER[:1])
    np.testing.assert_allclose(found.shift_px, 0, atol=1e-12)


def test_windows_at_the_border_stay_inside_the_photo(photos):
    height, width = photos[0].shape[:2]
    places = np.array([[0, 0], [width - SIZE, 0], [width - SIZE, height - SIZE]])
    wrong = TRUTH @ translation(-2, 2) @ turned(1.0, places[0])
    found, _ = placed(photos, wrong, places)
    for matrix in found.patch_to_phone:
        quad = apply_homography(matrix, corners((SIZE, SIZE)))
        assert (quad > -1e-5).all()
        assert (quad < np.array([width, height]) - 1 + 1e-5).all()


def test_interpolation_keeps_the_photos_own_pixels_where_there_are_any(photos):
    phone = photos[0]
    same = interpolated(phone, translation(60, 40), SIZE)
    np.testing.assert_array_equal(same, phone[40 : 40 + SIZE, 60 : 60 + SIZE])
    quarter = translation(59 + SIZE, 40) @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    stood_up = np.rot90(interpolated(phone, quarter, SIZE), -1)
    np.testing.assert_array_equal(stood_up, same)


def test_no_windows_give_empty_columns(photos):
    found, _ = placed(photos, TRUTH, np.empty((0, 2), np.int32))
    assert found.patch_to_phone.shape == (0, 3, 3)
    assert found.shift_px.shape == (0, 2)
    assert found.rotation_deg.shape == (0,)


@pytest.mark.parametrize("place", [(-1, 0), (300 - SIZE + 1, 0), (0, 220 - SIZE + 1)])
def test_window_outside_the_photo_is_the_callers_mistake(photos, place):
    with pytest.raises(ValueError, match="inside the phone photo"):
        placed(photos, TRUTH, np.array([place]))
