"""Write `<workspace>/report/`: pages, pictures, `report.json` and CSV files."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dped_build.report.assemble import FORMAT, Drawn, assemble
from dped_build.report.charts import (
    acceptance_figure,
    curves_figure,
    field_figure,
    histogram_figure,
    ncc_figure,
    valid_figure,
)
from dped_build.report.contact_sheet import shown_patches
from dped_build.report.page import render_page
from dped_build.report.pair_pictures import PairPicture, Places, write_pair_pictures
from dped_build.report.patch_pictures import copy_samples, write_patches
from dped_build.report.record import (
    Frame,
    PairRow,
    PatchGroup,
    Report,
    WhatIf,
    WindowCounts,
    to_json,
)
from dped_build.report.script_data import windows_script
from dped_build.report.settings import ReportSettings
from dped_build.report.tables import read_window_masks
from dped_build.report.workspace_reader import Inputs, read_workspace, require_something
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import Stage, read_sums, rebuilt

PAGE_ONLY = ("picture", "picture_size", "on_one_grid", "script")  # in no CSV file
HISTOGRAM_LABELS = {
    "shift": "length of the shift, phone px",
    "rotation": "rotation, degrees",
    "sigma": "stated uncertainty, phone px",
    "depth": "worst part against the whole window, phone px",
}
Table = tuple[Sequence[str], Iterable[Sequence[object]]]  # columns, rows


@dataclass(frozen=True)
class ReportSummary:
    """What was written."""

    index: Path  # the page to open
    report: Report  # what `report.json` holds


def write_report(
    workspace: str | Path,
    *,
    settings: ReportSettings | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReportSummary:
    """Write the report of a workspace, replacing an earlier one whole.

    Pictures of unchanged crops are taken over, from the earlier report or from a run
    that was interrupted. `jobs`: threads that shrink photos; None: one per core, at
    most 8.

    Raises:
        DpedBuildError: There is nothing to report, a file is damaged, or `report/`
            holds something else.
    """
    workspace, settings = Path(workspace), settings or ReportSettings()
    require_something(workspace)
    stage = Stage(workspace, "report", FORMAT)
    with rebuilt(stage) as built:
        inputs = read_workspace(workspace)
        known = read_sums(stage.folder) if stage.complete else {}
        places = Places(built, stage.scratch, stage.folder / "pairs", known)
        pictures = write_pair_pictures(
            inputs, places, settings, jobs=jobs, progress=progress
        )
        drawn = Drawn(
            pictures=pictures,
            scripts=_write_windows(inputs, pictures, built),
            sheets=_write_sheets(inputs, built, count=settings.patches_shown),
            samples=copy_samples(inputs.runs, built, count=settings.samples_shown),
        )
        report = assemble(inputs, drawn)
        charts = draw_charts(report)
        page = {"index.html": render_page(report, charts)}
        for name, content in {**charts, **page, **_tables(report)}.items():
            (built / name).write_bytes(content)
    return ReportSummary(stage.folder / "index.html", report)


def _write_windows(
    inputs: Inputs, pictures: Sequence[PairPicture], built: Path
) -> list[str | None]:
    """A script with the windows of each pair that has pictures to show them on.

    Its path within the report for each record.
    """
    (built / "windows").mkdir()
    if inputs.patches is None or inputs.patches.windows is None:
        return [None] * len(pictures)
    windows, size = inputs.patches.windows, inputs.patches.window_size
    rows, scripts = windows.rows_of_pairs(), list[str | None]()
    for number, (record, picture) in enumerate(
        zip(inputs.pairs, pictures, strict=True)
    ):
        script = None
        if picture.on_one_grid and record.pair in rows:
            script = f"windows/{number + 1:04d}.js"
            own = rows[record.pair]
            partly = own[windows.partly_valid[own]]
            found = read_window_masks(inputs.workspace, partly, size)
            masks = dict(zip(partly.tolist(), found, strict=True))
            content = windows_script(number, record, windows, own, masks, size=size)
            (built / script).write_bytes(content)
        scripts.append(script)
    return scripts


def _write_sheets(inputs: Inputs, built: Path, *, count: int) -> list[PatchGroup]:
    """The contact sheets, where there are patches."""
    patches = inputs.patches
    if patches is None:
        sheets = {}
    else:
        sheets = shown_patches(
            patches.stored,
            None if patches.imported else patches.windows,
            {record.pair: record for record in inputs.pairs},
            size=patches.window_size,
            count=count,
        )
    return write_patches(inputs, built, sheets)


def draw_charts(report: Report) -> dict[str, bytes]:
    """File name → SVG of every chart that the numbers allow."""
    charts = {}
    windows = report.windows
    if windows is not None:
        charts["ncc.svg"] = ncc_figure(windows.ncc, min_corr=windows.min_corr)
        if windows.frame is not None:
            charts["field.svg"] = field_figure(windows.frame)
            charts["acceptance.svg"] = acceptance_figure(windows.frame)
        if windows.valid_shares:
            charts["valid.svg"] = valid_figure(
                windows.valid_shares, min_valid=windows.min_valid
            )
        for name, histogram in windows.accepted_histograms.items():
            label = HISTOGRAM_LABELS[name]
            charts[f"{name}.svg"] = histogram_figure(histogram, label=label)
    for number, run in enumerate(report.runs, start=1):
        if run.panels:
            charts[f"run-{number:02d}.svg"] = curves_figure(run.panels)
    return charts


def _tables(report: Report) -> dict[str, bytes]:
    """`report.json` and the CSV files."""
    tables: dict[str, Table] = {}
    if report.table:
        tables["pairs.csv"] = pair_table(report.table)
    windows = report.windows
    if windows is not None:
        tables["windows.csv"] = outcome_table(windows)
        if windows.frame is not None and windows.what_if is not None:
            tables["cells.csv"] = cell_table(windows.frame)
            tables["thresholds.csv"] = threshold_table(windows.what_if)
    files = {name: csv_bytes(*table) for name, table in tables.items()}
    return {"report.json": json_bytes(to_json(report)), **files}


def pair_table(rows: Sequence[PairRow]) -> Table:
    """The table of pairs, without what only the page needs."""
    columns = [name for name in PairRow.__struct_fields__ if name not in PAGE_ONLY]
    return columns, ([getattr(row, name) for name in columns] for row in rows)


def threshold_table(what_if: WhatIf) -> Table:
    """What other thresholds would accept, an option and a value a row."""
    options = {"--min-corr": what_if.min_corr}
    options |= {option.option: option.values for option in what_if.options}
    return ("option", "value", "accepted", "share", "change"), [
        (option, *msgspec.structs.astuple(row))
        for option, rows in options.items()
        for row in rows
    ]


def outcome_table(windows: WindowCounts) -> Table:
    """Windows by outcome: the accepted, then each reason."""
    outcomes = {"accepted": windows.accepted, **windows.reasons}
    candidates = max(1, windows.candidates)
    return ("outcome", "windows", "share"), [
        (outcome, number, round(number / candidates, 6))
        for outcome, number in outcomes.items()
    ]


def cell_table(frame: Frame) -> Table:
    """The cells of the phone frame, row by row."""
    columns = ("column", "row", "windows", "accepted")
    cells = zip(frame.candidates, frame.accepted, frame.mean_shift_px, strict=True)
    return (*columns, "mean_shift_x_px", "mean_shift_y_px"), [
        (*divmod(number, frame.columns)[::-1], *counts, *(shift or (None, None)))
        for number, (*counts, shift) in enumerate(cells)
    ]


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as CSV, UTF-8; None is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
