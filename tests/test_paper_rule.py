"""The paper's way finds a window's shift and turn, and never leaves its limits."""

import cv2
import numpy as np
import pytest

from dped_build.align.geometry import apply_homography, corners, rescaling, translation
from dped_build.patches.paper_rule import MAX_SHIFT, ROTATION_STEP_DEG, paper_windows
from dped_build.patches.quality import lumas, normalised_cross_correlation

SIZE = 48
TRUTH = rescaling(2)  # phone px → DSLR px
LIMITS = {"size": SIZE, "max_shift": MAX_SHIFT, "max_rotation": 2.0}
INNER = np.array([[60, 40], [110, 90], [180, 120]], np.int32)


@pytest.fixture(scope="module")
def photos(textured):
    """Phone photo of 300x220 px, and the DSLR's of twice the size."""
    dslr = textured(0, (600, 440))
    return cv2.resize(dslr, (300, 220), interpolation=cv2.INTER_AREA), dslr


def turned(angle_deg, place):
    """Rotation of the phone's plane about the centre of the window at `place`."""
    x, y = place + (SIZE - 1) / 2
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return translation(x, y) @ turn @ translation(-x, -y)


def test_right_homography_moves_nothing(photos):
    phone, dslr = photos
    found = paper_windows(phone, dslr, TRUTH, INNER, **LIMITS)
    np.testing.assert_allclose(found.shift_px, 0, atol=1e-12)
    np.testing.assert_array_equal(found.rotation_deg, 0)
    assert found.ncc.min() > 0.98
    for (x, y), pixels in zip(INNER, found.phone, strict=True):
        np.testing.assert_array_equal(pixels, phone[y : y + SIZE, x : x + SIZE])


@pytest.mark.parametrize("shift", [(3, -2), (-5, 5), (0, 1)])
def test_wrong_homography_is_made_up_for_by_the_shift(photos, shift):
    phone, dslr = photos
    found = paper_windows(phone, dslr, TRUTH @ translation(*shift), INNER, **LIMITS)
    np.testing.assert_allclose(found.shift_px, [shift] * len(INNER), atol=1e-12)
    for place, pixels, matrix in zip(
        INNER, found.phone, found.patch_to_phone, strict=True
    ):
        x, y = place + shift
        np.testing.assert_array_equal(pixels, phone[y : y + SIZE, x : x + SIZE])
        np.testing.assert_allclose(matrix, translation(x, y), atol=1e-12)


@pytest.mark.parametrize("angle_deg", [-1.5, 1.0])
@pytest.mark.parametrize("shift", [(0, 0), (4, -1)])
def test_turned_window_is_found_within_a_step(photos, angle_deg, shift):
    phone, dslr = photos
    for place in INNER:
        wrong = TRUTH @ translation(*shift) @ turned(angle_deg, place)
        found = paper_windows(phone, dslr, wrong, place[None], **LIMITS)
        assert found.rotation_deg[0] == pytest.approx(angle_deg, abs=ROTATION_STEP_DEG)
        np.testing.assert_allclose(found.shift_px[0], shift, atol=0.8)
        assert found.ncc[0] > 0.95
        quad = apply_homography(found.patch_to_phone[0], corners((SIZE, SIZE)))
        seen = apply_homography(TRUTH, quad)
        stated = apply_homography(found.patch_to_dslr[0], corners((SIZE, SIZE)))
        assert np.linalg.norm(seen - stated, axis=1).max() < 2 * 1.0  # 1 phone px


def test_shift_beyond_the_limit_is_not_found(photos):
    phone, dslr = photos
    found = paper_windows(phone, dslr, TRUTH @ translation(9, 0), INNER, **LIMITS)
    assert np.abs(found.shift_px).max() <= MAX_SHIFT * np.sqrt(2)
    assert found.ncc.max() < 0.9


def test_stated_ncc_is_that_of_the_stored_pixels(photos):
    phone, dslr = photos
    wrong = TRUTH @ turned(0.7, INNER[0]) @ translation(1.4, -0.6)
    found = paper_windows(phone, dslr, wrong, INNER, **LIMITS)
    stored = normalised_cross_correlation(lumas(found.phone), lumas(found.dslr))
    np.testing.assert_array_equal(found.ncc, stored)


@pytest.mark.parametrize("flat", ["phone", "dslr"])
def test_flat_window_stays_and_has_no_ncc(photos, flat):
    phone, dslr = (photo.copy() for photo in photos)
    if flat == "phone":
        phone[20:160, 40:200] = 200
    else:
        dslr[40:320, 80:400] = 200
    found = paper_windows(phone, dslr, TRUTH, INNER[:1], **LIMITS)
    assert np.isnan(found.ncc).all()
    np.testing.assert_array_equal(found.patch_to_phone[0], translation(*INNER[0]))
    np.testing.assert_array_equal(found.shift_px, 0)


def test_flat_neighbourhood_does_not_attract_the_window(photos):
    phone, dslr = (photo.copy() for photo in photos)
    phone[:, : INNER[0][0] - 2] = 255
    found = paper_windows(phone, dslr, TRUTH, INNER[:1], **LIMITS)
    np.testing.assert_allclose(found.shift_px, 0, atol=1e-12)


def test_windows_at_the_border_stay_inside_the_photo(photos):
    phone, dslr = photos
    height, width = phone.shape[:2]
    places = np.array([[0, 0], [width - SIZE, 0], [width - SIZE, height - SIZE]])
    wrong = TRUTH @ translation(-2, 2) @ turned(1.0, places[0])
    found = paper_windows(phone, dslr, wrong, places, **LIMITS)
    for matrix in found.patch_to_phone:
        quad = apply_homography(matrix, corners((SIZE, SIZE)))
        assert (quad > -1e-5).all()
        assert (quad < np.array([width, height]) - 1 + 1e-5).all()


def test_no_windows_give_empty_columns(photos):
    found = paper_windows(*photos, TRUTH, np.empty((0, 2), np.int32), **LIMITS)
    assert found.phone.shape == found.dslr.shape == (0, SIZE, SIZE, 3)
    assert found.patch_to_phone.shape == found.patch_to_dslr.shape == (0, 3, 3)
    assert found.shift_px.shape == (0, 2)
    assert len(found.ncc) == len(found.rotation_deg) == 0


@pytest.mark.parametrize("place", [(-1, 0), (300 - SIZE + 1, 0), (0, 220 - SIZE + 1)])
def test_window_outside_the_photo_is_the_callers_mistake(photos, place):
    with pytest.raises(ValueError, match="inside the phone photo"):
        paper_windows(*photos, TRUTH, np.array([place]), **LIMITS)
