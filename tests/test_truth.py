"""A claim that is off by a known amount has that error, in phone px."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from dped_build.align.geometry import apply_homography, corners, translation
from dped_build.align.homography import estimate_homography
from dped_build.patches.records import empty_windows
from dped_build.selftest.simulated_cameras import Rig
from dped_build.selftest.truth import compare_with_truth, patch_errors, read_rig
from dped_build.workspace.errors import DpedBuildError

SIZE = 100
PLACES = np.array([(100, 100), (350, 250), (600, 400)], np.int32)
RIG = Rig(turn_deg=(1.0, -0.5, 0.8))


def claims(rig, *, off=(0.0, 0.0), turn_deg=0.0):
    """Windows claimed where the rig sees them, then moved `off` and turned."""
    windows = replace(
        empty_windows(len(PLACES)),
        window_xy=PLACES,
        patch_to_phone=np.array([translation(*place) for place in PLACES]),
    )
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    middle = np.array([(SIZE - 1) / 2] * 2)
    wrong = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    wrong[:2, 2] = middle - wrong[:2, :2] @ middle + off
    for i, to_phone in enumerate(windows.patch_to_phone):
        patch = corners((SIZE, SIZE))
        seen = rig.dslr_points(apply_homography(to_phone, patch))
        fit = estimate_homography(patch, seen, threshold_px=1.0)
        windows.patch_to_dslr[i] = fit.phone_to_dslr @ wrong
    return windows


def test_a_true_claim_has_no_error():
    straight = replace(RIG, distortion=(0.0, 0.0))
    np.testing.assert_allclose(
        patch_errors(claims(straight), straight, SIZE), 0, atol=0.01
    )


def test_lens_distortion_within_a_patch_is_an_error_too():
    errors = patch_errors(claims(RIG), RIG, SIZE)
    assert 0 < errors.max() < 0.2


@pytest.mark.parametrize("off", [(3.0, -4.0), (0.3, 0.4), (-30.0, 40.0)])
def test_a_shifted_claim_is_off_by_the_shift(off):
    straight = replace(RIG, distortion=(0.0, 0.0))
    errors = patch_errors(claims(straight, off=off), straight, SIZE)
    np.testing.assert_allclose(errors, np.hypot(*off), rtol=0.01)


def test_the_error_is_counted_in_phone_px_not_dslr_px():
    straight = Rig(dslr_size=(2400, 1600), distortion=(0.0, 0.0))
    errors = patch_errors(claims(straight, off=(1.0, 0.0)), straight, SIZE)
    np.testing.assert_allclose(errors, 1, rtol=0.01)


def test_a_turned_claim_is_off_by_the_mean_over_the_patch():
    straight = replace(RIG, distortion=(0.0, 0.0))
    errors = patch_errors(claims(straight, turn_deg=1.0), straight, SIZE)
    line = np.linspace(0, SIZE - 1, 5) - (SIZE - 1) / 2
    expected = np.radians(1.0) * np.hypot(*np.meshgrid(line, line)).mean()
    np.testing.assert_allclose(errors, expected, rtol=0.02)


def test_no_windows_have_no_errors():
    assert patch_errors(empty_windows(), RIG, SIZE).shape == (0,)


def test_a_truth_file_comes_back(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(asdict(RIG)))
    assert read_rig(tmp_path / "a.json") == RIG


@pytest.mark.parametrize("text", ["", "[1]", '{"fov": 3}', None])
def test_what_is_not_a_truth_file_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(DpedBuildError, match=r"a\.json: not a truth file"):
        read_rig(tmp_path / "a.json")


def test_a_folder_is_summed_up_over_all_its_patches(photo_set, patched_set):
    found = compare_with_truth(patched_set / "patches", photo_set / "truth", size=64)
    assert found.patches > 40
    assert 0 < found.median_px <= found.p95_px <= found.worst_px < 1.5
    assert found.below_1px > 0.99


def test_patches_of_another_rig_are_found_out(photo_set, patched_set, tmp_path):
    for path in (photo_set / "truth").glob("*.json"):
        rig = read_rig(path)
        roll, pitch, yaw = rig.turn_deg
        wrong = replace(rig, turn_deg=(roll, pitch, yaw + 1))
        (tmp_path / path.name).write_text(json.dumps(asdict(wrong)))
    found = compare_with_truth(patched_set / "patches", tmp_path, size=64)
    focal = 200 / np.tan(np.radians(53 / 2))  # of the phone, px
    assert found.median_px == pytest.approx(np.radians(1) * focal, rel=0.2)
    assert found.below_1px == 0


def test_nothing_to_compare_is_said(tmp_path):
    with pytest.raises(DpedBuildError, match="no patches to compare"):
        compare_with_truth(tmp_path, tmp_path, size=SIZE)


def test_a_pair_without_truth_is_named(patched_set, tmp_path):
    with pytest.raises(DpedBuildError, match=r"\.json: not a truth file"):
        compare_with_truth(patched_set / "patches", tmp_path, size=64)
