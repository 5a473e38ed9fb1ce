"""Two lists of photos → pairs by name, and the photos that are left over."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dped_build.align.photos import natural_key


@dataclass(frozen=True)
class Pair:
    """One photo of each camera under one name, or a photo that cannot be paired."""

    name: str
    phone: Path | None
    dslr: Path | None
    reason: str | None = None  # `no_partner` or `ambiguous_partner`
    message: str | None = None


def pair_by_name(phone: Sequence[Path], dslr: Sequence[Path]) -> list[Pair]:
    """Pair photos with the same file stem; every photo given is in exactly one Pair.

    A stem that several files of one camera share is ambiguous: each of its photos comes
    out unpaired, under its full file name. Sorted by name, natural order.
    """
    by_stem: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for side, photos in enumerate((phone, dslr)):
        for photo in photos:
            by_stem[photo.stem][side].append(photo)
    pairs = []
    for stem, (phones, dslrs) in by_stem.items():
        if len(phones) == len(dslrs) == 1:
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
            pairs.extend(_ambiguous(stem, phones, dslrs))
    return sorted(pairs, key=lambda pair: natural_key(pair.name))


def _ambiguous(stem: str, phones: list[Path], dslrs: list[Path]) -> list[Pair]:
    names = ", ".join(photo.name for photo in (*phones, *dslrs))
    message = f"{names}: more than one photo is called {stem}; keep one of each camera"
    reason = "ambiguous_partner"
    return [
        *(Pair(f"{p.name} (phone)", p, None, reason, message) for p in phones),
        *(Pair(f"{p.name} (DSLR)", None, p, reason, message) for p in dslrs),
    ]
