"""What goes into the page is data, whatever it is called."""

import json

import pytest

from dped_build.patches.exclusions import read_excluded_lines, read_exclusions
from dped_build.report.page import (
    SCRIPTS,
    TEMPLATES,
    change,
    link,
    page_script,
    script_hash,
)
from dped_build.report.script_data import script_json
from dped_build.workspace.errors import DpedBuildError

CRUEL = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a & b",
    "\u2028\u2029",
    'it\'s "quoted" \\ and `so` on ${x}',
    "日本語.jpg",
]


def test_no_text_can_end_its_script_element():
    text = script_json({"names": CRUEL})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"names": CRUEL}


def test_the_policys_hash_is_of_the_script_as_it_stands():
    script = page_script(TEMPLATES, SCRIPTS)
    assert script_hash(script).startswith("sha256-")
    assert script_hash(script + " ") != script_hash(script)
    assert "</script" not in script
    assert "innerHTML" not in script


def test_addresses_hold_no_character_with_a_meaning():
    assert link("pairs/a b#c?d%e'\"<.jpg") == "pairs/a%20b%23c%3Fd%25e%27%22%3C.jpg"


@pytest.mark.parametrize(
    "difference, whole, text",
    [(0, 10, "±0 %"), (-1, 8, "\N{MINUS SIGN}12.5 %"), (2, 8, "+25.0 %")],
)
def test_a_change_is_written_with_its_sign(difference, whole, text):
    assert change(difference, whole) == text


def test_lines_of_exclude_csv_keep_place_and_note(tmp_path):
    path = tmp_path / "exclude.csv"
    path.write_bytes(
        "\ufeffpair, x, y,note\r\n0001,,,blurred\r\n"
        '"a,b",100, 200 ,"two\nlines"\r\n" c",,,\r\n'.encode()
    )
    lines = read_excluded_lines(path)
    assert [line.entry for line in lines] == [("0001",), ("a,b", "100", "200"), (" c",)]
    assert [line.window_xy for line in lines] == [None, (100, 200), None]
    assert lines[1].note == "two\nlines"
    excluded = read_exclusions(path)
    assert excluded == {("0001",), ("a,b", "100", "200"), (" c",), ("c",)}


def test_without_exclude_csv_nothing_is_left_out(tmp_path):
    assert read_excluded_lines(tmp_path / "exclude.csv") == []


def test_an_endless_field_of_exclude_csv_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "exclude.csv"
    path.write_text('pair,note\n0001,"' + "x" * 200_000)
    with pytest.raises(DpedBuildError, match=r"exclude\.csv line 1: field larger"):
        read_exclusions(path)
