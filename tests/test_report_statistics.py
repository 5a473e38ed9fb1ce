"""Known windows must come out as the numbers they were made from."""

from dataclasses import replace

import numpy as np
import pytest

from dped_build.patches.records import empty_windows
from dped_build.patches.settings import PatchSettings
from dped_build.report.contact_sheet import choose_patches
from dped_build.report.record import Histogram, Spread
from dped_build.report.run_curves import training_run
from dped_build.report.statistics import (
    Outcomes,
    PairWindows,
    clipped_share,
    frame_cells,
    histogram,
    ncc_statistics,
    search_limits,
    spread,
    spread_edges,
    window_outcomes,
    windows_of_pairs,
)
from dped_build.report.tables import StoredPatches, WindowTable
from dped_build.report.workspace_reader import Run


def make_windows(xy, *, pair=None, accepted=None, ncc=None, shift=None, pairs=("a",)):
    count = len(xy)
    accepted = np.ones(count, bool) if accepted is None else np.array(accepted)
    columns = {"window_xy": np.array(xy, np.int32)}
    if ncc is not None:
        columns["ncc"] = np.array(ncc, np.float32)
    shift = np.zeros((count, 2)) if shift is None else shift
    columns["shift_px"] = np.array(shift, np.float32)
    return WindowTable(
        pairs=list(pairs),
        pair=np.zeros(count, int) if pair is None else np.array(pair),
        reasons=["accepted", "low_ncc"],
        reason=np.where(accepted, 0, 1),
        accepted=accepted,
        table=replace(empty_windows(count), **columns),
    )


def test_histogram_counts_every_finite_value_once():
    values = [-5.0, 0.1, 0.1, 0.9, 7.0, np.nan]
    counted = histogram(values, np.linspace(0, 1, 3))
    assert counted == Histogram(edges=[0.0, 0.5, 1.0], counts=[3, 2])


def test_spread_has_the_quantiles_and_ignores_what_was_not_measured():
    values = spread(np.append(np.arange(101.0), np.nan))
    assert values == Spread(n=101, min=0, p05=5, median=50, p95=95, max=100)
    assert spread([np.nan]).median is None


@pytest.mark.parametrize("largest", [0.003, 0.87, 4.2, 63.0])
def test_bins_reach_over_the_largest_value_but_not_far(largest):
    edges = spread_edges([0.0, largest], symmetric=True)
    assert largest * 0.99 <= edges[-1] <= 2 * largest
    assert edges[0] == -edges[-1]


def test_thresholds_count_windows_above_them_by_ncc_alone():
    ncc = [0.79, 0.81, 0.86, 0.91, 0.96, np.nan]
    windows = make_windows([(0, 0)] * 6, ncc=ncc, accepted=[False] * 6)
    above = {row.threshold: row for row in ncc_statistics(windows).above}
    assert [above[t].windows for t in (0.80, 0.85, 0.90, 0.95)] == [4, 3, 2, 1]
    assert above[0.95].share == pytest.approx(1 / 6, abs=1e-6)


def test_windows_are_counted_by_outcome_and_by_pair():
    accepted = [True, False, False, True]
    windows = make_windows(
        [(0, 0)] * 4, pair=[0, 0, 1, 1], pairs=("a", "b"), accepted=accepted
    )
    assert window_outcomes(windows) == Outcomes(
        candidates=4,
        judged=4,
        accepted=2,
        accepted_share=0.5,
        reasons={"low_ncc": 2},
    )
    each = PairWindows(windows=2, judged=2, excluded=0, accepted=1)
    assert windows_of_pairs(windows) == {"a": each, "b": each}


@pytest.mark.parametrize("rule, limit", [("refined", 8.0), ("paper", 5.0)])
def test_windows_at_the_search_limit_are_those_that_reach_it(rule, limit):
    shift = [(0, 0), (limit, 0), (1, -limit), (limit - 0.5, 0), (limit, 0)]
    ncc = [0.95, 0.95, 0.5, 0.95, np.nan]  # the last was never searched for
    windows = make_windows([(0, 0)] * 5, ncc=ncc, shift=shift)
    limits = search_limits(windows, PatchSettings(rule=rule, max_shift=8.0))
    assert limits.max_shift_px == limit
    assert (limits.shift, limits.rotation, limits.measured) == (2, 0, 4)
    assert limits.share == 0.5


def test_a_known_field_comes_back_cell_by_cell():
    xy = [(x, y) for y in range(0, 900, 100) for x in range(0, 1200, 100)]
    shift = [(x / 1000, -y / 1000) for x, y in xy]
    accepted = [x != 300 for x, _ in xy]
    windows = make_windows(xy, shift=shift, accepted=accepted)
    cells = frame_cells(windows, {"a": (1200, 900)}, window_size=100)
    assert (cells.columns, cells.rows) == (12, 9)
    assert cells.candidates == [1] * 108
    assert cells.accepted == [int(ok) for ok in accepted]
    for mean, known, ok in zip(cells.mean_shift_px, shift, accepted, strict=True):
        assert mean == (pytest.approx(known, abs=1e-4) if ok else None)


def test_cells_are_no_smaller_than_a_window():
    cells = frame_cells(
        make_windows([(0, 0), (700, 500)]), {"a": (840, 600)}, window_size=100
    )
    assert (cells.columns, cells.rows) == (8, 6)
    assert cells.candidates[0] == cells.candidates[-1] == 1


def test_the_rarer_orientation_is_left_out_of_the_frame():
    windows = make_windows(
        [(0, 0)] * 3, pair=[0, 1, 2], pairs=("a", "b", "c"), accepted=[True] * 3
    )
    sizes = {"a": (400, 300), "b": (300, 400), "c": (400, 300)}
    cells = frame_cells(windows, sizes, window_size=20)
    assert cells.left_out == 1
    assert sum(cells.candidates) == 2


def test_best_and_just_accepted_patches_take_one_of_each_photo():
    stored = StoredPatches(
        files=["train-00000.h5"],
        file=np.zeros(5, int),
        row=np.arange(5),
        photos=["a", "b"],
        photo=np.array([0, 0, 1, 1, 0]),
        xy=np.zeros((5, 2), np.int32),
        ncc=np.array([0.99, 0.98, 0.97, 0.91, np.nan], np.float32),
        valid_share=np.array([1, 0.7, 0.98, 1, 0.6], np.float32),
    )
    chosen = choose_patches(stored, count=6)
    assert chosen["best"] == [0, 2]
    assert chosen["just accepted"] == [3, 1]
    assert chosen["partly valid"] == [4]


def test_curves_take_numbers_only_and_find_the_best():
    lines = [
        {"iteration": 10, "psnr": 18.0, "val_loss": 2.0, "note": "x", "ok": True},
        {"iteration": 20, "psnr": 19.0, "val": {"loss": 1.5}, "train_loss": None},
        {"iteration": 30, "psnr": 18.5},
        {"psnr": 99.0},
    ]
    run = training_run(Run("r", {}, lines, []))
    assert run.iterations == 30
    assert run.panels == {
        "PSNR, dB": {"psnr": [(10, 18.0), (20, 19.0), (30, 18.5)]},
        "loss": {"val_loss": [(10, 2.0)], "val loss": [(20, 1.5)]},
    }
    (quality,) = run.quality
    assert (quality.best, quality.best_iteration) == (19.0, 20)
    assert (quality.last, quality.phone_unchanged) == (18.5, None)


def test_windows_taken_out_by_hand_or_beyond_the_share_are_not_judged():
    windows = make_windows(
        [(0, 0)] * 6, accepted=[True, True, False, False, False, False]
    )
    windows = replace(
        windows,
        reasons=["accepted", "excluded", "flat", "surplus"],
        reason=np.array([0, 0, 1, 1, 3, 2]),
    )
    counts = window_outcomes(windows)
    assert (counts.candidates, counts.judged, counts.accepted) == (6, 3, 2)
    assert counts.accepted_share == pytest.approx(2 / 3, abs=1e-6)
    measures = windows_of_pairs(windows)["a"]
    assert (measures.judged, measures.excluded) == (3, 2)


def test_turned_windows_are_at_the_limit_too():
    windows = make_windows([(0, 0)] * 4, ncc=[0.95] * 4)
    turned = np.array([5.0, -5.0, 4.0, np.nan], np.float32)
    windows = replace(windows, table=replace(windows.table, rotation_deg=turned))
    assert search_limits(windows, PatchSettings(max_rotation=5.0)).rotation == 2
    assert search_limits(windows, PatchSettings(max_rotation=0.0)).rotation == 0


def test_clipped_windows_are_those_with_a_tenth_on_either_side():
    windows = make_windows([(0, 0)] * 4, accepted=[True, True, True, False])
    table = replace(
        windows.table,
        clipped_phone=np.array([0.2, 0.0, np.nan, 0.9], np.float32),
        clipped_dslr=np.array([0.0, 0.05, 0.5, 0.9], np.float32),
    )
    share = clipped_share(replace(windows, table=table))
    assert share == pytest.approx(2 / 3, abs=1e-6)
