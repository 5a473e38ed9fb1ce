"""`windows.h5` → one CSV file: every candidate window, for people and spreadsheets."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dped_build.exchange.patch_source import UNREADABLE, read_columns, shard_folder
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows
from dped_build.patches.shards import WINDOWS_FILE, hdf5_file, read_texts
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
    table, pairs = read_columns(path)
    reasons = _reasons(path, len(table))
    if not force:
        _refuse_other_file(out)
    with durable(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in _texts(table, pairs, reasons):
            file.write(text)
    return TableSummary(out, len(table), reasons.count(ACCEPTED))


def _refuse_other_file(out: Path) -> None:
    """Stop where a file stands that is no table of ours.

    Raises:
        DpedBuildError: Says how to go on.
    """
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


def _reasons(path: Path, count: int) -> list[str]:
    try:
        with hdf5_file(path) as file:
            reasons = read_texts(file, "reason")
        if len(reasons) != count:
            raise OSError("its columns differ in length")
    except UNREADABLE as error:
        raise DpedBuildError(f"{path} is damaged: run dped-build verify") from error
    return reasons


def _texts(table: Windows, pairs: list[str], reasons: list[str]) -> Iterator[str]:
    """The header, then the lines, some at a time."""
    yield _header()
    for start in range(0, len(table), ROWS_AT_ONCE):
        rows = range(start, min(start + ROWS_AT_ONCE, len(table)))
        columns = [
            _cells(getattr(table, name)[rows.start : rows.stop]) for name in NAMES
        ]
        places = table.window_xy[rows.start : rows.stop].tolist()
        yield _csv(
            [
                pairs[row],
                *places[row - start],
                ACCEPTED if reasons[row] == ACCEPTED else "rejected",
                reasons[row],
                *(cell for column in columns for cell in column[row - start]),
            ]
            for row in rows
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
