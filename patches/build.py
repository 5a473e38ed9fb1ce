"""The patch stage: `<workspace>/aligned/` and the photos → `<workspace>/patches/`."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligned import Aligned, read_aligned
from dped_build.align.errors import DpedBuildError
from dped_build.align.executor import default_jobs, run_all
from dped_build.align.geometry import visible_rows
from dped_build.align.photos import capture_time
from dped_build.align.planning import Plan, Progress, refuse_full_disk
from dped_build.align.records import Alignment
from dped_build.align.stage import (
    CREATED_WITH,
    Stage,
    fresh_folder,
    json_bytes,
    opened,
    publish_folder,
    refuse_other_settings,
    sha256,
    write_atomic,
    write_sums,
)
from dped_build.patches.exclusions import Exclusions, read_exclusions
from dped_build.patches.grid import grid_windows
from dped_build.patches.pieces import (
    Piece,
    PieceFailure,
    PieceTask,
    make_piece,
    measuring_key,
    piece_path,
    read_piece,
    reasons_of,
)
from dped_build.patches.previous import SPLIT_FILE, Previous, read_previous
from dped_build.patches.records import ACCEPTED, REASONS, Windows
from dped_build.patches.settings import PatchSettings
from dped_build.patches.shards import (
    WINDOWS_FILE,
    PhotoPatches,
    plan_shards,
    settings_text,
    write_shard,
    write_windows,
)
from dped_build.patches.split import SPLITS, SplitRow, extend_split, split_bytes

NAME = "patches"
FORMAT = "dped-build/patches"
EXCLUDE_FILE = "exclude.csv"
SECONDS_PER_WINDOW = 0.015  # refined and sampled, on one 2.5 GHz core


@dataclass(frozen=True)
class PatchSummary:
    """What a patch run came to."""

    folder: Path
    photos: int
    windows: Mapping[str, int]  # by reason
    splits: Mapping[str, Mapping[str, int]]
    failed: Sequence[Mapping[str, str]]
    newly_done: int

    @property
    def accepted(self) -> int:
        """Patches kept."""
        return self.windows.get(ACCEPTED, 0)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "folder": str(self.folder), "accepted": self.accepted}


def build_shards(
    workspace: Path = Path("data"),
    *,
    settings: PatchSettings | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    force: bool = False,
    rehash: bool = False,
    dry_run: bool = False,
    announce: Callable[[Plan], None] = lambda plan: None,
    progress: Progress = lambda done, total: None,
) -> PatchSummary | None:
    """Cut all aligned pairs of a workspace and publish `<workspace>/patches/`.

    Windows are measured once: with `force` and another threshold, measurements are kept
    and only the selection is made again.

    Args:
        workspace: Holds `aligned/`; `patches/` goes there.
        settings: PatchSettings() where not given.
        jobs: Worker processes; all cores where not given.
        backend: A joblib backend.
        force: Replace a stage that was finished with other settings.
        rehash: Compare contents of photos, not only size and modification time.
        dry_run: Announce the plan and stop.
        announce: Called with the plan before work starts.
        progress: Called with pairs done and pairs to do.

    Returns:
        The summary; None for a dry run.

    Raises:
        DpedBuildError: No alignment, a photo changed since, other settings than the
            finished stage's, a full disk.
    """
    settings = settings or PatchSettings()
    stage = Stage(workspace, NAME, FORMAT)
    with opened(stage):
        aligned = _require_aligned(workspace, rehash=rehash)
        exclusions = read_exclusions(workspace / EXCLUDE_FILE)
        run = _Run(stage, aligned, settings, exclusions, read_previous(stage))
        if run.previous and not force:
            recorded = run.previous.manifest["settings"]
            refuse_other_settings(stage, recorded, run.recorded_settings())
        run.keep_finished()
        plan = run.plan(jobs or default_jobs())
        announce(plan)
        refuse_full_disk(workspace, plan)
        if dry_run:
            return None
        run.work(jobs or default_jobs(), backend, progress)
        return run.publish()


def _require_aligned(workspace: Path, *, rehash: bool) -> Aligned:
    aligned = read_aligned(workspace)
    if aligned is None:
        raise DpedBuildError(
            f"{workspace / 'aligned'}: no finished alignment; run "
            "dped-build align PHONE_DIR DSLR_DIR first"
        )
    records = [record for record in aligned.records.values() if record.aligned]
    changed = [path for r in records if (path := aligned.changed(r, rehash=rehash))]
    if changed:
        raise DpedBuildError(
            f"{changed[0]}: changed or gone since it was aligned"
            + (f" ({len(changed)} pairs so)" if len(changed) > 1 else "")
            + "; run dped-build align again"
        )
    return aligned


class _Run:
    """One run: which pieces are finished, which are left, how they become shards."""

    def __init__(
        self,
        stage: Stage,
        aligned: Aligned,
        settings: PatchSettings,
        exclusions: Exclusions,
        previous: Previous | None,
    ) -> None:
        self.stage, self.aligned, self.settings = stage, aligned, settings
        self.exclusions, self.previous = exclusions, previous
        self.records = [r for r in aligned.records.values() if r.aligned]
        stated = aligned.manifest["settings"]
        self.photos = {key: stated[key] for key in ("color", "max_megapixels")}
        self.keys = {
            r.pair: measuring_key(r, self.photos, settings) for r in self.records
        }
        self.kept: dict[str, tuple[Windows, NDArray[np.str_]]] = {}  # pixels stored
        self.todo: list[PieceTask] = []
        self.failures: dict[str, PieceFailure] = {}

    def recorded_settings(self) -> dict[str, Any]:
        """Everything that the result depends on beside the photos."""
        excluded = sorted(self.exclusions)
        digest = hashlib.sha256(json_bytes(excluded)).hexdigest() if excluded else None
        return {**self.settings.to_json(), EXCLUDE_FILE: digest}

    def piece_path(self, pair: str) -> Path:
        """Where a pair's piece lies."""
        return piece_path(
            self.stage.scratch,
            self.keys[pair],
            pair,
            self.settings,
            self.own_exclusions(pair),
        )

    def own_exclusions(self, pair: str) -> Exclusions:
        """What is taken out by hand of one pair."""
        return {entry for entry in self.exclusions if entry[0] == pair}

    def keep_finished(self) -> None:
        """Find what need not be done again; the rest is to do."""
        for record in self.records:
            pair, measured = record.pair, None
            if self.piece_path(pair).exists():
                continue
            if self.previous:
                measured = self.previous.windows(pair, self.keys[pair])
            if self.previous and measured is not None:
                own = self.own_exclusions(pair)
                reasons = reasons_of(pair, measured, self.settings, own)
                if self.previous.holds(pair, measured, reasons):
                    self.kept[pair] = measured, reasons
                    continue
            self.todo.append(self._task(record, measured))

    def _task(self, record: Alignment, measured: Windows | None) -> PieceTask:
        phone, dslr = self.aligned.paths(record)
        return PieceTask(
            record,
            phone,
            dslr,
            self.photos,
            self.settings,
            self.own_exclusions(record.pair),
            measured,
            self.piece_path(record.pair),
        )

    def plan(self, jobs: int) -> Plan:
        """How much there is to do, from the alignments."""
        size = self.settings.size
        windows = 0
        for task in self.todo[:20]:
            record = task.alignment
            rows = visible_rows(
                record.matrix(), record.phone_size or (0, 0), record.dslr_size or (0, 0)
            )
            windows += len(grid_windows(rows, size))
        windows = windows * len(self.todo) // max(min(len(self.todo), 20), 1)
        disk = 2 * windows * 2 * size * size * 3  # pieces, then shards
        seconds = windows * SECONDS_PER_WINDOW * (size / 100) ** 2 / jobs
        return Plan(len(self.records), len(self.todo), disk, seconds)

    def work(self, jobs: int, backend: str, progress: Progress) -> None:
        """Cut what is left; every finished pair is a piece on the disk."""
        self.stage.scratch.mkdir(parents=True, exist_ok=True)
        total = len(self.todo)
        progress(0, total)
        results = run_all(_cut, self.todo, jobs=jobs, backend=backend)
        for done, (index, result) in enumerate(results, start=1):
            pair = self.todo[index].alignment.pair
            if result is None:
                message = f"{pair}: the worker process died on it twice; lower --jobs"
                self.failures[pair] = PieceFailure("worker_lost", message)
            elif isinstance(result, PieceFailure):
                self.failures[pair] = result
            progress(done, total)

    def publish(self) -> PatchSummary:
        """Assemble the folder from the pieces and put it into place."""
        tables = {r.pair: self._table(r.pair) for r in self.records if self._done(r)}
        split = self._split()
        if self._nothing_new(tables, split):
            manifest = self.previous.manifest if self.previous else {}
            return self._summary(manifest)
        build = fresh_folder(self.stage.build)
        attributes = {
            "phone_camera": str(self.aligned.manifest["phone_camera"]),
            "dslr_camera": str(self.aligned.manifest["dslr_camera"]),
            "settings": settings_text(self.recorded_settings()),
        }
        shards = self._write_shards(build, tables, split, attributes)
        write_windows(
            build / WINDOWS_FILE,
            {pair: windows for pair, (windows, _) in tables.items()},
            {pair: reasons for pair, (_, reasons) in tables.items()},
            self.keys,
            attributes,
        )
        write_atomic(build / SPLIT_FILE, split_bytes(split))
        manifest = self._manifest(build, shards, tables)
        write_atomic(build / "manifest.json", json_bytes(manifest))
        write_sums(build)
        publish_folder(build, self.stage.folder)
        shutil.rmtree(self.stage.scratch, ignore_errors=True)
        return self._summary(manifest)

    def _done(self, record: Alignment) -> bool:
        return record.pair not in self.failures

    def _table(self, pair: str) -> tuple[Windows, NDArray[np.str_]]:
        if pair in self.kept:
            return self.kept[pair]
        piece = read_piece(self.piece_path(pair), pixels=False)
        return piece.windows, piece.reasons

    def _piece(self, pair: str) -> Piece:
        if pair in self.kept and self.previous:
            return self.previous.piece(pair, *self.kept[pair])
        return read_piece(self.piece_path(pair), pixels=True)

    def _nothing_new(
        self,
        tables: Mapping[str, tuple[Windows, NDArray[np.str_]]],
        split: Sequence[SplitRow],
    ) -> bool:
        previous = self.previous
        return (
            previous is not None
            and set(tables) == set(self.kept) == set(previous.measured)
            and list(split) == previous.split
            and previous.manifest["settings"] == self.recorded_settings()
            and previous.manifest["failed"] == self._failed()
        )

    def _split(self) -> list[SplitRow]:
        """`split.csv` of all pairs with both photos, whether they align or not."""
        known: list[SplitRow] = []
        chosen = ("test_photos", "val_photos", "split_seed")
        wanted = self.settings.to_json()
        if self.previous:
            recorded = self.previous.manifest["settings"]
            if all(recorded.get(key) == wanted[key] for key in chosen):
                known = self.previous.split
        pairs = [r for r in self.aligned.records.values() if r.phone and r.dslr]
        times = {
            r.pair: capture_time(self.aligned.phone_root / str(r.phone)) for r in pairs
        }
        return extend_split(
            known,
            [r.pair for r in pairs],
            times,
            test=self.settings.test_photos,
            val=self.settings.val_photos,
            seed=self.settings.split_seed,
        )

    def _write_shards(
        self,
        build: Path,
        tables: Mapping[str, tuple[Windows, NDArray[np.str_]]],
        split: Sequence[SplitRow],
        attributes: Mapping[str, str],
    ) -> list[dict[str, Any]]:
        """Write all shards in order; returns their lines of the manifest."""
        split_of = {row.pair: row.split for row in split}
        counts = {p: int((why == ACCEPTED).sum()) for p, (_, why) in tables.items()}
        lines = []
        for name in SPLITS:
            own = {p: n for p, n in counts.items() if n and split_of[p] == name}
            plans = plan_shards(own, self.settings.shard_patches)
            for number, plan in enumerate(plans):
                count = sum(rows.stop - rows.start for rows in plan.values())
                file = f"{name}-{number:05d}.h5"
                write_shard(
                    build / file,
                    self._shard_photos(plan),
                    count=count,
                    size=self.settings.size,
                    compress=self.settings.compress,
                    attributes={"split": name, **attributes},
                )
                lines.append(
                    {"file": file, "split": name, "patches": count, "photos": len(plan)}
                )
        return lines

    def _shard_photos(self, plan: Mapping[str, slice]) -> Iterator[PhotoPatches]:
        for pair, rows in plan.items():
            piece = self._piece(pair)
            kept = piece.windows.rows(piece.reasons == ACCEPTED)
            part = np.zeros(len(kept), bool)
            part[rows] = True
            yield PhotoPatches(
                pair, kept.rows(part), piece.phone[rows], piece.dslr[rows]
            )

    def _failed(self) -> list[dict[str, str]]:
        return [
            {"pair": pair, "reason": failure.reason, "message": failure.message}
            for pair, failure in sorted(self.failures.items())
        ]

    def _manifest(
        self,
        build: Path,
        shards: Sequence[Mapping[str, Any]],
        tables: Mapping[str, tuple[Windows, NDArray[np.str_]]],
    ) -> dict[str, Any]:
        reasons = Counter(r for _, why in tables.values() for r in why.tolist())
        digest = hashlib.sha256(settings_text(self.recorded_settings()).encode())
        for path in sorted(build.iterdir()):
            digest.update(f"{path.name} {sha256(path)}\n".encode())
        return {
            "format": FORMAT,
            "version": 1,
            "phone_camera": self.aligned.manifest["phone_camera"],
            "dslr_camera": self.aligned.manifest["dslr_camera"],
            "settings": self.recorded_settings(),
            "created_with": CREATED_WITH,
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
            "failed": self._failed(),
        }

    def _summary(self, manifest: Mapping[str, Any]) -> PatchSummary:
        return PatchSummary(
            self.stage.folder,
            len(self.records),
            manifest["windows"],
            manifest["splits"],
            manifest["failed"],
            len(self.todo),
        )


def _cut(task: PieceTask) -> PieceFailure | bool:
    """`make_piece` with a result that is never None, which means a dead worker."""
    return make_piece(task) or True
