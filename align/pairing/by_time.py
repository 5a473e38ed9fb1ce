"""Pairing by capture time, with one clock offset for the whole set.

Cameras' clocks differ by seconds or by hours. The difference of the times of a pair is
the same for all pairs, that of unrelated photos is not: the offset is where most
differences fall together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.align.pairing.by_name import OTHER, Pair, named_after_phones
from dped_build.workspace.errors import DpedBuildError

MIN_MATCHES = 4  # that an estimated offset must explain
MIN_SHARE = 0.3  # of the photos of the camera with fewer
AMBIGUOUS_SHARE = 0.7  # of the best offset's matches, reached by another
TOGETHER_SHARE = 0.8  # of the photos that a jump pairs: taken one after the other
MAX_DIFFERENCES = 4_000_000  # looked at together; of more, a part of the phone's
CANDIDATES = 40  # offsets that are tried
REFINEMENTS = 3
QUARTER_S = 900.0  # clocks are set by whole quarters of an hour
OTHERWISE = (
    "use --pair-by sequence, or state DSLR clock minus phone clock with "
    "--clock-offset SECONDS"
)

IntArray = NDArray[np.int64]
Span = tuple[int, float, float]  # which clock, 0 the phone's; first and last time by it
Times = Mapping[Path, datetime | None]  # of each photo; None: unknown


@dataclass(frozen=True)
class ClockOffset:
    """How far apart two clocks are, and what speaks for it."""

    seconds: float  # DSLR clock minus phone clock
    matches: int  # photos that it pairs
    second_best: int  # that the next best offset would pair; 0 where it was given
    jumps: tuple["ClockOffset", ...] = ()  # that pair others: a clock was set anew
    span: Span | None = None  # of a jump: where it counts, and nothing else does

    @property
    def all(self) -> tuple["ClockOffset", ...]:
        """This one, then the jumps."""
        return self, *self.jumps

    def told(self) -> str:
        """For people: `1:00:00`, or `1:00:00 and 0 s` where a clock jumped."""
        return " and ".join(told_offset(each.seconds) for each in self.all)


def pair_by_time(
    phone: Times,
    dslr: Times,
    *,
    tolerance_s: float,
    offset_s: float | None = None,
) -> tuple[list[Pair], ClockOffset]:
    """Pair photos taken at the same time, one to one, the nearest first.

    `tolerance_s`: how far both times of a pair may differ once the offset is known.
    `offset_s`: DSLR clock minus phone clock; estimated where not given.

    Raises:
        DpedBuildError: No time is known, or no offset stands out.
    """
    timed = [
        [(photo, time) for photo, time in times.items() if time]
        for times in (phone, dslr)
    ]
    for camera, found in zip(("phone", "DSLR"), timed, strict=True):
        if not found:
            raise DpedBuildError(
                f"--pair-by time: no {camera} photo has a capture time (EXIF); use "
                "--pair-by order or --pair-by sequence"
            )
    zero = min(time for _, time in timed[0])
    seconds = [
        np.array([(time - zero).total_seconds() for _, time in found])
        for found in timed
    ]
    if offset_s is None:
        offset = estimate_clock_offset(*seconds, tolerance_s=tolerance_s)
    else:
        count = len(match_nearest(*seconds, offset_s=offset_s, tolerance_s=tolerance_s))
        offset = ClockOffset(offset_s, count, 0)
    matches = np.concatenate(
        _matches_of_all(seconds[0], seconds[1], offset, tolerance_s)
    )
    matched = [
        (timed[0][i][0], timed[1][j][0])
        for i, j in matches[np.lexsort(matches.T[::-1])]
    ]

    def why(camera: str, photo: Path) -> str:
        time = (phone if camera == "phone" else dslr)[photo]
        if time is None:
            return f"{photo.name}: no capture time (EXIF)"
        return (
            f"{photo.name}: no {OTHER[camera]} photo left within {tolerance_s:g} s "
            f"(DSLR clock minus phone clock {offset.told()})"
        )

    return named_after_phones(matched, list(phone), list(dslr), why), offset


def told_offset(seconds: float) -> str:
    """An offset as people read it: `-1:00:02`, `12.5 s`."""
    if abs(seconds) < 90:
        return f"{seconds:g} s"
    whole = round(abs(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{'-' if seconds < 0 else ''}{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def estimate_clock_offset(
    phone_s: FloatArray, dslr_s: FloatArray, *, tolerance_s: float
) -> ClockOffset:
    """The offset that pairs most photos, refined by the median of their differences.

    Times are in seconds, (N,) and (M,). Where a clock was set by whole quarters of an
    hour in between (summer time, another zone), the offsets before and after are found.

    Raises:
        DpedBuildError: Too few photos agree on it, or on another one nearly as many, as
            in a series at even intervals.
    """
    best, tried = _best_offset(phone_s, dslr_s, tolerance_s)
    fewer = min(len(phone_s), len(dslr_s))
    if best.matches < max(MIN_MATCHES, MIN_SHARE * fewer):
        raise DpedBuildError(
            f"--pair-by time: no clock offset pairs more than {best.matches} of "
            f"{fewer} photos; {OTHERWISE}"
        )
    while jump := _jump(phone_s, dslr_s, best, tolerance_s):
        best = replace(best, jumps=(*best.jumps, jump))
    best = _counted(best, phone_s, dslr_s, tolerance_s)
    second, seconds = _next_best(tried, best, tolerance_s)
    best = replace(best, second_best=second)
    if best.second_best >= AMBIGUOUS_SHARE * best.matches:
        raise DpedBuildError(
            f"--pair-by time: a clock offset of {best.seconds:g} s pairs "
            f"{best.matches} photos, one of {seconds:g} s {best.second_best}: the "
            "intervals are too even to tell, or a clock was set anew in between; "
            f"{OTHERWISE}"
        )
    return best


Tried = list[tuple[float, int]]  # offsets, and how many photos each pairs


def _best_offset(
    phone_s: FloatArray, dslr_s: FloatArray, tolerance_s: float
) -> tuple[ClockOffset, Tried]:
    """The offset that pairs most photos, and all that were tried."""
    tried = [
        _refined(phone_s, dslr_s, offset, tolerance_s)
        for offset in _likely_offsets(phone_s, dslr_s, tolerance_s)
    ]
    seconds, matches = max(tried, key=lambda each: each[1], default=(0.0, 0))
    best = ClockOffset(round(seconds, 3), matches, 0)
    return replace(best, second_best=_next_best(tried, best, tolerance_s)[0]), tried


def _next_best(
    tried: Tried, best: ClockOffset, tolerance_s: float
) -> tuple[int, float]:
    """How many photos an offset pairs that is none of the best, and which that is."""
    apart = [
        (count, offset)
        for offset, count in tried
        if all(abs(offset - each.seconds) > 2 * tolerance_s for each in best.all)
    ]
    return max(apart, default=(0, 0.0))


def _jump(
    phone_s: FloatArray, dslr_s: FloatArray, known: ClockOffset, tolerance_s: float
) -> ClockOffset | None:
    """An offset that pairs photos which the known ones leave over; None without.

    It differs by whole quarters of an hour, stands out among what is left, and its
    photos lie together by the clock that did not jump.
    """
    pairs = np.concatenate(_matches_of_all(phone_s, dslr_s, known, tolerance_s))
    rest = np.delete(phone_s, pairs[:, 0]), np.delete(dslr_s, pairs[:, 1])
    fewer = min(map(len, rest))
    if fewer < MIN_MATCHES:
        return None
    found, _ = _best_offset(*rest, tolerance_s)
    needed = max(MIN_MATCHES, MIN_SHARE * fewer)
    if found.matches < needed:
        return None
    if found.second_best >= AMBIGUOUS_SHARE * found.matches:
        return None
    off = (found.seconds - known.seconds + QUARTER_S / 2) % QUARTER_S - QUARTER_S / 2
    if abs(off) > tolerance_s:
        return None
    here = match_nearest(
        phone_s, dslr_s, offset_s=found.seconds, tolerance_s=tolerance_s
    )
    spans = [
        _span(times, here[:, clock], pairs[:, clock])
        for clock, times in enumerate((phone_s, dslr_s))
    ]
    clock = int(spans[1][0] > spans[0][0])
    gain, first, last = spans[clock]
    if gain < max(needed, TOGETHER_SHARE * found.matches):
        return None
    return replace(found, span=(clock, first, last))


def _span(
    times: FloatArray, here: IntArray, there: IntArray
) -> tuple[int, float, float]:
    """Where most photos are `here` and few `there`: how many more, first and last time.

    Args:
        times: By one clock, (N,).
        here: Which of them one offset pairs.
        there: Likewise another one.
    """
    gains = np.zeros(len(times), np.int64)
    gains[here] += 1
    gains[there] -= 1
    order = np.argsort(times, kind="stable")
    sums = np.concatenate([[0], np.cumsum(gains[order])])
    rise = sums - np.minimum.accumulate(sums)
    end = int(rise.argmax())
    start = int(sums[: end + 1].argmin())
    return int(rise[end]), float(times[order[start]]), float(times[order[end - 1]])


def _counted(
    offset: ClockOffset, phone_s: FloatArray, dslr_s: FloatArray, tolerance_s: float
) -> ClockOffset:
    """With the number of photos that it and each of its jumps pair."""
    if not offset.jumps:
        return offset
    counts = [len(p) for p in _matches_of_all(phone_s, dslr_s, offset, tolerance_s)]
    jumps = [
        replace(j, matches=n) for j, n in zip(offset.jumps, counts[1:], strict=True)
    ]
    return replace(offset, matches=counts[0], jumps=tuple(jumps))


def _matches_of_all(
    phone_s: FloatArray, dslr_s: FloatArray, offset: ClockOffset, tolerance_s: float
) -> list[IntArray]:
    """Index pairs (K, 2) by an offset, outside its jumps, and by each of these."""
    times, found = (phone_s, dslr_s), list[IntArray]()
    rows = [np.arange(len(phone_s)), np.arange(len(dslr_s))]
    for each in (*offset.jumps[::-1], offset):
        open_to = list(rows)
        if each.span:
            clock, first, last = each.span
            own = times[clock][rows[clock]]
            within = (own >= first) & (own <= last)
            open_to[clock], rows[clock] = rows[clock][within], rows[clock][~within]
        here = match_nearest(
            phone_s[open_to[0]],
            dslr_s[open_to[1]],
            offset_s=each.seconds,
            tolerance_s=tolerance_s,
        )
        pairs = np.stack([open_to[0][here[:, 0]], open_to[1][here[:, 1]]], axis=1)
        rows = [np.setdiff1d(rows[side], pairs[:, side]) for side in (0, 1)]
        found.insert(0, pairs)
    return found


def _likely_offsets(
    phone_s: FloatArray, dslr_s: FloatArray, tolerance_s: float
) -> list[float]:
    """Offsets, at least a window apart, at which most differences fall together."""
    step = -(-len(phone_s) * len(dslr_s) // MAX_DIFFERENCES)
    differences = np.sort(np.subtract.outer(dslr_s, phone_s[::step]).ravel())
    width = 2 * tolerance_s
    ends = np.searchsorted(differences, differences + width, side="right")
    counts = ends - np.arange(len(differences))
    offsets: list[float] = []
    while len(offsets) < CANDIDATES and counts.any():
        first = int(counts.argmax())
        offsets.append(float(np.median(differences[first : ends[first]])))
        start = differences[first]
        near = np.searchsorted(differences, (start - width, start))
        counts[near[0] : max(ends[first], near[1])] = 0
    return offsets


def _refined(
    phone_s: FloatArray, dslr_s: FloatArray, offset_s: float, tolerance_s: float
) -> tuple[float, int]:
    """The offset moved to the middle of what it matches, and how much that is."""
    count = 0
    for _ in range(REFINEMENTS):
        i, j = match_nearest(
            phone_s, dslr_s, offset_s=offset_s, tolerance_s=tolerance_s
        ).T
        if len(i) < count:
            break
        count, offset_s = len(i), float(np.median(dslr_s[j] - phone_s[i]))
    return offset_s, count


def match_nearest(
    phone_s: FloatArray, dslr_s: FloatArray, *, offset_s: float, tolerance_s: float
) -> IntArray:
    """Index pairs (K, 2) of times that agree, one to one, the nearest first.

    Times are in seconds, (N,) and (M,), in any order; the DSLR's by a clock that is
    `offset_s` ahead.
    """
    order = np.argsort(dslr_s, kind="stable")
    expected, there = phone_s + offset_s, dslr_s[order]
    slack = tolerance_s + 1e-6
    first = np.searchsorted(there, expected - slack, side="left")
    last = np.searchsorted(there, expected + slack, side="right")
    counts = last - first
    phone_index = np.repeat(np.arange(len(phone_s)), counts)
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    dslr_index = order[starts + np.arange(len(phone_index))]
    away = np.abs(dslr_s[dslr_index] - expected[phone_index])
    free_phone, free_dslr = np.ones(len(phone_s), bool), np.ones(len(dslr_s), bool)
    matches = []
    for k in np.lexsort((dslr_index, phone_index, away)):
        i, j = phone_index[k], dslr_index[k]
        if free_phone[i] and free_dslr[j]:
            free_phone[i] = free_dslr[j] = False
            matches.append((i, j))
    return np.array(sorted(matches), np.int64).reshape(-1, 2)
