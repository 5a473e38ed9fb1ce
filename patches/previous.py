"""What a finished patch stage holds that a new run need not do again."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligned_folder import MESSAGE
from dped_build.patches.manifest import Whole
from dped_build.patches.pieces import Piece
from dped_build.patches.records import ACCEPTED, Windows
from dped_build.patches.shards import (
    WINDOWS_FILE,
    read_keys,
    read_patch_rows,
    read_pixels,
    read_tables,
)
from dped_build.patches.split import DamagedSplitError, SplitRow, parse_split
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import converted, read_lines
from dped_build.workspace.stage import Stage

SPLIT_FILE = "split.csv"
Place = tuple[int, int]  # window_xy


@dataclass(frozen=True)
class Previous:
    """A finished stage, read back.

    Attributes:
        manifest: `manifest.json`.
        keys: Pair → key of what its measurements were made from.
        measured: Pair → its windows.
        stored: Pair → place of each stored patch → its shard and row; none of a shard
            that is lost.
    """

    manifest: Mapping[str, Any]
    keys: Mapping[str, str]
    measured: Mapping[str, Windows]
    stored: Mapping[str, Mapping[Place, tuple[Path, int]]]

    def windows(self, pair: str, key: str) -> Windows | None:
        """A pair's measurements, if they were made from the same inputs."""
        return self.measured[pair] if self.keys.get(pair) == key else None

    def holds(self, pair: str, windows: Windows, reasons: NDArray[np.str_]) -> bool:
        """Whether the shards hold every kept patch of a pair."""
        wanted = _places(windows, reasons)
        return set(wanted) <= set(self.stored.get(pair, {}))

    def piece(self, pair: str, windows: Windows, reasons: NDArray[np.str_]) -> Piece:
        """A pair's kept patches, copied out of the shards.

        Raises:
            KeyError: They do not hold all of them.
            DpedBuildError: A shard is damaged.
        """
        rows = [self.stored[pair][place] for place in _places(windows, reasons)]
        try:
            phone, dslr = read_pixels(rows)
        except (OSError, KeyError, ValueError) as error:
            folder = rows[0][0].parent
            raise DpedBuildError(
                f"{folder}: a shard is damaged ({error}); delete the one that "
                "dped-build verify names and run dped-build patches --force"
            ) from error
        return Piece(windows, reasons, phone, dslr)


@dataclass(frozen=True)
class KnownSplit:
    """A split that was drawn before, and the settings that it was drawn with."""

    rows: list[SplitRow]
    settings: Mapping[str, Any] | None  # None where the manifest cannot be read


def read_split(stage: Stage) -> KnownSplit | None:
    """The split of the stage's folder, whatever else of it is damaged.

    Raises:
        DamagedSplitError: `split.csv` itself cannot be trusted.
    """
    path = stage.folder / SPLIT_FILE
    if not path.is_file():
        return None
    try:
        rows = parse_split(b"".join(read_lines(path)).decode())
    except (ValueError, csv.Error) as error:
        raise DamagedSplitError(f"{path}: not UTF-8 text; restore it") from error
    try:
        settings = (stage.manifest() or {}).get("settings")
    except DpedBuildError:
        settings = None
    return KnownSplit(rows, settings if isinstance(settings, dict) else None)


def read_previous(stage: Stage) -> Previous | None:
    """What the stage's folder holds; None where it is not complete.

    Raises:
        DpedBuildError: A file of it other than a shard is damaged.
    """
    manifest = stage.manifest()
    if manifest is None:
        return None
    stored: dict[str, dict[Place, tuple[Path, int]]] = {}
    try:
        require_sound(manifest)
        for shard in manifest["shards"]:
            path = stage.folder / shard["file"]
            for row, (pair, place) in enumerate(_rows_of(path)):
                stored.setdefault(pair, {})[place] = (path, row)
        keys = read_keys(stage.folder / WINDOWS_FILE)
        measured = read_tables(stage.folder / WINDOWS_FILE)
        if set(measured) != set(keys):
            raise ValueError("windows of pairs without a key")
    except (OSError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:MESSAGE]
        raise DpedBuildError(
            f"{stage.folder}: damaged ({said}); run dped-build patches --force to "
            "make it again"
        ) from error
    return Previous(manifest, keys, measured, stored)


def _rows_of(shard: Path) -> list[tuple[str, Place]]:
    """What each row of a shard is; none of a lost one, which is sampled again."""
    try:
        return read_patch_rows(shard)
    except (OSError, KeyError, ValueError):
        return []


def require_sound(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that lacks what a run with nothing to do would tell of it.

    Raises:
        ValueError: It is damaged.
    """
    converted(manifest, Whole)


def _places(windows: Windows, reasons: NDArray[np.str_]) -> list[Place]:
    return [(int(x), int(y)) for x, y in windows.window_xy[reasons == ACCEPTED]]
