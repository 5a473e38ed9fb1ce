"""The panel of a pair tints what masks hide, in a browser."""

import shutil

import pytest
from masking import hide_parts
from report_browser import browser, expect, numbers_of, visit

from dped_build.patches import PatchSettings, build_shards
from dped_build.report import write_report
from dped_build.report.tables import read_windows

__all__ = ["browser", "visit"]


@pytest.fixture(scope="module")
def workspace(aligned_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked")
    shutil.copytree(aligned_set / "aligned", folder / "aligned")
    with pytest.MonkeyPatch.context() as patch:
        hide_parts(patch)
        build_shards(folder, settings=PatchSettings(size=64, min_valid=0.5), jobs=1)
    write_report(folder)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_tints_what_masks_hide(visit, workspace, scheme):
    windows = read_windows(workspace / "patches/windows.h5")
    masked = windows.partly_valid & (windows.table.valid_share == 0.75)
    row = int((masked & windows.accepted).argmax())
    pair = windows.pairs[windows.pair[row]]
    own = windows.rows_of_pairs()[pair]
    names = [line["pair"] for line in numbers_of(workspace)["table"]]
    page = visit(f"#pair-{names.index(pair) + 1}", color_scheme=scheme)
    expect(page.locator("#windows rect")).to_have_count(len(own))
    hidden = page.locator("#windows path")
    expect(hidden).to_have_count(int(masked[own].sum()))
    expect(hidden.first).to_have_css("fill", "rgb(130, 90, 235)")
    page.locator("#windows rect").nth(own.tolist().index(row)).hover()
    expect(page.locator("#tip")).to_contain_text("75 % of its pixels valid")
    page.locator("#outcomes button", has_text="accepted").click()
    left = int((masked & ~windows.accepted)[own].sum())
    expect(page.locator("#windows path:visible")).to_have_count(left)
