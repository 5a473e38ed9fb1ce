"""The numbers that a browser shows are those of report.json."""

import pytest
from report_browser import (
    browser,
    expect,
    numbers_of,
    visit,
)
from report_fixture import make_many

from dped_build.report import write_report
from dped_build.report.labels import MEASURES

__all__ = ["browser", "visit"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = make_many(tmp_path_factory.mktemp("workspace"), 300, crops=3)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def report(workspace):
    return numbers_of(workspace)


@pytest.fixture
def page(visit):
    return visit()


def texts(row):
    return [cell.text_content().strip() for cell in row.locator("th, td").all()]


def test_tiles_show_the_counts(page, report):
    pairs, windows, patches = (report[key] for key in ("pairs", "windows", "patches"))
    shown = {
        tile.locator("span").text_content(): tile.locator("b").text_content()
        for tile in page.locator(".tile").all()
    }
    splits = {
        f"{name} patches from {split['photos']} photos": f"{split['patches']:,}"
        for name, split in patches["splits"].items()
    }
    assert shown == splits | {
        "iphone photos": f"{pairs['phone_photos']:,}",
        "canon photos": f"{pairs['dslr_photos']:,}",
        f"of {pairs['paired']:,} pairs aligned": f"{pairs['aligned']:,}",
        f"of {windows['candidates']:,} windows accepted": (
            f"{100 * windows['accepted'] / windows['candidates']:.1f} %"
        ),
        "patches per photo pair; DPED: 28 per iPhone photo": (
            f"{patches['per_photo']:.1f}"
        ),
    }


def test_steps_from_photos_to_patches_show_the_counts(page, report):
    pairs, windows = report["pairs"], report["windows"]
    shown = []
    for step in page.locator(".funnel .what").all():
        label, number = step.locator("> span").all_text_contents()
        reason = step.locator("code")
        code = reason.text_content() if reason.count() else label
        shown.append((code, int(number.replace(",", ""))))
    assert shown == [
        ("Scenes found", pairs["records"]),
        *pairs["lost_before_pairing"].items(),
        ("Pairs", pairs["paired"]),
        *pairs["lost_in_alignment"].items(),
        ("Aligned", pairs["aligned"]),
        ("Windows", windows["candidates"]),
        *windows["reasons"].items(),
        ("Accepted", windows["accepted"]),
    ]


def test_bars_of_the_steps_are_as_long_as_their_shares(page, report):
    pairs = report["pairs"]
    aligned = page.locator(".funnel").first.locator("li").last
    track, bar = (aligned.locator(at).bounding_box() for at in (".track", ".track i"))
    share = pairs["aligned"] / pairs["records"]
    assert bar["width"] / track["width"] == pytest.approx(share, abs=0.005)


def test_thresholds_are_listed_with_what_they_would_accept(page, report):
    windows = report["windows"]
    alone = {row["threshold"]: row["share"] for row in windows["ncc"]["above"]}
    table = page.locator("#agreement table").filter(has_text="by NCC alone")
    assert [texts(row) for row in table.locator("tbody tr").all()] == [
        [
            f"{row['value']:.2f}" + " (now)" * (row["value"] == windows["min_corr"]),
            f"{row['accepted']:,}",
            f"{100 * row['share']:.1f} %",
            f"{100 * alone[row['value']]:.1f} %",
        ]
        for row in windows["what_if"]["min_corr"]
    ]
    expect(table.locator("tr.now")).to_have_count(1)


def test_quantiles_are_listed(page, report):
    spreads = report["windows"]["accepted_spread"]
    table = page.locator("#agreement table").filter(has_text="median")
    rows = [texts(row) for row in table.locator("tbody tr").all()]
    assert [row[0] for row in rows] == [MEASURES[name] for name in spreads]
    for (_, *values), spread in zip(rows, spreads.values(), strict=True):
        wanted = [spread[key] for key in ("min", "p05", "median", "p95", "max")]
        assert [float(value) for value in values] == pytest.approx(wanted, abs=6e-4)


def test_other_values_of_the_options_are_listed(page, report):
    options = report["windows"]["what_if"]["options"]
    table = page.locator("#agreement table").filter(has_text="another value")
    rows = table.locator("tbody tr").all()
    for row, option in zip(rows, options, strict=True):
        expect(row.locator("code")).to_have_text(option["option"])
        shown = row.locator("td.value").all_text_contents()
        for text, value in zip(shown, option["values"], strict=True):
            assert text.startswith(f"at {value['value']:g}: {value['accepted']:,} ")


def test_the_frames_cells_hold_every_window(report):
    windows, frame = report["windows"], report["windows"]["frame"]
    assert sum(frame["candidates"]) + frame["left_out"] == windows["candidates"]
    assert sum(frame["accepted"]) == windows["accepted"]
