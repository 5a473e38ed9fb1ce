"""What differs between two workspaces: pairs and windows gained, lost and moved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dped_build.align.aligned_folder import aligned_stage, read_records
from dped_build.align.geometry import FloatArray, apply_homography, corners
from dped_build.align.records import Alignment
from dped_build.patches.build import patch_stage
from dped_build.patches.folder import finished_manifest, read_rows
from dped_build.patches.settings import TOLERANCE_PX
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.workspace.errors import DpedBuildError, UsageError


@dataclass(frozen=True)
class Changes:
    """What came, went and moved between A and B, of one kind."""

    before: int  # how many there are in A
    after: int  # how many there are in B
    gained: list[str]  # names that only B has
    lost: list[str]  # names that only A has
    moved: dict[str, float]  # by how much their corners moved, DSLR px

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.gained or self.lost or self.moved)


@dataclass(frozen=True)
class Difference:
    """What differs between two workspaces; a stage that neither has is None."""

    pairs: Changes | None  # aligned pairs
    # Pair → outcome in A, in B, where they differ.
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    windows: Changes | None = None  # accepted windows, named `pair x y`

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.pairs or self.outcomes or self.windows)


def compare_workspaces(
    a: Path, b: Path, *, tolerance_px: float = TOLERANCE_PX
) -> Difference:
    """Compare what two workspaces hold; corners up to `tolerance_px` apart are equal.

    Raises:
        UsageError: One of them is missing.
        DpedBuildError: Neither stage stands finished in both, or a file is damaged.
    """
    for workspace in (a, b):
        if not workspace.is_dir():
            raise UsageError(f"{workspace}: no such workspace")
    both = [
        stage
        for stage in (aligned_stage, patch_stage)
        if stage(a).complete and stage(b).complete
    ]
    if not both:
        raise DpedBuildError(
            f"{a}, {b}: no finished stage that both have; run dped-build align in each"
        )
    pairs: Changes | None = None
    windows: Changes | None = None
    outcomes: dict[str, tuple[str, str]] = {}
    if aligned_stage in both:
        first, second = (
            read_records(aligned_stage(workspace).folder / "alignment.jsonl")
            for workspace in (a, b)
        )
        pairs = _compare(_boxes(first), _boxes(second), tolerance_px)
        outcomes = _changed_outcomes(first, second)
    if patch_stage in both:
        windows = _compare(_accepted_windows(a), _accepted_windows(b), tolerance_px)
    return Difference(pairs, outcomes, windows)


@dataclass(frozen=True)
class _Placed:
    """Named things and where their four corners lie, (N, 4, 2)."""

    names: list[str]
    corners: FloatArray


def _compare(a: _Placed, b: _Placed, tolerance_px: float) -> Changes:
    rows = {name: row for row, name in enumerate(b.names)}
    known = set(a.names)
    common = [(row, rows[name]) for row, name in enumerate(a.names) if name in rows]
    first, second = np.array(common, dtype=np.intp).reshape(-1, 2).T
    distance = np.linalg.norm(a.corners[first] - b.corners[second], axis=2)
    furthest = distance.max(axis=1, initial=0)
    return Changes(
        before=len(a.names),
        after=len(b.names),
        gained=[name for name in b.names if name not in known],
        lost=[name for name in a.names if name not in rows],
        moved={
            a.names[first[index]]: round(float(furthest[index]), 6)
            for index in np.flatnonzero(~(furthest <= tolerance_px))
        },
    )


def _changed_outcomes(
    a: Iterable[Alignment], b: Iterable[Alignment]
) -> dict[str, tuple[str, str]]:
    """Pairs of both whose outcome differs."""
    before = {record.pair: record.reason or record.status for record in a}
    after = {record.pair: record.reason or record.status for record in b}
    return {
        pair: (outcome, after[pair])
        for pair, outcome in before.items()
        if pair in after and after[pair] != outcome
    }


def _boxes(records: Iterable[Alignment]) -> _Placed:
    """Where the boxes of aligned pairs lie in their DSLR photos."""
    names, places = [], []
    for record in records:
        if record.aligned and record.phone_box and record.phone_to_dslr:
            left, top, width, height = record.phone_box
            square = corners((width, height)) + (left, top)
            names.append(record.pair)
            places.append(apply_homography(record.matrix(), square))
    return _Placed(names, np.array(places).reshape(-1, 4, 2))


def _accepted_windows(workspace: Path) -> _Placed:
    """Where the accepted windows lie in their DSLR photos."""
    path = patch_stage(workspace).folder / WINDOWS_FILE
    size = _patch_size(workspace)
    rows = read_rows(path, ["window_xy", "patch_to_dslr"], reasons=True)
    windows, pairs = rows.windows.rows(rows.accepted), rows.pairs[rows.accepted]
    places = windows.window_xy.tolist()
    names = [f"{pair} {x} {y}" for pair, (x, y) in zip(pairs, places, strict=True)]
    square = np.column_stack([corners((size, size)), np.ones(4)])
    mapped = square @ windows.patch_to_dslr.transpose(0, 2, 1)
    return _Placed(names, mapped[:, :, :2] / mapped[:, :, 2:])


def _patch_size(workspace: Path) -> int:
    manifest = finished_manifest(patch_stage(workspace)) or {}
    try:
        return int(manifest["settings"]["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise DpedBuildError(
            f"{workspace}: the manifest of patches/ states no patch size"
        ) from error
