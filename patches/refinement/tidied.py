"""Masks without noise, outlines and small islands.

In C, where that is compiled; else by OpenCV and NumPy, with the same results.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.compiled.loops import run
from dped_build.patches.refinement.pyramid import Image

Mask = NDArray[np.bool_]

# compiled/tidied.c holds the same numbers.
SPECK_PX2 = 100  # invalid islands below are noise, far from other surfaces
SPECK_FAR = 8.0  # px from them
ISLAND_PX2 = 150  # valid islands below are given up
OUTLINE_PX = 3  # around everything invalid


def tidy(masks: Mask, away: Image) -> None:
    """Tidy masks in place.

    Args:
        masks: Which pixels are valid, (K, S, S).
        away: px to the nearest pixel of another surface, (K, S, S).
    """
    away = np.ascontiguousarray(away, np.float32)
    if not run("tidy_masks", masks, away, *masks.shape[:2]):
        for mask, distance in zip(masks, away, strict=True):
            mask[:] = _tidied(mask, distance)


def _tidied(valid: Mask, away: Image) -> Mask:
    """One of them, (S, S)."""
    invalid = cv2.morphologyEx(
        (~valid).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    if not invalid.any():
        return np.ones_like(valid)
    # Areas are counted here: OpenCV's statistics take six times as long as its labels.
    _, label = cv2.connectedComponents(invalid, connectivity=8)
    specks = np.bincount(label.ravel()) < SPECK_PX2
    specks[label[away <= SPECK_FAR]] = False
    specks[0] = False
    if specks.any():
        invalid[specks.take(label)] = 0
    around = np.ones((2 * OUTLINE_PX + 1,) * 2, np.uint8)
    kept = 1 - cv2.dilate(invalid, around)
    _, label = cv2.connectedComponents(kept, connectivity=4)
    small = np.bincount(label.ravel()) < ISLAND_PX2
    return np.asarray((kept > 0) & ~small.take(label))
