"""Finished pieces → the folder `patches/`: shards, windows, split, manifest, sums."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.align.stage import (
    Stage,
    created_with,
    fresh_folder,
    json_bytes,
    publish_folder,
    sha256,
    write_atomic,
    write_sums,
)
from dped_build.patches.inputs import Inputs
from dped_build.patches.pieces import Piece, PieceFailure, read_piece
from dped_build.patches.previous import SPLIT_FILE, KnownSplit, Previous
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


def publish(stage: Stage, finished: Finished) -> Mapping[str, Any]:
    """Put the stage's folder into place; returns its manifest.

    A folder that already is what it should be is left untouched.
    """
    inputs, previous = finished.inputs, finished.previous
    tables, split = finished.tables(), draw_split(inputs, finished.known_split)
    if previous and _nothing_new(finished, previous, tables, split):
        return previous.manifest
    build = fresh_folder(stage.build)
    settings = settings_text(inputs.recorded_settings)
    attributes = {**inputs.cameras, "settings": settings}
    shards = _write_shards(build, finished, tables, split, attributes)
    write_windows(
        build / WINDOWS_FILE,
        {pair: windows for pair, (windows, _) in tables.items()},
        {pair: reasons for pair, (_, reasons) in tables.items()},
        inputs.keys,
        attributes,
    )
    write_atomic(build / SPLIT_FILE, split_bytes(split))
    sums = {path.name: sha256(path) for path in sorted(build.iterdir())}
    manifest = _manifest(sums, finished, tables, shards)
    write_atomic(build / "manifest.json", json_bytes(manifest))
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
        [record.pair for record in inputs.paired],
        inputs.times(),
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
    build: Path,
    finished: Finished,
    tables: Mapping[str, Table],
    split: Sequence[SplitRow],
    attributes: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Write all shards in order; returns their lines of the manifest."""
    settings = finished.inputs.settings
    split_of = {row.pair: row.split for row in split}
    counts = {pair: int((why == ACCEPTED).sum()) for pair, (_, why) in tables.items()}
    lines = []
    for name in SPLITS:
        own = {p: n for p, n in counts.items() if n and split_of[p] == name}
        for number, plan in enumerate(plan_shards(own, settings.shard_patches)):
            count = sum(rows.stop - rows.start for rows in plan.values())
            file = f"{name}-{number:05d}.h5"
            write_shard(
                build / file,
                _shard_photos(finished, plan),
                count=count,
                size=settings.size,
                compress=settings.compress,
                attributes={"split": name, **attributes},
            )
            lines.append(
                {"file": file, "split": name, "patches": count, "photos": len(plan)}
            )
    return lines


def _shard_photos(
    finished: Finished, plan: Mapping[str, slice]
) -> Iterator[PhotoPatches]:
    for pair, rows in plan.items():
        piece = finished.piece(pair)
        kept = np.flatnonzero(piece.reasons == ACCEPTED)[rows]
        yield PhotoPatches(
            pair, piece.windows.rows(kept), piece.phone[rows], piece.dslr[rows]
        )


def _manifest(
    sums: Mapping[str, str],
    finished: Finished,
    tables: Mapping[str, Table],
    shards: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    settings = finished.inputs.recorded_settings
    reasons = Counter(r for _, why in tables.values() for r in why.tolist())
    digest = hashlib.sha256(settings_text(settings).encode())
    for name, file_digest in sums.items():
        digest.update(f"{name} {file_digest}\n".encode())
    return {
        "format": FORMAT,
        "version": VERSION,
        **finished.inputs.cameras,
        "settings": settings,
        "created_with": created_with(),
        "dataset_id": digest.hexdigest(),
        "shards": list(shards),
        "splits": {
            name: {
                key: sum(line[key] for line in shards if line["split"] == name)
                for key in ("photos", "patches")
            }
            for name in SPLITS
        },
        "windows": {name: reasons[name] for name in REASONS if reasons[name]},
        "failed": finished.failed(),
    }
