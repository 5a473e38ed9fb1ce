"""Pairing by content, in the order in which the photos were taken.

Both cameras went through the same scenes in the same order, each with gaps and bursts
of its own. Every phone photo is compared with the few DSLR photos that look most like
it; of all matches, the heaviest chain that keeps both orders is taken.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np

from dped_build.align.pairing.by_name import OTHER, Pair, named_after_phones
from dped_build.align.pairing.heaviest_chain import Match, heaviest_chain
from dped_build.align.pairing.visual_words import (
    Sketch,
    likeness,
    most_alike,
    vocabulary,
    word_counts,
)
from dped_build.align.settings import AlignSettings
from dped_build.parallel.executor import Workers, run_all
from dped_build.workspace.errors import DpedBuildError

COMPARED = 10  # DSLR photos that each phone photo is compared with
MAX_GAP = 2000  # comparisons within a gap between two matches
BY_PLACE = 3  # photos in a gap that are paired by place: the alignment judges them
MIN_SHARE = 0.1  # of the photos of the camera with fewer that must match
HALF_SURE = 100.0  # inliers of a match that counts half of what a perfect one adds

Likenesses = dict[tuple[int, int], int]  # of places in both sequences: inliers


@dataclass(frozen=True)
class Sequenced:
    """Result of a pairing by sequence."""

    matches: int  # pairs whose photos look alike
    by_place: int  # pairs that only stand between the same neighbours


def pair_by_sequence(
    phone: Mapping[Path, Sketch | None],
    dslr: Mapping[Path, Sketch | None],
    *,
    settings: AlignSettings,
    jobs: int = 1,
) -> tuple[list[Pair], Sequenced]:
    """Pair the photos of two sequences so that no two pairs cross.

    Sketches are in the order taken, None for a photo that cannot be read.

    Raises:
        DpedBuildError: Hardly any photos match.
    """
    sketches = [*phone.values()], [*dslr.values()]

    def compare(places: Iterable[tuple[int, int]]) -> Likenesses:
        return _likenesses(*sketches, list(places), settings, jobs)

    found = compare(_likely(*sketches, jobs))
    chain = _chain(found)
    found |= compare(p for p in _within_gaps(chain, sketches) if p not in found)
    chain = _chain(found)
    fewer = min(len(phone), len(dslr))
    if not chain or len(chain) < MIN_SHARE * fewer:
        raise DpedBuildError(
            f"--pair-by sequence: only {len(chain)} of {fewer} photos match: the two "
            "folders do not seem to show the same scenes in one order; name the pairs "
            "with --pairs CSV"
        )
    placed = list(_between(chain, sketches))
    names = [*phone], [*dslr]
    taken = [(i, j) for i, j, _ in chain]
    matched = [(names[0][i], names[1][j]) for i, j in (*taken, *placed)]
    why = _reason(names, sketches, found, taken)
    pairs = named_after_phones(matched, *names, why)
    return pairs, Sequenced(len(chain), len(placed))


Sketches = tuple[list[Sketch | None], list[Sketch | None]]  # phone, DSLR


def _likely(
    phone: Sequence[Sketch | None], dslr: Sequence[Sketch | None], jobs: int
) -> list[tuple[int, int]]:
    """Places worth comparing: photos that share most words."""
    places = [[i for i, one in enumerate(side) if one] for side in (phone, dslr)]
    readable = [[one for one in side if one] for side in (phone, dslr)]
    if not all(readable):
        return []
    words = vocabulary(readable[1])
    counts = []
    for side in readable:
        found = np.zeros((len(side), len(words)), np.float32)
        results = run_all(
            lambda one: word_counts(one, words), side, Workers(jobs, "threading")
        )
        for index, row in results:
            found[index] = row
        counts.append(found)
    rows = most_alike(counts[0], counts[1], COMPARED)
    return [
        (places[0][i], places[1][j]) for i, row in enumerate(rows) for j in row.tolist()
    ]


def _likenesses(
    phone: Sequence[Sketch | None],
    dslr: Sequence[Sketch | None],
    places: Sequence[tuple[int, int]],
    settings: AlignSettings,
    jobs: int,
) -> Likenesses:
    """Inliers of each two photos; 0 where they do not match or one is unreadable."""

    def compare(place: tuple[int, int]) -> int:
        one, other = phone[place[0]], dslr[place[1]]
        return likeness(one, other, settings) if one and other else 0

    results = run_all(compare, places, Workers(jobs, "threading"))
    return {places[index]: inliers or 0 for index, inliers in results}


def _chain(found: Likenesses) -> list[Match]:
    """The matches to keep: as many as possible, and of a burst the best."""
    # In order: results come as they are ready, and must not decide between equals.
    weighted = [
        (i, j, 1 + n / (n + HALF_SURE)) for (i, j), n in sorted(found.items()) if n
    ]
    return heaviest_chain(weighted)


def _gaps(chain: Sequence[Match], sketches: Sketches) -> Iterable[tuple[range, range]]:
    """Places of both sequences that lie between neighbours in the chain."""
    ends = (-1, -1), *((i, j) for i, j, _ in chain), tuple(map(len, sketches))
    for (i, j), (next_i, next_j) in pairwise(ends):
        if next_i - i > 1 and next_j - j > 1:
            yield range(i + 1, next_i), range(j + 1, next_j)


def _within_gaps(
    chain: Sequence[Match], sketches: Sketches
) -> Iterable[tuple[int, int]]:
    for rows, columns in _gaps(chain, sketches):
        if len(rows) * len(columns) <= MAX_GAP:
            yield from product(rows, columns)


def _between(chain: Sequence[Match], sketches: Sketches) -> Iterable[tuple[int, int]]:
    """Few photos in both sequences between the same neighbours, one to one."""
    for rows, columns in _gaps(chain, sketches):
        if len(rows) == len(columns) <= BY_PLACE:
            yield from zip(rows, columns, strict=True)


def _reason(
    names: tuple[list[Path], list[Path]],
    sketches: Sketches,
    found: Likenesses,
    taken: Sequence[tuple[int, int]],
) -> Callable[[str, Path], str]:
    """Says why a photo was left over."""
    partner = [dict(taken), {j: i for i, j in taken}]
    best: list[dict[int, tuple[int, int]]] = [{}, {}]  # place → (inliers, the other)
    for place, inliers in found.items():
        for side in (0, 1):
            seen = (inliers, -place[1 - side])
            best[side][place[side]] = max(best[side].get(place[side], (0, 0)), seen)
    at = [{photo: place for place, photo in enumerate(side)} for side in names]

    def why(camera: str, photo: Path) -> str:
        side = 0 if camera == "phone" else 1
        if sketches[side][at[side][photo]] is None:
            return f"{photo.name}: cannot be read, so it was not compared"
        inliers, other = best[side].get(at[side][photo], (0, 0))
        if not inliers:
            return f"{photo.name}: no {OTHER[camera]} photo shows the same scene"
        shown = names[1 - side][-other]
        told = f"{photo.name}: shows the same scene as {shown.name}"
        if -other not in partner[1 - side]:
            return f"{told}, but out of sequence"
        instead = names[side][partner[1 - side][-other]]
        return f"{told}, which goes with {instead.name}"

    return why
