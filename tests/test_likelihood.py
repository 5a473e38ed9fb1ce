"""The quadratic around a place is that of the place itself, however OpenCV rounds."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dped_build.patches.refinement.likelihood import gather_evidence
from dped_build.patches.refinement.pyramid import strips_of_levels

SIZE = 100
WINDOWS = np.array([[100, 80], [220, 150]], np.int32)


@pytest.fixture(scope="module")
def level(textured):
    luma = cv2.cvtColor(textured(3, (500, 400)), cv2.COLOR_RGB2GRAY)
    dslr = luma.astype(np.float32)
    ((_, level),) = strips_of_levels(luma, dslr, WINDOWS, SIZE, reduction=1, reach=5)
    return level


def asked_for(level, shift):
    """The displacement (2, 2) that each window asks for, held `shift` px off in x."""
    evidence = gather_evidence(level, np.tile((shift, 0.0, 0, 0, 0, 0), (2, 1)))
    return np.linalg.solve(evidence.info, evidence.score[..., None])[:, :2, 0]


@pytest.mark.parametrize("shift", [0.002, 0.0155, -0.012, 0.03, 0.2, -0.4])
def test_a_known_displacement_is_asked_back(level, shift):
    error = np.abs(asked_for(level, shift) - (-shift, 0)).max()
    assert error < 0.0005 + 0.1 * abs(shift)  # by the interpolation alone: 0.27


def test_no_step_where_the_interpolation_rounds_to_the_next_place(level):
    before, after = asked_for(level, 0.0155), asked_for(level, 0.0158)
    assert np.abs(before - after - (0.0003, 0)).max() < 0.0002


def test_a_mask_of_ones_changes_nothing(level):
    places = np.tile((0.2, -0.1, 0, 0.1, 0, 0), (2, 1))
    whole = gather_evidence(level, places)
    masked = gather_evidence(level, places, np.ones((2, SIZE, SIZE), bool))
    np.testing.assert_allclose(masked.info, whole.info, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(masked.score, whole.score, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(masked.contradicted, whole.contradicted)


def test_pixels_that_do_not_count_say_nothing(level):
    counted = np.ones((2, SIZE, SIZE), bool)
    counted[:, 20:70, 45:] = False
    places = np.tile((0.2, -0.1, 0, 0.1, 0, 0), (2, 1))
    clean = gather_evidence(level, places, counted)
    torn = replace(level, target=level.target.copy())
    for x, y in level.corners:
        torn.target[y + 20 : y + 70, x + 45 : x + SIZE] = 77
    garbage = gather_evidence(torn, places, counted)
    for name in ("info", "score", "block_info", "block_score", "contradicted"):
        one, other = getattr(clean, name)[0], getattr(garbage, name)[0]
        np.testing.assert_array_equal(one, other, err_msg=name)
    seen = gather_evidence(torn, places)
    assert np.abs(seen.score - clean.score).max() > 1  # without the mask it does


def test_nothing_is_said_where_no_pixel_counts(level):
    evidence = gather_evidence(level, np.zeros((2, 6)), np.zeros((2, SIZE, SIZE), bool))
    assert not evidence.score.any()
    assert not evidence.info.any()
    assert not evidence.contradicted.any()
