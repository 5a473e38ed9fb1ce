"""Photos are aligned by the scene, not by a text that both bear."""

import cv2
import numpy as np
import pytest

from dped_build.align import align_pair
from dped_build.align.geometry import apply_homography, corners
from dped_build.align.overlays import find_overlay

LINES = (
    "CANON EOS R5  2024-06-01",
    "ISO 100  f/5.6  1/250 s",
    "Berlin  Alexanderplatz 7",
)


def burned(photo, height_px, *, bar=False):
    """The photo with three lines of text at the bottom left, or a bar of text."""
    shown = photo.copy()
    height = len(shown)
    step = height_px // 3
    if bar:
        shown[height - height_px :] = 20
    for n, line in enumerate(LINES):
        place = (step // 2, height - height_px + step * n + int(0.8 * step))
        cv2.putText(
            shown, line, place, cv2.FONT_HERSHEY_DUPLEX, step / 30, (255,) * 3, 2
        )
    return shown


PLACES = {  # of overlays: each line's left end and baseline, shares of the photo
    "two borders": [(0.02, 0.1), (0.02, 0.18), (0.02, 0.9), (0.02, 0.98)],
    "four corners": [(0.02, 0.06), (0.6, 0.06), (0.02, 0.98), (0.6, 0.98)],
    "the middle": [(0.15, 0.46), (0.15, 0.53), (0.15, 0.6)],
}
TEXTS = ("ISO100 f/5.6 Q7", "ACME 4711 Photo", "2024-06-01 12:33", "Berlin Mitte XK")


def marked(photo, places, *, opacity=1.0):
    """The photo with a line of text at each place, as large as the photo is."""
    height, width = photo.shape[:2]
    shown = photo.copy()
    for text, (left, baseline) in zip(TEXTS, places, strict=False):
        place, size = (int(left * width), int(baseline * height)), height / 600
        cv2.putText(shown, text, place, cv2.FONT_HERSHEY_DUPLEX, size, (255,) * 3, 2)
    return cv2.addWeighted(shown, opacity, photo, 1 - opacity, 0)


def hazy(textured, seed, share):
    """A scene of little contrast, and the same framed 25 % further right."""
    wide = cv2.GaussianBlur(textured(seed, (1000, 600)), (0, 0), 1.5).astype(np.float32)
    wide = 190 + share * (wide - 128)
    photos = wide[:, :800], wide[:, 200:]
    rng = np.random.default_rng(seed)
    noisy = [photo + rng.normal(0, 2, photo.shape) for photo in photos]
    return [np.clip(photo, 0, 255).astype(np.uint8) for photo in noisy]


def error_px(alignment):
    """Largest error at the corners; the truth is a shift by 200 px."""
    quad = corners(alignment.phone_size)
    return np.abs(apply_homography(alignment.matrix(), quad) - (quad - [200, 0])).max()


@pytest.mark.parametrize("bar", [False, True])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
def test_the_scene_is_found_beside_an_overlay_or_the_pair_is_rejected(
    textured, share, bar
):
    phone, dslr = (burned(p, 120, bar=bar) for p in hazy(textured, 1, share))
    found = align_pair(phone, dslr)
    if found.aligned:
        assert error_px(found) < 8
    else:
        assert found.reason in ("implausible_homography", "too_few_inliers")
    assert found.aligned or share < 0.5


def test_an_overlay_over_nothing_says_what_is_wrong(textured):
    blank = [np.full((600, 800, 3), 190, np.uint8) for _ in range(2)]
    found = align_pair(*(burned(photo, 150, bar=True) for photo in blank))
    assert found.status == "rejected"
    assert "text, mark or bar" in found.message


def test_one_framing_whose_sky_is_empty_is_aligned_all_the_same(textured):
    """All matches lie along the bottom, and so does the scene."""
    photo = textured(3, (800, 600))
    fade = np.clip((np.arange(600)[:, None, None] - 380) / 60, 0, 1)
    rng = np.random.default_rng(0)
    faint = cv2.GaussianBlur(textured(4, (800, 600)), (0, 0), 12)
    shown = (
        200 + fade * (photo.astype(float) - 200) + 0.15 * (faint.astype(float) - 128)
    )
    pair = [np.clip(shown + rng.normal(0, 1, shown.shape), 0, 255) for _ in range(2)]
    found = align_pair(*(each.astype(np.uint8) for each in pair))
    assert found.aligned


@pytest.mark.parametrize("opacity", [0.5, 1.0])
@pytest.mark.parametrize("share", [0.05, 0.15])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_other_scenes_with_the_same_overlay_are_rejected(
    textured, places, share, opacity
):
    pair = [hazy(textured, 1, share)[0], hazy(textured, 2, share)[1]]
    pair[1] = cv2.resize(pair[1], (1200, 900), interpolation=cv2.INTER_CUBIC)
    found = align_pair(*(marked(photo, places, opacity=opacity) for photo in pair))
    assert found.status == "rejected"


def tiled(photo, opacity, step):
    """The photo under a watermark all over, turned by 30 degrees."""
    height, width = photo.shape[:2]
    side = 2 * width
    text, rows = np.zeros((side, side), np.float32), int(step * width)
    for row, y in enumerate(range(rows // 2, side, rows)):
        for x in range(-(row % 2) * rows // 2, side, rows):
            size, thick = rows / 260, max(rows // 90, 1)
            cv2.putText(text, "ACME STOCK", (x, y), 2, size, 1, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), 30, 1)
    turn[:, 2] -= (side - width) / 2, (side - height) / 2
    alpha = opacity * cv2.warpAffine(text, turn, (width, height))[..., None]
    return (photo * (1 - alpha) + 255 * alpha).astype(np.uint8)


@pytest.mark.parametrize("opacity, step", [(0.6, 0.4), (0.6, 0.5), (1.0, 0.66)])
def test_a_watermark_all_over_aligns_no_other_scene_but_its_own(
    textured, opacity, step
):
    one, other = (hazy(textured, seed, 0.1)[0] for seed in (1, 11))
    photos = [tiled(photo, opacity, step) for photo in (one, other)]
    assert align_pair(*photos).status == "rejected"
    noise = np.random.default_rng(0).normal(0, 2, one.shape)
    again = np.clip(one + noise, 0, 255).astype(np.uint8)
    assert align_pair(*(tiled(p, opacity, step) for p in (one, again))).aligned


@pytest.mark.parametrize("seed", range(3))
def test_one_framing_in_which_something_has_moved_is_aligned(textured, seed):
    phone = textured(seed, (800, 600))
    dslr = phone.copy()
    dslr[150:400, 250:550] = textured(seed + 20, (300, 250))
    noise = np.random.default_rng(seed).normal(0, 4, dslr.shape)
    noisy = np.clip(dslr + noise, 0, 255).astype(np.uint8)
    assert align_pair(phone, noisy).aligned


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_the_scene_counts_between_overlays(textured, places):
    found = align_pair(*(marked(photo, places) for photo in hazy(textured, 1, 0.5)))
    assert found.aligned
    assert error_px(found) < 8


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_one_framing_is_aligned_with_overlays_as_well(textured, places):
    scene = hazy(textured, 1, 0.3)[0]
    dslr = cv2.resize(scene, (1200, 900), interpolation=cv2.INTER_CUBIC)
    assert align_pair(marked(scene, places), marked(dslr, places)).aligned


@pytest.mark.parametrize("turn, is_one", [(0.0, True), (0.006, True), (0.012, False)])
def test_a_fit_to_a_logo_may_turn_by_what_its_matches_leave_open(turn, is_one):
    """By the middle of the photo, as an opaque logo was matched at 300 px."""
    matrix = np.array([[1.5, -1.5 * turn, 450 * turn], [1.5 * turn, 1.5, -600 * turn]])
    points = 400 + 60 * np.random.default_rng(0).uniform(-1, 1, (20, 2))
    found = find_overlay(
        np.vstack([matrix, [0, 0, 1]]), points - [0, 100], (800, 600), (1200, 900)
    )
    assert (found is not None) == is_one


def test_an_object_before_a_plain_background_is_no_overlay(textured):
    """Framed alike by both: all matches lie in the middle, and nothing is around."""
    scene = np.full((600, 800, 3), 250, np.uint8)
    scene[200:420, 300:520] = textured(5, (220, 220))
    rng = np.random.default_rng(0)
    pair = [np.clip(scene + rng.normal(0, 1, scene.shape), 0, 255) for _ in range(2)]
    assert align_pair(*(photo.astype(np.uint8) for photo in pair)).aligned
