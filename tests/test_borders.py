"""Bars around photos are seen, and no window straddles them."""

import cv2
import numpy as np
import pytest

from dped_build.align import align_pair
from dped_build.align.borders import content_box
from dped_build.patches import PatchSettings, extract_patches
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph

RIG = Rig((400, 300), (600, 400), distortion=(0.0, 0.0))


def barred(photo, thick, level):
    """Bars of so many px: left, top, right, bottom."""
    framed, (left, top, right, bottom) = photo.copy(), thick
    height, width = photo.shape[:2]
    framed[:top] = framed[height - bottom :] = level
    framed[:, :left] = framed[:, width - right :] = level
    noise = np.random.default_rng(0).integers(-2, 3, framed.shape)  # as JPEG leaves
    return np.clip(framed + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("thick", [(0, 30, 0, 30), (20, 20, 20, 20), (25, 0, 15, 0)])
def test_bars_are_found_with_their_edge(textured, thick, level):
    photo = textured(1, (400, 300))
    left, top, width, height = content_box(barred(photo, thick, level))
    margins = left, top, 400 - left - width, 300 - top - height
    assert margins == tuple(each and each + 8 for each in thick)


def test_a_plain_bar_at_the_bottom_needs_none_opposite_and_may_hold_a_text(textured):
    photo = textured(1, (400, 300))
    photo[240:] = (250, 248, 240)
    assert content_box(photo) == (0, 0, 400, 300 - 60 - 8)
    cv2.putText(photo, "ACME 23 mm f/1.6", (20, 280), 0, 1, (40, 40, 40), 2)
    assert content_box(photo) == (0, 0, 400, 300 - 60 - 8)
    assert content_box(photo[::-1]) == (0, 0, 400, 300)  # a clipped sky, maybe


def test_a_clipped_sky_a_night_and_a_blank_photo_have_no_bars(textured):
    photo = textured(1, (400, 300))
    assert content_box(photo) == (0, 0, 400, 300)
    sky = photo.copy()
    for x in range(400):  # a skyline
        sky[: 60 + int(40 * np.sin(x / 30)), x] = 255
    assert content_box(sky) == (0, 0, 400, 300)
    assert content_box(np.zeros_like(photo)) == (0, 0, 400, 300)
    wall = photo.copy()
    wall[:, :150] = np.random.default_rng(0).normal(200, 3, (300, 150, 3))
    assert content_box(wall) == (0, 0, 400, 300)
    small = np.zeros((3, 5, 3), np.uint8)
    assert content_box(small) == (0, 0, 5, 3)


@pytest.mark.parametrize("level", [0, 255])
def test_no_window_straddles_a_bar_of_both_photos(textured, level):
    phone, dslr = photograph(textured(1, (600, 400)), RIG, PhoneLook(), seed=1)
    settings = PatchSettings(size=40)
    plain = align_pair(phone, dslr)
    whole = len(extract_patches(phone, dslr, plain, settings=settings).ncc)
    phone, dslr = (barred(each, (0, 45, 0, 45), level) for each in (phone, dslr))
    found = align_pair(phone, dslr)
    patches = extract_patches(phone, dslr, found, settings=settings)
    tops = patches.windows.window_xy[:, 1]
    assert tops.min() >= 53 and tops.max() + 40 <= 300 - 53
    assert len(patches.ncc) > 0.4 * whole
    quads = patches.patch_to_dslr @ [[0, 39], [0, 39], [1, 1]]
    rows = quads[:, 1] / quads[:, 2]
    assert rows.min() >= 53 and rows.max() <= 400 - 1 - 53
