"""Write `<workspace>/report/`: pages, pictures, `report.json` and CSV files."""

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dped_build.report.assemble import FORMAT, ReportSettings, report_numbers
from dped_build.report.charts import (
    acceptance_figure,
    curves_figure,
    field_figure,
    histogram_figure,
    ncc_figure,
)
from dped_build.report.page import render_page
from dped_build.report.pair_pictures import Places, write_pair_pictures
from dped_build.report.patch_pictures import copy_samples, write_patches
from dped_build.report.script_data import windows_script
from dped_build.report.workspace_reader import Inputs, read_workspace, require_something
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import (
    Stage,
    fresh_folder,
    opened,
    publish_folder,
    read_sums,
    write_sums,
)

PAGE_ONLY = (
    "picture",
    "picture_size",
    "on_one_grid",
    "script",
)  # columns of no interest in a CSV
HISTOGRAM_LABELS = {
    "shift": "length of the shift, phone px",
    "rotation": "rotation, degrees",
    "sigma": "stated uncertainty, phone px",
    "depth": "worst part against the whole, phone px",
}


@dataclass(frozen=True)
class ReportSummary:
    """What was written."""

    index: Path  # the page to open
    report: dict[str, Any]  # what `report.json` holds


def write_report(
    workspace: Path,
    *,
    settings: ReportSettings | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReportSummary:
    """Write the report of a workspace, replacing an earlier one whole.

    Pictures of unchanged crops are taken over, from the earlier report or from a run
    that was interrupted.

    Args:
        workspace: The folder that holds `aligned/` and, where they are made already,
            `patches/` and `runs/`.
        settings: How much the page shows; None: the defaults.
        jobs: Threads that shrink photos; None: one per core, at most 8.
        progress: Told how many pairs of how many have their pictures.

    Raises:
        DpedBuildError: There is nothing to report, a file is damaged, or `report/`
            holds something else.
    """
    settings = settings or ReportSettings()
    require_something(workspace)
    stage = Stage(workspace, "report", FORMAT)
    with opened(stage):
        inputs = read_workspace(workspace)
        report = report_numbers(inputs, settings)
        known = read_sums(stage.folder) if stage.complete else {}
        built = fresh_folder(stage.build)
        places = Places(built, stage.scratch, stage.folder / "pairs", known)
        pictures = write_pair_pictures(
            inputs, places, settings, jobs=jobs, progress=progress
        )
        for row, picture in zip(report["table"], pictures, strict=True):
            row.update(picture)
        _write_windows(inputs, report, built)
        report["shown_patches"] = write_patches(inputs, built, report["shown_patches"])
        samples = copy_samples(inputs.runs, built, count=settings.samples_shown)
        for run, names in zip(report["runs"], samples, strict=True):
            run["samples"] = names
        charts = draw_charts(report)
        page = {"index.html": render_page(report, charts)}
        for name, content in {**charts, **page, **_tables(report)}.items():
            (built / name).write_bytes(content)
        write_sums(built)
        publish_folder(built, stage.folder)
        shutil.rmtree(stage.scratch, ignore_errors=True)
    return ReportSummary(stage.folder / "index.html", report)


def _write_windows(inputs: Inputs, report: dict[str, Any], built: Path) -> None:
    """A script with the windows of each pair that has pictures to show them on."""
    (built / "windows").mkdir()
    for row in report["table"]:
        row["script"] = None
    if inputs.patches is None or inputs.patches.windows is None:
        return
    windows, size = inputs.patches.windows, inputs.patches.window_size
    rows = windows.rows_of_pairs()
    for number, (record, row) in enumerate(
        zip(inputs.pairs, report["table"], strict=True)
    ):
        if not row["on_one_grid"] or record.pair not in rows:
            continue
        row["script"] = f"windows/{number + 1:04d}.js"
        content = windows_script(number, record, windows, rows[record.pair], size=size)
        (built / row["script"]).write_bytes(content)


def draw_charts(report: Mapping[str, Any]) -> dict[str, bytes]:
    """File name → SVG of every chart that the numbers allow."""
    charts = {}
    windows = report["windows"]
    if windows is not None:
        charts["ncc.svg"] = ncc_figure(windows["ncc"], min_corr=windows["min_corr"])
        if windows["frame"] is not None:
            charts["field.svg"] = field_figure(windows["frame"])
            charts["acceptance.svg"] = acceptance_figure(windows["frame"])
        for name, counts in windows["accepted_histograms"].items():
            charts[f"{name}.svg"] = histogram_figure(
                counts, label=HISTOGRAM_LABELS[name]
            )
    for number, run in enumerate(report["runs"], start=1):
        if run["panels"]:
            charts[f"run-{number:02d}.svg"] = curves_figure(run["panels"])
    return charts


def _tables(report: Mapping[str, Any]) -> dict[str, bytes]:
    """`report.json` and the CSV files."""
    files = {"report.json": json_bytes(report)}
    if report["table"]:
        rows = [
            {name: value for name, value in row.items() if name not in PAGE_ONLY}
            for row in report["table"]
        ]
        files["pairs.csv"] = csv_bytes(rows)
    windows = report["windows"]
    if windows is not None:
        files["windows.csv"] = csv_bytes(outcome_rows(windows))
        if windows["frame"] is not None:
            files["cells.csv"] = csv_bytes(cell_rows(windows["frame"]))
            files["thresholds.csv"] = csv_bytes(threshold_rows(windows["what_if"]))
    return files


def threshold_rows(what_if: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What other thresholds would accept, an option and a value a row."""
    options = [{"option": "--min-corr", "values": what_if["min_corr"]}]
    return [
        {"option": option["option"], **row}
        for option in options + what_if["options"]
        for row in option["values"]
    ]


def outcome_rows(windows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Windows by outcome: the accepted, then each reason."""
    outcomes = {"accepted": windows["accepted"], **windows["reasons"]}
    candidates = max(1, windows["candidates"])
    return [
        {
            "outcome": outcome,
            "windows": number,
            "share": round(number / candidates, 6),
        }
        for outcome, number in outcomes.items()
    ]


def cell_rows(frame: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells of the phone frame, row by row."""
    cells = zip(
        frame["candidates"], frame["accepted"], frame["mean_shift_px"], strict=True
    )
    return [
        {
            "column": number % frame["columns"],
            "row": number // frame["columns"],
            "windows": candidates,
            "accepted": accepted,
            "mean_shift_x_px": None if shift is None else shift[0],
            "mean_shift_y_px": None if shift is None else shift[1],
        }
        for number, (candidates, accepted, shift) in enumerate(cells)
    ]


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A table as CSV, UTF-8, columns as in the first row; None is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
