"""Windows of every size that is allowed are found again, and odd photos do no harm."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from dped_build.patches.refinement.refine import refine_windows

SHIFT = np.array([1.4, -0.7])


def luma(photo):
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def unrounded(photo):
    return luma(photo).astype(np.float32)


def shifted(photo):
    """What a phone sees that finds at x what `photo` holds at x + SHIFT.

    OpenCV's own cubic kernel would be off by 0.05 px.
    """
    moved = ndimage.shift(
        photo.astype(np.float32), (*-SHIFT[::-1], 0), order=3, mode="mirror"
    )
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def grid(photo, size, margin=10):
    height, width = photo.shape[:2]
    places = [
        (x, y)
        for y in range(margin, height - size - margin + 1, size)
        for x in range(margin, width - size - margin + 1, size)
    ]
    return np.array(places, dtype=np.int32)


def refined(phone, dslr, windows, size, max_shift=20.0):
    return refine_windows(
        luma(phone), unrounded(dslr), windows, size=size, max_shift=max_shift
    )


@pytest.mark.parametrize("size", [16, 17, 24, 49, 50, 64, 99, 256])
def test_a_shift_is_found_again_at_every_size(textured, size):
    dslr = textured(3, (300, 280) if size < 40 else (640, 560))
    windows = grid(dslr, size)
    found = refined(shifted(dslr), dslr, windows, size)
    errors = np.linalg.norm(found.shift - SHIFT, axis=1)
    assert np.median(errors) < 0.03
    assert errors.max() < 0.5
    assert (errors < 3 * found.sigma_px).mean() > 0.97


def test_the_largest_window_is_found_again(textured):
    dslr = textured(3, (1100, 1060))
    windows = np.array([[20, 10]], dtype=np.int32)
    found = refined(shifted(dslr), dslr, windows, 1024)
    np.testing.assert_allclose(found.shift, [SHIFT], atol=0.05)


@pytest.mark.parametrize("size", [16, 100])
def test_a_photo_against_itself_is_certain_everywhere(textured, size):
    photo = textured(5, (8 * size, 6 * size))
    windows = grid(photo, size)
    found = refined(photo, photo, windows, size)
    np.testing.assert_allclose(found.shift, 0, atol=0.2)
    assert len(windows) >= 24
    assert found.sigma_px.max() < 0.5


@pytest.mark.parametrize("wavelength", [12, 19, 31, 63])
def test_parallel_gradients_give_finite_numbers(wavelength):
    y, x = np.indices((420, 520))
    stripes = 120 + 80 * np.sin((x + y) * 2 * np.pi / wavelength)
    photo = np.repeat(stripes[..., None], 3, axis=2).astype(np.uint8)
    for size in (50, 100):
        found = refined(photo, photo, grid(photo, size), size)
        assert np.isfinite(found.shift).all()
        assert (found.sigma_px > 0).all()


def test_flat_windows_stay_where_they_are():
    grey = np.full((300, 400, 3), 90, np.uint8)
    found = refined(grey, grey, grid(grey, 50), 50)
    np.testing.assert_allclose(found.shift, 0, atol=0.01)
    assert found.sigma_px.min() > 1


def test_a_clipped_sky_matches_nothing(textured):
    dslr = textured(3, (640, 560))
    dslr[:250] = 255
    windows = grid(dslr, 50)
    found = refined(shifted(dslr), dslr, windows, 50, max_shift=120.0)
    land = windows[:, 1] > 270
    errors = np.linalg.norm(found.shift - SHIFT, axis=1)
    assert errors[land].max() < 0.3
    assert found.sigma_px[windows[:, 1] < 180].min() > 1


def test_one_window_in_a_photo_of_its_size(textured):
    photo = textured(3, (100, 100))
    found = refined(photo, photo, np.zeros((1, 2), np.int32), 100, max_shift=512.0)
    np.testing.assert_allclose(found.shift, 0, atol=0.05)


def test_no_windows_are_no_error(textured):
    photo = textured(3, (120, 120))
    found = refined(photo, photo, np.zeros((0, 2), np.int32), 100)
    assert found.shift.shape == (0, 2)
    assert found.sigma_px.shape == (0,)
