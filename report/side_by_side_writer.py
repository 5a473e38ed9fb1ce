"""Write reports of several workspaces, and one page with all of them in columns."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dped_build.curate.merged_names import labels_of, shared_folder
from dped_build.report.page import environment
from dped_build.report.record import PairRow, SideBySide, to_json
from dped_build.report.side_by_side import FORMAT, common_pairs, side_by_side, text_of
from dped_build.report.workspace_reader import require_something
from dped_build.report.writer import Table, csv_bytes, write_report
from dped_build.workspace.errors import UsageError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import Stage, opened, rebuilt

FOLDER = "side-by-side"
CHARTS = ("ncc.svg", "shift.svg", "sigma.svg")  # of each workspace, shown in its column
PAIRS_SHOWN = 200  # all are in pairs.csv


@dataclass(frozen=True)
class SideBySideSummary:
    """What was written."""

    index: Path  # the page to open
    indices: Sequence[Path]  # of each workspace's own report
    shares: Sequence[float]  # of the windows that each accepted
    report: SideBySide  # what `report.json` holds


def write_side_by_side(
    workspaces: Sequence[Path],
    *,
    out: Path | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SideBySideSummary:
    """Write the report of each workspace, and into `out` a page that compares them.

    Without `out`, it is `side-by-side` in the folder that holds them all.

    Raises:
        UsageError: A workspace is given twice, or no folder holds them all.
        DpedBuildError: As `write_report`.
    """
    for folder in workspaces:
        require_something(folder)
    for one, other in combinations(workspaces, 2):
        if one.samefile(other):
            raise UsageError(f"{other}: given twice; name every workspace once")
    folder = out or _common(workspaces) / FOLDER
    stage = Stage(folder.absolute().parent, folder.name, FORMAT, "--out")
    with opened(stage):  # somebody else's folder is refused before the work
        pass
    written = [write_report(own, jobs=jobs, progress=progress) for own in workspaces]
    reports = [summary.report for summary in written]
    record = side_by_side(labels_of(workspaces), reports)
    tables = [own.table for own in reports]
    with rebuilt(stage) as built:
        charts = _charts([summary.index for summary in written])
        links = [_link(summary.index, folder) for summary in written]
        files = {
            **charts,
            "index.html": _page(record, charts, links),
            "report.json": json_bytes(to_json(record)),
            "measures.csv": csv_bytes(*_measure_table(record)),
            "pairs.csv": csv_bytes(*_pair_table(record, tables)),
        }
        for name, content in files.items():
            (built / name).write_bytes(content)
    return SideBySideSummary(
        folder / "index.html",
        [summary.index for summary in written],
        [own.windows.accepted_share if own.windows else 0.0 for own in reports],
        record,
    )


def _common(workspaces: Sequence[Path]) -> Path:
    """The folder that holds all workspaces, as relative as they were given."""
    common = shared_folder([path.resolve() for path in workspaces])
    if common is None:
        raise UsageError("no folder holds these workspaces; say --out DIR")
    here = Path.cwd()
    return common.relative_to(here) if common.is_relative_to(here) else common


def _link(index: Path, folder: Path) -> str | None:
    """Where a workspace's own page lies, seen from the common one."""
    try:
        return Path(os.path.relpath(index.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return None


def _charts(indices: Sequence[Path]) -> dict[str, bytes]:
    """File name → SVG: those of each workspace's own page, by its number."""
    return {
        f"{number:02d}-{name}": (index.parent / name).read_bytes()
        for number, index in enumerate(indices, start=1)
        for name in CHARTS
        if (index.parent / name).is_file()
    }


def _page(
    record: SideBySide, charts: Mapping[str, bytes], links: Sequence[str | None]
) -> bytes:
    template = environment().get_template("side_by_side.html")
    return template.render(
        record=record,
        charts=charts,
        chart_names=CHARTS,
        links=links,
        pairs_shown=PAIRS_SHOWN,
        text_of=text_of,
    ).encode()


def _measure_table(record: SideBySide) -> Table:
    names = [own.name for own in record.workspaces]
    return ("section", "measure", "reason", *names), [
        (section.title, row.label, row.reason, *row.values)
        for section in record.sections
        for row in section.rows
    ]


def _pair_table(record: SideBySide, tables: Sequence[Sequence[PairRow]]) -> Table:
    """What became of each pair that two or more workspaces know."""
    keys = ("status", "reason", "split", "windows", "accepted")
    names = [own.name for own in record.workspaces]
    return ("pair", *(f"{name} {key}" for name in names for key in keys)), [
        (
            pair.pair,
            *(getattr(own, key, None) for own in pair.workspaces for key in keys),
        )
        for pair in common_pairs(tables)
    ]
