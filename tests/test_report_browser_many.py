"""Six thousand pairs: the page stays small, opens quickly and answers rightly."""

import time

import pytest
from report_browser import (
    browser,
    expect,
    names,
    numbers_of,
    open_pair,
    visit,
)
from report_fixture import make_many

from dped_build.report import write_report

__all__ = ["browser", "visit"]

RECORDS = 6000
PER_PAGE = 50
LIMIT_BYTES = 2_000_000
LIMIT_S = 3.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = make_many(tmp_path_factory.mktemp("workspace"), RECORDS)
    write_report(folder)
    return folder


def test_page_of_six_thousand_pairs_is_small_and_opens_quickly(visit):
    assert (visit.report / "index.html").stat().st_size < LIMIT_BYTES
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        page = visit()
        seconds.append(time.perf_counter() - start)
        expect(page.locator("#rows tr")).to_have_count(PER_PAGE)
    assert min(seconds) < LIMIT_S


def test_six_thousand_pairs_are_sorted_and_filtered_rightly(visit, workspace):
    table = numbers_of(workspace)["table"]
    page = visit()
    page.locator("#head button[data-key=inliers]").click()
    page.locator("#head button[data-key=inliers]").click()
    known = [row for row in table if row["inliers"] is not None]
    order = sorted(known, key=lambda row: -row["inliers"])
    assert names(page) == [row["pair"] for row in order[:PER_PAGE]]
    page.select_option("#by-split", "val")
    page.fill("#find", "7")
    found = [row for row in order if row["split"] == "val" and "7" in row["pair"]]
    assert len(found) > 2 * PER_PAGE
    assert names(page) == [row["pair"] for row in found[:PER_PAGE]]
    expect(page.locator("#shown")).to_have_text(
        f"{len(found)} of 6,000 records; 1 to {PER_PAGE} shown"
    )


def test_the_last_of_six_thousand_pairs_is_found_and_its_neighbours(visit, workspace):
    last = numbers_of(workspace)["table"][-1]
    page = visit(f"#pair-{RECORDS}")
    expect(page.locator("#panel-name")).to_have_text(last["pair"])
    expect(page.locator("#panel-place")).to_have_text("6,000 of 6,000")
    page.keyboard.press("Escape")
    page.fill("#find", "IMG_5999")
    assert names(page) == ["IMG_5999"]
    open_pair(page, "IMG_5999")


def test_a_letter_in_the_search_field_is_answered_at_once(visit):
    page = visit()
    seconds = page.evaluate(
        """() => {
          const find = document.getElementById("find");
          const start = performance.now();
          for (const text of ["1", "12", "123", "12", "1", ""]) {
            find.value = text;
            find.dispatchEvent(new Event("input"));
            document.body.offsetHeight;
          }
          return (performance.now() - start) / 6000;
        }"""
    )
    assert seconds < 0.2
