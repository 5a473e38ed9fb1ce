"""A photo on another grid has the area means of the photo: no more, no less."""

import cv2
import numpy as np
import pytest

from dped_build.align import sampling
from dped_build.align.geometry import apply_homography, rescaling, translation
from dped_build.align.sampling import FINE, sample, sample_finely, sample_patches

INSIDE = (slice(4, -4), slice(4, -4))  # away from the repeated border
SIZE = 40
pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(scope="module")
def photo(textured):
    """As sharp as a photo gets after demosaicking, (500, 640, 3)."""
    return cv2.GaussianBlur(textured(0, (640, 500)), (0, 0), 1.0)


def ramp(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return (x + y).astype(np.uint8)


def detail(picture):
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F)[INSIDE].std())


def turned(scale, degrees, size=SIZE):
    """A grid of `size` px around (320.3, 250.7): scaled, turned, a little tilted."""
    middle = (size - 1) / 2
    turn = np.eye(3)
    turn[:2, :2] = scale * cv2.Rodrigues(np.radians([0, 0, degrees]))[0][:2, :2]
    turn[2, :2] = 2e-5, -1e-5
    return translation(320.3, 250.7) @ turn @ translation(-middle, -middle)


def mean_of_many_samples(photo, to_photo, size=SIZE, count=12):
    """Mean of `count` x `count` cubic samples in each output pixel, float."""
    steps = (np.arange(size * count) + 0.5) / count - 0.5
    places = apply_homography(to_photo, np.stack(np.meshgrid(steps, steps), axis=-1))
    fine = cv2.remap(
        photo.astype(np.float32),
        *np.moveaxis(places.astype(np.float32), -1, 0),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("degrees", [0, 1.5, -8, 15, 45, 90, 180])
@pytest.mark.parametrize("scale", [0.5, 0.8, 1, 1.15, 1.25, 1.5, 2.09, 2.5, 3.1, 5, 8])
def test_every_pixel_is_the_mean_over_its_area(photo, scale, degrees):
    matrix = turned(scale, degrees)
    found = sample(photo, matrix, (SIZE, SIZE))
    expected = np.clip(mean_of_many_samples(photo, matrix), 0, 255)
    error = found - expected
    assert 10 * np.log10(255**2 / (error**2).mean()) > 51.5  # dB
    assert abs(error.mean()) < 0.1  # levels
    if scale >= 1:  # below, there is hardly any
        rounded = np.rint(expected).astype(np.uint8)
        assert detail(found) == pytest.approx(detail(rounded), rel=0.03)


def test_unequal_scales_keep_to_their_axes(photo):
    matrix = translation(200, 220) @ np.diag([3.5, 1.2, 1])
    found = sample(photo, matrix, (SIZE, SIZE))
    error = found - mean_of_many_samples(photo, matrix)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 50  # dB


def test_identity_keeps_ramps_and_the_picture(photo):
    plane = ramp(120, 90)
    np.testing.assert_array_equal(
        sample(plane, np.eye(3), (120, 90))[INSIDE], plane[INSIDE]
    )
    same = sample(photo, np.eye(3), (640, 500))
    error = same[INSIDE].astype(float) - photo[INSIDE]
    assert np.sqrt((error**2).mean()) < 1.5  # levels


@pytest.mark.parametrize("scale", [0.8, 1, 2.09, 11])
def test_an_even_photo_stays_as_it_is(scale):
    for level in (0, 1, 77, 254, 255):
        plane = np.full((300, 400, 3), level, np.uint8)
        assert (sample(plane, rescaling(scale), (30, 25)) == level).all()


@pytest.mark.parametrize("dx, dy", [(7, 5), (31, 0)])
def test_integer_shift_is_the_same_picture_elsewhere(photo, dx, dy):
    whole = sample(photo, np.eye(3), (240, 180))
    part = sample(photo, translation(dx, dy), (100, 80))
    np.testing.assert_array_equal(part[INSIDE], whole[dy:, dx:][:80, :100][INSIDE])


@pytest.mark.parametrize("scale", [0.838, 1.138, 2.138, 4.138])
def test_fractional_shift_lands_where_it_says(scale):
    length = 250
    x = np.tile(np.arange(length, dtype=np.uint8), (length, 1))
    width = int((length - 30) / scale)
    expected = np.rint(scale * np.arange(width) + 10.37)  # levels, which are px here
    for plane, to_photo in ((x, (10.37, 12.5)), (x.T, (12.5, 10.37))):
        matrix = translation(*to_photo) @ np.diag([scale, scale, 1])
        found = sample(plane, matrix, (width, width))
        along = found if plane is x else found.T
        error = (along - expected)[INSIDE]
        assert np.abs(error).max() <= 1
        assert (error != 0).mean() < 0.05  # as many are rounded otherwise as px are off


def test_grey_photo_stays_two_dimensional(photo):
    assert sample(photo[..., 0], np.eye(3), (50, 40)).shape == (40, 50)
    assert sample(photo, np.eye(3), (50, 40)).shape == (40, 50, 3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_reduction_is_the_mean_over_each_pixels_area(photo, factor):
    width, height = 600 // factor, 480 // factor
    whole = photo[: height * factor, : width * factor]
    blocks = whole.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    small = sample(photo, rescaling(factor), (width, height))
    error = small[INSIDE] - blocks[INSIDE]
    assert np.sqrt((error**2).mean()) < 1.2  # levels
    assert abs(small.mean() - whole.mean()) < 0.2
    wanted = np.rint(blocks).astype(np.uint8)
    assert detail(small) == pytest.approx(detail(wanted), rel=0.06)


@pytest.mark.parametrize("factor", [1.6, 2.0, 2.7, 5.3])
def test_fine_checkerboard_becomes_grey_not_moire(factor):
    board = (255 * (np.indices((240, 240)).sum(axis=0) % 2)).astype(np.uint8)
    size = int(240 / factor)
    small = sample(board, rescaling(factor), (size, size))[INSIDE]
    assert abs(small.mean() - 127.5) < 1
    assert small.std() < 25  # of 127.5; a resampling without filter keeps them all


def test_tiles_leave_no_seams(photo, monkeypatch):
    matrix = np.array([[1.4, 0.1, 5], [-0.08, 1.3, 20], [1e-4, 5e-5, 1]])
    whole = sample(photo, matrix, (120, 90))
    monkeypatch.setattr(sampling, "TILE", 30)
    tiles = sample(photo, matrix, (120, 90))
    assert np.abs(tiles.astype(int) - whole).max() <= 1  # level


def test_a_patchs_pixels_do_not_depend_on_the_others(photo):
    matrices = np.array([turned(2 + n / 10, n) for n in range(6)])
    patches = sample_patches(photo, matrices, SIZE)
    assert patches.shape == (6, SIZE, SIZE, 3)
    some = sample_patches(photo, matrices[[4, 1]], SIZE)
    np.testing.assert_array_equal(some, patches[[4, 1]])
    np.testing.assert_array_equal(patches[2], sample(photo, matrices[2], (SIZE, SIZE)))


def test_no_patches_are_an_empty_array(photo):
    assert sample_patches(photo, np.zeros((0, 3, 3)), 16).shape == (0, 16, 16, 3)
    assert sample_patches(photo[..., 0], np.eye(3)[None], 16).shape == (1, 16, 16)


def test_beyond_the_photo_its_border_is_repeated():
    plane = np.full((30, 40, 3), 77, np.uint8)
    assert (sample(plane, translation(-20, 15), (60, 40)) == 77).all()
    assert (sample(plane, translation(500, 500), (10, 10)) == 77).all()


def levels_of(picture, matrices):
    return [sample_finely(picture, matrix, (SIZE, SIZE)) / FINE for matrix in matrices]


def outside(picture, matrices):
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)
    places = np.array([apply_homography(matrix, grid) for matrix in matrices])
    limits = np.array(picture.shape[1::-1]) - 1
    return ((places < 0) | (places > limits)).any(axis=-1)


@pytest.mark.parametrize("way", ["compiled"], indirect=True)
@pytest.mark.parametrize("degrees", [0, 3, -5, 45, 90, 178])
@pytest.mark.parametrize("scale", [0.9, 1.3, 2.1, 4.5])
@pytest.mark.parametrize("channels", [slice(3), 0])
def test_both_ways_give_the_same(
    way, photo, scale, degrees, channels, nothing_compiled
):
    picture = np.ascontiguousarray(photo[..., channels])
    at_the_border = translation(-300, -240) @ turned(scale, degrees)
    matrices = np.array([turned(scale, degrees), at_the_border])
    bytes_found = sample_patches(picture, matrices, SIZE)
    found = levels_of(picture, matrices)
    np.testing.assert_array_equal(np.floor(np.add(found, 0.5)), bytes_found)
    nothing_compiled()
    expected = levels_of(picture, matrices)
    error = np.abs(np.subtract(found, expected))
    error[outside(picture, matrices)] = 0  # what is repeated there differs
    assert error.max() <= 1  # level: by 1/64 px at an edge


@pytest.mark.parametrize("way", ["compiled"], indirect=True)
def test_places_are_exact(way):
    """OpenCV rounds them to 1/32 px; the compiled loop rounds levels, to 1/64."""
    ramp = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (40, 1))
    for scale in (1.3, 2.37):
        matrix = translation(20.01, 5.3) @ np.diag([scale, scale, 1])
        found = sample_finely(ramp, matrix, (30, 10)) / FINE
        expected = np.tile(2 * (20.01 + scale * np.arange(30)), (10, 1))
        np.testing.assert_allclose(found, expected, atol=0.025)
        assert abs((found - expected).mean()) < 3e-3
