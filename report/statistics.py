"""The statistics of the report: alignments and window columns in, records out."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dped_build.align.records import Alignment
from dped_build.patches.records import ACCEPTED
from dped_build.patches.refinement.paper_rule import MAX_SHIFT
from dped_build.patches.settings import PatchSettings
from dped_build.report.parallax import parallax
from dped_build.report.record import (
    AboveThreshold,
    Frame,
    Histogram,
    Ncc,
    PairCounts,
    SearchLimits,
    Spread,
)
from dped_build.report.tables import MEASURES, WindowTable

DPED_PATCHES_PER_PHOTO = 28  # 160K training patches from 5,727 iPhone photos (Table 1)
NCC_THRESHOLDS = (0.80, 0.85, 0.90, 0.95, 0.97)
NCC_EDGES = np.linspace(0, 1, 51)
FRAME_COLUMNS = 12  # cells along the photo's long side, fewer for small photos
SPREAD_BINS = 40
VALID_EDGES = np.linspace(0, 1, 21)
BY_HAND = "excluded"  # by exclude.csv
NOT_JUDGED = (BY_HAND, "surplus")  # not refused for their quality
MUCH_CLIPPED = 0.1  # share of a patch's pixels
AT_LIMIT = 0.99  # of a search limit


@dataclass(frozen=True)
class Outcomes:
    """How many windows came out how; see `window_outcomes`."""

    candidates: int
    judged: int
    accepted: int
    accepted_share: float
    reasons: dict[str, int]  # the most frequent first


@dataclass(frozen=True)
class PairWindows:
    """The windows of one pair; None where nobody knows."""

    windows: int | None = None
    judged: int | None = None
    excluded: int | None = None  # by hand
    accepted: int | None = None
    sharpness_ratio: float | None = None  # median
    parallax_px: float | None = None  # see `parallax`


def pair_counts(records: Sequence[Alignment]) -> PairCounts:
    """Photos of each camera, pairs by status, and how many each reason cost."""
    status = Counter(record.status for record in records)
    paired = [record for record in records if record.phone and record.dslr]
    single = [record for record in records if not (record.phone and record.dslr)]
    return PairCounts(
        phone_photos=sum(record.phone is not None for record in records),
        dslr_photos=sum(record.dslr is not None for record in records),
        records=len(records),
        paired=len(paired),
        aligned=status["aligned"],
        rejected=status["rejected"],
        failed=status["failed"],
        lost_before_pairing=reason_counts(single),
        lost_in_alignment=reason_counts(paired),
        phone_colors=_most_first(
            Counter(r.phone_color for r in records if r.phone_color)
        ),
        dslr_colors=_most_first(Counter(r.dslr_color for r in records if r.dslr_color)),
    )


def reason_counts(records: Sequence[Alignment]) -> dict[str, int]:
    """How many records each reason names, most frequent first."""
    counts = Counter(record.reason for record in records if record.reason)
    return _most_first(counts)


def window_outcomes(windows: WindowTable) -> Outcomes:
    """Candidate windows, accepted windows, and how many each reason cost.

    `judged` leaves out what was not refused for its quality: windows taken out by hand,
    and those beyond a photo's share. `accepted_share` is of those.
    """
    rejected = np.bincount(
        windows.reason[~windows.accepted], minlength=len(windows.reasons)
    )
    reasons = {
        reason: int(count)
        for reason, count in zip(windows.reasons, rejected, strict=True)
        if count
    }
    judged = int(judged_windows(windows).sum())
    return Outcomes(
        candidates=len(windows),
        judged=judged,
        accepted=int(windows.accepted.sum()),
        accepted_share=_share(windows.accepted.sum(), judged),
        reasons=_most_first(reasons),
    )


def judged_windows(windows: WindowTable) -> NDArray[np.bool_]:
    """Which windows were accepted or refused for their quality, (W,)."""
    return ~windows.refused_for(*NOT_JUDGED)


def clipped_share(windows: WindowTable) -> float:
    """Share of the accepted windows with many clipped pixels on either side."""
    table = windows.table
    clipped = np.fmax(table.clipped_phone, table.clipped_dslr)[windows.accepted]
    return _share((clipped > MUCH_CLIPPED).sum(), len(clipped))


def histogram(values: ArrayLike, edges: NDArray[np.float64]) -> Histogram:
    """Counts per bin of the finite values; the outer bins take what lies beyond."""
    finite = _finite(values)
    inside = np.clip(finite, edges[0], edges[-1])
    return Histogram(_rounded(edges), np.histogram(inside, edges)[0].tolist())


def spread(values: ArrayLike) -> Spread:
    """Number of finite values, their 5, 50 and 95 % quantiles and extremes, or None."""
    finite = _finite(values)
    if not len(finite):
        return Spread(0)
    quantiles = np.quantile(finite, (0, 0.05, 0.5, 0.95, 1))
    return Spread(len(finite), *_rounded(quantiles))


def spread_edges(values: ArrayLike, *, symmetric: bool = False) -> NDArray[np.float64]:
    """Bins from 0 (or from the mirrored end) to a round number above 99.5 % of all."""
    finite = np.abs(_finite(values))
    reach = float(np.quantile(finite, 0.995)) if len(finite) else 0.0
    step = 10.0 ** math.floor(math.log10(reach)) / 2 if reach > 1e-6 else 1.0
    end = step * math.ceil(reach / step) if reach > 1e-6 else 1.0
    return np.linspace(-end if symmetric else 0.0, end, SPREAD_BINS + 1)


def ncc_statistics(
    windows: WindowTable, thresholds: Sequence[float] = NCC_THRESHOLDS
) -> Ncc:
    """NCC histograms by outcome, and what thresholds would take by NCC alone."""
    ncc = windows.table.ncc
    above = {t: int((ncc > np.float32(t)).sum()) for t in thresholds}
    return Ncc(
        measured=int(np.isfinite(ncc).sum()),
        accepted=histogram(ncc[windows.accepted], NCC_EDGES),
        rejected=histogram(ncc[~windows.accepted], NCC_EDGES),
        above=[AboveThreshold(t, n, _share(n, len(ncc))) for t, n in above.items()],
    )


def accepted_spreads(windows: WindowTable) -> dict[str, Spread]:
    """Spread of every measured column over the accepted windows."""
    columns = {"ncc": windows.table.ncc, "shift_length_px": windows.moved_px}
    columns |= {name: windows.measure(name) for name in MEASURES}
    spreads = {
        name: spread(column[windows.accepted]) for name, column in columns.items()
    }
    return {name: values for name, values in spreads.items() if values.n}


def accepted_histograms(windows: WindowTable) -> dict[str, Histogram]:
    """Shift, rotation, uncertainty and depth of the accepted windows.

    A column without any value has no histogram: the paper's rule states no uncertainty.
    """
    columns = {
        "shift": windows.moved_px,
        "rotation": windows.table.rotation_deg,
        "sigma": windows.table.sigma_px,
        "depth": windows.table.depth_px,
    }
    histograms = {}
    for name, column in columns.items():
        values = column[windows.accepted]
        edges = spread_edges(values, symmetric=name == "rotation")
        histograms[name] = histogram(values, edges)
    return {name: found for name, found in histograms.items() if any(found.counts)}


def valid_shares(windows: WindowTable) -> dict[str, Histogram]:
    """Valid shares of the measured windows, by outcome: accepted, then each reason.

    Empty where every pixel is valid.
    """
    share, measured = windows.table.valid_share, np.isfinite(windows.table.ncc)
    if not (share[measured] < 1).any():
        return {}
    refused = {name: windows.refused_for(name) for name in windows.reasons}
    outcomes = {ACCEPTED: windows.accepted} | {
        name: rows for name, rows in refused.items() if rows.any()
    }
    found = {
        name: histogram(share[measured & rows], VALID_EDGES)
        for name, rows in outcomes.items()
    }
    return {name: values for name, values in found.items() if any(values.counts)}


def search_limits(windows: WindowTable, settings: PatchSettings) -> SearchLimits:
    """How many windows stop within a hundredth of a search limit, or beyond it."""
    table, max_shift = windows.table, settings.max_shift
    if settings.rule == "paper":
        max_shift = float(min(int(max_shift), MAX_SHIFT))
    measured = np.isfinite(table.ncc)
    furthest = np.abs(table.shift_px).max(axis=1, initial=0)
    shift = measured & (furthest >= AT_LIMIT * max_shift)
    turned = np.abs(table.rotation_deg) >= AT_LIMIT * settings.max_rotation
    rotation = measured & turned & (settings.max_rotation > 0)
    return SearchLimits(
        max_shift_px=max_shift,
        max_rotation_deg=settings.max_rotation,
        measured=int(measured.sum()),
        shift=int(shift.sum()),
        rotation=int(rotation.sum()),
        share=_share((shift | rotation).sum(), measured.sum()),
    )


def frame_cells(
    windows: WindowTable, phone_sizes: dict[str, tuple[int, int]], *, window_size: int
) -> Frame:
    """Acceptance and mean shift of the accepted windows, per cell of the phone frame.

    Photos of the most frequent orientation only, each scaled to one frame: a lens does
    not turn with the upright photo, so portrait and landscape must not be mixed.
    `phone_sizes`: (width, height) of each pair's upright phone photo, px.
    """
    sizes = np.array([phone_sizes.get(pair, (0, 0)) for pair in windows.pairs], float)
    sizes = sizes.reshape(-1, 2)[windows.pair]  # (W, 2)
    known = sizes.min(axis=1, initial=np.inf) > 0
    wide = sizes[:, 0] >= sizes[:, 1]
    used = known & (wide == (2 * (wide & known).sum() >= known.sum()))
    columns, rows = _frame_shape(sizes[used], window_size)
    centres = windows.table.window_xy[used] + (window_size - 1) / 2
    at = np.floor((centres + 0.5) / sizes[used] * (columns, rows)).astype(int)
    at = np.clip(at, 0, (columns - 1, rows - 1))
    cell = at[:, 1] * columns + at[:, 0]
    accepted, shift = windows.accepted[used], windows.table.shift_px[used]
    cells = columns * rows
    known_shift = accepted & np.isfinite(shift).all(axis=1)
    counts = np.bincount(cell[known_shift], minlength=cells)
    sums = [
        np.bincount(cell[known_shift], shift[known_shift, axis], minlength=cells)
        for axis in (0, 1)
    ]
    per_cell = zip(counts.tolist(), *(s.tolist() for s in sums), strict=True)
    return Frame(
        columns=columns,
        rows=rows,
        candidates=np.bincount(cell, minlength=cells).tolist(),
        accepted=np.bincount(cell[accepted], minlength=cells).tolist(),
        mean_shift_px=[
            (round(x / n, 4), round(y / n, 4)) if n else None for n, x, y in per_cell
        ],
        left_out=int((known & ~used).sum()),
    )


def _frame_shape(sizes: NDArray[np.float64], window_size: int) -> tuple[int, int]:
    """Columns and rows of square cells no smaller than a window; sizes (W, 2)."""
    if not len(sizes):
        return FRAME_COLUMNS, FRAME_COLUMNS * 3 // 4
    width, height = np.median(sizes, axis=0)
    cell = max(width / FRAME_COLUMNS, height / FRAME_COLUMNS, window_size)
    return max(1, int(width / cell)), max(1, int(height / cell))


def windows_of_pairs(windows: WindowTable) -> dict[str, PairWindows]:
    """How the windows of each pair came out; judged as in `window_outcomes`."""
    judged, measures = judged_windows(windows), {}
    by_hand, placed = windows.refused_for(BY_HAND), windows.placed
    for pair, rows in windows.rows_of_pairs().items():
        sharpness = _finite(windows.table.sharpness_ratio[rows])
        found = parallax(windows.table.shift_px[rows], placed[rows])
        measures[pair] = PairWindows(
            windows=len(rows),
            judged=int(judged[rows].sum()),
            excluded=int(by_hand[rows].sum()),
            accepted=int(windows.accepted[rows].sum()),
            sharpness_ratio=(
                round(float(np.median(sharpness)), 3) if len(sharpness) else None
            ),
            parallax_px=None if found is None else round(float(np.ptp(found.ends)), 1),
        )
    return measures


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 6) for value in values]


def _share(part: float, whole: float) -> float:
    return round(float(part) / float(whole), 6) if whole else 0.0
