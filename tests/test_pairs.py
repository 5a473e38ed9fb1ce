"""Photos pair by name; what is left over says why."""

from pathlib import Path

from dped_build.align.pairs import Pair, pair_by_name


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
