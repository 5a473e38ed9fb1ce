"""`windows.h5` → one CSV file: every candidate window, for people and spreadsheets."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dped_build.exchange.patch_source import shard_folder
from dped_build.patches.folder import Rows, read_rows
from dped_build.patches.records import ACCEPTED, COLUMNS
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.workspace.durable import durable
from dped_build.workspace.errors import DpedBuildError

AXES = {"shift_px": ("shift_x_px", "shift_y_px")}
NAMES = [name for name in COLUMNS if name != "window_xy"]
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class TableSummary:
    """What was written."""

    path: Path
    windows: int
    accepted: int


def export_windows(source: Path, out: Path, *, force: bool = False) -> TableSummary:
    """Write every candidate window as a line: pair, x, y, status, reason, columns.

    Args:
        source: A workspace, or its folder of shards.
        out: The file; replaced where an earlier export wrote it.
        force: Replace any other file there.

    Raises:
        DpedBuildError: There are no windows, they are damaged, or `out` is another
            file.
    """
    path = shard_folder(source) / WINDOWS_FILE
    if not path.is_file():
        raise DpedBuildError(
            f"{path}: missing; these shards came without their windows"
        )
    rows = read_rows(path, reasons=True, lenient=True)
    if not force:
        _refuse_other_file(out)
    with durable(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in _texts(rows):
            file.write(text)
    return TableSummary(out, len(rows), int(rows.accepted.sum()))


def _refuse_other_file(out: Path) -> None:
    """Stop where a file stands that is no table of ours."""
    if not out.exists():
        return
    if not out.is_file():
        raise DpedBuildError(f"{out}: no regular file; name another --out")
    with out.open("rb") as file:
        ours = file.read(len(_header())) == _header().encode()
    if not ours:
        raise DpedBuildError(
            f"{out}: another file; add --force to replace it, or choose another --out"
        )


def _texts(rows: Rows) -> Iterator[str]:
    """The header, then the lines, some at a time."""
    yield _header()
    pairs = rows.pairs
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        columns = [_cells(getattr(rows.windows, name)[some]) for name in NAMES]
        places = rows.windows.window_xy[some].tolist()
        yield _csv(
            [
                pair,
                *place,
                ACCEPTED if reason == ACCEPTED else "rejected",
                reason,
                *(cell for cells in measured for cell in cells),
            ]
            for pair, place, reason, *measured in zip(
                pairs[some], places, rows.reasons[some], *columns, strict=True
            )
        )


def _header() -> str:
    head = [label for name in NAMES for label in _labels(name)]
    return _csv([["pair", "x", "y", "status", "reason", *head]])


def _labels(name: str) -> list[str]:
    shape = COLUMNS[name][1]
    if shape == (3, 3):
        return [f"{name}_{row}{column}" for row in range(3) for column in range(3)]
    return list(AXES[name]) if shape else [name]


def _cells(values: Any) -> list[list[str]]:  # noqa: ANN401
    """A column's cells, (N, K); what was not measured is empty."""
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    return [
        [str(value) if there else "" for value, there in zip(row, seen, strict=True)]
        for row, seen in zip(flat, known, strict=True)
    ]


def _csv(rows: Any) -> str:  # noqa: ANN401
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
