"""Windows in front of depth lie on their surface, and their masks on what both see."""

import cv2
import numpy as np
import pytest
from depth_fixture import CARD, PARALLAX, deep_pair

from dped_build.patches.refinement import visibility
from dped_build.patches.refinement.guide import DEEP_SHARE, FLAT_SHARE, find_guide
from dped_build.patches.refinement.layered import refine_layers
from dped_build.patches.refinement.layers import surfaces, window_layers

SIZE = 50
CORNERS = np.array(
    [(x, y) for y in range(25, 350, SIZE) for x in range(25, 450, SIZE)], np.int32
)


@pytest.fixture(scope="module")
def pair(textured):
    return deep_pair(textured)


@pytest.fixture(scope="module")
def guide(pair):
    return find_guide(pair.phone, pair.dslr, pair.visible, max_shift=80)


@pytest.fixture(scope="module")
def refined(pair, guide):
    return refine_layers(pair.phone, pair.dslr, CORNERS, guide, size=SIZE)


def windows_of(values):
    return np.array([values[y : y + SIZE, x : x + SIZE] for x, y in CORNERS])


def error_px(pair, found):
    """How far each pixel of each window is off what it shows, (N, S, S)."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    turned = found.linear @ np.stack([columns.ravel(), rows.ravel()])
    shift = found.shift[..., None] + turned  # (N, 2, S * S)
    truth = np.where(windows_of(pair.card), PARALLAX, 0).reshape(len(CORNERS), -1)
    off = np.hypot(shift[:, 0] - truth, shift[:, 1])
    return off.reshape(-1, SIZE, SIZE)


def test_the_guide_knows_direction_and_range(guide):
    assert abs(guide.rig.along[0]) > np.cos(np.radians(1))
    low, high = sorted(np.array(guide.rig.limits) * np.sign(guide.rig.along[0]))
    assert low == pytest.approx(PARALLAX, abs=1)
    assert high == pytest.approx(0, abs=1)


def test_a_guide_made_strip_by_strip_is_the_same(pair, guide, monkeypatch):
    for module in ("guide", "parallax"):
        where = f"dped_build.patches.refinement.{module}.STRIP_PIXELS"
        monkeypatch.setattr(where, 1)
    found = find_guide(pair.phone, pair.dslr, pair.visible, max_shift=80)
    assert found.rig.limits == guide.rig.limits
    alike = np.isclose(found.parallax, guide.parallax, atol=0.5, equal_nan=True)
    assert alike.mean() > 0.95


def test_one_surface_has_no_guide(textured):
    flat = deep_pair(textured, parallax=0.0)
    assert find_guide(flat.phone, flat.dslr, flat.visible, max_shift=80) is None


def test_the_alignment_says_whether_depth_is_looked_for(pair, guide):
    photos = pair.phone, pair.dslr, pair.visible
    assert find_guide(*photos, max_shift=80, off_surface=0.0) is None
    for share in (FLAT_SHARE, DEEP_SHARE):
        found = find_guide(*photos, max_shift=80, off_surface=share)
        assert found.rig.limits == guide.rig.limits


def test_a_photo_too_small_for_optical_flow_has_no_guide(pair):
    small = pair.phone[:100, :100], pair.dslr[:100, :100]
    visible = np.tile([0, 99], (100, 1))
    assert find_guide(*small, visible, max_shift=80) is None


def test_photos_of_other_scenes_are_no_rig(textured, pair):
    other = deep_pair(textured, size=(500, 400)).phone[::-1].copy()
    found = find_guide(other, pair.dslr, pair.visible, max_shift=80)
    assert found is None


def test_parallax_is_searched_no_further_than_allowed(pair):
    found = find_guide(pair.phone, pair.dslr, pair.visible, max_shift=6)
    assert max(map(abs, found.rig.limits)) <= 6


def test_valid_pixels_are_right(pair, refined):
    found, valid = refined
    wrong = valid & ((error_px(pair, found) > 0.5) | windows_of(pair.hidden))
    assert wrong.sum() <= 0.01 * valid.sum()


def test_most_of_what_is_right_is_valid(pair, refined):
    found, valid = refined
    right = (error_px(pair, found) < 0.5) & ~windows_of(pair.hidden)
    assert (valid & right).sum() >= 0.85 * right.sum()
    assert right.mean() > 0.8


def test_windows_on_one_surface_are_whole_and_placed(pair, refined):
    found, valid = refined
    card = windows_of(pair.card).mean(axis=(1, 2))
    near = windows_of(pair.hidden).any(axis=(1, 2)) | ((card > 0) & (card < 1))
    alone = ~near
    assert alone.sum() > 20
    assert (card[alone] == 1).any()
    off = error_px(pair, found).mean(axis=(1, 2))
    assert off[alone].max() < 0.15
    assert (found.sigma_px[alone] < 0.25).all()
    assert (valid[alone].mean(axis=(1, 2)) >= 0.98).mean() > 0.8


def test_an_outline_takes_the_surface_with_most_pixels(pair, refined):
    found, _ = refined
    card = windows_of(pair.card).mean(axis=(1, 2))
    seen = ~windows_of(pair.hidden).any(axis=(1, 2))
    clear = seen & (np.abs(card - 0.5) > 0.2)
    expected = np.where(card > 0.5, PARALLAX, 0)
    np.testing.assert_allclose(found.shift[clear, 0], expected[clear], atol=0.3)


def test_what_only_the_phone_sees_is_never_valid(pair, refined):
    _, valid = refined
    hidden = windows_of(pair.hidden)
    assert hidden.sum() > 1000
    assert (valid & hidden).sum() <= 0.02 * hidden.sum()


def test_windows_without_a_surface_stay_and_are_not_valid(pair, guide):
    unknown = type(guide)(guide.rig, np.full_like(guide.parallax, np.nan))
    found, valid = refine_layers(pair.phone, pair.dslr, CORNERS, unknown, size=SIZE)
    assert not valid.any()
    assert not found.shift.any()
    assert (found.sigma_px > 1).all()


def test_no_windows_are_no_trouble(pair, guide):
    none = np.zeros((0, 2), np.int32)
    found, valid = refine_layers(pair.phone, pair.dslr, none, guide, size=SIZE)
    assert valid.shape == (0, SIZE, SIZE)
    assert found.shift.shape == (0, 2)


def test_planes_of_a_window_are_found_with_their_second():
    rows, columns = np.mgrid[:50, :50].astype(np.float32)
    parallax = 3 + 0.02 * (2 * columns + 0.5) - 0.01 * (2 * rows + 0.5)
    parallax[:, 30:] = -8
    parallax[10:15] = np.nan
    layers = window_layers(parallax, np.zeros((1, 2), np.int32), 100, 2)
    assert layers.window.tolist() == [0, 0]
    first, second = layers.planes
    # At the centre, and by how much it grows towards the border, 50 px away.
    middle = 3 + (0.02 - 0.01) * 49.5
    np.testing.assert_allclose(first, (1.0, -0.5, middle), atol=0.1)
    np.testing.assert_allclose(second, (0, 0, -8), atol=0.05)


def test_a_window_whose_parallax_is_unknown_has_no_layer():
    unknown = np.full((60, 60), np.nan, np.float32)
    layers = window_layers(unknown, np.array([[0, 0], [10, 10]], np.int32), 100, 2)
    assert len(layers) == 0


def test_a_slope_is_one_surface_and_a_step_is_two():
    centres = np.array([(50 + 100 * i, 50) for i in range(6)], float)
    slope = np.array([(2.0, 0, 4.0 * i) for i in range(6)])
    assert len(set(surfaces(centres, slope, 100))) == 1
    slope[3:, 2] += 5
    labels = surfaces(centres, slope, 100)
    assert len(set(labels[:3])) == len(set(labels[3:])) == 1
    assert labels[0] != labels[-1]


def test_the_card_is_where_the_map_says(pair, guide):
    left, top, right, bottom = (side // 2 for side in CARD)
    middle = guide.parallax[(top + bottom) // 2, (left + right) // 2]
    sign = np.sign(guide.rig.along[0])
    assert sign * middle == pytest.approx(PARALLAX, abs=0.5)
    assert sign * np.nanmedian(guide.parallax) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("moved", [True, False])
def test_a_map_that_explains_a_faint_part_better_is_believed(textured, moved):
    # So faint that a residual does not show where the window's place is wrong.
    luma = cv2.cvtColor(textured(5, (160, 160)), cv2.COLOR_RGB2GRAY)
    phone, off = luma.astype(np.float32), 3
    phone[:, 90:] = 128 + (phone[:, 90:] - 128) / 12
    dslr = phone.copy()
    if moved:
        dslr[:, 110 + off :] = phone[:, 110:-off]
    distance = np.zeros((1, 100, 100), np.float32)
    distance[:, :, 80:] = off
    near, away = distance < 1, np.where(distance, 0, 50).astype(np.float32)
    calm, corner = np.array([True]), np.array([[30, 30]])
    placed = visibility.Placed(corner, np.zeros((1, 6)), 100, calm)
    around = visibility.Surroundings(distance, near, away, np.array([[1.0, 0.0]]))
    phone = np.rint(phone).astype(np.uint8)
    valid = visibility.visible_pixels(phone, dslr, placed, np.arange(1), around)
    assert valid[:, :, :50].all()
    assert valid[:, :, 90:].mean() == (0 if moved else 1)
