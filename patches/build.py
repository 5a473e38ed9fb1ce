"""The patch stage: `<workspace>/aligned/` and the photos → `<workspace>/patches/`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from dped_build.align.geometry import visible_rows
from dped_build.align.plan import worker_gb
from dped_build.align.records import Alignment
from dped_build.parallel.executor import Workers, default_jobs, run_all
from dped_build.patches.grid import grid_windows
from dped_build.patches.inputs import Inputs, read_inputs, require_aligned
from dped_build.patches.pieces import (
    Piece,
    PieceFailure,
    PieceTask,
    ReadMasks,
    make_piece,
)
from dped_build.patches.previous import (
    Previous,
    read_previous,
    read_split,
)
from dped_build.patches.publication import (
    content_of,
    is_published,
    publish_content,
)
from dped_build.patches.records import ACCEPTED, Windows
from dped_build.patches.settings import MEASURING_AS_PAPER, PatchSettings
from dped_build.patches.shards import FORMAT
from dped_build.workspace.durable import writing
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.logs import log_pair
from dped_build.workspace.plan import OnProgress, Plan, refuse_full_disk
from dped_build.workspace.stage import Stage, opened, refuse_other_settings

Result = TypeVar("Result")

NAME = "patches"
# On one 2.5 GHz core: decoded and published; refined, measured and sampled.
SECONDS_PER_PAIR, SECONDS_PER_WINDOW, SECONDS_PER_AREA = 0.1, 0.001, 0.001
DEPTH_MEMORY = 1.3  # times that of aligning, in front of depth; measured
PLANNED_PAIRS = 20  # looked at for the plan


@dataclass(frozen=True)
class PatchSummary:
    """Summary of a patch run."""

    folder: Path
    photos: int
    windows: Mapping[str, int]  # by reason
    splits: Mapping[str, Mapping[str, int]]
    failed: Sequence[Mapping[str, str]]
    newly_done: int
    note: str | None = None  # on how scenes were told apart, on exclude.csv

    @property
    def accepted(self) -> int:
        """Patches kept."""
        return self.windows.get(ACCEPTED, 0)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "folder": str(self.folder), "accepted": self.accepted}


def patch_stage(workspace: Path) -> Stage:
    """The patches' folder in a workspace."""
    return Stage(workspace, NAME, FORMAT)


def build_shards(
    workspace: str | Path = Path("data"),
    *,
    settings: PatchSettings | None = None,
    jobs: int | None = None,
    workers: Workers | None = None,
    force: bool = False,
    rehash: bool = False,
    dry_run: bool = False,
    announce: Callable[[Plan], None] = lambda plan: None,
    progress: OnProgress = lambda done, total: None,
) -> PatchSummary | None:
    """Cut all aligned pairs of a workspace and publish `<workspace>/patches/`.

    Windows are measured once: with `force` and another threshold, measurements are kept
    and only the selection is made again.

    Args:
        workspace: Holds `aligned/`; `patches/` goes there.
        settings: PatchSettings() where not given.
        jobs: Worker processes; all cores where not given.
        workers: Instead of `jobs`, all about them (`parallel.executor.Workers`); a pair
            that needs more memory than they may have is `worker_lost`.
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
    if jobs is not None and workers is not None:
        raise UsageError("jobs and workers: give one of them")
    workspace = Path(workspace)
    workers = workers or Workers(jobs or default_jobs())
    stage = patch_stage(workspace)
    require_aligned(workspace)
    with opened(stage):
        inputs = read_inputs(workspace, settings or PatchSettings(), rehash=rehash)
        # Never given up: who trained on a photo must not be tested on it.
        known_split = read_split(stage)
        previous = _read_previous(stage, force=force)
        if previous and not force:
            recorded = previous.manifest["settings"]
            slow = (*MEASURING_AS_PAPER, "measurement")
            refuse_other_settings(stage, recorded, inputs.recorded_settings, slow=slow)
        pieces, todo = _divide(inputs, previous, stage.scratch)
        plan = _plan(inputs, todo, workers.jobs)
        announce(plan)
        refuse_full_disk(workspace, plan, "choose another --workspace")
        if dry_run:
            return None
        cut = run_pairs(
            make_piece,
            todo,
            stage.scratch,
            workers,
            progress,
            stage=NAME,
            done="cut",
        )
        failures = {p: r for p, r in cut.items() if isinstance(r, PieceFailure)}
        content = content_of(inputs, pieces, failures, known_split, stage.scratch)
        if previous and is_published(content, pieces, previous, known_split):
            manifest = previous.manifest
        else:
            processes = workers.jobs if workers.backend == "loky" else 1
            manifest = publish_content(stage, content, jobs=processes)
        shutil.rmtree(stage.scratch, ignore_errors=True)
    return PatchSummary(
        stage.folder,
        len(inputs.records),
        manifest["windows"],
        manifest["splits"],
        manifest["failed"],
        len(todo),
        inputs.note(
            {row.group for row in content.split},
            {pair: piece.windows for pair, piece in content.pieces.items()},
        ),
    )


def _read_previous(stage: Stage, *, force: bool) -> Previous | None:
    """What an earlier run holds; with `force`, a damaged one counts for nothing."""
    try:
        return read_previous(stage)
    except DpedBuildError:
        if not force:
            raise
        return None


def _divide(
    inputs: Inputs, previous: Previous | None, scratch: Path
) -> tuple[dict[str, Piece], list[PieceTask]]:
    """Pairs whose patches the previous shards hold, and pairs to do.

    Pairs that are neither have their piece on the disk.
    """
    in_shards: dict[str, Piece] = {}
    todo = []
    for record in inputs.records:
        pair, measured, masks = record.pair, None, None
        if (scratch / inputs.piece_name(pair)).exists():
            continue
        if previous:
            measured = previous.windows(pair, inputs.keys[pair])
        if previous and measured is not None:
            reasons = inputs.reasons(pair, measured)
            piece = previous.piece(pair, measured, reasons)
            if piece is not None:
                in_shards[pair] = piece
                continue
            masks = previous.masks[pair]
        todo.append(_task(inputs, record, measured, masks, scratch))
    return in_shards, todo


def _task(
    inputs: Inputs,
    record: Alignment,
    measured: Windows | None,
    masks: ReadMasks | None,
    scratch: Path,
) -> PieceTask:
    phone, dslr = inputs.aligned.paths(record)
    return PieceTask(
        record,
        phone,
        dslr,
        inputs.reading,
        inputs.settings,
        inputs.excluded(record.pair),
        measured,
        masks,
        scratch / inputs.piece_name(record.pair),
    )


def _plan(inputs: Inputs, todo: Sequence[PieceTask], jobs: int) -> Plan:
    """How much there is to do, from the first alignments."""
    size, windows, memory = inputs.settings.size, 0, 0.0
    for task in todo[:PLANNED_PAIRS]:
        record = task.alignment
        sizes = record.phone_size or (0, 0), record.dslr_size or (0, 0)
        windows += len(grid_windows(visible_rows(record.matrix(), *sizes), size))
        pixels = sum(width * height for width, height in sizes)
        memory = max(memory, DEPTH_MEMORY * worker_gb(pixels / 1e6))
    windows = windows * len(todo) // max(min(len(todo), PLANNED_PAIRS), 1)
    disk = 2 * windows * 2 * size * size * 3  # pieces, then shards
    each = SECONDS_PER_WINDOW + SECONDS_PER_AREA * (size / 100) ** 2
    seconds = (windows * each + len(todo) * SECONDS_PER_PAIR) / jobs
    return Plan(len(inputs.records), len(todo), disk, seconds, memory)


def run_pairs(
    work: Callable[[Any], Result | PieceFailure],
    todo: Sequence[Any],
    scratch: Path,
    workers: Workers,
    progress: OnProgress,
    *,
    stage: str,
    done: str,
) -> dict[str, Result | PieceFailure]:
    """Do one task a pair, which keeps on the disk below `scratch` what it finished.

    Args:
        work: The task's function, for a worker.
        todo: The tasks; `alignment` of each is its pair's.
        scratch: Is made.
        workers: Who does them.
        progress: Called with pairs done and pairs to do.
        stage: Whose name the log has.
        done: What the log says of a pair that did not fail.

    Returns:
        What came of each pair, by its name, in the order of the ends.
    """
    with writing(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
    found: dict[str, Result | PieceFailure] = {}
    progress(0, len(todo))
    with closing(run_all(work, todo, workers)) as results:
        for count, (index, result) in enumerate(results, start=1):
            pair = todo[index].alignment.pair
            if result is None:
                message = f"{pair}: the worker process died on it twice; lower --jobs"
                result = PieceFailure("worker_lost", message)
            if isinstance(result, PieceFailure):
                log_pair(stage, pair, result.reason, result.message)
            else:
                log_pair(stage, pair, done, None)
            found[pair] = result
            progress(count, len(todo))
    return found
