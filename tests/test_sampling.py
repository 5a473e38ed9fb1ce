"""A photo on another grid has the area means of the photo: no more, no less."""

import cv2
import numpy as np
import pytest

from dped_build.align import sampling
from dped_build.align.geometry import rescaling, translation
from dped_build.align.sampling import sample, sample_float

INSIDE = (slice(4, -4), slice(4, -4))  # away from the repeated border


@pytest.fixture(scope="module")
def photo(textured):
    """As sharp as a photo gets after demosaicking, (180, 240, 3)."""
    return cv2.GaussianBlur(textured(0, (240, 180)), (0, 0), 1.0)


def ramp(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return (x + y).astype(np.uint8)


def detail(picture):
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F)[INSIDE].std())


def test_identity_keeps_ramps_and_the_picture(photo):
    plane = ramp(120, 90)
    np.testing.assert_array_equal(sample(plane, np.eye(3), (120, 90)), plane)
    same = sample(photo, np.eye(3), (240, 180))
    error = same[INSIDE].astype(float) - photo[INSIDE]
    assert np.sqrt((error**2).mean()) < 1  # levels


@pytest.mark.parametrize("dx, dy", [(7, 5), (31, 0)])
def test_integer_shift_is_the_same_picture_elsewhere(photo, dx, dy):
    whole = sample(photo, np.eye(3), (240, 180))
    part = sample(photo, translation(dx, dy), (100, 80))
    np.testing.assert_array_equal(part[INSIDE], whole[dy:, dx:][:80, :100][INSIDE])


def test_fractional_shift_lands_where_it_says():
    plane = ramp(120, 90)
    moved = sample_float(plane, translation(3.25, 2.5), (100, 80))
    expected = plane[:80, :100] + 5.75
    assert np.abs(moved - expected)[INSIDE].max() < 0.05  # levels


def test_grey_photo_stays_two_dimensional(photo):
    assert sample(photo[..., 0], np.eye(3), (50, 40)).shape == (40, 50)
    assert sample(photo, np.eye(3), (50, 40)).shape == (40, 50, 3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_reduction_is_the_mean_over_each_pixels_area(photo, factor):
    width, height = 240 // factor, 180 // factor
    blocks = photo.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    small = sample(photo, rescaling(factor), (width, height))
    error = small[INSIDE] - blocks[INSIDE]
    assert np.sqrt((error**2).mean()) < 1.2  # levels
    assert abs(small.mean() - photo.mean()) < 0.2
    wanted = np.rint(blocks).astype(np.uint8)
    assert detail(small) == pytest.approx(detail(wanted), rel=0.05)


@pytest.mark.parametrize("factor", [1.6, 2.0, 2.7, 5.3])
def test_fine_checkerboard_becomes_grey_not_moire(factor):
    board = (255 * (np.indices((240, 240)).sum(axis=0) % 2)).astype(np.uint8)
    size = int(240 / factor)
    small = sample(board, rescaling(factor), (size, size))[INSIDE]
    assert abs(small.mean() - 127.5) < 1
    assert small.std() < 25  # of 127.5; a resampling without filter keeps them all


def test_enlargement_keeps_ramps():
    plane = ramp(60, 50)
    large = sample_float(plane, rescaling(0.5), (120, 100))
    x, y = np.meshgrid(np.arange(120), np.arange(100))
    expected = (x + 0.5) / 2 - 0.5 + (y + 0.5) / 2 - 0.5
    assert np.abs(large - expected)[8:-8, 8:-8].max() < 0.1  # levels


def test_strips_equal_the_whole(photo, monkeypatch):
    matrix = np.array([[1.4, 0.1, 5], [-0.08, 1.3, 20], [1e-4, 5e-5, 1]])
    whole = sample_float(photo, matrix, (120, 90))
    monkeypatch.setattr(sampling, "STRIP_SAMPLES", 120 * 9 * 7)
    strips = sample_float(photo, matrix, (120, 90))
    assert np.abs(strips - whole).max() < 0.5  # levels


def test_beyond_the_photo_its_border_is_repeated():
    plane = np.full((30, 40, 3), 77, np.uint8)
    assert (sample(plane, translation(-20, 15), (60, 40)) == 77).all()
    assert (sample(plane, translation(500, 500), (10, 10)) == 77).all()
