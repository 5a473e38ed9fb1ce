"""The report shows which pixels are valid, and what masks would save."""

import json
import re
import shutil
from dataclasses import replace

import cv2
import h5py
import numpy as np
import pytest
from masking import hide_parts, mask_of
from report_fixture import scene

from dped_build.patches import PatchSettings, build_shards
from dped_build.patches.records import empty_windows
from dped_build.report import write_report
from dped_build.report.drawing import (
    GAP,
    MASK_RGB,
    luma_difference,
    patch_triple,
)
from dped_build.report.script_data import hidden_path
from dped_build.report.statistics import valid_shares
from dped_build.report.tables import WindowTable, read_patch, read_windows
from dped_build.workspace.errors import DpedBuildError

SIZE = 64


@pytest.fixture(scope="module", params=[0.98, 0.5], ids=["whole", "partly"])
def cut(request, aligned_set, tmp_path_factory):
    """A masked workspace with its report; its smallest valid share."""
    workspace = tmp_path_factory.mktemp("masked")
    shutil.copytree(aligned_set / "aligned", workspace / "aligned")
    settings = PatchSettings(size=SIZE, min_valid=request.param)
    with pytest.MonkeyPatch.context() as patch:
        hide_parts(patch)
        build_shards(workspace, settings=settings, jobs=1)
    return workspace, write_report(workspace).report, request.param


def painted(path):
    """Where an SVG path of rectangles is filled, by pixels."""
    filled = np.zeros((4096, 4096), bool)
    for x0, y0, x1, y1, back in re.findall(r"M(\d+) (\d+)H(\d+)V(\d+)H(\d+)z", path):
        assert x0 == back
        filled[int(y0) : int(y1), int(x0) : int(x1)] = True
    return filled


def test_masks_that_would_save_windows_are_advised(cut):
    workspace, report, least = cut
    texts = [advice.text for advice in report.warnings if "--masks" in advice.text]
    if least == 0.5:
        assert texts == []
        return
    table = read_windows(workspace / "patches/windows.h5")
    refused = report.windows.judged - report.windows.accepted
    options = {option.option: option for option in report.windows.what_if.options}
    gain = options["--min-valid"].values[0].change
    assert 0 < gain <= table.refused_for("low_valid").sum()
    (text,) = texts
    assert text.startswith(f"{gain / refused:.0%} of the refused windows")
    assert "--min-valid 0.5" in text


def test_valid_shares_are_counted_by_outcome(cut):
    workspace, report, least = cut
    table = read_windows(workspace / "patches/windows.h5")
    measured = np.isfinite(table.table.ncc)
    shown = report.windows.valid_shares
    total = np.sum([found.counts for found in shown.values()], axis=0)
    shares = table.table.valid_share[measured]
    assert total.sum() == measured.sum()
    assert total[15] == (shares == 0.75).sum() > 0
    assert report.windows.min_valid == least
    assert ("low_valid" in shown) == (least == 0.98)
    page = (workspace / "report/index.html").read_text()
    assert 'src="valid.svg"' in page
    assert (workspace / "report/valid.svg").is_file()


def test_sheets_show_masks_and_say_how_much_is_valid(cut):
    workspace, report, least = cut
    groups = {group.group: group.patches for group in report.shown_patches}
    assert ("partly valid" in groups) == (least == 0.5)
    assert all(patch.valid_share < least for patch in groups["low_valid"])
    page = (workspace / "report/index.html").read_text()
    assert "75.0 % valid" in page
    for patch in (patch for patches in groups.values() for patch in patches):
        valid = mask_of(*patch.window_xy, SIZE)
        assert patch.valid_share == pytest.approx(valid.mean(), abs=1e-6)
        picture = cv2.imread(str(workspace / "report" / patch.picture))[..., ::-1]
        striped = (picture == MASK_RGB).all(axis=-1)
        assert not striped[:, : -SIZE - GAP].any()
        assert not striped[:, -SIZE:][valid].any()
        assert striped.any() == (patch.ncc is not None and 0 < valid.mean() < 1)


def test_the_panel_gets_the_hidden_parts_of_every_window(cut):
    workspace, report, _ = cut
    seen = 0
    for row in report.table:
        if row.script is None:
            continue
        text = (workspace / "report" / row.script).read_text()
        data = json.loads(text[text.index(",") + 1 : text.rindex(")")])
        columns = (data[name] for name in ("x", "y", "valid", "ncc"))
        places = list(zip(*columns, strict=True))
        for index, path in data["hidden"].items():
            x, y, share, _ = places[int(index)]
            filled = painted(path)[y : y + SIZE, x : x + SIZE]
            hidden = ~mask_of(x, y, SIZE)
            assert np.array_equal(filled, hidden)
            assert share == round(float(1 - hidden.mean()), 4)
            seen += 1
        halves = [share == 0.75 and ncc is not None for *_, share, ncc in places]
        assert sum(halves) == len(data["hidden"])  # one column makes no cell
    assert seen > 0


def test_sets_without_masks_show_none(patched_set, tmp_path):
    workspace = tmp_path / "work"
    shutil.copytree(patched_set, workspace)
    report = write_report(workspace).report
    assert report.windows.valid_shares == {}
    assert not (workspace / "report/valid.svg").exists()
    assert "% valid" not in (workspace / "report/index.html").read_text()


def test_an_old_workspace_needs_no_masks():
    windows = empty_windows(3)
    windows = replace(windows, ncc=np.array([0.9, np.nan, 0.5], np.float32))
    windows = replace(windows, valid_share=np.array([1, 0, 1], np.float32))
    table = WindowTable(
        ["a"], np.zeros(3, int), ["flat"], np.zeros(3, int), np.ones(3, bool), windows
    )
    assert valid_shares(table) == {}
    assert not table.partly_valid.any()


def test_masks_that_are_not_of_the_patches_name_their_shard(cut, tmp_path):
    workspace = tmp_path / "work"
    shutil.copytree(cut[0], workspace)
    with h5py.File(workspace / "patches/test-00000.h5", "r+") as file:
        masks = file["valid"][:, ::2, ::2]
        del file["valid"]
        file["valid"] = masks
    with pytest.raises(DpedBuildError, match=r"test-00000\.h5 is damaged .*valid is"):
        read_patch(workspace, "test-00000.h5", 0)


@pytest.mark.parametrize("size", [16, 50, 100])
def test_hidden_cells_are_those_with_most_pixels_hidden(size):
    valid = np.ones((size, size), bool)
    valid[size // 2 :, : size // 2] = False
    filled = painted(hidden_path(valid, 300, 200))[200 : 200 + size, 300 : 300 + size]
    assert (filled == valid).mean() < 0.1
    assert hidden_path(np.ones((size, size), bool), 0, 0) == ""
    assert painted(hidden_path(np.zeros((size, size), bool), 0, 0)).sum() == size**2


def test_what_is_hidden_does_not_change_the_difference_beside_it():
    phone = scene(0)[:100, :100]
    dslr = (phone * 0.5 + 20).astype(np.uint8)
    valid = np.ones((100, 100), bool)
    valid[:, 60:] = False
    other = dslr.copy()
    other[:, 60:] = scene(1)[:100, 60:100]
    plain, masked = (luma_difference(phone, side, valid) for side in (dslr, other))
    np.testing.assert_array_equal(plain[:, :60], masked[:, :60])
    assert (luma_difference(phone, other)[:, :60] != plain[:, :60]).any()


def test_a_patch_that_is_valid_nowhere_is_hatched_all_over():
    phone = scene(0)[:40, :40]
    triple = patch_triple(phone, phone, np.zeros((40, 40), bool))
    striped = (triple[:, -40:] == MASK_RGB).all(axis=-1)
    assert striped.mean() == pytest.approx(1 / 3, abs=0.01)
