"""The benchmark's judge finds what is wrong, by as much as it is wrong."""

import cProfile
import pstats
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from plain_opencv import plain_patches
from scenes import Movement, Scene, write
from scoring import NOTHING, StoredClaims, attainable, luma, ncc, score
from stages import ELSEWHERE, seconds_by_module
from tables import SCORE_COLUMNS, honesty, score_row, table

from dped_build.align import AlignSettings, align_pair
from dped_build.align.aligner import align_features
from dped_build.align.features import find_features
from dped_build.patches import extract_patches
from dped_build.photos.reading import read_photo
from dped_build.selftest.simulated_cameras import Rig

RIG = Rig((480, 360), (864, 576), turn_deg=(0.5, 0.3, -0.4))


@pytest.fixture(scope="module")
def scene(tmp_path_factory, textured):
    path = tmp_path_factory.mktemp("scene") / "picture.png"
    Image.fromarray(textured(1, (864, 576))).save(path)
    return Scene("a", path, RIG, quality=95)


@pytest.fixture(scope="module")
def photos(scene, tmp_path_factory):
    return [read_photo(p) for p in write(scene, tmp_path_factory.mktemp("photos"))]


@pytest.fixture(scope="module")
def claims(photos):
    found = extract_patches(*photos, align_pair(*photos))
    return StoredClaims(*(getattr(found, name) for name in vars(NOTHING)))


def test_good_patches_are_found_good(claims, scene, photos):
    found = score(claims, scene, *photos)
    assert len(found.mean_px) == len(claims.ncc) > 4
    assert found.attainable >= 0.8 * len(claims.ncc)  # a plain grid's phases
    assert found.mean_px.max() < 0.5
    assert (found.rms_px >= found.mean_px).all()
    assert found.psnr_db.min() > 45
    assert np.median(found.detail) == pytest.approx(1, abs=0.05)
    honest = (found.false_ncc, found.low_ncc, found.resampled, found.overlapping)
    assert honest == (0, 0, 0, 0)


def test_a_false_place_is_an_error_of_its_size(claims, scene, photos):
    moved = claims.patch_to_dslr.copy()
    ratio = np.sqrt(np.linalg.det(moved[0, :2, :2]))
    moved[:, 0, 2] += 3 * ratio
    found = score(replace(claims, patch_to_dslr=moved), scene, *photos)
    np.testing.assert_allclose(found.rms_px, 3, atol=0.5)
    assert found.psnr_db.max() < 40


def test_blurred_target_pixels_lose_detail(claims, scene, photos):
    soft = np.array([cv2.GaussianBlur(p, (0, 0), 1.0) for p in claims.dslr])
    found = score(replace(claims, dslr=soft), scene, *photos)
    assert np.median(found.detail) < 0.5


def test_every_dishonesty_is_counted(claims, scene, photos):
    stated = claims.ncc + np.float32(0.01)
    phone = claims.phone.copy()
    phone[0, 0, 0] += 1
    twice = replace(
        claims,
        ncc=stated,
        phone=phone,
        patch_to_phone=np.repeat(claims.patch_to_phone[:1], len(stated), axis=0),
    )
    found = score(twice, scene, *photos)
    count = len(stated)
    assert found.false_ncc == count
    assert found.resampled == count
    assert found.overlapping == count * (count - 1) // 2


def test_patches_on_moving_objects_have_no_error_but_are_counted(claims, scene, photos):
    movement = Movement(count=3, radius_px=60, distance_px=20, seed=2)
    found = score(claims, replace(scene, movement=movement), *photos)
    assert 0 < found.moving < len(claims.ncc)
    assert len(found.mean_px) == len(claims.ncc) - found.moving


def test_attainable_windows_are_those_of_the_best_phase(scene, photos):
    phone, dslr = photos
    grid = np.stack(np.meshgrid(np.arange(480.0), np.arange(360.0)), axis=-1)
    points = RIG.dslr_points(grid)
    visible = ((points > 2) & (points < (861, 573))).all(axis=-1)
    there = cv2.remap(luma(dslr), points.astype(np.float32), None, cv2.INTER_AREA)
    best = 0
    for top in range(0, 100, 25):
        for left in range(0, 100, 25):
            spots = [
                np.s_[y : y + 100, x : x + 100]
                for y in range(top, 261, 100)
                for x in range(left, 381, 100)
            ]
            inside = [s for s in spots if visible[s].all()]
            best = max(best, sum(ncc(luma(phone[s]), there[s]) > 0.9 for s in inside))
    assert attainable(scene, phone, dslr) == best > 4


def test_nothing_is_attainable_where_the_photos_differ(scene, photos):
    phone, dslr = photos
    assert attainable(scene, phone, dslr[::-1].copy()) == 0


def test_a_refused_pair_scores_nothing_of_what_was_attainable(scene, photos):
    found = score(NOTHING, scene, *photos)
    row = dict(zip(SCORE_COLUMNS, score_row([found]), strict=True))
    assert (row["kept"], row["yield"], row["worst"]) == ("0", "0.000", "-")
    assert found.attainable > 4


def test_the_plain_way_finds_patches_and_resamples_the_phone(scene, photos):
    found = score(StoredClaims(**plain_patches(*photos)), scene, *photos)
    assert len(found.mean_px) > 4
    assert np.median(found.mean_px) < 2
    assert found.psnr_db.min() > 40
    assert np.isnan(found.sigma_px).all()


def test_the_plain_way_gives_nothing_for_photos_without_features():
    flat = np.full((200, 300, 3), 128, np.uint8)
    assert len(plain_patches(flat, flat)["ncc"]) == 0


def test_rows_pool_patches_not_pairs(claims, scene, photos):
    found = score(claims, scene, *photos)
    row = dict(zip(SCORE_COLUMNS, score_row([found, found]), strict=True))
    assert row["kept"] == str(2 * len(claims.ncc))
    assert row["below 1 px"] == "100.00%"
    covered = (found.rms_px <= found.sigma_px).mean()
    assert row["<= 1 sigma"] == f"{covered:.1%}"
    assert "phone pixels changed: 0" in honesty([found])


def test_a_table_is_markdown():
    text = table(("a", "b"), [("x", "1")])
    assert text.splitlines() == ["| a | b |", "| --- | ---: |", "| x | 1 |"]


def match(phone, dslr):
    """The first fit of `align_pair`: most of its time is OpenCV's, for keypoints."""
    features = (find_features(photo, 300) for photo in (phone, dslr))
    return align_features(*features, settings=AlignSettings())


def test_time_in_opencv_belongs_to_the_module_that_asked(photos):
    match(*photos)  # what the first call imports is not its own
    profile = cProfile.Profile(time.process_time)
    started = time.process_time()
    profile.runcall(match, *photos)
    spent = time.process_time() - started
    found = seconds_by_module(pstats.Stats(profile))
    assert sum(found.values()) == pytest.approx(spent, rel=0.2)
    assert found["align.features"] > 0.3 * spent
    assert found.get(ELSEWHERE, 0) < 0.1 * spent
