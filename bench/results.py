"""Figures as they come, a line of JSON each, so that what ends a run loses none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from dped_build.workspace.errors import DpedBuildError

# What a measurement can fail with, of torch's compiler and of CUDA, too.
FAILURES = (
    *(DpedBuildError, RuntimeError, OSError, ImportError, MemoryError, AssertionError),
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    SubprocessError,
)
FAILED = "failed"
LONGEST = 160  # characters of a failure

Rows = dict[str, dict[str, Any]]  # name of a row → its figures


class Results:
    """A file that rows are added to; a later row of the same name replaces it."""

    def __init__(self, path: Path | None, part: str) -> None:
        """Nothing is written without a path."""
        self.path, self.part = path, part

    def add(self, name: str, **figures: object) -> None:
        """A row of this part."""
        if self.path is not None:
            line = json.dumps({"part": self.part, "row": name, **figures}, default=str)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """What fails within becomes a row that says how; the rest goes on."""
        try:
            yield
        except FAILURES as error:
            self.add(name, **{FAILED: in_a_line(error)})


def in_a_line(error: BaseException) -> str:
    """An error for a table's cell."""
    said = " ".join(f"{type(error).__name__}: {error}".replace("|", "/").split())
    return said[:LONGEST]


def read_rows(path: Path) -> dict[str, Rows]:
    """The rows of every part, the newest of each name."""
    parts: dict[str, Rows] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        row = json.loads(line)
        parts.setdefault(row.pop("part"), {})[row.pop("row")] = row
    return parts
