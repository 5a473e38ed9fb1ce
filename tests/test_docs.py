"""What the documentation says holds: commands, reason codes, links, generated pages."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dped_build.align.records import REASONS as PAIR_REASONS
from dped_build.cli import cli
from dped_build.patches.records import ACCEPTED
from dped_build.patches.records import REASONS as WINDOW_REASONS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "data" / "README.md", *DOCS.glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`(?:\.venv/bin/)?dped-build ([a-z]+)\b([^`]*)`")
LOCAL = re.compile(r"(?<![\w.])/(?:work|tmp|root|home)/")
MAX_README, MAX_FIGURE, MAX_NOTEBOOK = 150, 250_000, 500_000  # lines, bytes, bytes


def text(page):
    return page.read_text(encoding="utf-8")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    """What headings of a page can be linked to, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for target in LINK.findall(text(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_within_sentences_exist_with_their_options(page):
    wrong = []
    for name, rest in INLINE.findall(text(page)):
        command = cli.commands.get(name)
        known = set() if command is None else known_options(command)
        options = re.findall(r"(?<!\S)--[a-z-]+|(?<!\S)-[a-zA-Z]\b", rest)
        if command is None or not known.issuperset(options):
            wrong.append(f"dped-build {name}{rest}")
    assert wrong == []


def known_options(command):
    context = click.Context(command)
    parameters = command.get_params(context)
    return {name for parameter in parameters for name in parameter.opts}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_tells_where_it_was_written(page):
    assert LOCAL.findall(text(page)) == []


def test_the_index_lists_every_page_and_the_readme_is_short():
    index = set(LINK.findall(text(DOCS / "README.md")))
    missing = {page.name for page in DOCS.glob("*.md")} - index - {"README.md"}
    assert missing == set()
    assert len(text(ROOT / "README.md").splitlines()) <= MAX_README


def test_every_case_names_a_test_that_exists():
    rows = [row for row in text(DOCS / "cases.md").splitlines() if row.startswith("| ")]
    cases = [row for row in rows[1:] if not row.startswith("| **")]
    named = [re.search(r"`(test_\w+)::(test_\w+)` \|$", row) for row in cases]
    assert len(cases) > 40 and all(named)
    for file, test in (found.groups() for found in named):
        code = (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")
        assert f"def {test}(" in code, test


def test_figures_are_small_and_shown_somewhere():
    shown = " ".join(map(text, PAGES))
    for path in [*DOCS.glob("*.jpg"), *DOCS.glob("*.png"), *DOCS.glob("figures/*")]:
        assert path.name in shown, path
        assert path.stat().st_size <= MAX_FIGURE, path
    assert (DOCS / "quickstart.ipynb").stat().st_size <= MAX_NOTEBOOK


def reason_codes():
    """The codes of the records, and those that the code gives to failures itself."""
    codes = {*PAIR_REASONS, *WINDOW_REASONS} - {ACCEPTED}
    for part in ("align", "patches", "train", "exchange", "study"):
        for path in sorted((ROOT / part).glob("*.py")):
            for call in ast.walk(ast.parse(text(path))):
                if isinstance(call, ast.Call):
                    codes |= failure_codes(call)
    return codes


def failure_codes(call):
    """Of `PhotoError("code", …)`, `PieceFailure("code", …)` and `reason="code"`."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    values = [word.value for word in call.keywords if word.arg == "reason"]
    values += call.args[:1] if name in ("PhotoError", "PieceFailure") else []
    constants = [value.value for value in values if isinstance(value, ast.Constant)]
    return {c for c in constants if isinstance(c, str) and re.fullmatch("[a-z_]+", c)}


def test_every_reason_code_has_its_place_in_troubleshooting():
    page = text(DOCS / "troubleshooting.md")
    headings = re.findall(r"^### `([a-z_]+)`$", page, re.MULTILINE)
    assert sorted(headings) == sorted(reason_codes())
    for code in headings:
        entry = page.split(f"### `{code}`\n")[1].split("\n#")[0]
        assert "**Means:**" in entry, code
        assert "**Do:**" in entry, code


def test_the_reference_is_that_of_the_code(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_api

    stale = "run: python docs/make_api.py"
    assert text(DOCS / "api.md") == make_api.page(), stale


def test_the_reference_has_the_public_names_and_no_other(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from make_api import PUBLIC

    import dped_build.align
    import dped_build.patches
    import dped_build.train

    for module in (dped_build.align, dped_build.patches, dped_build.train):
        assert sorted(PUBLIC[module.__name__]) == sorted(module.__all__)
    listed = re.findall(r"^### (\w+)$", text(DOCS / "api.md"), re.MULTILINE)
    names = [name for names in PUBLIC.values() for name in names]
    assert sorted(listed) == sorted([*names, "Patches", "Windows"])


@pytest.mark.long
def test_the_figures_can_be_drawn_again(tmp_path):
    script = DOCS / "make_figures.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").iterdir()}


def test_displaced_smooth_windows_exceed_the_threshold_and_rich_ones_do_not(
    monkeypatch,
):
    monkeypatch.syspath_prepend(str(DOCS))
    from make_figures import displaced_windows

    (smoothest, _, richest), (phone, dslr, ncc) = displaced_windows((0, 8))
    assert smoothest[0] == richest[0] == 1
    assert smoothest[1] > 0.2  # "a quarter" in docs/how-it-works.md
    assert richest[1] < 0.05
    assert phone.shape == dslr.shape
    assert ncc > 0.9


def test_the_parallax_table_is_what_two_pinhole_cameras_see(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from make_figures import parallax_px

    rows = re.findall(
        r"^\| (\d+) m \| (\d+) px \| (\d+) px \| (\d+) px \|$",
        text(DOCS / "shooting.md"),
        re.MULTILINE,
    )
    assert len(rows) == 7
    for distance, *stated in rows:
        for baseline, px in zip((0.05, 0.1, 0.15), stated, strict=True):
            assert parallax_px(float(distance), baseline) == pytest.approx(
                int(px), abs=0.51
            )
