"""The quadratic around a place is that of the place itself, however OpenCV rounds."""

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
