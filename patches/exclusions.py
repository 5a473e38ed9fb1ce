"""Manual exclusions of photos or windows: the workspace's `exclude.csv`."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.text import table_text

EXCLUDE_FILE = "exclude.csv"  # in the workspace

Exclusions = set[tuple[str, ...]]  # (pair,) or (pair, x, y), the numbers as text


@dataclass(frozen=True)
class ExcludedLine:
    """One line of `exclude.csv`."""

    pair: str
    window_xy: tuple[int, int] | None  # None: the whole photo
    note: str

    @property
    def entry(self) -> tuple[str, ...]:
        """As it stands among the exclusions."""
        return (self.pair, *map(str, self.window_xy or ()))


def read_exclusions(path: Path) -> Exclusions:
    """What a workspace's `exclude.csv` (`pair[,x,y][,note]`) takes out by hand.

    Returns:
        `(pair,)` for a whole photo, `(pair, x, y)` for the window whose top-left pixel
        is (x, y); the numbers as text. Empty where there is no such file.

    Raises:
        DpedBuildError: As `read_excluded_lines`.
    """
    return entries_of(read_excluded_lines(path))


def entries_of(lines: Sequence[ExcludedLine]) -> Exclusions:
    """What lines of `exclude.csv` take out."""
    # A name may end in a blank, and people write blanks after names.
    stripped = [replace(line, pair=line.pair.strip()) for line in lines]
    return {line.entry for line in (*lines, *stripped) if line.pair}


def read_excluded_lines(path: Path) -> list[ExcludedLine]:
    """The lines of a workspace's `exclude.csv`; none where there is no such file.

    Raises:
        DpedBuildError: The header lacks `pair`, or a place is not two integers.
    """
    if not path.exists():
        return []
    try:
        text, delimiter = table_text(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DpedBuildError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except ValueError as error:
        raise DpedBuildError(f"{path}: {error}") from error
    lines = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True
    )
    # DictReader skips blank lines, but not before the header.
    names = lines.fieldnames or next(filter(None, lines.reader), [])
    lines.fieldnames = [name.strip() for name in names]
    if "pair" not in lines.fieldnames:
        raise DpedBuildError(f"{path}: the first line must be pair[,x,y][,note]")
    try:
        found = [_parsed(line) for line in lines]
    except csv.Error as error:
        raise DpedBuildError(f"{path} line {lines.line_num}: {error}") from error
    except ValueError as error:
        raise DpedBuildError(
            f"{path} line {lines.line_num}: x and y must be two whole numbers, or both "
            "empty for the whole photo"
        ) from error
    return [line for line in found if line.pair]


def exclusions_bytes(lines: Sequence[ExcludedLine]) -> bytes:
    """The content of an `exclude.csv`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("pair", "x", "y", "note"))
    for line in lines:
        writer.writerow((line.pair, *(line.window_xy or ("", "")), line.note))
    return buffer.getvalue().encode()


def _parsed(line: dict[str, str | None]) -> ExcludedLine:
    pair, x, y, note = (line.get(key) or "" for key in ("pair", "x", "y", "note"))
    place = (int(x), int(y)) if x.strip() or y.strip() else None
    return ExcludedLine(pair, place, note)


def is_excluded(
    photos: NDArray[np.object_], window_xy: NDArray[np.int32], excluded: Exclusions
) -> NDArray[np.bool_]:
    """Whether each window is taken out, (N,), by its photo or by itself.

    Args:
        photos: Pair names, (N,).
        window_xy: Top-left pixels in the phone photo, (N, 2).
        excluded: What `read_exclusions` found.
    """
    return np.asarray(
        [
            (photo,) in excluded or (photo, str(x), str(y)) in excluded
            for photo, (x, y) in zip(photos, window_xy, strict=True)
        ],
        dtype=bool,
    )
