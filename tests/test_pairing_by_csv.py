"""A CSV says which photos are pairs; whatever else it says is refused by line."""

import os
from pathlib import Path

import pytest

from dped_build.align.pairing.by_csv import pair_by_csv
from dped_build.workspace.errors import DpedBuildError

PHONE = [Path(p) for p in ("day1/1.jpg", "day2/1.jpg", "a.jpg", "b.jpg", "b.dng")]
DSLR = [Path(p) for p in ("x.CR2", "day1/y.jpg", "z.jpg", "caf\u00e9.jpg")]


@pytest.fixture
def pair(tmp_path):
    """Pairs of the photos above by a CSV of this text."""

    def run(text):
        path = tmp_path / "pairs.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return pair_by_csv(path, PHONE, DSLR)

    return run


def test_paths_and_stems_name_photos_and_the_others_are_left_over(pair):
    text = (
        "\ufeffDSLR, phone ,note\r\nx,day1/1\r\n\r\ny,day2/1.jpg,good\nz.jpg, b.jpg\n"
    )
    pairs = pair(text + "cafe\u0301,a\n")
    matched = {p.name: (str(p.phone), str(p.dslr)) for p in pairs if not p.reason}
    assert matched == {
        "day1-1": ("day1/1.jpg", "x.CR2"),
        "day2-1": ("day2/1.jpg", "day1/y.jpg"),
        "b": ("b.jpg", "z.jpg"),
        "a": ("a.jpg", "caf\u00e9.jpg"),
    }
    (left,) = [p for p in pairs if p.reason]
    assert (left.name, left.reason) == ("b.dng (phone)", "no_partner")
    assert left.message == "b.dng: not in pairs.csv"


def test_a_path_without_suffix_goes_before_a_name_in_sub_folders(tmp_path):
    (tmp_path / "pairs.csv").write_text("phone,dslr\n1,x\n")
    photos = [Path("day1/1.jpg"), Path("1.jpg")]
    found = pair_by_csv(tmp_path / "pairs.csv", photos, DSLR[:1])
    assert [p.phone for p in found if p.reason is None] == [Path("1.jpg")]


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_csv_as_spreadsheets_save_it_is_read(pair, delimiter, encoding):
    lines = [("phone", "dslr", "note"), ("a", "caf\u00e9", "x"), ("b.jpg", "z", "")]
    text = "\r\n".join(delimiter.join(cells) for cells in lines)
    matched = {p.name: str(p.dslr) for p in pair(text.encode(encoding)) if p.dslr}
    assert matched.items() >= {"a": "caf\u00e9.jpg", "b": "z.jpg"}.items()


@pytest.mark.parametrize(
    "text",
    [
        b"sep=;\r\nphone;dslr\r\na;x\r\n",
        b'\xef\xbb\xbf"sep=\t"\nphone\tdslr\na\tx\n',
        b"\r\n\r\nphone;dslr\r\na;x\r\n",
        b'"phone";"dslr";;\r"a";"x";;\r;;;\r',
        "phone;dslr\na;x\n".encode("utf-16-le"),  # without a byte order mark
        b"phone;dslr;good, sharp\nA.JPG;x.cr2;b, c\n",
    ],
)
def test_what_else_spreadsheets_and_people_write_is_read(pair, text):
    (found,) = [p for p in pair(text) if not p.reason]
    assert (found.name, str(found.dslr)) == ("a", "x.CR2")


@pytest.mark.parametrize(
    "text, told",
    [
        ("", "first line must be phone,dslr"),
        ("a,x\n", "first line must be phone,dslr, not a,x"),
        ("sep=;\nphone;dslr\na;nobody\n", "line 3: no DSLR photo nobody"),
        (b"PK\x03\x04" + bytes(99), "a spreadsheet, not text; save it as CSV"),
        ("phone,phone,dslr\n", "first line must be phone,dslr"),
        ("phone,dslr\na,x\nb.jpg,nobody\n", "line 3: no DSLR photo nobody"),
        ("phone,dslr\na\n", "line 2: no DSLR photo named"),
        ("phone,dslr\n1,x\n", "line 2: 1 may be any of day1/1.jpg, day2/1.jpg"),
        ("phone,dslr\nb,x\n", "line 2: b may be any of b.jpg, b.dng"),
        ("phone,dslr\na,x\n\na,z\n", "line 4: a.jpg is in line 2, too"),
        ("phone,dslr\nb.jpg,x\nb.dng,z\n", "line 3: the phone photo of line 2 has"),
        ('phone,dslr\n"a,x\n', "line 2: unexpected end of data"),
        (
            "phone,dslr\na,caf\xe9".encode("latin-1"),
            r"not UTF-8 text; save it as UTF-8 \(in Excel: CSV UTF-8\)",
        ),
        ("phone,dslr\n" + "x" * 200_000, "line 2: field larger"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(pair, text, told):
    with pytest.raises(DpedBuildError, match=told):
        pair(text)


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "day1/../a.jpg", "day1\\1.jpg", "a\0", "~/a"]
)
def test_no_cell_leads_anywhere_but_to_a_photo_that_was_found(pair, name):
    with pytest.raises(DpedBuildError, match=r"line 2: (no phone photo|line contains)"):
        pair(f"phone,dslr\n{name},x\n")


def test_a_pipe_or_a_missing_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing"):
        with pytest.raises(DpedBuildError, match="cannot be read"):
            pair_by_csv(tmp_path / name, PHONE, DSLR)
