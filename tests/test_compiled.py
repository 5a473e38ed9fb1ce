"""The loops in C are there where they can be, and do what NumPy and OpenCV do."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_fixture import PARALLAX, deep_pair

from dped_build.compiled import loops
from dped_build.compiled.loops import are_compiled, run
from dped_build.patches.refinement import block_sums as sums
from dped_build.patches.refinement import search, tidied, visibility
from dped_build.patches.refinement.likelihood import gather_evidence
from dped_build.patches.refinement.pyramid import strips_of_levels

SIZE = 100


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_an_installation_that_could_compile_them_did():
    assert are_compiled()


def test_arrays_in_another_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        run("block_sums", np.zeros((4, 4))[:, ::2])


def test_arrays_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="float64 is not of kind f"):
        run("block_sums", np.zeros((4, 4)))


def test_what_is_not_compiled_is_said_to_be_undone():
    assert not run("no_such_loop")


@pytest.fixture
def by_numpy(monkeypatch):
    """Lets functions of this module work as if nothing were compiled."""

    def asked(function, *arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(loops, "_library", lambda: None)
            return function(*arguments, **options)

    return asked


@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_block_sums_in_c_are_those_of_numpy(textured, by_numpy, reduction, masked):
    luma = cv2.cvtColor(textured(3, (500, 400)), cv2.COLOR_RGB2GRAY)
    dslr = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 0.8)
    # In the middle, and at all four borders, beyond which the last pixel is repeated.
    corners = np.array([[200, 150], [0, 0], [400, 300], [400, 0], [0, 300]], np.int32)
    ((_, level),) = strips_of_levels(
        luma, dslr, corners, SIZE, reduction=reduction, reach=9
    )
    rng = np.random.default_rng(1)
    places = rng.normal(0, [3, 3, 0.4, 0.4, 0.4, 0.4], (5, 6))
    side = sums.BLOCKS * level.block
    counted = rng.random((5, side, side)) < 0.7 if masked else None
    found = gather_evidence(level, places, counted)
    known = by_numpy(gather_evidence, level, places, counted)
    for name in ("score", "info", "block_score", "block_info"):
        one, other = getattr(found, name), getattr(known, name)
        # OpenCV steps by 1/32 px, which a window's pixels even out.
        assert np.abs(one - other).max() < 0.02 * np.abs(other).max(), name
    assert np.array_equal(found.contradicted, known.contradicted)


@pytest.mark.parametrize(("side", "radius"), [(25, 10), (17, 3), (40, 1)])
def test_tables_of_ncc_in_c_are_those_of_opencv(by_numpy, side, radius):
    rng = np.random.default_rng(2)
    phone, dslr = (
        cv2.GaussianBlur(rng.normal(0, 30, (120, 160)), (0, 0), 1.5).astype(np.float32)
        for _ in range(2)
    )
    dslr[10:, 5:] += phone[:-10, :-5]
    phone[70:], dslr[:, 100:] = 3.0, 0.0  # flat windows, and flat surroundings
    corners = np.array([[0, 0], [160 - side, 0], [30, 75], [100, 40], [20, 10]])
    options = {"side": side, "radius": radius}
    found = search.coarse_search(phone, dslr, corners, **options)
    known = by_numpy(search.coarse_search, phone, dslr, corners, **options)
    for one, other in zip(found, known, strict=True):
        assert np.allclose(one, other, atol=1e-3)


def test_pixels_that_do_not_count_leave_no_trace_in_c(textured):
    luma = cv2.cvtColor(textured(3, (300, 300)), cv2.COLOR_RGB2GRAY)
    corners = np.array([[100, 100]], np.int32)
    dslr = luma.astype(np.float32)
    ((_, level),) = strips_of_levels(luma, dslr, corners, SIZE, reduction=1, reach=5)
    counted = np.ones((1, SIZE, SIZE), bool)
    counted[:, 30:60, 20:70] = False
    target, (x, y) = level.target.copy(), level.corners[0]
    target[y + 30 : y + 60, x + 20 : x + 70] = 1e6
    torn = gather_evidence(replace(level, target=target), np.zeros((1, 6)), counted)
    whole = gather_evidence(level, np.zeros((1, 6)), counted)
    assert np.array_equal(torn.score, whole.score)
    assert np.array_equal(torn.info, whole.info)


def surroundings_of(pair, corners, own):
    """What a map says that has the card too wide, a step and holes."""
    wide = cv2.dilate(pair.card.astype(np.uint8), np.ones((9, 9), np.uint8))
    parallax = np.where(wide, np.float32(PARALLAX), np.float32(0))
    parallax[::40, ::7] = np.nan
    parallax[330:, 200:] += 2
    windows = [np.s_[y : y + SIZE, x : x + SIZE] for x, y in corners]
    distance = np.array([parallax[at] for at in windows]) - own[:, None, None]
    near = [np.uint8(abs(parallax - one) < 1) for one in own]
    others = [cv2.distanceTransform(one, cv2.DIST_L2, 5) for one in near]
    away = np.array([one[at] for one, at in zip(others, windows, strict=True)])
    direction = np.tile([1.0, 0.0], (len(corners), 1))
    return visibility.Surroundings(distance, np.abs(distance) < 1, away, direction)


def test_masks_in_c_are_those_of_numpy(textured, by_numpy):
    pair = deep_pair(textured)
    fading = np.abs(np.linspace(-1, 1, pair.phone.shape[1], dtype=np.float32)) ** 3
    dslr = 128 + fading * (pair.dslr - 128)
    phone = np.uint8(128.5 + fading * (pair.phone - np.float32(128)))
    corners = np.array([(x, y) for y in range(0, 301, 50) for x in range(0, 401, 40)])
    number = np.arange(len(corners))
    own = np.where(number % 3, 0, np.float32(PARALLAX))
    places = np.random.default_rng(4).normal(0, 0.4, (len(corners), 6))
    places[:, 0] += own
    placed = visibility.Placed(corners, places, SIZE, number % 4 == 1)
    rows = number[::-1]
    around = surroundings_of(pair, corners[rows], own[rows])
    asked = visibility.visible_pixels, phone, dslr, placed, rows, around
    found, known = asked[0](*asked[1:]), by_numpy(*asked)
    assert 0.1 < known.mean() < 0.5
    # OpenCV steps by 1/32 px, which decides where both photos are hardly alike.
    assert (found != known).mean() < 1.5e-3


@pytest.mark.parametrize("side", [15, 64, 101])
def test_masks_are_tidied_in_c_as_by_opencv(by_numpy, side):
    rng = np.random.default_rng(side)
    away = rng.uniform(0, 20, (40, side, side)).astype(np.float32)
    masks = np.zeros(away.shape, bool)
    for mask, sigma in zip(masks, np.linspace(0.5, 8, len(masks)), strict=True):
        noise = cv2.GaussianBlur(rng.normal(size=mask.shape), (0, 0), sigma)
        mask[:] = noise > np.quantile(noise, rng.uniform(0, 0.4))
    away[::2] += 8  # no other surface is near
    known = masks.copy()
    by_numpy(tidied.tidy, known, away)
    tidied.tidy(masks, away)
    assert np.array_equal(masks, known)
