"""The split of scenes into train, val and test.

The split is by scene, never by patch, and is drawn from all pairs before any window is
accepted: changing a threshold or adding photos moves nobody. `split.csv` is written
once and then only appended to. Scenes are those of the DSLR, which the phones of a rig
share: what one phone lacks holds its place, and a scene is in one split for all.
"""

import csv
import hashlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from dped_build.patches.scenes import SAME_SCENE, Content, Scenes, group_scenes
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.text import natural_key

SPLITS = ("train", "val", "test")
MAX_GROUPS = 100  # in test or val by default
TEST_SHARE, VAL_SHARE = 0.10, 0.05
MIN_GROUPS = 3  # with fewer scenes everything is for training
HEADER = ("pair", "group", "split")


class DamagedSplitError(DpedBuildError):
    """`split.csv` cannot be trusted; drawing it anew could leak test photos."""


@dataclass(frozen=True)
class SplitRow:
    """One line of `split.csv`."""

    pair: str
    group: str
    split: str


def extend_split(
    rows: Sequence[SplitRow],
    pairs: Sequence[str],
    times: Mapping[str, datetime | None],
    *,
    test: int | None,
    val: int | None,
    seed: int,
    unpaired: Collection[str] = (),
    scenes: Mapping[str, str] | None = None,
    contents: Mapping[str, Content] | None = None,
) -> list[SplitRow]:
    """`rows` with lines for the new pairs appended.

    A new pair of a known scene belongs to it (`group_scenes`). Of the other scenes,
    those with the smallest hash of (seed, group) become `test`, the next `val`, until
    each has its number of groups, and one at least that has a pair.

    Args:
        rows: The lines there are.
        pairs: All pairs, in order.
        times: When each was taken; None where unknown, then it is its own scene.
        test: Number of test groups; None for min(100, 10 %), at least one.
        val: Number of val groups; None for min(100, 5 %), at least one.
        seed: Draws another split.
        unpaired: Those of `pairs` that this phone lacks: they are drawn like the others
            and get no line.
        scenes: What a scene that begins with a pair is called, if not like the pair.
        contents: What is known of the pairs' photos.
    """
    known_groups = {row.pair: row.group for row in rows}
    groups = group_scenes(pairs, times, known_groups, scenes=scenes, contents=contents)
    splits = {row.group: row.split for row in rows}
    fresh = [g for g in dict.fromkeys(groups.values()) if g not in splits]
    fresh.sort(key=lambda group: _hash(seed, group))
    here = {groups[pair] for pair in pairs if pair not in unpaired}
    total = len(splits) + len(fresh)
    for split, wanted, share in (("test", test, TEST_SHARE), ("val", val, VAL_SHARE)):
        if wanted is None:
            enough = total >= MIN_GROUPS
            wanted = max(1, min(MAX_GROUPS, int(share * total))) if enough else 0
        known = list(splits.values()).count(split)
        missing = max(wanted - known, 0)
        if missing and not known:
            missing = max(missing, _first_of(fresh, here))
        splits |= dict.fromkeys(fresh[:missing], split)
        fresh = fresh[missing:]
    splits |= dict.fromkeys(fresh, "train")
    no_line = {*unpaired, *(row.pair for row in rows)}
    new = [SplitRow(p, groups[p], splits[groups[p]]) for p in pairs if p not in no_line]
    return [*rows, *new]


def _first_of(groups: Sequence[str], wanted: Collection[str]) -> int:
    """How many of the groups reach up to the first wanted one; 0 where none is."""
    return next((n for n, group in enumerate(groups, 1) if group in wanted), 0)


def unite_splits(
    drawn: Sequence[Sequence[SplitRow]],
    times: Mapping[str, datetime | None],
    contents: Mapping[str, Content] | None = None,
) -> list[SplitRow]:
    """Splits that were drawn apart as one, by pair in natural order.

    Scenes of different splits that share a name, a pair or a file, begin within 60 s of
    each other, or look alike where no time is known, are one scene. Where it was drawn
    differently `train` wins, then `val`: what somebody may have trained on must not be
    tested on.

    Args:
        drawn: The lines of each split.
        times: When each pair was taken; None where unknown.
        contents: What is known of the pairs' photos.
    """
    rows = [row for lines in drawn for row in lines]
    first = {row.group: row.group for row in rows}

    def scene(group: str) -> str:
        while first[group] != group:
            group = first[group]
        return group

    groups: dict[str, str] = {}
    for row in rows:
        first[scene(row.group)] = scene(groups.setdefault(row.pair, row.group))
    for earlier, later in chain(
        _near(drawn, times), _of_one_content(drawn, times, contents or {})
    ):
        first[scene(later)] = scene(earlier)
    splits: dict[str, str] = {}
    for row in rows:
        known = splits.setdefault(scene(row.group), row.split)
        splits[scene(row.group)] = min(known, row.split, key=SPLITS.index)
    return [
        SplitRow(pair, scene(group), splits[scene(group)])
        for pair, group in sorted(groups.items(), key=lambda at: natural_key(at[0]))
    ]


def _near(
    drawn: Sequence[Sequence[SplitRow]], times: Mapping[str, datetime | None]
) -> Iterator[tuple[str, str]]:
    """Groups of different splits that begin within 60 s of each other."""
    starts: dict[tuple[int, str], datetime] = {}
    for number, lines in enumerate(drawn):
        for row in lines:
            time = times.get(row.pair)
            if time is not None:
                at = number, row.group
                starts[at] = min(time, starts.get(at, time))
    in_time = sorted((time, *at) for at, time in starts.items())
    for place, (start, number, group) in enumerate(in_time):
        for time, other, name in in_time[place + 1 :]:
            if time - start > SAME_SCENE:
                break
            if other != number:
                yield group, name


def _of_one_content(
    drawn: Sequence[Sequence[SplitRow]],
    times: Mapping[str, datetime | None],
    contents: Mapping[str, Content],
) -> Iterator[tuple[str, str]]:
    """Groups of different splits that share a file, or look alike without a time."""
    before = Scenes(contents)
    for lines in drawn:
        for row in lines:
            same = before.sharing(row.pair)
            if same is None and not times.get(row.pair):
                same = before.alike(row.pair)
            if same is not None:
                yield same, row.group
        for row in lines:
            before.add(row.pair, row.group)


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def split_bytes(rows: Sequence[SplitRow]) -> bytes:
    """The content of `split.csv`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((row.pair, row.group, row.split) for row in rows)
    return buffer.getvalue().encode()


def parse_split(text: str) -> list[SplitRow]:
    """The lines of `split.csv`.

    Raises:
        DamagedSplitError: A line is not `pair,group,split`, a pair is there twice, or a
            group is in two splits.
    """
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines or tuple(lines[0]) != HEADER:
        raise _damaged("the first line must be pair,group,split")
    pairs: set[str] = set()
    splits: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(HEADER) or line[2] not in SPLITS:
            told = ", ".join(SPLITS)
            raise _damaged(f"line {number} is not pair,group,split with {told}")
        pair, group, split = line
        if pair in pairs:
            raise _damaged(f"line {number}: pair {pair} is listed twice")
        if splits.setdefault(group, split) != split:
            raise _damaged(f"line {number}: group {group} is in two splits")
        pairs.add(pair)
    return [SplitRow(*line) for line in lines[1:]]


def _damaged(what: str) -> DamagedSplitError:
    return DamagedSplitError(
        f"split.csv: {what}; restore the file, or move the patches folder away and run "
        "dped-build patches again"
    )
