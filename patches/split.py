"""Which photos are for training, which for choosing a model, which for judging it.

The split is by scene, never by patch, and is drawn from all pairs before any window is
accepted: changing a threshold or adding photos moves nobody. `split.csv` is written
once and then only appended to.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dped_build.align.errors import DpedBuildError

SPLITS = ("train", "val", "test")
SAME_SCENE = timedelta(seconds=60)
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
) -> list[SplitRow]:
    """`rows` with lines for the new pairs appended.

    A new pair taken within 60 s of a known scene belongs to it. Of the other scenes,
    those with the smallest hash of (seed, group) become `test`, the next `val`, until
    each has its number of groups.

    Args:
        rows: The lines there are.
        pairs: All pairs, in order.
        times: When each was taken; None where unknown, then it is its own scene.
        test: Number of test groups; None for min(100, 10 %), at least one.
        val: Number of val groups; None for min(100, 5 %), at least one.
        seed: Draws another split.
    """
    groups = group_by_time(pairs, times, {row.pair: row.group for row in rows})
    splits = {row.group: row.split for row in rows}
    fresh = [g for g in dict.fromkeys(groups.values()) if g not in splits]
    fresh.sort(key=lambda group: _hash(seed, group))
    total = len(splits) + len(fresh)
    for split, wanted, share in (("test", test, TEST_SHARE), ("val", val, VAL_SHARE)):
        if wanted is None:
            enough = total >= MIN_GROUPS
            wanted = max(1, min(MAX_GROUPS, int(share * total))) if enough else 0
        missing = max(wanted - list(splits.values()).count(split), 0)
        splits |= dict.fromkeys(fresh[:missing], split)
        fresh = fresh[missing:]
    splits |= dict.fromkeys(fresh, "train")
    known = {row.pair for row in rows}
    new = [SplitRow(p, groups[p], splits[groups[p]]) for p in pairs if p not in known]
    return [*rows, *new]


def group_by_time(
    pairs: Sequence[str],
    times: Mapping[str, datetime | None],
    known: Mapping[str, str],
) -> dict[str, str]:
    """The scene of every pair: the name of the first pair taken of it.

    A scene reaches 60 s from its first photo, so that a series without pauses does not
    become one scene. Pairs that `known` places stay there.
    """
    groups = {pair: known[pair] for pair in pairs if pair in known}
    starts: list[tuple[datetime, str]] = []
    for pair in pairs:
        time = times.get(pair)
        if pair in known and time is not None:
            starts.append((time, known[pair]))
    timed = [(time, pair) for pair in pairs if (time := times.get(pair)) is not None]
    for time, pair in sorted(timed, key=lambda item: item[0]):
        if pair in groups:
            continue
        near = [group for start, group in starts if abs(time - start) <= SAME_SCENE]
        groups[pair] = near[0] if near else pair
        if not near:
            starts.append((time, pair))
    return {pair: groups.get(pair, pair) for pair in pairs}


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
            raise _damaged(f"line {number}: pair {pair} is there twice")
        if splits.setdefault(group, split) != split:
            raise _damaged(f"line {number}: group {group} is in two splits")
        pairs.add(pair)
    return [SplitRow(*line) for line in lines[1:]]


def _damaged(what: str) -> DamagedSplitError:
    return DamagedSplitError(
        f"split.csv: {what}; restore the file, or move the patches folder away and run "
        "dped-build patches again"
    )
