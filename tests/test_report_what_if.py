"""What the report says of other thresholds must be what `patches` then does."""

import json
import shutil

import pytest

from dped_build.patches import PatchSettings, build_shards
from dped_build.report import write_report
from dped_build.report.tables import read_windows
from dped_build.report.what_if import OFF, OPTIONS, accepted_with

SIZE = 64


@pytest.fixture(scope="module")
def workspace(patched_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("what-if") / "w"
    shutil.copytree(patched_set, folder)
    return folder


@pytest.fixture(scope="module")
def said(workspace):
    return write_report(workspace).report.windows.what_if


def accepted_by(workspace, **changed):
    settings = PatchSettings(size=SIZE, shard_patches=20, **changed)
    build_shards(workspace, settings=settings, jobs=1, force=True)
    manifest = json.loads((workspace / "patches" / "manifest.json").read_text())
    return manifest["windows"].get("accepted", 0)


@pytest.mark.parametrize("value", [0.80, 0.95])
def test_another_threshold_accepts_what_was_said(workspace, said, value):
    row = next(row for row in said.min_corr if row.value == value)
    assert accepted_by(workspace, min_corr=value) == row.accepted


@pytest.mark.parametrize(
    "option", ["max_sigma", "min_sharpness_ratio", "min_color_fit", "max_clipped"]
)
def test_an_optional_test_costs_what_was_said(workspace, said, option):
    name = "--" + option.replace("_", "-")
    told = next(row for row in said.options if row.option == name)
    strictest = told.values[-1]
    accepted = accepted_by(workspace, **{option: strictest.value})
    assert accepted == strictest.accepted


def test_a_share_per_photo_counts_photo_by_photo(workspace, said):
    accepted_by(workspace)
    windows = read_windows(workspace / "patches" / "windows.h5")
    settings = PatchSettings(size=SIZE, max_per_photo=3)
    told = accepted_with(windows, windows.rows_of_pairs(), settings)
    assert accepted_by(workspace, max_per_photo=3) == told
    row = next(row for row in said.options if row.option == "--max-per-photo")
    assert [row.value for row in row.values] == [200, 100, 50, 28]


def test_every_optional_test_can_be_switched_off():
    assert set(OFF) == set(OPTIONS)
    PatchSettings(**OFF)


def test_photos_left_out_by_hand_stay_out_under_any_threshold(patched_set, tmp_path):
    folder = tmp_path / "w"
    shutil.copytree(patched_set, folder)
    (folder / "exclude.csv").write_text("pair,note\n10,blurred\nnobody,\n")
    now = accepted_by(folder)
    report = write_report(folder).report
    rows = {row.value: row for row in report.windows.what_if.min_corr}
    assert rows[0.9].accepted == now
    assert rows[0.8].accepted <= sum(
        row.windows or 0 for row in report.table if row.pair != "10"
    )
    texts = [warning.text for warning in report.warnings]
    assert "exclude.csv names 1 photo not in this set: nobody" in texts
    assert [line.known for line in report.excluded] == [True, False]
