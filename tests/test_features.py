"""Keypoints lie where they should, matches are mutual, and a wrong overlap shows."""

import cv2
import numpy as np
import pytest
from depth_fixture import deep_pair

from dped_build.align.features import (
    agreement,
    agreement_with_parallax,
    find_features,
    find_keypoints,
    match_keypoints,
    matching_luma,
)
from dped_build.align.geometry import rescaling, translation


def test_small_photo_is_not_enlarged(textured):
    luma, scale = matching_luma(textured(0, (120, 90)), 512)
    assert luma.shape == (90, 120)
    np.testing.assert_array_equal(scale, [1, 1])


def test_large_photo_is_reduced_and_says_by_how_much(textured):
    luma, scale = matching_luma(textured(0, (251, 170)), 100)
    assert (luma.shape, luma.dtype) == ((68, 100), np.uint8)
    np.testing.assert_allclose(scale, [100 / 251, 68 / 170])


def test_photo_halved_first_says_by_how_much(textured):
    luma, scale = matching_luma(textured(0, (1003, 667)), 100)  # 501, 250, 100 wide
    assert luma.shape == (66, 100)
    np.testing.assert_allclose(scale, [100 / 250 / 4, 66 / 166 / 4])


@pytest.mark.parametrize("size", [(1600, 1200), (1603, 1207), (700, 525)])
def test_features_of_a_reduced_photo_are_in_its_own_pixels(size):
    width, height = size
    luma = np.zeros((height, width), np.float32)
    luma[height // 3, width // 4] = 1
    luma = cv2.GaussianBlur(luma, (0, 0), width / 50)
    photo = np.rint(255 * luma / luma.max()).astype(np.uint8)[..., None].repeat(3, 2)
    features = find_features(photo, 200)
    assert features.size == size
    place = (width // 4, height // 3)
    nearest = np.linalg.norm(features.positions - place, axis=1).min()
    assert nearest < 0.1 * width / 200  # a tenth of a px of the size searched


def test_dark_photo_is_stretched_to_the_full_range(textured):
    dark = textured(0, (200, 150)) // 16
    luma, _ = matching_luma(dark, 512)
    assert (luma.min(), luma.max()) == (0, 255)


def test_flat_photo_has_no_keypoints():
    luma, _ = matching_luma(np.full((90, 120, 3), 200, np.uint8), 512)
    positions, descriptors = find_keypoints(luma)
    assert positions.shape == (0, 2)
    assert descriptors.shape == (0, 128)


def test_descriptors_have_unit_length(textured):
    luma, _ = matching_luma(textured(0, (200, 150)), 512)
    positions, descriptors = find_keypoints(luma)
    assert len(positions) == len(descriptors) > 50
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-3)


def test_a_blobs_keypoint_is_at_its_centre():
    luma = np.zeros((81, 101), np.float32)
    luma[33, 60] = 1
    luma = cv2.GaussianBlur(luma, (0, 0), 4)
    positions, _ = find_keypoints(np.rint(255 * luma / luma.max()).astype(np.uint8))
    nearest = np.linalg.norm(positions - (60, 33), axis=1).min()
    assert nearest < 0.05  # px; without the precise upscaling 0.25


def unit_rows(rng, count):
    rows = rng.random((count, 128)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_shuffled_descriptors_find_their_own(textured):
    rng = np.random.default_rng(0)
    descriptors, order = unit_rows(rng, 50), rng.permutation(50)
    pairs = match_keypoints(descriptors, descriptors[order], ratio=0.8)
    np.testing.assert_array_equal(pairs[:, 0], np.arange(50))
    np.testing.assert_array_equal(order[pairs[:, 1]], pairs[:, 0])


def test_a_descriptor_that_occurs_twice_matches_nothing():
    descriptors = unit_rows(np.random.default_rng(0), 20)
    twice = np.concatenate([descriptors, descriptors[:1]])
    pairs = match_keypoints(descriptors, twice, ratio=0.8)
    np.testing.assert_array_equal(pairs[:, 0], np.arange(1, 20))


def test_only_one_of_two_rivals_matches():
    rng = np.random.default_rng(0)
    dslr = unit_rows(rng, 20)
    rival = dslr[0] + 0.01 * unit_rows(rng, 1)[0]
    phone = np.stack([dslr[0], rival / np.linalg.norm(rival)])
    np.testing.assert_array_equal(match_keypoints(phone, dslr, ratio=0.8), [[0, 0]])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_descriptors_match_nothing(count):
    descriptors = unit_rows(np.random.default_rng(0), 20)
    assert match_keypoints(descriptors[:count], descriptors, ratio=0.8).shape == (0, 2)
    assert match_keypoints(descriptors, descriptors[:count], ratio=0.8).shape == (0, 2)


@pytest.mark.parametrize("size", [(300, 200), (900, 600)])
def test_photo_agrees_with_itself_shifted_reduced_and_darkened(textured, size):
    scene = textured(0, (1200, 800))
    part = scene[40:, 60:]  # what the phone sees
    phone = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) * 0.4).astype("u1")
    x, y = np.array(part.shape[1::-1]) / size
    to_scene = translation(60, 40) @ np.diag([x, y, 1]) @ translation(0.5, 0.5)
    features = find_features(phone, 300), find_features(scene, 300)
    assert agreement(*features, translation(-0.5, -0.5) @ to_scene) > 0.9


@pytest.mark.parametrize("change", ["shifted", "mirrored", "another scene"])
def test_photos_that_differ_do_not_agree(textured, change):
    scene = textured(0, (600, 400))
    other = {
        "shifted": np.roll(scene, 40, axis=1),
        "mirrored": scene[:, ::-1].copy(),
        "another scene": textured(1, (600, 400)),
    }[change]
    features = find_features(scene, 300), find_features(other, 300)
    assert agreement(*features, rescaling(1)) < 0.3


def test_photos_that_do_not_meet_do_not_agree(textured):
    features = find_features(textured(0, (600, 400)), 300)
    assert agreement(features, features, translation(590, 0)) == 0


def test_depth_that_flow_takes_out_is_no_other_scene(textured):
    pair = deep_pair(textured, parallax=-24.0)
    phone, dslr = (
        find_features(np.repeat(luma[..., None], 3, axis=2).astype(np.uint8), 500)
        for luma in (pair.phone, pair.dslr)
    )
    away = translation(6, 0)
    assert agreement(phone, dslr, away) < 0.5
    assert agreement_with_parallax(phone, dslr, away) > 0.8


@pytest.mark.parametrize("change", ["mirrored", "another scene"])
def test_flow_makes_no_scene_of_another(textured, change):
    scene = textured(0, (600, 400))
    other = scene[:, ::-1].copy() if change == "mirrored" else textured(1, (600, 400))
    features = find_features(scene, 300), find_features(other, 300)
    assert agreement_with_parallax(*features, rescaling(1)) < 0.65
