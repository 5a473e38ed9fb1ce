"""Reuse of an earlier patch stage's results."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.patches.folder import (
    finished_manifest,
    read_keys,
    read_masks,
    read_pixels,
    read_rows,
    read_split_rows,
)
from dped_build.patches.hdf5_files import damaged
from dped_build.patches.pieces import Piece, ReadMasks
from dped_build.patches.records import ACCEPTED, Windows
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.patches.split import SplitRow
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import Stage

Place = tuple[int, int]  # window_xy


@dataclass(frozen=True)
class Previous:
    """A finished stage, read back.

    Attributes:
        manifest: `manifest.json`.
        keys: Pair → key of what its measurements were made from.
        measured: Pair → its windows.
        masks: Pair → what reads their masks.
        stored: Pair → place of each stored patch → its shard and row; none of a shard
            that is lost.
    """

    manifest: Mapping[str, Any]
    keys: Mapping[str, str]
    measured: Mapping[str, Windows]
    masks: Mapping[str, ReadMasks]
    stored: Mapping[str, Mapping[Place, tuple[Path, int]]]

    def windows(self, pair: str, key: str) -> Windows | None:
        """A pair's measurements, if they were made from the same inputs."""
        return self.measured[pair] if self.keys.get(pair) == key else None

    def piece(
        self, pair: str, windows: Windows, reasons: NDArray[np.str_]
    ) -> Piece | None:
        """A pair's piece, if the shards hold every patch that is kept."""
        stored = self.stored.get(pair, {})
        places = windows.window_xy[reasons == ACCEPTED].tolist()
        rows = [stored.get((x, y)) for x, y in places]
        found = [row for row in rows if row is not None]
        if len(found) < len(rows):
            return None
        return Piece(windows, reasons, partial(read_pixels, found), self.masks[pair])


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
    rows = read_split_rows(stage.folder)
    if rows is None:
        return None
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
    manifest = finished_manifest(stage)
    if manifest is None:
        return None
    stored: dict[str, dict[Place, tuple[Path, int]]] = {}
    for shard in manifest["shards"]:
        path = stage.folder / shard["file"]
        with suppress(DpedBuildError):  # a lost one is sampled again
            found = read_rows(path, ["window_xy"])
            places = map(tuple, found.windows.window_xy.tolist())
            for row, (pair, place) in enumerate(zip(found.pairs, places, strict=True)):
                stored.setdefault(pair, {})[place] = (path, row)
    windows = stage.folder / WINDOWS_FILE
    keys, table = read_keys(windows), read_rows(windows)
    rows, measured = table.rows_of_pairs(), table.by_pair()
    if set(measured) != set(keys):
        raise damaged(windows, ValueError("pairs without a key"))
    side = manifest["settings"].get("size")
    masks = {pair: partial(read_masks, windows, at, side) for pair, at in rows.items()}
    return Previous(manifest, keys, measured, masks, stored)
