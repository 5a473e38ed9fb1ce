"""Windows moved by a known amount are found again, whatever the light and the noise."""

import cv2
import numpy as np
import pytest

from dped_build.patches.refinement.refine import refine_windows
from dped_build.patches.refinement.search import coarse_search

SIZE = 100
WIDTH, HEIGHT = 500, 400
WINDOWS = np.array([(x, y) for y in range(50, 350, SIZE) for x in range(50, 450, SIZE)])
WINDOWS = WINDOWS.astype(np.int32)
MAX_SHIFT = 40.0


def turn(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


MOTIONS = {
    "none": (np.eye(2), (0, 0)),
    "a fraction": (np.eye(2), (0.4, -0.3)),
    "far": (np.eye(2), (17.3, -6.6)),
    "turned by 1°": (turn(1), (1, 2)),
    "turned by -2°": (turn(-2), (0, 0)),
    "scaled": (1.01 * np.eye(2), (3, -1)),
    "sheared": (np.array([[1, 0.01], [0, 1]]), (-2, 0.5)),
    "all of it": (turn(0.7) @ [[1.008, 0.006], [0, 0.995]], (17.3, 9.1)),
}


@pytest.fixture(scope="module")
def dslr(textured):
    return textured(3, (WIDTH, HEIGHT))


def luma(photo):
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def unrounded(photo):
    return luma(photo).astype(np.float32)


def offset_of(linear, shift):
    """A motion about the photo's middle as `linear @ point + offset`."""
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    return middle - linear @ middle + shift


def moved(photo, linear, shift):
    """The photo of a phone that sees at x what `photo` holds at linear·x + offset."""
    return cv2.warpAffine(
        photo,
        np.column_stack([linear, offset_of(linear, shift)]),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def phone_look(photo):
    """Darker, tinted, vignetted, with a veil."""
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    shade = 1 / (1 + 0.3 * (x**2 + y**2) / 2) ** 2
    tinted = photo * shade[..., None] * (0.7, 0.6, 0.4) + 15
    return np.clip(np.rint(tinted), 0, 255).astype(np.uint8)


def noisy(photo, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, photo.shape)
    return np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8)


def refined(phone, dslr):
    return refine_windows(
        luma(phone), unrounded(dslr), WINDOWS, size=SIZE, max_shift=MAX_SHIFT
    )


def errors_px(found, linear, shift):
    """RMS distance over each window between what was found and the truth, (N,)."""
    line = np.linspace(0, SIZE - 1, 7)
    patch = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    middle = (SIZE - 1) / 2
    errors = []
    for i, corner in enumerate(WINDOWS):
        truth = (patch + corner) @ linear.T + offset_of(linear, shift)
        turned = (patch - middle) @ (np.eye(2) + found.linear[i]).T
        claimed = corner + middle + found.shift[i] + turned
        errors.append(np.sqrt(((claimed - truth) ** 2).sum(axis=1).mean()))
    return np.array(errors)


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=list(MOTIONS))
def test_a_known_motion_is_found_again(dslr, motion):
    found = refined(moved(dslr, *motion), dslr)
    assert errors_px(found, *motion).max() < 0.1
    assert found.sigma_px.max() < 0.1


@pytest.mark.parametrize("name", ["far", "turned by 1°", "all of it"])
def test_exposure_cast_and_vignetting_do_not_matter(dslr, name):
    found = refined(phone_look(moved(dslr, *MOTIONS[name])), dslr)
    assert errors_px(found, *MOTIONS[name]).max() < 0.1


@pytest.mark.parametrize("deviation", [5, 15, 30])
def test_the_stated_uncertainty_is_that_of_the_errors(dslr, deviation):
    motion = MOTIONS["all of it"]
    found = refined(noisy(moved(dslr, *motion), deviation), dslr)
    ratio = errors_px(found, *motion) / found.sigma_px
    assert 0.1 < np.sqrt((ratio**2).mean()) < 1.5
    assert ratio.max() < 3


def test_more_noise_means_more_uncertainty(dslr):
    phone = moved(dslr, *MOTIONS["a fraction"])
    sigmas = [refined(noisy(phone, n), dslr).sigma_px.mean() for n in (3, 10, 30)]
    assert sigmas[0] < sigmas[1] < sigmas[2]


def test_identical_photos_are_certain(dslr):
    found = refined(dslr, dslr)
    np.testing.assert_allclose(found.shift, 0, atol=0.05)
    np.testing.assert_allclose(found.linear, 0, atol=1e-3)
    assert found.sigma_px.max() < 0.1
    assert found.depth_px.max() < 0.1


def test_a_flat_window_is_placed_by_its_neighbours_and_spoils_none(dslr):
    scene = dslr.copy()
    scene[120:280, 120:280] = 200  # the window at (150, 150) and a margin
    flat = (WINDOWS == (150, 150)).all(axis=1)
    found = refined(moved(scene, *MOTIONS["a fraction"]), scene)
    errors = errors_px(found, *MOTIONS["a fraction"])
    assert errors[flat].max() < 0.3
    assert errors[~flat].max() < 0.1
    assert found.sigma_px[flat].min() > 1.5 * np.median(found.sigma_px[~flat])


def test_noise_of_the_phone_is_not_taken_for_texture(dslr):
    scene = dslr.copy()
    scene[100:300] = 120  # grey, and the phone's noise upon it
    grey = WINDOWS[:, 1] == 150
    found = refined(noisy(scene, 12), scene)
    assert (errors_px(found, np.eye(2), (0, 0))[grey] < 3 * found.sigma_px[grey]).all()
    assert found.sigma_px[grey].min() > 2 * np.median(found.sigma_px[~grey])


def test_a_depth_edge_inside_a_window_shows_and_spoils_no_other(dslr):
    phone = moved(dslr, *MOTIONS["a fraction"])
    phone[160:240, 200:250] = moved(dslr, np.eye(2), (8, 0))[160:240, 200:250]
    torn = (WINDOWS == (150, 150)).all(axis=1) | (WINDOWS == (250, 150)).all(axis=1)
    found = refined(phone, dslr)
    assert found.depth_px[(WINDOWS == (150, 150)).all(axis=1)].min() > 0.4
    assert found.depth_px[~torn].max() < 0.3
    assert errors_px(found, *MOTIONS["a fraction"])[~torn].max() < 0.2


def test_a_shift_beyond_the_range_is_not_claimed_with_certainty(dslr):
    phone = moved(dslr, np.eye(2), (90, 0))
    found = refine_windows(
        luma(phone), unrounded(dslr), WINDOWS, size=SIZE, max_shift=20
    )
    wrong = errors_px(found, np.eye(2), (90, 0)) > 1
    assert wrong.any()
    assert (found.sigma_px[wrong] > 0.25).all()


def test_the_coarse_search_brings_every_window_within_half_a_px(dslr):
    phone = moved(dslr, np.eye(2), (17.3, -30.6))
    shifts, covariances, ncc = coarse_search(
        luma(phone), luma(dslr), WINDOWS, side=SIZE, radius=int(MAX_SHIFT)
    )
    inside = WINDOWS[:, 1] >= 100  # above, the scene is the photo's mirrored border
    np.testing.assert_allclose(shifts[inside] - (17.3, -30.6), 0, atol=0.5)
    assert ncc[inside].min() > 0.8
    assert np.trace(covariances[inside], axis1=1, axis2=2).max() < 1


def test_the_coarse_search_says_nothing_about_a_flat_window(dslr):
    flat = np.full((HEIGHT, WIDTH), 120, np.float32)
    _, _, ncc = coarse_search(flat, luma(dslr), WINDOWS, side=SIZE, radius=8)
    np.testing.assert_array_equal(ncc, 0)


def test_the_coarse_search_says_along_which_direction_it_knows_little():
    stripes = np.tile(np.sin(np.arange(WIDTH) / 5).cumsum(), (HEIGHT, 1))
    stripes = stripes.astype(np.float32)
    stripes += 0.01 * np.random.default_rng(0).standard_normal(stripes.shape)
    _, covariances, _ = coarse_search(
        stripes.astype("f4"), stripes.astype("f4"), WINDOWS, side=SIZE, radius=20
    )
    along, across = covariances[:, 1, 1], covariances[:, 0, 0]
    assert (along > 20 * across).all()


def test_the_same_photos_give_the_same_numbers(dslr):
    phone = noisy(moved(dslr, *MOTIONS["far"]), 5)
    one, other = refined(phone, dslr), refined(phone, dslr)
    np.testing.assert_array_equal(one.shift, other.shift)
    np.testing.assert_array_equal(one.sigma_px, other.sigma_px)
