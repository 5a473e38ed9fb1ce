"""Finished pieces → the folder `patches/`: shards, windows, split, manifest, sums."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.patches.folder import MANIFEST, SPLIT_FILE
from dped_build.patches.inputs import Inputs
from dped_build.patches.pieces import Piece, PieceFailure, read_piece
from dped_build.patches.previous import KnownSplit, Previous
from dped_build.patches.records import ACCEPTED, REASONS, Windows
from dped_build.patches.shards import (
    FORMAT,
    VERSION,
    WINDOWS_FILE,
    PhotoPatches,
    plan_shards,
    settings_text,
    write_shard,
    write_windows,
)
from dped_build.patches.split import SPLITS, SplitRow, extend_split, split_bytes
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import (
    Stage,
    created_with,
    fresh_folder,
    publish_folder,
    sha256,
    write_sums,
)

SPLIT_SETTINGS = ("test_photos", "val_photos", "split_seed")

Table = tuple[Windows, NDArray[np.str_]]  # windows of a pair and their reasons


@dataclass(frozen=True)
class Finished:
    """Every pair that is cut, and where its patches' pixels lie."""

    inputs: Inputs
    scratch: Path  # of the pieces
    previous: Previous | None
    known_split: KnownSplit | None
    in_shards: Mapping[str, Table]  # pairs whose pixels the previous shards hold
    failures: Mapping[str, PieceFailure]

    def tables(self) -> dict[str, Table]:
        """The windows of every pair, in order."""
        pairs = [record.pair for record in self.inputs.records]
        return {pair: self._table(pair) for pair in pairs if pair not in self.failures}

    def piece(self, pair: str) -> Piece:
        """A pair's windows and kept pixels."""
        if self.previous and pair in self.in_shards:
            return self.previous.piece(pair, *self.in_shards[pair])
        return read_piece(self.scratch / self.inputs.piece_name(pair), pixels=True)

    def failed(self) -> list[dict[str, str]]:
        """The pairs that could not be cut, as the manifest lists them."""
        return [
            {"pair": pair, "reason": failure.reason, "message": failure.message}
            for pair, failure in self._failures_in_order()
        ]

    def _failures_in_order(self) -> list[tuple[str, PieceFailure]]:
        pairs = (record.pair for record in self.inputs.records)
        return [(pair, self.failures[pair]) for pair in pairs if pair in self.failures]

    def _table(self, pair: str) -> Table:
        if pair in self.in_shards:
            return self.in_shards[pair]
        path = self.scratch / self.inputs.piece_name(pair)
        piece = read_piece(path, pixels=False)
        return piece.windows, piece.reasons


@dataclass(frozen=True)
class Content:
    """What goes into the folder, wherever the patches come from.

    Attributes:
        cameras: `phone_camera` and `dslr_camera`.
        settings: As shards and manifest record them.
        size: Side of a patch, px.
        compress: Of the pixels.
        shard_patches: Patches per shard, at most.
        tables: The windows of every pair, in order.
        keys: What each pair's measurements were made from.
        split: The lines of `split.csv`.
        failed: The pairs that gave nothing, as the manifest lists them.
        piece: A pair's windows and kept pixels.
    """

    cameras: Mapping[str, str]
    settings: Mapping[str, Any]
    size: int
    compress: str
    shard_patches: int
    tables: Mapping[str, Table]
    keys: Mapping[str, str]
    split: Sequence[SplitRow]
    failed: Sequence[Mapping[str, str]]
    piece: Callable[[str], Piece]


def publish(stage: Stage, finished: Finished) -> Mapping[str, Any]:
    """Put the stage's folder into place; returns its manifest.

    A folder that already is what it should be is left untouched.
    """
    inputs, previous = finished.inputs, finished.previous
    tables, split = finished.tables(), draw_split(inputs, finished.known_split)
    if previous and _nothing_new(finished, previous, tables, split):
        return previous.manifest
    content = Content(
        inputs.cameras,
        inputs.recorded_settings,
        inputs.settings.size,
        inputs.settings.compress,
        inputs.settings.shard_patches,
        tables,
        inputs.keys,
        split,
        finished.failed(),
        finished.piece,
    )
    return publish_content(stage, content)


def publish_content(stage: Stage, content: Content) -> Mapping[str, Any]:
    """Write shards, windows, split, manifest and sums, and put them into place.

    Returns:
        The manifest.
    """
    build = fresh_folder(stage.build)
    attributes = {**content.cameras, "settings": settings_text(content.settings)}
    shards = _write_shards(build, content, attributes)
    write_windows(
        build / WINDOWS_FILE,
        {pair: windows for pair, (windows, _) in content.tables.items()},
        {pair: reasons for pair, (_, reasons) in content.tables.items()},
        content.keys,
        attributes,
    )
    write_atomic(build / SPLIT_FILE, split_bytes(content.split))
    sums = {path.name: sha256(path) for path in sorted(build.iterdir())}
    manifest = _manifest(sums, content, shards)
    write_atomic(build / MANIFEST, json_bytes(manifest))
    write_sums(build, sums)
    publish_folder(build, stage.folder)
    return manifest


def draw_split(inputs: Inputs, known: KnownSplit | None) -> list[SplitRow]:
    """`split.csv`; the known one is only appended to, unless the user redraws it."""
    wanted = inputs.recorded_settings
    recorded = wanted if known is None else known.settings or wanted
    kept = all(recorded.get(key) == wanted[key] for key in SPLIT_SETTINGS)
    return extend_split(
        known.rows if known and kept else [],
        [record.pair for record in inputs.scenes],
        inputs.times(),
        unpaired={record.pair for record in inputs.scenes if not record.phone},
        scenes=inputs.scene_names,
        test=inputs.settings.test_photos,
        val=inputs.settings.val_photos,
        seed=inputs.settings.split_seed,
    )


def _nothing_new(
    finished: Finished,
    previous: Previous,
    tables: Mapping[str, Table],
    split: Sequence[SplitRow],
) -> bool:
    return (
        set(tables) == set(finished.in_shards) == set(previous.measured)
        and finished.known_split is not None
        and list(split) == finished.known_split.rows
        and previous.manifest["settings"] == finished.inputs.recorded_settings
        and previous.manifest["failed"] == finished.failed()
    )


def _write_shards(
    build: Path, content: Content, attributes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Write all shards in order; returns their lines of the manifest."""
    split_of = {row.pair: row.split for row in content.split}
    kept = {
        pair: int((why == ACCEPTED).sum()) for pair, (_, why) in content.tables.items()
    }
    lines = []
    for name in SPLITS:
        own = {p: n for p, n in kept.items() if n and split_of[p] == name}
        for number, plan in enumerate(plan_shards(own, content.shard_patches)):
            count = sum(rows.stop - rows.start for rows in plan.values())
            file = f"{name}-{number:05d}.h5"
            write_shard(
                build / file,
                _shard_photos(content, plan),
                count=count,
                size=content.size,
                compress=content.compress,
                attributes={"split": name, **attributes},
            )
            lines.append(
                {"file": file, "split": name, "patches": count, "photos": len(plan)}
            )
    return lines


def _shard_photos(
    content: Content, plan: Mapping[str, slice]
) -> Iterator[PhotoPatches]:
    for pair, rows in plan.items():
        piece = content.piece(pair)
        kept = np.flatnonzero(piece.reasons == ACCEPTED)[rows]
        yield PhotoPatches(
            pair, piece.windows.rows(kept), piece.phone[rows], piece.dslr[rows]
        )


def _manifest(
    sums: Mapping[str, str], content: Content, shards: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    reasons = Counter(r for _, why in content.tables.values() for r in why.tolist())
    return {
        "format": FORMAT,
        "version": VERSION,
        **content.cameras,
        "settings": content.settings,
        "created_with": created_with(),
        "dataset_id": dataset_id(content.settings, sums),
        "shards": list(shards),
        "splits": {
            name: {
                key: sum(line[key] for line in shards if line["split"] == name)
                for key in ("photos", "patches")
            }
            for name in SPLITS
        },
        "windows": {name: reasons[name] for name in REASONS if reasons[name]},
        "failed": list(content.failed),
    }


def dataset_id(settings: Mapping[str, Any], sums: Mapping[str, str]) -> str:
    """SHA-256 of what a dataset is: its settings, and all files but the manifest.

    Args:
        settings: As the manifest records them.
        sums: File name → SHA-256 of its content.
    """
    digest = hashlib.sha256(settings_text(settings).encode())
    for name in sorted(set(sums) - {MANIFEST}):
        digest.update(f"{name} {sums[name]}\n".encode())
    return digest.hexdigest()
