"""Photos pair by name; what is left over says why."""

from pathlib import Path

import pytest

from dped_build.align.pairing.by_name import (
    Pair,
    named_after_phones,
    pair_by_name,
    path_name,
    set_aside,
)
from dped_build.workspace.json_files import is_plain_path


def photos(folder, names):
    return [Path(folder) / name for name in names.split()]


def test_same_stems_are_pairs_whatever_their_suffix():
    pairs = pair_by_name(photos("p", "a.jpg b.JPG"), photos("d", "b.tif a.png"))
    assert pairs == [
        Pair("a", Path("p/a.jpg"), Path("d/a.png")),
        Pair("b", Path("p/b.JPG"), Path("d/b.tif")),
    ]


def test_pairs_come_in_natural_order():
    names = "IMG_10.jpg IMG_9.jpg IMG_100.jpg"
    pairs = pair_by_name(photos("p", names), photos("d", names))
    assert [pair.name for pair in pairs] == ["IMG_9", "IMG_10", "IMG_100"]


def test_photo_without_partner_names_itself_and_what_is_missing():
    phone, dslr = pair_by_name(photos("p", "a.jpg"), photos("d", "b.jpg"))
    assert (phone.name, phone.reason, phone.dslr) == ("a", "no_partner", None)
    assert phone.message == "a.jpg: no DSLR photo is called a"
    assert (dslr.name, dslr.reason, dslr.phone) == ("b", "no_partner", None)
    assert dslr.message == "b.jpg: no phone photo is called b"


def test_one_name_twice_makes_all_its_photos_ambiguous():
    pairs = pair_by_name(photos("p", "a.jpg a.png b.jpg"), photos("d", "a.jpg b.jpg"))
    assert [pair.name for pair in pairs if pair.reason is None] == ["b"]
    ambiguous = [pair for pair in pairs if pair.reason == "ambiguous_partner"]
    names = [pair.name for pair in ambiguous]
    assert names == ["a.jpg (DSLR)", "a.jpg (phone)", "a.png (phone)"]
    assert all("keep one of each camera" in str(pair.message) for pair in ambiguous)


def test_every_photo_is_in_exactly_one_pair():
    phone = photos("p", "a.jpg a.JPG b.jpg c.jpg e.png")
    dslr = photos("d", "a.jpg b.jpg b.tif d.jpg e.jpg")
    pairs = pair_by_name(phone, dslr)
    seen = [path for pair in pairs for path in (pair.phone, pair.dslr) if path]
    assert sorted(seen) == sorted(phone + dslr)
    assert len({pair.name for pair in pairs}) == len(pairs)


def test_names_are_the_same_however_their_accents_are_coded():
    (pair,) = pair_by_name([Path("p/cafe\u0301.jpg")], [Path("d/caf\u00e9.JPG")])
    assert (pair.name, pair.reason) == ("cafe\u0301", None)


def test_photos_of_sub_folders_pair_by_their_path():
    phone = photos("", "day1/1.jpg day2/1.jpg 1.jpg")
    dslr = photos("", "1.png day2/1.png day3/1.png")
    pairs = pair_by_name(phone, dslr, name_of=path_name)
    assert [(pair.name, pair.reason) for pair in pairs] == [
        ("1", None),
        ("day1-1", "no_partner"),
        ("day2-1", None),
        ("day3-1", "no_partner"),
    ]


def test_two_paths_that_make_one_name_are_ambiguous():
    phone = photos("", "day1/1.jpg day1-1.jpg")
    pairs = pair_by_name(phone, photos("", "day1/1.jpg"), name_of=path_name)
    assert {pair.reason for pair in pairs} == {"ambiguous_partner"}
    seen = [photo for pair in pairs for _, photo in pair.photos()]
    assert sorted(map(str, seen)) == ["day1-1.jpg", "day1/1.jpg", "day1/1.jpg"]


@pytest.mark.parametrize(
    "path", ["a\\b/1.jpg", "/".join(["x" * 60] * 5) + ".jpg", "day\n1/1.jpg"]
)
def test_a_path_that_no_record_can_hold_is_unreadable(path):
    (pair,) = pair_by_name([Path(path)], [], name_of=path_name)
    assert pair.reason == "unreadable"
    assert is_plain_path(pair.phone.as_posix())
    phone, _, (aside,) = set_aside([Path(path)], [])
    assert (phone, aside.reason) == ([], "unreadable")


def test_photos_of_one_name_are_set_aside_with_their_reason():
    phone, dslr, aside = set_aside(photos("", "a.jpg a.dng b.jpg"), photos("", "a.jpg"))
    assert (phone, dslr) == (photos("", "b.jpg"), photos("", "a.jpg"))
    assert [pair.reason for pair in aside] == ["ambiguous_partner"] * 2
    assert "keep one of each camera" in str(aside[0].message)


def test_pairs_are_named_after_the_phone_and_leftovers_keep_apart():
    phone, dslr = photos("", "1.jpg 2.jpg"), photos("", "1.jpg 2.jpg 3.jpg")
    matched = [(phone[0], dslr[1])]
    pairs = named_after_phones(matched, phone, dslr, lambda camera, photo: camera)
    assert [(pair.name, pair.message) for pair in pairs] == [
        ("1", None),
        ("1.jpg (DSLR)", "dslr"),
        ("2", "phone"),
        ("3.jpg (DSLR)", "dslr"),
    ]
