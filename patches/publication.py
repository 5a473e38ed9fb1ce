"""Finished pieces → the folder `patches/`: shards, windows, split, manifest, sums."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dped_build.parallel.executor import Workers, run_all
from dped_build.patches.folder import MANIFEST, SPLIT_FILE
from dped_build.patches.inputs import Inputs
from dped_build.patches.masks import unpacked
from dped_build.patches.pieces import Piece, PieceFailure, read_piece
from dped_build.patches.previous import KnownSplit, Previous
from dped_build.patches.records import REASONS
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
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import (
    Stage,
    created_with,
    fresh_folder,
    publish_folder,
    sha256,
    write_sums,
)

SHARDS_PER_WORKER = 4  # at least: a worker costs some of one's time
SPLIT_SETTINGS = ("test_photos", "val_photos", "split_seed")


@dataclass(frozen=True)
class Content:
    """What goes into the folder, wherever the patches come from.

    Attributes:
        cameras: `phone_camera` and `dslr_camera`.
        settings: As shards and manifest record them; `size`, `compress` and
            `shard_patches` say how the pixels are stored.
        pieces: Every pair that is cut, in order.
        keys: What each pair's measurements were made from.
        split: The lines of `split.csv`.
        failed: The pairs that gave nothing, as the manifest lists them.
    """

    cameras: Mapping[str, str]
    settings: Mapping[str, Any]
    pieces: Mapping[str, Piece]
    keys: Mapping[str, str]
    split: Sequence[SplitRow]
    failed: Sequence[Mapping[str, str]]


def content_of(
    inputs: Inputs,
    in_shards: Mapping[str, Piece],
    failures: Mapping[str, PieceFailure],
    known_split: KnownSplit | None,
    scratch: Path,
) -> Content:
    """Every pair that is cut, wherever its patches' pixels lie."""
    pairs = [record.pair for record in inputs.records]
    pieces = {
        pair: in_shards.get(pair) or read_piece(scratch / inputs.piece_name(pair))
        for pair in pairs
        if pair not in failures
    }
    failed = [
        {"pair": pair, **asdict(failures[pair])} for pair in pairs if pair in failures
    ]
    split = draw_split(inputs, known_split)
    return Content(
        inputs.cameras, inputs.recorded_settings, pieces, inputs.keys, split, failed
    )


def is_published(
    content: Content,
    in_shards: Mapping[str, Piece],
    previous: Previous,
    known_split: KnownSplit | None,
) -> bool:
    """Whether the folder already is what it should be; then it is left untouched."""
    return (
        set(content.pieces) == set(in_shards) == set(previous.measured)
        and known_split is not None
        and content.split == known_split.rows
        and content.settings == previous.manifest["settings"]
        and content.failed == previous.manifest["failed"]
    )


def publish_content(
    stage: Stage, content: Content, *, jobs: int = 1
) -> Mapping[str, Any]:
    """Write shards, windows, split, manifest and sums, and put them into place.

    Returns:
        The manifest.
    """
    build = fresh_folder(stage.build)
    attributes = {**content.cameras, "settings": settings_text(content.settings)}
    shards, sums = _write_shards(build, content, attributes, jobs)
    sums[WINDOWS_FILE] = write_windows(
        build / WINDOWS_FILE,
        {pair: piece.windows for pair, piece in content.pieces.items()},
        {pair: piece.reasons for pair, piece in content.pieces.items()},
        content.keys,
        (piece.masks() for piece in content.pieces.values()),
        attributes,
        size=content.settings["size"],
    )
    write_atomic(build / SPLIT_FILE, split_bytes(content.split))
    sums[SPLIT_FILE] = sha256(build / SPLIT_FILE)
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
        contents=inputs.contents(),
        test=inputs.settings.test_photos,
        val=inputs.settings.val_photos,
        seed=inputs.settings.split_seed,
    )


@dataclass(frozen=True)
class _ShardTask:
    """One shard to write; its pieces are all that a worker needs."""

    path: Path
    split: str
    plan: Mapping[str, slice]
    pieces: Mapping[str, Piece]
    settings: Mapping[str, Any]
    attributes: Mapping[str, str]

    @property
    def count(self) -> int:
        """Its patches."""
        return sum(rows.stop - rows.start for rows in self.plan.values())

    def line(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "file": self.path.name,
            "split": self.split,
            "patches": self.count,
            "photos": len(self.plan),
        }


def _write_shards(
    build: Path, content: Content, attributes: Mapping[str, str], jobs: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Write all shards, many at a time by several workers.

    Returns:
        Their lines of the manifest, in order, and the SHA-256 of each.
    """
    split_of = {row.pair: row.split for row in content.split}
    kept = {pair: len(piece.kept) for pair, piece in content.pieces.items()}
    tasks, settings = [], content.settings
    for name in SPLITS:
        own = {p: n for p, n in kept.items() if n and split_of[p] == name}
        for number, plan in enumerate(plan_shards(own, settings["shard_patches"])):
            path = build / f"{name}-{number:05d}.h5"
            pieces = {pair: content.pieces[pair] for pair in plan}
            tasks.append(_ShardTask(path, name, plan, pieces, settings, attributes))
    workers, sums = Workers(max(1, min(jobs, len(tasks) // SHARDS_PER_WORKER))), {}
    with closing(run_all(_write_shard, tasks, workers)) as results:
        for index, found in results:
            path = tasks[index].path
            if found is None:
                raise DpedBuildError(f"{path}: its worker died twice; lower --jobs")
            sums[path.name] = found
    return [task.line() for task in tasks], sums


def _write_shard(task: _ShardTask) -> str:
    """Write one shard, and give its SHA-256; may run in a worker."""
    return write_shard(
        task.path,
        _shard_photos(task),
        count=task.count,
        size=task.settings["size"],
        compress=task.settings["compress"],
        attributes={"split": task.split, **task.attributes},
    )


def _shard_photos(task: _ShardTask) -> Iterator[PhotoPatches]:
    for pair, rows in task.plan.items():
        piece = task.pieces[pair]
        phone, dslr = piece.pixels()
        kept = piece.kept[rows]
        valid = unpacked(piece.masks()[kept], task.settings["size"])
        windows = piece.windows.rows(kept)
        yield PhotoPatches(pair, windows, phone[rows], dslr[rows], valid)


def _manifest(
    sums: Mapping[str, str], content: Content, shards: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    reasons = Counter(r for p in content.pieces.values() for r in p.reasons.tolist())
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
