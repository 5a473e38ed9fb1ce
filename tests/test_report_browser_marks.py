"""Photos and windows are marked in a browser; exclude.csv must hold just them."""

import csv

import pytest
from report_browser import (
    browser,
    expect,
    is_ready,
    open_pair,
    visit,
    visits,
)
from report_fixture import GRID, make_workspace

from dped_build.patches.exclusions import read_excluded_lines, read_exclusions
from dped_build.report import write_report

__all__ = ["browser", "visit"]

EVIL = "<img src=x onerror=alert(1)>"
NAMES = [
    "0001",
    "0002",
    EVIL,
    'a, "b"',
    "two\nlines",
    "日本語 ñ é",
    " ",
    "=1+1",
    "0009",
]
KEPT = [
    ("0001", "", "", "the wind, it moved"),
    ("0002", "40", "80", 'a "ghost"'),
    ("0002", "0", "0", ""),
    ("gone", "", "", "not in this set"),
]
LISTED = {("0001",), ("0002", "40", "80"), ("0002", "0", "0"), ("gone",)}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = make_workspace(tmp_path_factory.mktemp("workspace"), NAMES)
    with (folder / "exclude.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("pair", "x", "y", "note"), *KEPT])
    write_report(folder)
    return folder


@pytest.fixture
def saved(tmp_path):
    """Saves exclude.csv and says where it is."""

    def save(page):
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename == "exclude.csv"
        download.value.save_as(tmp_path / "exclude.csv")
        return tmp_path / "exclude.csv"

    return save


def mark_of(page, number):
    """The button that marks the photo in row `number`, from 0."""
    return page.locator("#rows .mark").nth(number)


def row_of(page, number):
    """Open the panel of the pair in row `number`, from 0."""
    page.locator("#rows .thumb").nth(number).click()
    expect(page.locator("#windows rect")).to_have_count(len(GRID))


def test_nothing_is_offered_before_something_is_changed(visit):
    page = visit()
    expect(page.locator("#marks")).to_be_hidden()
    expect(page.locator("#rows tr.marked")).to_have_count(1)
    expect(mark_of(page, 0)).to_have_attribute("aria-pressed", "true")


def test_exclude_csv_holds_what_was_marked_under_any_name(visit, saved):
    page = visit()
    for number in range(2, len(NAMES)):
        mark_of(page, number).click()
    expect(page.locator("#marked")).to_have_text(
        f"{len(NAMES)} photos and 2 windows to leave out"
    )
    path = saved(page)
    assert read_exclusions(path) == LISTED | {(name,) for name in NAMES[2:]}


def test_windows_are_marked_in_the_panel_under_any_name(visit, saved):
    page = visit()
    for number in range(2, len(NAMES)):
        row_of(page, number)
        page.locator("#windows rect").nth(13).hover()
        page.keyboard.press("X")
        expect(page.locator("#windows rect.marked")).to_have_count(1)
        page.keyboard.press("Escape")
    x, y = map(str, GRID[13])
    assert read_exclusions(saved(page)) == LISTED | {(n, x, y) for n in NAMES[2:]}


def test_a_window_is_marked_in_the_contact_sheets_and_shown_in_its_panel(visit, saved):
    page = visit()
    figure = page.locator("#patches figure").first
    pair, x, y = (figure.get_attribute(f"data-{name}") for name in ("pair", "x", "y"))
    figure.locator(".mark").click()
    expect(figure).to_have_class("marked")
    assert read_exclusions(saved(page)) == LISTED | {(pair, x, y)}
    figure.locator("a.enlarge").focus()
    page.keyboard.press("x")
    expect(page.locator("#marks")).to_be_hidden()


def test_notes_are_kept_and_new_lines_say_where_they_come_from(visit, saved):
    page = visit()
    mark_of(page, 8).click()
    lines = read_excluded_lines(saved(page))
    assert [(line.pair, line.note) for line in lines] == [
        *((pair, note) for pair, _, _, note in KEPT),
        ("0009", "marked in the report"),
    ]


def test_unmarking_a_listed_photo_or_window_takes_its_line_out(visit, saved):
    page = visit()
    mark_of(page, 0).click()
    open_pair(page, "0002")
    listed = page.locator("#windows rect.marked")
    expect(listed).to_have_count(2)
    listed.last.hover()
    page.keyboard.press("x")
    expect(listed).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#marked")).to_have_text("1 photo and 1 window to leave out")
    assert read_exclusions(saved(page)) == LISTED - {("0001",), ("0002", "40", "80")}


def test_marking_twice_changes_nothing(visit):
    page = visit()
    for number in (0, 3):
        mark_of(page, number).click()
        expect(page.locator("#marks")).to_be_visible()
        mark_of(page, number).click()
        expect(page.locator("#marks")).to_be_hidden()
    expect(page.locator("#rows tr.marked")).to_have_count(1)


def test_marks_outlive_a_reload(visit, saved):
    page = visit()
    mark_of(page, 0).click()
    mark_of(page, 2).click()
    row_of(page, 4)
    page.locator("#windows rect").first.hover()
    page.keyboard.press("x")
    page.reload()
    is_ready(page)
    expect(page.locator("#panel")).to_be_visible()
    expect(page.locator("#windows rect.marked")).to_have_count(1)
    page.keyboard.press("Escape")
    wanted = (LISTED - {("0001",)}) | {(EVIL,), ("two\nlines", "0", "0")}
    assert read_exclusions(saved(page)) == wanted


def test_forgetting_goes_back_to_the_file(visit, saved):
    page = visit()
    for number in (0, 2):
        mark_of(page, number).click()
    page.click("#forget")
    expect(page.locator("#marks")).to_be_hidden()
    expect(mark_of(page, 0)).to_have_attribute("aria-pressed", "true")
    page.reload()
    is_ready(page)
    expect(page.locator("#marks")).to_be_hidden()
    expect(page.locator("#rows tr.marked")).to_have_count(1)


def test_a_mark_that_reached_the_file_is_no_change_any_more(browser, tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001", "0002"])
    write_report(workspace)
    with visits(browser, workspace / "report") as visit:
        page = visit()
        mark_of(page, 1).click()
        (workspace / "exclude.csv").write_text("pair\n0002\n")
        write_report(workspace)
        page.reload()
        is_ready(page)
        expect(mark_of(page, 1)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#marks")).to_be_hidden()


def test_a_note_on_a_window_of_a_marked_photo_is_kept(visit, saved):
    page = visit()
    mark_of(page, 1).click()
    path = saved(page)
    assert read_exclusions(path) == LISTED | {("0002",)}
    assert [line.note for line in read_excluded_lines(path)][1] == 'a "ghost"'
