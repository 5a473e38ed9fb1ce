"""Several reports as one record: the same measures side by side, and where they differ.

Pairs of one name count as one scene, as of several phones beside one DSLR.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dped_build.align.aligned_folder import CAMERA_KEYS
from dped_build.photos.reading import printable
from dped_build.report.labels import MEASURES, reason_text
from dped_build.report.page import count, decimal, percent
from dped_build.workspace.stage import created_with
from dped_build.workspace.text import natural_key

FORMAT, VERSION = "dped-build/side-by-side", 1
QUANTILES = (("median", "median"), ("p95", "95 %"))
PAGE_ONLY = (  # ends of labels that the terminal has no room for
    ": 95 %",
    ": photos",
    *(f"{MEASURES[name]}: median" for name in ("rotation_deg", "depth_px")),
    *(f"{MEASURES[name]}: median" for name in ("clipped_phone", "clipped_dslr")),
)
COMPARED = ("align", "patches")  # stages whose settings are compared

Report = Mapping[str, Any]
Value = float | None


def side_by_side(names: Sequence[str], reports: Sequence[Report]) -> dict[str, Any]:
    """What the page and `report.json` show of several reports.

    Args:
        names: What each workspace is called.
        reports: Of each, what its own `report.json` holds.
    """
    pairs = pairs_of_several(reports)
    return {
        "format": FORMAT,
        "version": VERSION,
        "created_with": created_with(),
        "workspaces": [
            {
                "name": name,
                **{key: report[key] for key in CAMERA_KEYS},
            }
            for name, report in zip(names, reports, strict=True)
        ],
        "sections": [
            {"title": title, "rows": [row for row in rows if _says_something(row)]}
            for title, rows in (
                ("Pairs", pair_rows(reports)),
                ("Windows", window_rows(reports)),
                ("Accepted windows", measured_rows(reports)),
                ("Patches", patch_rows(reports)),
                ("Training", run_rows(reports)),
            )
        ],
        "settings": differing_settings(reports),
        "common_pairs": len(pairs),
        "other_outcomes": sorted(
            (pair for pair in pairs if pair["differs"]),
            key=lambda pair: -max(own["accepted"] or 0 for own in _known(pair)),
        ),
        "other_splits": [pair for pair in pairs if _splits(pair) > 1],
    }


def pair_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """From photos to aligned pairs."""
    pairs = [report["pairs"] for report in reports]
    return [
        _row("phone photos", [own["phone_photos"] for own in pairs]),
        _row("DSLR photos", [own["dslr_photos"] for own in pairs]),
        *_reason_rows([own["lost_before_pairing"] for own in pairs]),
        _row("pairs", [own["paired"] for own in pairs]),
        *_reason_rows([own["lost_in_alignment"] for own in pairs]),
        _row("aligned", [own["aligned"] for own in pairs]),
        _row(
            "aligned, of all pairs",
            [_share(own["aligned"], own["paired"]) for own in pairs],
            form="percent",
        ),
    ]


def window_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """From windows to patches; imported patches have none."""
    windows = [None if own["imported"] else own["windows"] for own in reports]
    shares = [own and own["accepted_share"] for own in windows]
    return [
        _row("windows", [own and own["candidates"] for own in windows]),
        *_reason_rows([own["reasons"] if own else {} for own in windows]),
        _row("accepted", [own and own["accepted"] for own in windows]),
        _row("accepted, of those judged", shares, form="percent"),
    ]


def measured_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Quantiles of what was measured on the accepted windows."""
    spreads = [(own["windows"] or {}).get("accepted_spread", {}) for own in reports]
    return [
        _row(
            f"{text}: {told}",
            [spread.get(name, {}).get(quantile) for spread in spreads],
            form="decimal",
            digits=3,
        )
        for name, text in MEASURES.items()
        for quantile, told in QUANTILES
    ]


def patch_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """What is stored, by split."""
    patches = [own["patches"] for own in reports]
    splits = [own["splits"] if own else {} for own in patches]
    rows = [
        _row("stored", [own and own["stored"] for own in patches]),
        _row(
            "per photo pair",
            [own and own["per_photo"] for own in patches],
            form="decimal",
            digits=1,
        ),
    ]
    for name in dict.fromkeys(name for own in splits for name in own):
        for key, text in (("patches", "patches"), ("photos", "photos")):
            values = [own.get(name, {}).get(key) for own in splits]
            rows.append(_row(f"{name}: {text}", values))
    return rows


def run_rows(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """The best of each measure of every run, by the run's name."""
    runs = [{run["name"]: run for run in own["runs"]} for own in reports]
    rows = []
    for name in dict.fromkeys(name for own in runs for name in own):
        mine = [own.get(name) for own in runs]
        told = [run["iterations"] if run else None for run in mine]
        rows.append(_row(f"{name}: iterations", told))
        qualities = [
            {row["measure"]: row for row in run["quality"]} if run else {}
            for run in mine
        ]
        for measure in dict.fromkeys(m for own in qualities for m in own):
            found = [own.get(measure) for own in qualities]
            digits = next(row["digits"] for row in found if row)
            best = [row and row["best"] for row in found]
            label = f"{name}: best {measure}"
            rows.append(_row(label, best, form="decimal", digits=digits))
    return rows


def differing_settings(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """The settings that are not the same in all, as text; None where not recorded."""
    rows = []
    for stage in COMPARED:
        made = [(own["made_with"][stage] or {}).get("settings", {}) for own in reports]
        for name in dict.fromkeys(name for settings in made for name in settings):
            values = [
                str(settings[name]) if name in settings else None for settings in made
            ]
            if len({value for value in values if value is not None}) > 1:
                rows.append({"stage": stage, "name": name, "values": values})
    return rows


def pairs_of_several(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Pairs that two or more know: what became of each in every workspace.

    `differs` says that one of them got patches of it (or, where nothing is cut yet,
    aligned it), and another that knows it did not.
    """
    tables = [
        {row["pair"]: (number, row) for number, row in enumerate(own["table"], 1)}
        for own in reports
    ]
    known = Counter(pair for table in tables for pair in table)
    pairs = []
    for pair in sorted((p for p, n in known.items() if n > 1), key=natural_key):
        found = [_outcome(*table.get(pair, (0, None))) for table in tables]
        uses = {own["used"] for own in found if own is not None}
        pairs.append({"pair": pair, "differs": len(uses) > 1, "workspaces": found})
    return pairs


def _outcome(number: int, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What became of a pair in one workspace; `number` is its place in the table."""
    if row is None:
        return None
    aligned = row["status"] == "aligned"
    names = ("status", "reason", "split", "windows", "accepted")
    used = aligned if row["accepted"] is None else row["accepted"] > 0
    return {**{name: row[name] for name in names}, "used": used, "number": number}


def _known(pair: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [own for own in pair["workspaces"] if own is not None]


def _splits(pair: Mapping[str, Any]) -> int:
    return len({own["split"] for own in _known(pair) if own["split"]})


def _row(
    label: str,
    values: Sequence[Value],
    *,
    form: str = "count",
    digits: int = 0,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "label": label,
        "reason": reason,
        "form": form,
        "digits": digits,
        "values": list(values),
    }


def _reason_rows(found: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    """A row for each reason, the most frequent first."""
    total = Counter[str]()
    for reasons in found:
        total.update(reasons)
    return [
        _row(reason_text(reason), [own.get(reason, 0) for own in found], reason=reason)
        for reason, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    ]


def _says_something(row: Mapping[str, Any]) -> bool:
    return any(value is not None for value in row["values"])


def _share(part: float, whole: float) -> Value:
    return part / whole if whole else None


def text_of(value: Value, form: str, digits: int) -> str:
    """A value as it is shown."""
    forms: dict[str, Callable[[], str]] = {
        "count": lambda: count(value),
        "percent": lambda: percent(value, 1, 1),
        "decimal": lambda: decimal(value, digits),
    }
    return forms[form]()


def terminal_text(record: Mapping[str, Any]) -> str:
    """The measures that matter most as a table for the terminal."""
    head = ["", *(printable(own["name"]) for own in record["workspaces"])]
    lines = [head]
    for section in record["sections"]:
        for row in section["rows"]:
            if row["label"].endswith(PAGE_ONLY):
                continue
            shown = (text_of(v, row["form"], row["digits"]) for v in row["values"])
            lines.append([printable(row["reason"] or row["label"]), *shown])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0])]
            + [text.rjust(w) for text, w in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in lines
    )
