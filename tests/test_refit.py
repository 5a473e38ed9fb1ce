"""The fine homography meets the truth, and leaves alone what it cannot better."""

import cv2
import numpy as np
import pytest

from dped_build.align import align_pair
from dped_build.align.aligner import align_features
from dped_build.align.features import find_features
from dped_build.align.geometry import apply_homography, corners
from dped_build.align.refit import Matches, refit
from dped_build.align.settings import AlignSettings
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph

NO_MATCHES = Matches(np.zeros((0, 2)), np.zeros((0, 2)), 1.0, 1.0)
PHONE = (640, 480)


@pytest.fixture(scope="module")
def picture(textured):
    return textured(3, (1200, 800))


def luma(photo):
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def corner_error(matrix, truth, size):
    """Largest of the phone's four corners, phone px."""
    seen = apply_homography(truth, corners(size))
    back = apply_homography(np.linalg.inv(matrix), seen)
    return np.linalg.norm(back - corners(size), axis=1).max()


def seen_from_aside(picture, tilt):
    """Phone photo, DSLR photo and truth of a plane that the DSLR sees at an angle."""
    width, height = picture.shape[1::-1]
    quad = corners((width, height)).astype(np.float32)
    moved = quad.copy()
    moved[1:3, 1] += np.array([1, -1], np.float32) * tilt * height  # right side shrinks
    moved[1:3, 0] -= tilt * width
    aside = cv2.getPerspectiveTransform(quad, moved)
    dslr = cv2.warpPerspective(picture, aside, (width, height))
    to_picture = np.array([[1.6, 0, 80], [0, 1.6, 10], [0, 0, 1.0]])
    phone = cv2.warpPerspective(
        cv2.GaussianBlur(picture, (0, 0), 0.8),
        to_picture,
        PHONE,
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC,
    )
    return phone, dslr, aside @ to_picture


@pytest.mark.parametrize("tilt", [0.0, 0.05, 0.12])
def test_a_plane_seen_from_two_places_is_met_at_every_corner(picture, tilt):
    phone, dslr, truth = seen_from_aside(picture, tilt)
    features = find_features(phone, 300), find_features(dslr, 300)
    first = align_features(*features, settings=AlignSettings())
    fine = align_pair(phone, dslr)
    assert corner_error(fine.matrix(), truth, PHONE) < 0.15
    before = corner_error(first.matrix(), truth, PHONE)
    assert corner_error(fine.matrix(), truth, PHONE) < before
    assert fine.rmse_px < 0.1


def test_where_nothing_can_be_followed_the_first_matches_say(picture):
    phone, dslr, truth = seen_from_aside(picture, 0.05)
    soft = [cv2.GaussianBlur(luma(photo), (0, 0), 12) for photo in (phone, dslr)]
    mask = np.zeros(PHONE[::-1], bool)
    mask[100:380, 60:260] = True  # all that is sharp
    one = np.where(mask, luma(phone), soft[0])
    sharp = cv2.warpPerspective(mask.astype(np.uint8), truth, dslr.shape[1::-1]) > 0
    two = np.where(sharp, luma(dslr), soft[1])
    start = truth @ np.array([[1.004, 0, 1], [0.002, 0.997, -2], [0, 4e-6, 1]])
    points = np.stack(np.meshgrid(*[np.linspace(20, n - 20, 9) for n in PHONE]), -1)
    points = points.reshape(-1, 2)
    matches = Matches(points, apply_homography(truth, points), 2.0, 2.0)
    alone = refit(one, two, start, NO_MATCHES)
    found = refit(one, two, start, matches)
    error = corner_error(found.phone_to_dslr, truth, PHONE)
    assert error < 1
    assert error < corner_error(alone.phone_to_dslr, truth, PHONE)


def test_what_is_too_soft_to_follow_is_none(picture):
    phone, dslr, truth = seen_from_aside(picture, 0.0)
    soft = [cv2.GaussianBlur(luma(photo), (0, 0), 30) for photo in (phone, dslr)]
    assert refit(*soft, truth, NO_MATCHES) is None


def test_the_field_states_lens_distortion(picture):
    rig = Rig(phone_size=PHONE, dslr_size=(960, 640), distortion=(0.03, 0.0))
    alignment = align_pair(*photograph(picture, rig, PhoneLook(), seed=2))
    field = alignment.field
    assert (len(field), len(field[0])) == (6, 8)
    bent, left = [], []
    for row in range(1, 5):  # cells along the border are seen in part
        for column in range(1, 7):
            centre = (np.array([column, row]) + 0.5) * PHONE[0] / 8 - 0.5
            for places, off in ((bent, (0, 0)), (left, field[row][column])):
                claimed = apply_homography(alignment.matrix(), centre + off)
                places.append(np.linalg.norm(rig.residual_px(centre, claimed)))
    assert max(bent) > 0.5
    assert max(left) < 0.3
    assert 0.1 < alignment.rmse_px < 2
    assert alignment.off_surface < 0.01


def test_a_deep_scene_keeps_the_first_fit(picture):
    _, dslr, truth = seen_from_aside(picture, 0.0)
    near = np.zeros(PHONE[::-1], bool)
    near[:, :: 2 * 40] = True
    near = cv2.dilate(near.astype(np.uint8), np.ones((1, 41))) > 0  # stripes
    moved = truth @ np.array([[1, 0, 9.0], [0, 1, 0], [0, 0, 1]])
    behind = cv2.warpPerspective(luma(dslr), truth, PHONE, flags=cv2.WARP_INVERSE_MAP)
    before = cv2.warpPerspective(luma(dslr), moved, PHONE, flags=cv2.WARP_INVERSE_MAP)
    found = refit(np.where(near, before, behind), luma(dslr), truth, NO_MATCHES)
    assert np.array_equal(found.phone_to_dslr, truth)
    assert found.rmse_px > 1
    assert found.off_surface > 0.2
    assert np.nanmax(np.abs(found.field[..., 0])) == pytest.approx(9, abs=0.5)
