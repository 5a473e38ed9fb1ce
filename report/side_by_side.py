"""Several reports as one record: the same measures side by side, and where they differ.

Pairs of one name count as one scene, as of several phones beside one DSLR.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from dped_build.photos.reading import printable
from dped_build.report.labels import MEASURES, reason_text
from dped_build.report.page import count, decimal, percent
from dped_build.report.record import (
    Column,
    CommonPair,
    DifferingSetting,
    Form,
    Measure,
    Outcome,
    PairRow,
    Report,
    Section,
    Settings,
    SideBySide,
    Spread,
    Stage,
)
from dped_build.workspace.stage import created_with
from dped_build.workspace.text import natural_key
from dped_build.workspace.text_table import aligned

FORMAT: Final = "dped-build/side-by-side"
QUANTILES: dict[str, Callable[[Spread], float | None]] = {
    "median": lambda spread: spread.median,
    "95 %": lambda spread: spread.p95,
}
PAGE_ONLY = (  # ends of labels that the terminal has no room for
    ": 95 %",
    ": photos",
    *(f"{MEASURES[name]}: median" for name in ("rotation_deg", "depth_px")),
    *(f"{MEASURES[name]}: median" for name in ("clipped_phone", "clipped_dslr")),
)

Value = float | None
Part = TypeVar("Part")


def side_by_side(names: Sequence[str], reports: Sequence[Report]) -> SideBySide:
    """What the page and `report.json` show of several reports, by workspace name."""
    pairs = common_pairs([own.table for own in reports])
    return SideBySide(
        format=FORMAT,
        version=1,
        created_with=created_with(),
        workspaces=[
            Column(name, report.phone_camera, report.dslr_camera)
            for name, report in zip(names, reports, strict=True)
        ],
        sections=[
            Section(title, [row for row in rows if row.values != [None] * len(reports)])
            for title, rows in (
                ("Pairs", pair_rows(reports)),
                ("Windows", window_rows(reports)),
                ("Accepted windows", measured_rows(reports)),
                ("Patches", patch_rows(reports)),
                ("Training", run_rows(reports)),
            )
        ],
        settings=differing_settings(reports),
        common_pairs=len(pairs),
        other_outcomes=sorted(
            (pair for pair in pairs if pair.differs),
            key=lambda pair: -max(own.accepted or 0 for own in _known(pair)),
        ),
        other_splits=[
            pair
            for pair in pairs
            if len({own.split for own in _known(pair) if own.split}) > 1
        ],
    )


def pair_rows(reports: Sequence[Report]) -> list[Measure]:
    """From photos to aligned pairs."""
    pairs = [report.pairs for report in reports]
    return [
        _row("phone photos", [own.phone_photos for own in pairs]),
        _row("DSLR photos", [own.dslr_photos for own in pairs]),
        *_reason_rows([own.lost_before_pairing for own in pairs]),
        _row("pairs", [own.paired for own in pairs]),
        *_reason_rows([own.lost_in_alignment for own in pairs]),
        _row("aligned", [own.aligned for own in pairs]),
        _row(
            "aligned, of all pairs",
            [own.aligned / own.paired if own.paired else None for own in pairs],
            form="percent",
        ),
    ]


def window_rows(reports: Sequence[Report]) -> list[Measure]:
    """From windows to patches; imported patches have none."""
    windows = [None if own.imported else own.windows for own in reports]
    shares = _each(windows, lambda own: own.accepted_share)
    return [
        _row("windows", _each(windows, lambda own: own.candidates)),
        *_reason_rows([own.reasons if own else {} for own in windows]),
        _row("accepted", _each(windows, lambda own: own.accepted)),
        _row("accepted, of those judged", shares, form="percent"),
    ]


def measured_rows(reports: Sequence[Report]) -> list[Measure]:
    """Quantiles of what was measured on the accepted windows."""
    spreads = [own.windows.accepted_spread if own.windows else {} for own in reports]
    return [
        _row(
            f"{text}: {said}",
            _each([own.get(name) for own in spreads], quantile),
            form="decimal",
            digits=3,
        )
        for name, text in MEASURES.items()
        for said, quantile in QUANTILES.items()
    ]


def patch_rows(reports: Sequence[Report]) -> list[Measure]:
    """What is stored, by split."""
    patches = [own.patches for own in reports]
    splits = [own.splits if own else {} for own in patches]
    per_photo = _each(patches, lambda own: own.per_photo)
    rows = [
        _row("stored", _each(patches, lambda own: own.stored)),
        _row("per photo pair", per_photo, form="decimal", digits=1),
    ]
    for name in dict.fromkeys(name for own in splits for name in own):
        mine = [own.get(name) for own in splits]
        rows.append(_row(f"{name}: patches", _each(mine, lambda own: own.patches)))
        rows.append(_row(f"{name}: photos", _each(mine, lambda own: own.photos)))
    return rows


def run_rows(reports: Sequence[Report]) -> list[Measure]:
    """The best of each measure of every run, by the run's name."""
    runs = [{run.name: run for run in own.runs} for own in reports]
    rows = []
    for name in dict.fromkeys(name for own in runs for name in own):
        mine = [own.get(name) for own in runs]
        rows.append(
            _row(f"{name}: iterations", _each(mine, lambda run: run.iterations))
        )
        qualities = [
            {row.measure: row for row in run.quality} if run else {} for run in mine
        ]
        for measure in dict.fromkeys(m for own in qualities for m in own):
            found = [own.get(measure) for own in qualities]
            digits = next(row.digits for row in found if row)
            best = _each(found, lambda row: row.best)
            label = f"{name}: best {measure}"
            rows.append(_row(label, best, form="decimal", digits=digits))
    return rows


def differing_settings(reports: Sequence[Report]) -> list[DifferingSetting]:
    """The settings that are not the same in all, as text; None where not recorded."""
    made = [own.made_with for own in reports]
    stages: dict[Stage, list[Settings]] = {
        "align": [own.align.settings if own.align else {} for own in made],
        "patches": [own.patches.settings if own.patches else {} for own in made],
    }
    rows = []
    for stage, all_settings in stages.items():
        for name in dict.fromkeys(name for own in all_settings for name in own):
            values = [str(own[name]) if name in own else None for own in all_settings]
            if len({value for value in values if value is not None}) > 1:
                rows.append(DifferingSetting(stage, name, values))
    return rows


def common_pairs(tables: Sequence[Sequence[PairRow]]) -> list[CommonPair]:
    """Pairs that two or more know: what became of each in every workspace.

    `differs` says that one of them got patches of it (or, where nothing is cut yet,
    aligned it), and another that knows it did not.
    """
    numbered = [
        {row.pair: (number, row) for number, row in enumerate(table, 1)}
        for table in tables
    ]
    known = Counter(pair for table in numbered for pair in table)
    pairs = []
    for pair in sorted((p for p, n in known.items() if n > 1), key=natural_key):
        found = [
            _outcome(*table[pair]) if pair in table else None for table in numbered
        ]
        uses = {own.used for own in found if own is not None}
        pairs.append(CommonPair(pair, len(uses) > 1, found))
    return pairs


def _outcome(number: int, row: PairRow) -> Outcome:
    """What became of a pair in one workspace; `number` is its place in the table."""
    return Outcome(
        status=row.status,
        reason=row.reason,
        split=row.split,
        windows=row.windows,
        accepted=row.accepted,
        used=row.status == "aligned" if row.accepted is None else row.accepted > 0,
        number=number,
    )


def _known(pair: CommonPair) -> list[Outcome]:
    return [own for own in pair.workspaces if own is not None]


def _each(parts: Iterable[Part | None], value: Callable[[Part], Value]) -> list[Value]:
    """A value of each workspace that has this part; None for the others."""
    return [None if part is None else value(part) for part in parts]


def _row(
    label: str,
    values: Sequence[Value],
    *,
    form: Form = "count",
    digits: int = 0,
    reason: str | None = None,
) -> Measure:
    return Measure(label, reason, form, digits, list(values))


def _reason_rows(found: Sequence[Mapping[str, int]]) -> list[Measure]:
    """A row for each reason, the most frequent first."""
    total = Counter[str]()
    for reasons in found:
        total.update(reasons)
    return [
        _row(reason_text(reason), [own.get(reason, 0) for own in found], reason=reason)
        for reason, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    ]


def text_of(value: Value, form: Form, digits: int) -> str:
    """A value as it is shown."""
    if form == "count":
        return count(value)
    return percent(value, 1, 1) if form == "percent" else decimal(value, digits)


def terminal_text(record: SideBySide) -> str:
    """The measures that matter most as a table for the terminal."""
    head = ["", *(printable(own.name) for own in record.workspaces)]
    lines = [head]
    for section in record.sections:
        for row in section.rows:
            if row.label.endswith(PAGE_ONLY):
                continue
            shown = (text_of(value, row.form, row.digits) for value in row.values)
            lines.append([printable(row.reason or row.label), *shown])
    return aligned(lines)
