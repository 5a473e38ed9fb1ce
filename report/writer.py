"""Write `<workspace>/report/`: pages, pictures, `report.json` and CSV files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dped_build.align.stage import (
    Stage,
    fresh_folder,
    json_bytes,
    opened,
    publish_folder,
    write_sums,
)
from dped_build.report.figures import (
    acceptance_figure,
    curves_figure,
    field_figure,
    histogram_figure,
    ncc_figure,
)
from dped_build.report.gallery import copy_samples, write_pair_pictures, write_patches
from dped_build.report.inputs import Inputs, read_workspace, require_aligned
from dped_build.report.numbers import FORMAT, ReportSettings, report_numbers
from dped_build.report.page import render_pages
from dped_build.report.wording import summary_text

HISTOGRAM_LABELS = {
    "shift": "length of the shift, phone px",
    "rotation": "rotation, degrees",
    "sigma": "stated uncertainty, phone px",
}


@dataclass(frozen=True)
class ReportSummary:
    """What was written."""

    index: Path  # the page to open
    report: dict[str, Any]  # what `report.json` holds

    def __str__(self) -> str:
        """The summary for the terminal."""
        return summary_text(self.report)


def write_report(
    workspace: Path,
    *,
    settings: ReportSettings | None = None,
    jobs: int | None = None,
) -> ReportSummary:
    """Write the report of a workspace, replacing an earlier one whole.

    Args:
        workspace: The folder that holds `aligned/` and, where they are made already,
            `patches/` and `runs/`.
        settings: How much the pages show; None: the defaults.
        jobs: Threads that shrink photos; None: one per core, at most 8.

    Raises:
        DpedBuildError: There is no `aligned/`, a file is damaged, or `report/` holds
            something else.
    """
    settings = settings or ReportSettings()
    require_aligned(workspace)
    stage = Stage(workspace, "report", FORMAT)
    with opened(stage):
        inputs = read_workspace(workspace)
        report = report_numbers(inputs, settings)
        built = fresh_folder(stage.build)
        pages = _write_pictures(inputs, report, built, settings, jobs)
        for name, content in {**pages, **_tables(report)}.items():
            (built / name).write_bytes(content)
        write_sums(built)
        publish_folder(built, stage.folder)
    return ReportSummary(stage.folder / "index.html", report)


def _write_pictures(
    inputs: Inputs,
    report: dict[str, Any],
    built: Path,
    settings: ReportSettings,
    jobs: int | None,
) -> dict[str, bytes]:
    """Write pictures and charts, and return the pages that show them."""
    pictures = write_pair_pictures(inputs, built, settings, jobs=jobs)
    for row, picture in zip(report["table"], pictures, strict=True):
        row.update(picture)
    write_patches(inputs.workspace, built, report["shown_patches"])
    samples = copy_samples(inputs.runs, built, count=settings.samples_shown)
    for run, names in zip(report["runs"], samples, strict=True):
        run["samples"] = names
    charts = draw_charts(report)
    for name, content in charts.items():
        (built / name).write_bytes(content)
    return render_pages(report, charts, rows_per_page=settings.rows_per_page)


def draw_charts(report: Mapping[str, Any]) -> dict[str, bytes]:
    """File name → SVG of every chart that the numbers allow."""
    charts = {}
    windows = report["windows"]
    if windows is not None:
        charts["ncc.svg"] = ncc_figure(windows["ncc"], min_corr=windows["min_corr"])
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
    files = {
        "report.json": json_bytes(report),
        "pairs.csv": csv_bytes(report["table"]),
    }
    windows = report["windows"]
    if windows is not None:
        files["windows.csv"] = csv_bytes(outcome_rows(windows))
        files["cells.csv"] = csv_bytes(cell_rows(windows["frame"]))
    return files


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
