"""Pairing by order: the first photo of one folder with the first of the other."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dped_build.align.pairing.by_name import Pair, path_name
from dped_build.photos.reading import path_key
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.text import counted

GAPS_TOLD = 3  # of each folder
OTHERWISE = "--pair-by time or --pair-by sequence finds the pairs despite gaps"


def pair_by_order(phone: Sequence[Path], dslr: Sequence[Path]) -> list[Pair]:
    """Pair photos, as many of each camera, that stand at the same place in order."""
    if len(phone) != len(dslr):
        raise DpedBuildError(
            f"--pair-by order: {counted(len(phone), 'phone photo')}, "
            f"{len(dslr):,} of the DSLR; {_told_gaps(phone, dslr)}{OTHERWISE}"
        )
    both = zip(sorted(phone, key=path_key), sorted(dslr, key=path_key), strict=True)
    return [Pair(path_name(one), one, other) for one, other in both]


def numbering_gaps(photos: Sequence[Path]) -> list[tuple[str, str]]:
    """Neighbours in natural order whose numbers differ by more than one.

    Only names that are alike but for their last number count: another camera model or
    another day is no gap.
    """
    names = [photo.stem for photo in sorted(photos, key=path_key)]
    gaps = []
    for before, after in pairwise(names):
        (head, low, tail), (other_head, high, other_tail) = map(_split, (before, after))
        alike = (head, tail) == (other_head, other_tail) and low and high
        if alike and int(high) - int(low) > 1:
            gaps.append((before, after))
    return gaps


def _split(name: str) -> tuple[str, str, str]:
    """What stands before, in, and behind the last number of a name."""
    found = re.fullmatch(r"(.*?)([0-9]{0,18})([^0-9]*)", name, re.DOTALL)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def _told_gaps(phone: Sequence[Path], dslr: Sequence[Path]) -> str:
    told = []
    for camera, photos in (("phone", phone), ("DSLR", dslr)):
        gaps = [f"{a} and {b}" for a, b in numbering_gaps(photos)]
        if gaps:
            more = f" and {len(gaps) - GAPS_TOLD} more" if len(gaps) > GAPS_TOLD else ""
            told.append(f"{camera} between {', '.join(gaps[:GAPS_TOLD])}{more}")
    return f"numbers are missing: {'; '.join(told)}; " if told else ""
