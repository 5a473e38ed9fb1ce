"""Each test refuses what it is for, in its turn, and can be switched off."""

from dataclasses import replace

import numpy as np
import pytest

from dped_build.align.geometry import translation
from dped_build.patches.records import REASONS, Windows
from dped_build.patches.selection import select_windows, spread_out
from dped_build.patches.settings import PatchSettings
from dped_build.workspace.errors import UsageError

ALL_TESTS = PatchSettings(
    max_shift=10,
    max_rotation=2,
    min_corr=0.9,
    max_sigma=0.25,
    min_sharpness_ratio=0.8,
    min_color_fit=20,
    max_clipped=0.1,
)
FAULTS = {  # in the order of the tests
    "outside": {"ncc": np.nan, "patch_to_dslr": np.full((3, 3), np.nan)},
    "flat": {"ncc": np.nan},
    "shift_limit": {"shift_px": (3.0, -10.5)},
    "low_ncc": {"ncc": 0.89},
    "uncertain": {"sigma_px": np.inf},
    "depth_edge": {"depth_px": 5.0},
    "low_valid": {"valid_share": 0.97},
    "soft_target": {"sharpness_ratio": 0.7},
    "color_misfit": {"color_fit_psnr": 19.0},
    "clipped": {"clipped_dslr": 0.2},
}


def good(count=1):
    """Windows that pass every test."""

    def all_of(value):
        return np.full(count, value, np.float32)

    places = [(100 * (i % 10), 100 * (i // 10)) for i in range(count)]
    return Windows(
        window_xy=np.array(places, np.int32).reshape(-1, 2),
        ncc=all_of(0.95),
        patch_to_phone=np.array([translation(*place) for place in places]),
        patch_to_dslr=np.array([translation(*place) for place in places]),
        shift_px=np.full((count, 2), 1.5, np.float32),
        rotation_deg=all_of(0.5),
        sigma_px=all_of(0.1),
        depth_px=all_of(0.1),
        valid_share=all_of(0.98),
        sharpness_ratio=all_of(1.2),
        color_fit_psnr=all_of(28),
        clipped_phone=all_of(0.05),
        clipped_dslr=all_of(0.0),
    )


def with_faults(windows, faults):
    columns = {name: getattr(windows, name).copy() for name in faults}
    for name, value in faults.items():
        columns[name][0] = value
    return replace(windows, **columns)


def reason_of(faults, settings=ALL_TESTS):
    return select_windows(with_faults(good(), faults), settings)[0]


def test_a_window_without_fault_is_accepted():
    assert select_windows(good(3), ALL_TESTS).tolist() == ["accepted"] * 3


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_has_its_reason(reason):
    assert reason_of(FAULTS[reason]) == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    "faults, reason",
    [
        ({"shift_px": (-10.5, 0.0)}, "shift_limit"),
        ({"rotation_deg": -2.5}, "shift_limit"),
        ({"clipped_phone": 0.2}, "clipped"),
        ({"sigma_px": 0.26}, "uncertain"),
        ({"depth_px": 0.41}, "depth_edge"),
        ({"shift_px": (0.0, 10.0)}, "shift_limit"),  # where the search ends
        ({"sigma_px": np.nan}, "uncertain"),
        ({"depth_px": np.nan}, "depth_edge"),
        ({"valid_share": np.nan}, "low_valid"),
        ({"sharpness_ratio": np.nan}, "soft_target"),
        ({"color_fit_psnr": np.nan}, "color_misfit"),
    ],
)
def test_both_signs_both_cameras_limits_and_what_is_unknown_count(faults, reason):
    assert reason_of(faults) == reason


def test_the_first_test_that_fails_gives_the_reason():
    names = list(FAULTS)
    for first, reason in enumerate(names):
        together = {}
        for name in reversed(names[first:]):
            together |= FAULTS[name]
        assert reason_of(together) == reason


def test_an_exclusion_by_hand_comes_before_everything():
    windows = with_faults(good(2), FAULTS["flat"])
    excluded = np.array([True, False])
    reasons = select_windows(windows, ALL_TESTS, excluded=excluded)
    assert reasons.tolist() == ["excluded", "accepted"]


@pytest.mark.parametrize("reason", ["soft_target", "color_misfit", "clipped"])
def test_the_tests_of_the_target_are_off_by_default(reason):
    assert reason_of(FAULTS[reason], PatchSettings()) == "accepted"


def test_zero_switches_the_uncertainty_test_off():
    assert reason_of(FAULTS["uncertain"], PatchSettings(max_sigma=0)) == "accepted"


@pytest.mark.parametrize("reason", FAULTS)
def test_the_papers_rule_asks_for_ncc_and_quality_alone(reason):
    settings = replace(ALL_TESTS, rule="paper")
    refined_alone = {"shift_limit", "uncertain", "depth_edge", "low_valid"}
    expected = "accepted" if reason in refined_alone else reason
    assert reason_of(FAULTS[reason], settings) == expected


def test_the_papers_rule_keeps_a_window_at_the_end_of_its_search():
    settings = PatchSettings(rule="paper", max_shift=5, max_rotation=1)
    unknown = {"sigma_px": np.nan, "depth_px": np.nan}
    border = {"shift_px": (5.0, -5.0), "rotation_deg": 1.0, **unknown}
    assert reason_of(border, settings) == "accepted"


def test_what_limits_the_papers_search_is_measured_anew():
    def measuring(rule, **values):
        return PatchSettings(rule=rule, **values).measuring()

    assert measuring("paper") != measuring("refined")
    assert measuring("paper", max_rotation=1) != measuring("paper")
    assert measuring("paper", max_shift=3) != measuring("paper")
    assert measuring("paper", max_sigma=0) == measuring("paper")
    assert measuring("refined", max_rotation=1) == measuring("refined")


def test_the_threshold_itself_is_not_above_the_threshold():
    half = PatchSettings(min_corr=0.5)
    assert reason_of({"ncc": 0.5}, half) == "low_ncc"
    assert reason_of({"ncc": np.nextafter(np.float32(0.5), 1)}, half) == "accepted"


@pytest.mark.parametrize("share, kept", [(0.5, True), (0.49, False), (np.nan, False)])
def test_partly_valid_windows_are_kept_where_that_is_asked_for(share, kept):
    found = reason_of({"valid_share": share}, PatchSettings(min_valid=0.5))
    assert found == ("accepted" if kept else "low_valid")


def test_a_window_whose_validity_is_unknown_is_never_kept():
    anything = PatchSettings(min_valid=0)
    assert reason_of({"valid_share": 0.0}, anything) == "accepted"
    assert reason_of({"valid_share": np.nan}, anything) == "low_valid"


def test_no_windows_have_no_reasons():
    none = good(1).rows(np.array([False]))
    assert select_windows(none, PatchSettings(max_per_photo=3)).shape == (0,)


def test_the_surplus_of_a_photo_is_taken_evenly():
    windows = with_faults(good(100), FAULTS["low_ncc"])  # a 10x10 grid, 100 px apart
    reasons = select_windows(windows, PatchSettings(max_per_photo=9))
    assert reasons[0] == "low_ncc"
    assert (reasons == "accepted").sum() == 9
    assert (reasons == "surplus").sum() == 90
    kept = windows.window_xy[reasons == "accepted"]
    gaps = np.linalg.norm(kept[:, None] - kept[None], axis=-1) + 1e9 * np.eye(9)
    assert gaps.min() >= 300  # the best nine lie on a lattice of 450 px
    quarters = {tuple(place) for place in (kept >= 500).tolist()}
    assert len(quarters) == 4


@pytest.mark.parametrize("count", [1, 2, 5, 99])
def test_spreading_out_gives_as_many_as_asked_for(count):
    points = good(30).window_xy
    chosen = spread_out(points, count)
    assert len(chosen) == min(count, 30)
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_no_point_is_chosen_twice_where_points_coincide(count):
    points = np.array([[0, 0]] * 6 + [[9, 9]] * 4, np.int32)
    assert len(set(spread_out(points, count).tolist())) == count


@pytest.mark.parametrize(
    "values",
    [
        {"size": 8},
        {"min_corr": 1.1},
        {"max_sigma": -1},
        {"max_shift": 0},
        {"max_clipped": 2},
        {"min_valid": 1.5},
        {"test_photos": -1},
        {"compress": "zip"},
        {"rule": "papers"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values):
    option = "--" + next(iter(values)).replace("_", "-")
    with pytest.raises(UsageError, match=option):
        PatchSettings(**values)


def test_a_window_without_a_valid_pixel_is_not_called_flat():
    assert reason_of({"ncc": np.nan, "valid_share": 0.0}) == "low_valid"
    assert reason_of({"ncc": np.nan, "valid_share": 0.5}) == "flat"
