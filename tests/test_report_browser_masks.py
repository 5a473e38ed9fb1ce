"""The panel of a pair tints what masks hide and colours parallax, in a browser."""

import json
import re
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_colours_parallax(visit, workspace, scheme):
    line = numbers_of(workspace)["table"][0]
    text = (workspace / "report" / line["script"]).read_text()
    data = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    px, reach = data["parallax"]["px"], data["parallax"]["reach"]
    page = visit("#pair-1", color_scheme=scheme)
    windows, scale = page.locator("#windows rect"), page.locator("#parallax")
    expect(windows).to_have_count(len(px))
    expect(scale).to_be_hidden()
    page.keyboard.press("w")
    page.keyboard.press("p")  # shows the windows, too
    expect(scale).to_contain_text(f"+{reach:.1f} px")
    expect(page.locator("#windows path:visible")).to_have_count(0)
    placed = [value for value in px if value is not None]
    fills = windows.evaluate_all("all => all.map(one => getComputedStyle(one).fill)")
    assert [fill == "none" for fill in fills] == [value is None for value in px]
    channels = {
        value: [float(part) for part in re.findall(r"[\d.]+", fill)][:3]
        for value, fill in zip(px, fills, strict=True)
        if value is not None
    }
    assert min(placed) < 0 < max(placed)
    red, _, blue = channels[max(placed)]
    assert red > blue
    red, _, blue = channels[min(placed)]
    assert red < blue
    windows.nth(px.index(max(placed))).hover()
    expect(page.locator("#tip")).to_contain_text(f"parallax +{max(placed):.1f} px")
    page.keyboard.press("p")
    expect(scale).to_be_hidden()
