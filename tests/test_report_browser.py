"""The report's page in a browser: it opens from a disk, sorts, filters, fits."""

import json
import re

import pytest
from report_browser import (
    NOTHING,
    browser,
    expect,
    is_loaded,
    names,
    names_of_all_pages,
    numbers_of,
    open_pair,
    visit,
)
from report_fixture import make_many, write_run

from dped_build.report import write_report

__all__ = ["browser", "visit"]

RECORDS = 140
LONG = "a_name_without_a_gap_" * 8
PER_PAGE = 50
MEASURES = (
    "inliers",
    "inlier_rmse_px",
    "rmse_px",
    "overlap",
    "windows",
    "accepted",
    "share",
    "exposure_ev",
    "color_ev",
    "sharpness_ratio",
    "parallax_px",
)
SMALL = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = make_many(tmp_path_factory.mktemp("workspace"), RECORDS)
    write_run(folder / "runs" / LONG)
    records = folder / "aligned" / "alignment.jsonl"
    lost = json.loads(records.read_text().splitlines()[-1]) | {"pair": LONG}
    records.write_text(f"{records.read_text()}{json.dumps(lost)}\n")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def table(workspace):
    """The rows of report.json with their share of accepted windows."""
    rows = numbers_of(workspace)["table"]
    for row in rows:
        row["share"] = row["accepted"] / row["windows"] if row["windows"] else None
    return rows


def in_order(rows, key, *, down):
    """The names sorted by a number; rows without it last, equal ones as they were."""
    known = [row for row in rows if row[key] is not None]
    unknown = [row for row in rows if row[key] is None]
    known.sort(key=lambda row: -row[key] if down else row[key])
    return [row["pair"] for row in known + unknown]


@pytest.mark.parametrize("offline", [False, True])
def test_page_opens_from_a_disk_and_asks_for_its_own_files_only(visit, offline):
    page = visit(offline=offline)
    open_pair(page, "IMG_0002")
    expect(page.locator("#windows rect")).to_have_count(19)
    is_loaded(page, "#stage img")
    page.keyboard.press("Escape")
    is_loaded(page, "main figure img, #rows img")
    assert len(visit.addresses) > 50
    assert all(url.startswith(visit.report.as_uri() + "/") for url in visit.addresses)
    assert visit.problems == []


@pytest.mark.parametrize("key", MEASURES)
def test_a_click_on_a_heading_sorts_and_another_turns_it_round(visit, table, key):
    page = visit()
    heading = page.locator(f"#head button[data-key={key}]")
    for down, order in ((False, "ascending"), (True, "descending")):
        heading.click()
        assert names_of_all_pages(page) == in_order(table, key, down=down)
        sorted_by = page.locator("#head th[aria-sort]:not([aria-sort=none])")
        expect(sorted_by).to_have_count(1)
        expect(sorted_by).to_have_attribute("aria-sort", order)
        expect(sorted_by.locator("button")).to_have_attribute("data-key", key)
        expect(page.locator("#sort")).to_have_value(key)


def test_sort_field_and_direction_button_do_as_the_headings(visit, table):
    page = visit()
    assert names_of_all_pages(page) == [row["pair"] for row in table]
    page.select_option("#sort", "accepted")
    page.click("#direction")
    assert names_of_all_pages(page) == in_order(table, "accepted", down=True)
    heading = page.locator("#head th", has=page.locator("[data-key=accepted]"))
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#direction")).to_contain_text("descending")
    page.select_option("#sort", "number")
    assert names_of_all_pages(page) == [row["pair"] for row in table][::-1]


def test_numbers_of_the_rows_are_those_of_report_json(visit, table):
    page = visit()
    for row, line in zip(table[:PER_PAGE], page.locator("#rows tr").all(), strict=True):
        shown = dict(zip(MEASURES, line.locator("td[data-label]").all(), strict=True))
        for key in ("inliers", "windows", "accepted"):
            text = NOTHING if row[key] is None else str(row[key])
            assert shown[key].text_content() == text
        for key in ("inlier_rmse_px", "color_ev", "exposure_ev", "sharpness_ratio"):
            text = shown[key].text_content()
            assert (text == NOTHING) == (row[key] is None)
            assert text == NOTHING or float(text) == pytest.approx(
                row[key], abs=0.00501
            )
        for key in ("overlap", "share"):
            text = shown[key].text_content()
            assert (text == NOTHING) == (row[key] is None)
            value = text.removesuffix(" %")
            assert text == NOTHING or int(value) == pytest.approx(
                100 * row[key], abs=0.501
            )


def shown_of(page, table, passes):
    """Assert that just the rows that pass are shown, and that the count says so."""
    wanted = [row["pair"] for row in table if passes(row)]
    assert 0 < len(wanted) < len(table)
    assert names_of_all_pages(page) == wanted
    text = page.locator("#shown").text_content()
    assert text.startswith(f"{len(wanted)} of {len(table)} records")


def test_names_are_found_by_a_part_in_any_case(visit, table):
    page = visit()
    page.fill("#find", " img_003 ")
    shown_of(page, table, lambda row: "IMG_003" in row["pair"])
    page.fill("#find", "nothing is called so")
    assert names(page) == []
    expect(page.locator("#shown")).to_have_text(f"0 of {len(table)} records")


@pytest.mark.parametrize(
    "key, value",
    [("status", "rejected"), ("reason", "small_overlap"), ("split", "val")],
)
def test_choices_filter_and_offer_every_value_there_is(visit, table, key, value):
    page = visit()
    options = page.locator(f"#by-{key} option").evaluate_all(
        "all => all.map(o => o.value)"
    )
    assert options == ["", *sorted({row[key] for row in table} - {None})]
    page.select_option(f"#by-{key}", value)
    shown_of(page, table, lambda row: row[key] == value)


def set_range(page, key, low, high):
    if not page.locator("#ranges").is_visible():
        page.click("#tools summary")
    fields = page.locator("#ranges fieldset").nth(MEASURES.index(key)).locator("input")
    fields.nth(0).fill(low)
    fields.nth(1).fill(high)


def test_numbers_filter_from_both_ends_and_together(visit, table):
    page = visit()
    set_range(page, "inliers", "100", "300")
    shown_of(page, table, lambda row: 100 <= (row["inliers"] or 0) <= 300)
    set_range(page, "exposure_ev", "", "5")
    shown_of(
        page,
        table,
        lambda row: 100 <= (row["inliers"] or 0) <= 300 and row["exposure_ev"],
    )
    set_range(page, "inliers", "", "")
    shown_of(page, table, lambda row: row["exposure_ev"] is not None)


@pytest.mark.parametrize("limits", ["57 to", "to 55"])
def test_ranges_of_shares_are_in_per_cent_and_take_their_ends_in(visit, table, limits):
    assert 100 * 0.57 < 57 and 100 * 0.55 > 55  # what a computer makes of them
    low, high = (limit.strip() for limit in limits.split("to"))
    page = visit()
    set_range(page, "overlap", low, high)
    percent = {row["pair"]: round(100 * (row["overlap"] or 0)) for row in table}
    assert {55, 57} <= set(percent.values())
    shown_of(
        page,
        table,
        lambda row: int(low or 1) <= percent[row["pair"]] <= int(high or 100),
    )


def test_left_out_by_hand_shows_the_marked_photos(visit, table):
    page = visit()
    for name in ("IMG_0003", "IMG_0005"):
        page.get_by_label(f"Leave out {name}", exact=True).click()
    page.check("#only-marked")
    shown_of(page, table, lambda row: row["pair"] in ("IMG_0003", "IMG_0005"))


def test_show_all_empties_every_field(visit, table):
    page = visit()
    page.fill("#find", "IMG_00")
    page.select_option("#by-status", "aligned")
    page.check("#only-marked")
    set_range(page, "overlap", "", "60")
    assert names(page) == []
    page.click("#reset")
    assert names_of_all_pages(page) == [row["pair"] for row in table]
    expect(page.locator("#shown")).to_contain_text(f"{len(table)} records")
    for field in page.locator("#tools input[type=number], #find").all():
        expect(field).to_have_value("")


def test_a_warning_shows_its_pairs_in_the_table(visit, table):
    page = visit()
    page.fill("#find", "IMG_0001")
    page.locator("button[data-reason=no_partner]").click()
    expect(page.locator("#find")).to_have_value("")
    shown_of(page, table, lambda row: row["reason"] == "no_partner")


def test_pages_of_the_table_follow_each_other(visit, table):
    page = visit()
    assert names(page) == [row["pair"] for row in table[:PER_PAGE]]
    expect(page.locator("#shown")).to_have_text(f"{len(table)} records; 1 to 50 shown")
    expect(page.locator("#page-back")).to_be_disabled()
    page.click("#page-on")
    assert names(page) == [row["pair"] for row in table[PER_PAGE : 2 * PER_PAGE]]
    page.click("#page-on")
    expect(page.locator("#page")).to_have_text("Page 3 of 3")
    expect(page.locator("#page-on")).to_be_disabled()
    page.click("#page-back")
    expect(page.locator("#page")).to_have_text("Page 2 of 3")


def test_a_patch_is_enlarged_by_a_click(visit):
    page = visit()
    page.locator("#patches figure").first.scroll_into_view_if_needed()
    page.locator("#patches a.enlarge img").first.click()
    is_loaded(page, "#large")
    page.keyboard.press("Escape")
    expect(page.locator("#lightbox")).to_be_hidden()


def assert_fits(page):
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


@pytest.mark.parametrize("anchor", ["", "#pair-2", f"#pair-{RECORDS + 1}"])
def test_nothing_is_wider_than_a_phone(visit, anchor):
    page = visit(anchor, **SMALL)
    if anchor:
        expect(page.locator("#panel")).to_be_visible()
        room = "panel => [panel.scrollWidth, panel.clientWidth]"
        content, width = page.locator("#panel").evaluate(room)
        assert content <= width <= 390
    assert_fits(page)


def colors_of_body(page):
    """Ink and paper, 0 to 255 each."""
    style = "s => [s.color, s.backgroundColor]"
    pair = page.evaluate(f"({style})(getComputedStyle(document.body))")
    return [[int(v) for v in re.findall(r"\d+", color)[:3]] for color in pair]


def luminance(color):
    """Relative luminance (WCAG 2.2)."""
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (channel / 255 for channel in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_light_and_dark_differ_and_both_are_easy_to_read(visit):
    papers = []
    for scheme in ("light", "dark"):
        ink, paper = map(luminance, colors_of_body(visit(color_scheme=scheme)))
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast >= 7
        papers.append(paper)
    assert papers[0] > 0.8 > 0.05 > papers[1]


def test_paper_shows_the_numbers_without_the_tools(visit):
    page = visit(color_scheme="dark")
    page.emulate_media(media="print")
    for selector in ("#tools", "nav", "#pager", "#rows .mark >> nth=0"):
        expect(page.locator(selector)).to_be_hidden()
    expect(page.locator("#rows tr")).to_have_count(PER_PAGE)
    ink, _ = colors_of_body(page)
    assert ink == [0, 0, 0]
