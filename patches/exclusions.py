"""What the workspace's `exclude.csv` takes out by hand: photos or single windows."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.align.errors import DpedBuildError

EXCLUDE_FILE = "exclude.csv"  # in the workspace

Exclusions = set[tuple[str, ...]]  # (pair,) or (pair, x, y), the numbers as text


def read_exclusions(path: Path) -> Exclusions:
    """What a workspace's `exclude.csv` (`pair[,x,y][,note]`) takes out by hand.

    Returns:
        `(pair,)` for a whole photo, `(pair, x, y)` for the window whose top-left pixel
        is (x, y); the numbers as text. Empty where there is no such file.

    Raises:
        DpedBuildError: The header lacks `pair`, or a place is not two integers.
    """
    if not path.exists():
        return set()
    try:
        lines = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise DpedBuildError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    if "pair" not in (lines.fieldnames or []):
        raise DpedBuildError(f"{path}: the first line must be pair[,x,y][,note]")
    try:
        return {_entry(line) for line in lines}
    except ValueError as error:
        raise DpedBuildError(
            f"{path} line {lines.line_num}: x and y must be two whole numbers, or both "
            "empty for the whole photo"
        ) from error


def _entry(line: dict[str, str | None]) -> tuple[str, ...]:
    pair, x, y = ((line.get(key) or "").strip() for key in ("pair", "x", "y"))
    return (pair, str(int(x)), str(int(y))) if x or y else (pair,)


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
