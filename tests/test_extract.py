"""Patches of a simulated pair lie where the simulation's exact geometry says."""

from dataclasses import replace

import numpy as np
import pytest
from masking import hide_parts, mask_of

from dped_build.align import align_pair
from dped_build.align.geometry import apply_homography, corners, translation
from dped_build.align.sampling import sample
from dped_build.patches import PatchSettings, extract, extract_patches
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.patches.records import COLUMNS
from dped_build.patches.refinement.paper_rule import MAX_SHIFT
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.selftest.truth import patch_errors

RIG = Rig(turn_deg=(0.7, 0.8, -0.9))
SMALL_RIG = Rig((400, 300), (600, 400), turn_deg=(-0.5, 0.4, 0.6))
SMALL = PatchSettings(size=64)


def taken(textured, rig, *, seed, paint=lambda picture: picture):
    """(phone, DSLR, alignment) of a textured picture."""
    picture = paint(textured(seed, rig.dslr_size))
    phone, dslr = photograph(picture, rig, PhoneLook(), seed=seed)
    alignment = align_pair(phone, dslr, pair="scene")
    assert alignment.aligned
    return phone, dslr, alignment


@pytest.fixture(scope="module")
def pair(textured):
    return taken(textured, RIG, seed=11)


@pytest.fixture(scope="module")
def patches(pair):
    return extract_patches(*pair)


@pytest.fixture(scope="module")
def small_pair(textured):
    def overexpose(picture):
        picture[:, :200] = 255  # clipped sky
        return picture

    return taken(textured, SMALL_RIG, seed=12, paint=overexpose)


@pytest.fixture(scope="module")
def small(small_pair):
    return extract_patches(*small_pair, settings=SMALL)


def test_patches_lie_where_the_geometry_says(patches):
    errors = patch_errors(patches, RIG, 100)
    assert len(errors) >= 20
    assert np.median(errors) < 0.3
    assert errors.max() < 1.5


def test_refinement_beats_the_homography(pair, patches):
    coarse = replace(
        patches, patch_to_dslr=pair[2].matrix() @ np.array(patches.patch_to_phone)
    )
    assert np.median(patch_errors(coarse, RIG, 100)) > 3 * np.median(
        patch_errors(patches, RIG, 100)
    )


def test_the_stated_uncertainty_holds(patches):
    errors = patch_errors(patches, RIG, 100)
    assert (errors < 4 * patches.sigma_px).all()
    assert patches.sigma_px.max() <= PatchSettings.max_sigma


def test_phone_pixels_are_the_photos_own(pair, patches):
    for (x, y), pixels, matrix in zip(
        patches.window_xy, patches.phone, patches.patch_to_phone, strict=True
    ):
        np.testing.assert_array_equal(pixels, pair[0][y : y + 100, x : x + 100])
        np.testing.assert_array_equal(matrix, [[1, 0, x], [0, 1, y], [0, 0, 1]])


def test_dslr_pixels_are_what_their_claim_says(pair, patches):
    for matrix, pixels in zip(patches.patch_to_dslr, patches.dslr, strict=True):
        np.testing.assert_array_equal(pixels, sample(pair[1], matrix, (100, 100)))


def test_the_stored_ncc_is_that_of_the_stored_pixels(patches):
    found = normalised_cross_correlation(lumas(patches.phone), lumas(patches.dslr))
    np.testing.assert_allclose(patches.ncc, found, atol=1e-6)
    assert patches.ncc.min() > PatchSettings.min_corr


def test_shift_and_rotation_are_those_of_the_claim(pair, patches):
    """Back on the phone's grid, the window's centre has moved by `shift_px`."""
    to_phone_grid = np.linalg.inv(pair[2].matrix()) @ patches.patch_to_dslr
    middle = to_phone_grid @ (49.5, 49.5, 1)
    centre = middle[:, :2] / middle[:, 2:]
    moved = centre - (patches.window_xy + 49.5)
    np.testing.assert_allclose(patches.shift_px, moved, atol=1e-4)
    a, b = to_phone_grid[:, 0], to_phone_grid[:, 1]
    turn = np.degrees(np.arctan2(b[:, 0] - a[:, 1], a[:, 0] + b[:, 1]))
    np.testing.assert_allclose(patches.rotation_deg, turn, atol=1e-3)


@pytest.fixture(scope="module")
def as_paper(small_pair):
    settings = replace(SMALL, rule="paper", max_rotation=2)
    return extract_patches(*small_pair, settings=settings)


def test_the_papers_rule_moves_the_phones_window_and_keeps_by_ncc_alone(
    small_pair, as_paper
):
    windows = as_paper.windows
    assert set(as_paper.reasons) <= {"accepted", "low_ncc", "flat"}
    np.testing.assert_array_equal(as_paper.reasons == "accepted", windows.ncc > 0.9)
    assert np.isnan([windows.sigma_px, windows.depth_px]).all()
    assert np.abs(windows.shift_px).max() <= MAX_SHIFT * np.sqrt(2)
    assert np.abs(windows.rotation_deg).max() <= 2
    plain = [translation(x, y) for x, y in windows.window_xy]
    assert (windows.patch_to_phone != plain).any()
    np.testing.assert_array_equal(
        windows.patch_to_dslr, small_pair[2].matrix() @ np.array(plain)
    )
    assert np.median(patch_errors(as_paper, SMALL_RIG, 64)) < 1.5


def test_the_papers_figures_are_those_of_its_pixels(small_pair, as_paper):
    phone, dslr = lumas(as_paper.phone), lumas(as_paper.dslr)
    found = normalised_cross_correlation(phone, dslr)
    np.testing.assert_array_equal(as_paper.ncc, found.astype(np.float32))
    own = as_paper.rotation_deg == 0
    assert 0 < own.sum() < len(own)
    for matrix, pixels in zip(
        as_paper.patch_to_phone[own], as_paper.phone[own], strict=True
    ):
        x, y = matrix[:2, 2].astype(int)
        np.testing.assert_array_equal(matrix, translation(x, y))
        np.testing.assert_array_equal(pixels, small_pair[0][y : y + 64, x : x + 64])
    for matrix, pixels in zip(as_paper.patch_to_dslr, as_paper.dslr, strict=True):
        np.testing.assert_array_equal(pixels, sample(small_pair[1], matrix, (64, 64)))


def test_every_candidate_is_accounted_for(small):
    assert len(small.reasons) == len(small.windows)
    kept = small.windows.rows(small.reasons == "accepted")
    assert 0 < len(kept) == len(small) < len(small.windows)
    for name, (kind, _) in COLUMNS.items():
        np.testing.assert_array_equal(getattr(small, name), getattr(kept, name))
        assert getattr(small, name).dtype == np.dtype(kind)
    assert small.phone.shape == small.dslr.shape == (len(small), 64, 64, 3)


def test_clipped_sky_is_flat_and_not_accepted(small_pair, small):
    flat = small.reasons == "flat"
    assert flat.any()
    assert np.isnan(small.windows.ncc[flat]).all()
    assert (small.windows.clipped_dslr[flat] > 0.9).all()
    assert patch_errors(small, SMALL_RIG, 64).max() < 1.5


def test_a_higher_threshold_keeps_fewer_of_the_same(small_pair, small):
    between = float(np.median(small.ncc))
    settings = replace(SMALL, min_corr=between)
    fewer = extract_patches(*small_pair, settings=settings)
    assert 0 < len(fewer) < len(small)
    assert fewer.ncc.min() > between
    np.testing.assert_array_equal(fewer.windows.ncc, small.windows.ncc)
    assert (fewer.reasons == "low_ncc").sum() > (small.reasons == "low_ncc").sum()


def test_an_overlap_smaller_than_a_window_gives_no_patches(small_pair):
    none = extract_patches(*small_pair, settings=PatchSettings(size=390))
    assert len(none) == len(none.windows) == len(none.reasons) == 0
    assert none.phone.shape == none.dslr.shape == (0, 390, 390, 3)


def test_windows_that_leave_the_dslr_photo_are_outside(small_pair):
    """The homography is off by 12 px, and the refinement knows better."""
    phone, dslr, alignment = small_pair
    matrix = alignment.matrix() @ translation(12, 0)
    wrong = replace(alignment, phone_to_dslr=tuple(map(tuple, matrix.tolist())))
    found = extract_patches(phone, dslr, wrong, settings=SMALL)
    outside = found.reasons == "outside"
    assert outside.any()
    assert np.isnan(found.windows.patch_to_dslr[outside]).all()
    assert np.isnan(found.windows.ncc[outside]).all()
    assert patch_errors(found, SMALL_RIG, 64).max() < 1.5
    for matrix in found.patch_to_dslr:
        quad = apply_homography(matrix, corners((64, 64)))
        assert (quad >= 0).all()
        assert (quad <= np.array(SMALL_RIG.dslr_size) - 1).all()


def test_photos_that_are_not_the_aligned_ones_are_refused(small_pair):
    phone, dslr, alignment = small_pair
    with pytest.raises(ValueError, match="do not belong to an alignment"):
        extract_patches(phone[:-1], dslr, alignment)
    with pytest.raises(ValueError, match="do not belong to an alignment"):
        extract_patches(dslr, phone, alignment)


@pytest.mark.parametrize("matrix", [None, ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))])
def test_a_pair_that_is_not_aligned_is_refused(small_pair, matrix):
    phone, dslr, alignment = small_pair
    rejected = replace(
        alignment, status="rejected", reason="small_overlap", phone_to_dslr=matrix
    )
    with pytest.raises(ValueError, match=r"scene is not aligned.*small_overlap"):
        extract_patches(phone, dslr, rejected)


def test_no_alignment_is_refused(small_pair):
    phone, dslr, _ = small_pair
    with pytest.raises(ValueError, match="what align_pair returned"):
        extract_patches(phone, dslr, None)


def test_a_photo_against_itself_stays_in_place(small_pair):
    _, dslr, _ = small_pair
    alignment = align_pair(dslr, dslr)
    same = extract_patches(dslr, dslr, alignment, settings=SMALL)
    assert len(same) >= 15
    np.testing.assert_allclose(same.shift_px, 0, atol=0.05)
    assert same.ncc.min() > 0.99


def test_one_pair_in_memory_has_the_same_masks(small_pair, monkeypatch):
    hide_parts(monkeypatch)
    patches = extract_patches(*small_pair, settings=replace(SMALL, min_valid=0.5))
    expected = [mask_of(x, y, 64) for x, y in patches.window_xy.tolist()]
    assert patches.valid.dtype == bool
    assert np.array_equal(patches.valid, expected)
    assert np.array_equal(patches.valid_share, np.mean(expected, axis=(1, 2)))
    assert set(patches.valid_share.tolist()) > {0.75}


def test_the_papers_rule_knows_no_masks(small_pair, monkeypatch):
    hide_parts(monkeypatch)
    paper = replace(SMALL, rule="paper", max_rotation=1, max_shift=2, min_valid=1)
    patches = extract_patches(*small_pair, settings=paper)
    assert len(patches) > 0
    assert patches.valid.all()
    assert "low_valid" not in patches.reasons


def test_the_alignments_share_off_one_surface_is_handed_on(small_pair, monkeypatch):
    asked = []
    monkeypatch.setattr(
        extract, "find_guide", lambda *_, **given: asked.append(given["off_surface"])
    )
    phone, dslr, alignment = small_pair
    stated = replace(alignment, off_surface=0.25)
    assert len(extract_patches(phone, dslr, stated, settings=SMALL)) > 0
    assert asked == [0.25]
