"""Names and messages that look like code stay text in a browser."""

import shutil

import h5py
import pytest
from report_browser import (
    browser,
    expect,
    is_loaded,
    names,
    numbers_of,
    visit,
    visits,
)
from report_fixture import GRID, Lost, make_workspace, scene, write_run

from dped_build.report import write_report

__all__ = ["browser", "visit"]

NAMES = [
    "<img src=x onerror=alert(1)>",
    "'; drop",
    'a b#c%d"e',
    "日本語 ñ é",
    "<script>alert(2)<",
    "[]&amp;",
    " ",
    "two\nlines",
    "__proto__",
    "${alert(3)}{{ 7*7 }}",
]
LOST = (
    Lost("<!--<script>alert(4)", "too_few_inliers", "]]><!--<script>"),
    Lost("x", "toString", "</script><script>alert(5)</script>"),
    Lost('"><svg onload=alert(6)>', "no_partner", "\u2028<b>no</b>\u2029", dslr=False),
)
CAMERAS = ("<b>cam<b>&", '"><img src=x>')
RUN = "$x_{<img src=x onerror=alert(7)>"
PAIRS = [*NAMES, *(item.pair for item in LOST)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace") / "a #b%20c"
    photos = [scene(seed) for seed in range(len(NAMES))]
    make_workspace(folder, NAMES, lost=LOST, cameras=CAMERAS, photos=photos)
    with h5py.File(folder / "patches" / "windows.h5", "r+") as file:
        reason = file["reason"][:]
        reason[reason == b"flat"] = b"<img src=x>"
        file["reason"][:] = reason
    write_run(folder / "runs" / RUN)
    write_report(folder)
    return folder


def nothing_was_injected(page):
    """The page has the two scripts that it is made with and its own elements only."""
    expect(page.locator("script")).to_have_count(2)
    for selector in ("img[src=x]", "[onerror], [onload]", "body b b", "main svg"):
        expect(page.locator(selector)).to_have_count(0)


def test_every_name_stands_in_the_table_as_it_is(visit, workspace):
    page = visit()
    assert names(page) == PAIRS
    is_loaded(page, "#rows img")
    expect(page.locator("#rows img")).to_have_count(len(NAMES))
    reasons = page.locator("#rows th > .why:last-child").all_text_contents()
    messages = [f"{item.reason} {item.message}" for item in LOST]
    assert [text for text in reasons if " " in text.strip()][-3:] == messages
    nothing_was_injected(page)


@pytest.mark.parametrize("number", range(1, len(PAIRS) + 1))
def test_every_pair_has_its_panel(visit, number):
    page = visit(f"#pair-{number}")
    assert page.locator("#panel-name").text_content() == PAIRS[number - 1]
    if number <= len(NAMES):
        expect(page.locator("#windows rect")).to_have_count(len(GRID))
        is_loaded(page, "#stage img")
        page.locator("#windows rect").nth(6).hover()
        expect(page.locator("#tip")).to_contain_text("<img src=x>")
        expect(page.locator("#outcomes")).to_contain_text("<img src=x>")
    else:
        item = LOST[number - len(NAMES) - 1]
        expected = f"{item.reason}: {item.message}"
        assert page.locator("#panel-why").text_content() == expected
    nothing_was_injected(page)


def test_warnings_name_the_pairs_as_they_are(visit):
    page = visit()
    told = page.locator(".warning li").all_text_contents()
    assert sorted(told) == sorted(f"{item.pair}: {item.message}" for item in LOST)
    for button in page.locator("button[data-reason]").all():
        button.click()
        expect(page.locator("#rows tr")).to_have_count(1)


def test_contact_sheets_name_the_pairs_as_they_are(visit, workspace):
    page = visit()
    wanted = [
        patch["pair"]
        for group in numbers_of(workspace)["shown_patches"]
        for patch in group["patches"]
    ]
    links = page.locator("#patches figcaption a")
    assert links.all_text_contents() == wanted
    assert set(wanted) == set(NAMES)
    is_loaded(page, "#patches img")
    links.first.click()
    assert page.locator("#panel-name").text_content() == wanted[0]


def test_cameras_and_runs_are_named_as_they_are(visit):
    page = visit()
    assert page.locator("h1").text_content() == " → ".join(CAMERAS)
    assert page.title() == f"{' → '.join(CAMERAS)}: dataset report"
    for name in CAMERAS:
        assert name in page.locator("#panel .slider").text_content()
    expect(page.locator(".run h3")).to_have_text(RUN)
    is_loaded(page, "#training img")
    nothing_was_injected(page)


@pytest.mark.parametrize("name", [*NAMES[:6], *NAMES[8:], LOST[0].pair])
def test_every_name_can_be_searched_for(visit, name):
    page = visit()
    page.fill("#find", name)
    assert names(page) == [name]


def test_nothing_but_the_reports_own_files_was_asked_for(visit):
    page = visit("#pair-1")
    is_loaded(page, "#stage img")
    page.keyboard.press("Escape")
    is_loaded(page, "main img")
    assert all(url.startswith(visit.report.as_uri() + "/") for url in visit.addresses)
    assert not [url for url in visit.addresses if url.endswith(("/x", "/alert"))]


@pytest.mark.parametrize(
    "markup",
    [
        "<script>window.ran = 1</script>",
        "<script src='windows/evil.js'></script>",
        "<script src='{folder}/windows/evil.js'></script>",
        "<script src='data:text/javascript,window.ran = 1'></script>",
        "<img src=y onerror='window.ran = 1'>",
        "<iframe src='javascript:parent.ran = 1'></iframe>",
        "<object data='windows/evil.js'></object>",
        "<a id=evil href='javascript:window.ran = 1'>x</a>",
    ],
)
def test_the_pages_policy_stops_markup_that_got_in(
    browser, workspace, tmp_path, markup
):
    folder = shutil.copytree(workspace / "report", tmp_path / "report")
    (folder / "windows" / "evil.js").write_text("window.ran = 1")
    html = (folder / "index.html").read_text()
    evil = markup.format(folder=folder.as_uri())
    (folder / "index.html").write_text(html.replace("<main>", f"<main>{evil}", 1))
    with visits(browser, folder) as visit:
        page = visit()
        expect(page.locator("#rows tr").first).to_be_visible()
        if page.locator("#evil").count():
            page.locator("#evil").evaluate("link => link.click()")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ran") is None
        visit.problems.clear()
