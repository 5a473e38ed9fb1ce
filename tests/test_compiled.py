"""The loops in C are there where they can be, and do what NumPy and OpenCV do."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dped_build.compiled.loops import are_compiled, run
from dped_build.patches.refinement import block_sums as sums
from dped_build.patches.refinement.likelihood import gather_evidence
from dped_build.patches.refinement.pyramid import strips_of_levels

SIZE = 100


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_an_installation_that_could_compile_them_did():
    assert are_compiled()


def test_arrays_in_another_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        run("block_sums", np.zeros((4, 4))[:, ::2])


def test_what_is_not_compiled_is_said_to_be_undone():
    assert not run("no_such_loop")


@pytest.fixture
def by_numpy(monkeypatch):
    """Lets functions of this module work as if nothing were compiled."""

    def asked(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(sums, "run", lambda *_: False)
            return function(*arguments)

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
