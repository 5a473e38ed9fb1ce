"""Six thousand pairs: the page stays small, shows one page of rows, answers rightly."""

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

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = make_many(tmp_path_factory.mktemp("workspace"), RECORDS)
    write_report(folder)
    return folder


def test_page_of_six_thousand_pairs_is_small_and_draws_one_page_of_rows(visit):
    assert (visit.report / "index.html").stat().st_size < LIMIT_BYTES
    expect(visit().locator("#rows tr")).to_have_count(PER_PAGE)


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


def test_a_letter_in_the_search_field_is_answered_at_once_with_one_page(visit):
    """Within the event itself, which waits for nothing, and never with all the rows."""
    page = visit()
    found = page.evaluate(
        """() => {
          const find = document.getElementById("find");
          return ["1", "59", "5999", "59", ""].map((text) => {
            find.value = text;
            find.dispatchEvent(new Event("input"));
            return document.querySelectorAll("#rows .open").length;
          });
        }"""
    )
    assert found == [PER_PAGE, PER_PAGE, 1, PER_PAGE, PER_PAGE]
