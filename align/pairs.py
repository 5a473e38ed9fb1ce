"""Two lists of photos → pairs by name, and the photos that are left over."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dped_build.align.photos import is_plain_text, natural_key, printable


@dataclass(frozen=True)
class Pair:
    """One photo of each camera under one name, or a photo that cannot be paired."""

    name: str
    phone: Path | None
    dslr: Path | None
    reason: str | None = None  # `no_partner`, `ambiguous_partner` or `unreadable`
    message: str | None = None


def pair_by_name(phone: Sequence[Path], dslr: Sequence[Path]) -> list[Pair]:
    """Pair photos with the same file stem; every photo given is in exactly one Pair.

    A stem that several files of one camera share is ambiguous, and one that no text
    file can hold is unreadable: each of its photos comes out unpaired, under its full
    file name. Names of pairs are unique. Sorted by name, natural order.
    """
    by_stem: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for side, photos in enumerate((phone, dslr)):
        for photo in photos:
            by_stem[photo.stem][side].append(photo)
    pairs: list[Pair] = []
    taken = set(by_stem)
    for stem, (phones, dslrs) in by_stem.items():
        if not is_plain_text(stem):
            what = (
                f"{printable(stem)}: the file name is not plain UTF-8 text; rename it"
            )
            pairs.extend(_each_alone(phones, dslrs, "unreadable", what, taken))
        elif len(phones) == len(dslrs) == 1:
            pairs.append(Pair(stem, phones[0], dslrs[0]))
        elif len(phones) <= 1 and len(dslrs) <= 1:
            lonely, other = (phones[0], "DSLR") if phones else (dslrs[0], "phone")
            pairs.append(
                Pair(
                    stem,
                    phones[0] if phones else None,
                    dslrs[0] if dslrs else None,
                    "no_partner",
                    f"{lonely.name}: no {other} photo is called {stem}",
                )
            )
        else:
            names = ", ".join(photo.name for photo in (*phones, *dslrs))
            what = f"{names}: more than one photo is called {stem}; keep one of each "
            what += "camera"
            pairs.extend(_each_alone(phones, dslrs, "ambiguous_partner", what, taken))
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def _each_alone(
    phones: list[Path], dslrs: list[Path], reason: str, message: str, taken: set[str]
) -> Iterator[Pair]:
    """A Pair for each photo under a name that is not `taken`, which it then is."""
    for camera, photos in (("phone", phones), ("DSLR", dslrs)):
        for photo in photos:
            path = photo.with_name(printable(photo.name))  # it will not be opened
            name = f"{path.name} ({camera})"
            while name in taken:
                name += "'"
            taken.add(name)
            phone, dslr = (path, None) if camera == "phone" else (None, path)
            yield Pair(name, phone, dslr, reason, message)
