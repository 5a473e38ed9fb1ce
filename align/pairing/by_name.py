"""Pairing by file name; photos without a partner are left over."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

from dped_build.photos.names import shot_name
from dped_build.photos.reading import is_plain_text, printable
from dped_build.workspace.text import natural_key

CAMERAS = {"phone": "phone", "dslr": "DSLR"}  # as code and as people call them
OTHER = {"phone": "DSLR", "dslr": "phone"}
MAX_NAME = 251  # bytes of a pair's name: its crop's file name has 4 more


@dataclass(frozen=True)
class Pair:
    """One photo of each camera under one name, or a photo that cannot be paired.

    The stage's paths are relative to the two folders.
    """

    name: str
    phone: Path | None
    dslr: Path | None
    reason: str | None = None  # `no_partner`, `ambiguous_partner` or `unreadable`
    message: str | None = None

    def photos(self) -> Iterator[tuple[str, Path]]:
        """The photos there are, each with its camera: `phone` or `dslr`."""
        for camera, photo in (("phone", self.phone), ("dslr", self.dslr)):
            if photo is not None:
                yield camera, photo


@dataclass(frozen=True)
class FoundPairs:
    """The photos of two folders as pairs and leftovers, and how they were found."""

    pairs: list[Pair]
    how: str = "by name"  # for people
    stated: Mapping[str, Any] = field(default_factory=dict)  # for the manifest
    edits: Collection[str] = ()  # names of those that are edits or copies of others

    @property
    def matched(self) -> list[Pair]:
        """Those with both photos."""
        return [pair for pair in self.pairs if pair.reason is None]

    @property
    def left_over(self) -> list[Pair]:
        """Those that cannot be aligned, with their reasons."""
        return [pair for pair in self.pairs if pair.reason is not None]


def stem(photo: Path) -> str:
    """A file's name without its suffix."""
    return photo.stem


def path_name(photo: Path) -> str:
    """A relative path without suffix as one name: day1/0001.jpg is `day1-0001`."""
    return "-".join((*photo.parent.parts, photo.stem))


def composed(name: str) -> str:
    """A name as names are compared: macOS decomposes accents, others do not."""
    return normalize("NFC", name)


def pair_by_name(
    phone: Sequence[Path],
    dslr: Sequence[Path],
    *,
    name_of: Callable[[Path], str] = stem,
    unlisted: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Pair]:
    """Pair photos of the same name; every photo given is in exactly one Pair.

    Names are the same where they are the same text, however their accents are coded;
    where one photo each is left of names that differ only in case, or in what cameras
    add for the kind of file, they are a pair as well, under the phone's name. A name
    that several files of one camera share is ambiguous, and one that no text file can
    hold is unreadable: each of its photos comes out unpaired, under its full file name.
    Names of pairs are unique. Sorted by name, natural order.

    Args:
        phone: Photos of the phone.
        dslr: Photos of the DSLR.
        name_of: The name by which a photo is paired.
        unlisted: Of each camera, why a shot (`photos.names.shot_name`) is no photo.
    """
    named: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for side, photos in enumerate((phone, dslr)):
        for photo in photos:
            named[composed(name_of(photo))][side].append(photo)
    _join_alike(named, name_of)
    pairs: list[Pair] = []
    taken = {name_of(photo) for photo in (*phone, *dslr)}
    for phones, dslrs in named.values():
        name = name_of((*phones, *dslrs)[0])
        what = not_nameable(name, (*phones, *dslrs))
        if what:
            pairs += alone(phones, dslrs, "unreadable", what, taken, name_of)
        elif len(phones) == len(dslrs) == 1:
            pairs.append(Pair(name, phones[0], dslrs[0]))
        elif len(phones) <= 1 and len(dslrs) <= 1:
            camera, lonely = ("phone", phones) if phones else ("dslr", dslrs)
            other = "dslr" if camera == "phone" else "phone"
            why = (unlisted or {}).get(other, {}).get(shot_name(Path(lonely[0].name)))
            why = why or f"no {OTHER[camera]} photo is called {name}"
            what = f"{lonely[0].name}: {why}"
            first = next(iter(phones), None), next(iter(dslrs), None)
            pairs.append(Pair(name, *first, "no_partner", what))
        else:
            what = more_than_one(name, (*phones, *dslrs))
            pairs += alone(phones, dslrs, "ambiguous_partner", what, taken, name_of)
    return in_order(pairs)


def _join_alike(
    named: dict[str, tuple[list[Path], list[Path]]], name_of: Callable[[Path], str]
) -> None:
    """Put photos without a partner together whose names are alike, if no more are."""
    alike: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, sides in named.items():
        photos = [photo for side in sides for photo in side]
        if len(photos) == 1:
            photo = photos[0] if name_of is path_name else Path(photos[0].name)
            alike[shot_name(photo)].append((name, 0 if sides[0] else 1))
    for found in alike.values():
        if sorted(side for _, side in found) == [0, 1]:
            (phone, _), (dslr, _) = sorted(found, key=lambda place: place[1])
            named[phone][1].extend(named.pop(dslr)[1])


def set_aside(
    phone: Sequence[Path], dslr: Sequence[Path], *, alike: bool = True
) -> tuple[list[Path], list[Path], list[Pair]]:
    """Photos that a pair can be named after, and each other one in a Pair of its own.

    With `alike`, photos of one camera whose names differ by suffix only are set aside.
    """
    kept: dict[str, list[Path]] = {"phone": [], "dslr": []}
    aside: list[Pair] = []
    taken = {path_name(photo) for photo in phone}
    for camera, photos in (("phone", phone), ("dslr", dslr)):
        named: dict[str, list[Path]] = defaultdict(list)
        for photo in photos:
            named[composed(path_name(photo))].append(photo)
        for same in named.values():
            name = path_name(same[0])
            what, reason = not_nameable(name, same), "unreadable"
            if not what and alike and len(same) > 1:
                what, reason = more_than_one(name, same), "ambiguous_partner"
            if what:
                sides = (same, []) if camera == "phone" else ([], same)
                aside += alone(*sides, reason, what, taken, path_name)
            else:
                kept[camera] += same
    return kept["phone"], kept["dslr"], aside


def named_after_phones(
    matched: Iterable[tuple[Path, Path]],
    phone: Sequence[Path],
    dslr: Sequence[Path],
    why: Callable[[str, Path], str],
) -> list[Pair]:
    """Pairs under the phone photos' names; what no match holds is left over.

    `matched` has each photo once; `why` says of (camera, photo) why it has no partner.
    """
    pairs = [Pair(path_name(one), one, other) for one, other in matched]
    paired = {photo for pair in pairs for photo in pair.photos()}
    taken = {pair.name for pair in pairs}
    for photo in phone:
        if ("phone", photo) in paired:
            continue
        what, name = why("phone", photo), path_name(photo)
        if name in taken:
            pairs += alone([photo], [], "no_partner", what, taken, path_name)
        else:
            pairs.append(Pair(name, photo, None, "no_partner", what))
            taken.add(name)
    for photo in dslr:
        if ("dslr", photo) not in paired:
            what = why("dslr", photo)
            pairs += alone([], [photo], "no_partner", what, taken, path_name)
    return in_order(pairs)


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs sorted by name, natural order."""
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def not_nameable(name: str, photos: Iterable[Path]) -> str | None:
    """Why no record can hold these photos, or no file be called `name`; None if so."""
    if not is_plain_text(name):
        return f"{printable(name)}: the file name is not plain UTF-8 text; rename it"
    if len(name.encode()) > MAX_NAME:
        return f"{name[:40]}…: folders and name are too long together; shorten them"
    # Elsewhere a backslash ends a folder's name.
    if "\\" in name and any(composed(p.stem) != composed(name) for p in photos):
        return f"{printable(name)}: a name with a backslash; rename it"
    return None


def more_than_one(name: str, photos: Iterable[Path]) -> str:
    """What is wrong with a name that several photos share."""
    names = ", ".join(photo.name for photo in photos)
    return f"{names}: more than one photo is called {name}; keep one of each camera"


def alone(
    phones: Collection[Path],
    dslrs: Collection[Path],
    reason: str,
    message: str,
    taken: set[str],
    name_of: Callable[[Path], str],
) -> Iterator[Pair]:
    """A Pair for each photo under a name that is not `taken`, which it then is."""
    for camera, photos in (("phone", phones), ("dslr", dslrs)):
        for photo in photos:
            told = printable(name_of(photo) + photo.suffix)
            path = Path(told) if reason == "unreadable" else photo  # never opened
            name = f"{told} ({CAMERAS[camera]})"
            while name in taken:
                name += "'"
            taken.add(name)
            phone, dslr = (path, None) if camera == "phone" else (None, path)
            yield Pair(name, phone, dslr, reason, message)
