"""Simulated pairs align near the truth; what cannot match says why."""

import cv2
import numpy as np
import pytest

from dped_build.align import AlignSettings, align_pair
from dped_build.align.geometry import apply_homography
from dped_build.align.records import REASONS, Alignment
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.errors import UsageError

PHONE, DSLR = (320, 240), (480, 320)


def rig(**changes):
    small = {"phone_size": PHONE, "dslr_size": DSLR, "distortion": (0.0, 0.0)}
    return Rig(**small | changes)


@pytest.fixture(scope="module")
def picture(textured):
    return textured(0, (720, 480))


@pytest.fixture(scope="module")
def pair(picture):
    """A straight pair: phone photo, DSLR photo."""
    return photograph(picture, rig(), PhoneLook(), seed=1)


def worst_residual(alignment, truth):
    """Largest error in the middle half of the phone photo, phone px."""
    share = np.stack(np.meshgrid(*[np.linspace(0.25, 0.75, 5)] * 2), axis=-1)
    points = share * truth.phone_size
    claimed = apply_homography(alignment.matrix(), points)
    return np.linalg.norm(truth.residual_px(points, claimed), axis=-1).max()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"turn_deg": (15.0, 1.0, -1.0)},
        {"turn_deg": (90.0, 0.0, 0.0)},
        {"turn_deg": (180.0, 0.0, 0.0)},
        {"turn_deg": (270.0, 0.0, 0.0)},
        {"phone_size": (240, 180), "dslr_size": (960, 640)},
        {"phone_size": (480, 360), "dslr_size": (480, 320)},
    ],
)
def test_homography_is_near_the_truth(picture, changes):
    truth = rig(**changes)
    alignment = align_pair(*photograph(picture, truth, PhoneLook(), seed=1))
    assert alignment.status == "aligned"
    assert worst_residual(alignment, truth) < 0.25  # phone px
    assert 0 < alignment.inlier_rmse_px < 1
    assert alignment.overlap > 0.5


def test_lens_distortion_costs_less_than_a_pixel_in_the_middle(picture):
    truth = rig(distortion=(-0.03, 0.008))
    alignment = align_pair(*photograph(picture, truth, PhoneLook(), seed=1))
    assert alignment.aligned
    assert 0.2 < worst_residual(alignment, truth) < 1  # phone px


def test_dark_photo_aligns(picture):
    look = PhoneLook(gains=(0.06, 0.055, 0.05))  # four stops under
    phone, dslr = photograph(picture, rig(), look, seed=1)
    assert phone.mean() < 30
    alignment = align_pair(phone, dslr)
    assert alignment.aligned
    assert worst_residual(alignment, rig()) < 0.6  # phone px


def test_record_states_what_was_found(pair):
    alignment = align_pair(*pair, pair="0001")
    assert (alignment.pair, alignment.reason, alignment.message) == ("0001", None, None)
    assert (alignment.phone_size, alignment.dslr_size) == (PHONE, DSLR)
    assert alignment.inliers <= alignment.matches <= min(alignment.keypoints)
    left, top, width, height = alignment.phone_box
    box = [(left, top), (left + width - 1, top + height - 1)]
    seen = apply_homography(alignment.matrix(), box)
    assert (seen > -1e-6).all()
    assert (seen < np.array(DSLR) - 1 + 1e-6).all()
    assert width * height <= alignment.overlap * PHONE[0] * PHONE[1]


def test_same_photos_give_the_same_record(pair):
    assert align_pair(*pair) == align_pair(*pair)


def test_record_comes_back_from_json(pair):
    alignment = align_pair(*pair, pair="0001")
    assert Alignment.from_json(alignment.to_json()) == alignment
    assert Alignment.from_json({**alignment.to_json(), "later": 1}) == alignment


def test_swapped_cameras_are_rejected_with_the_hint(pair):
    phone, dslr = pair
    alignment = align_pair(dslr, phone)
    assert alignment.status == "rejected"
    assert alignment.reason == "implausible_homography"
    assert "swapped?" in alignment.message


def test_mirrored_photo_is_not_aligned(textured):
    scene = textured(0, DSLR)
    alignment = align_pair(scene[:, ::-1].copy(), scene)
    assert alignment.status == "rejected"
    assert alignment.reason in REASONS


def test_unrelated_photos_are_rejected(pair, textured):
    alignment = align_pair(pair[0], textured(9, DSLR))
    assert alignment.status == "rejected"
    assert alignment.reason in ("too_few_matches", "too_few_inliers")
    assert "same scene" in alignment.message


@pytest.mark.parametrize("side", ["phone", "dslr"])
def test_flat_photo_has_too_few_matches(pair, side):
    photos = dict(zip(("phone", "dslr"), pair, strict=True))
    photos[side] = np.full_like(photos[side], 240)
    alignment = align_pair(photos["phone"], photos["dslr"])
    assert (alignment.status, alignment.reason) == ("rejected", "too_few_matches")
    assert alignment.matches == 0


def test_tiny_photo_has_too_few_matches(pair):
    alignment = align_pair(pair[0][:31, :200], pair[1])
    assert (alignment.status, alignment.reason) == ("rejected", "too_few_matches")
    assert "smaller than 32 px" in alignment.message


def test_photo_reduced_to_a_line_is_rejected_not_an_error(textured):
    thin = textured(0, (20_000, 33))
    assert align_pair(thin, thin).status == "rejected"


def test_small_overlap_is_rejected_and_says_how_small(textured):
    scene = textured(0, (640, 480))
    alignment = align_pair(scene[:, :340].copy(), scene[:, 310:].copy())
    assert (alignment.status, alignment.reason) == ("rejected", "small_overlap")
    assert alignment.overlap == pytest.approx(30 / 340, abs=0.01)
    assert "only 9% of the phone photo" in alignment.message


def test_larger_sizes_are_tried_until_the_pair_aligns(pair):
    small, both, large = (
        align_pair(*pair, settings=AlignSettings(matching_sides=sides))
        for sides in ((40,), (40, 300, 600), (300,))
    )
    assert not small.aligned
    assert both == large


@pytest.fixture(scope="module")
def logos(textured):
    """Two pictures that share a logo and nothing else."""
    one, other, logo = (textured(seed, DSLR) for seed in (1, 2, 3))
    for picture in (one, other):
        picture[20:140, 30:190] = logo[20:140, 30:190]
    return one, other


def test_one_logo_on_two_pictures_does_not_align_them(logos):
    alignment = align_pair(*logos)
    assert alignment.inliers >= AlignSettings().min_inliers
    assert alignment.reason == "implausible_homography"
    assert "the pictures do not (correlation 0." in alignment.message
    believed = align_pair(*logos, settings=AlignSettings(min_agreement=-1))
    assert believed.aligned


def test_rejected_pair_tells_of_its_best_attempt(logos):
    small, both, large = (
        align_pair(*logos, settings=AlignSettings(matching_sides=sides))
        for sides in ((40,), (40, 300, 40), (300,))
    )
    assert (small.status, large.status) == ("rejected", "rejected")
    assert (small.inliers or 0) < large.inliers
    assert both == large


@pytest.mark.parametrize("sides", [(), (0,)])
def test_settings_without_a_size_are_refused(sides):
    with pytest.raises(UsageError, match="matching_sides"):
        AlignSettings(matching_sides=sides)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
    ],
)
def test_anything_but_rgb_uint8_is_the_callers_mistake(wrong):
    right = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="phone must be RGB uint8"):
        align_pair(wrong, right)
    with pytest.raises(ValueError, match="dslr must be RGB uint8"):
        align_pair(right, wrong)


def test_exposure_and_cast_change_nothing_much(pair):
    phone, dslr = pair
    cast = np.clip(phone * np.array([0.5, 0.8, 1.2]), 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(cast, (0, 0), 1.0)
    alignment = align_pair(blurred, dslr)
    assert alignment.aligned
    assert worst_residual(alignment, rig()) < 0.4  # phone px


def test_a_path_is_told_how_to_become_an_array():
    with pytest.raises(
        ValueError, match=r"phone must be an array, not str: read_photo"
    ):
        align_pair("phone.jpg", "dslr.jpg")
