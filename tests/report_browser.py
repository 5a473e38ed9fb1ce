"""A browser for the tests of the report's page; without one they are skipped."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NEEDED = "Debian: apt install chromium; then pip install playwright"
api = pytest.importorskip("playwright.sync_api", reason=f"no Playwright ({NEEDED})")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    pytest.skip(f"no Chromium ({NEEDED})", allow_module_level=True)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)
WAIT_MS = 8000  # for what should take a tenth of a second
NOTHING = "\N{EN DASH}"  # in place of a number that is not known
expect = api.expect


@contextmanager
def chromium():
    """A browser without a window."""
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser():
    """One browser for a module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, workspace):
    """Opens the report of the module's `workspace`."""
    with visits(browser, workspace / "report") as visit:
        yield visit


class Visits:
    """Opens a report's page, each time as a new reader.

    Attributes:
        addresses: Of everything that was asked for.
        problems: Console errors and warnings, script errors, files that did not come,
            dialogs.
    """

    def __init__(self, browser, report: Path) -> None:
        self.report = report
        self.addresses: list[str] = []
        self.problems: list[str] = []
        self._browser = browser
        self._contexts = []

    def __call__(self, anchor="", *, offline=False, **options):
        """The page, when its script has run."""
        context = self._browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        self._contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        context.set_offline(offline)
        context.on("request", lambda request: self.addresses.append(request.url))
        page = context.new_page()
        self._watch(page)
        page.goto(f"{(self.report / 'index.html').as_uri()}{anchor}")
        is_ready(page)
        return page

    def _watch(self, page):
        def on_dialog(dialog):
            self.problems.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def on_console(message):
            if message.type in ("error", "warning"):
                self.problems.append(f"{message.type}: {message.text}")

        def on_failure(request):
            self.problems.append(f"{request.failure}: {request.url}")

        page.on("dialog", on_dialog)
        page.on("console", on_console)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("requestfailed", on_failure)

    def close(self):
        """Close all pages."""
        for context in self._contexts:
            context.close()


@contextmanager
def visits(browser, report: Path):
    """Opens pages of a report; nothing may have gone wrong when all are closed."""
    visit = Visits(browser, report)
    yield visit
    visit.close()
    assert visit.problems == []


def is_ready(page):
    expect(page.locator("html[data-ready]")).to_be_attached()


def numbers_of(workspace: Path):
    """What report.json says."""
    return json.loads((workspace / "report" / "report.json").read_text("utf-8"))


def names(page):
    """The names in the table, from the top."""
    return page.locator("#rows .open").all_text_contents()


def names_of_all_pages(page):
    """The names on this page of the table and on all that follow."""
    return page.evaluate(
        """() => {
          const names = [];
          for (;;) {
            const shown = document.querySelectorAll("#rows .open");
            names.push(...[...shown].map((button) => button.textContent));
            const on = document.getElementById("page-on");
            if (on.disabled) return names;
            on.click();
          }
        }"""
    )


def open_pair(page, name):
    """Open the panel of a pair by its row."""
    page.locator("#rows .open").filter(has_text=name).first.click()
    expect(page.locator("#panel-name")).to_have_text(name)


def is_loaded(page, selector):
    """Wait until every picture that matches is there."""
    pictures = page.locator(selector)
    for number in range(pictures.count()):
        picture = pictures.nth(number)
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)
