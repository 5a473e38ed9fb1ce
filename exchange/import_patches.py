"""Ready-made patch pairs → a folder of shards, as `build_shards` writes it.

Nobody knows which photos such patches were cut from, nor where, unless `export` wrote
them. Fifty neighbours in the order of their names count as one photo; `settings` in the
manifest says what else is assumed. No patch is left out for what it shows: it was
accepted where it was made.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import CAMERA_KEYS
from dped_build.exchange.exported_folders import find_exported
from dped_build.exchange.import_blocks import (
    Block,
    BlockTask,
    PatchFolders,
    Refusal,
    block_task,
    recorded_settings,
    refusal,
)
from dped_build.exchange.import_settings import ImportSettings
from dped_build.exchange.import_worker import make_block
from dped_build.exchange.out_folder import held, out_stage, with_name
from dped_build.exchange.paired_folders import common_size, find_patch_folders
from dped_build.parallel.executor import Workers, default_jobs, run_all
from dped_build.patches.manifest import IMPORTED, LISTING, is_imported, require_sound
from dped_build.patches.pieces import Piece, read_piece
from dped_build.patches.publication import Content, publish_content
from dped_build.patches.shards import FORMAT
from dped_build.patches.split import SplitRow, extend_split
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.plan import OnProgress, Plan, refuse_full_disk
from dped_build.workspace.stage import Stage

SECONDS_PER_PAIR, SECONDS_PER_ROW = 0.001, 0.00025  # read, on one core; published
LOST = "worker_lost"  # tried again by the next import of the same files


@dataclass(frozen=True)
class ImportSummary:
    """The result of an import."""

    folder: Path
    source: str  # the kind of folders
    cameras: tuple[str, str]
    size: int
    splits: Mapping[str, Mapping[str, int]]
    failed: Sequence[Mapping[str, str]]
    newly_done: int  # pairs


def import_patches(
    source: Path,
    out: Path | None = None,
    *,
    settings: ImportSettings | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    force: bool = False,
    announce: Callable[[Plan], None] = lambda plan: None,
    progress: OnProgress = lambda done, total: None,
) -> ImportSummary:
    """Turn folders of patch pairs into a folder of shards.

    The source is DPED's layout, two folders of images with equal names, or what
    `export` wrote. The bytes written depend on the files' names and contents and on the
    settings alone. A finished import of the same files (names and sizes) is left as it
    is, unless a worker died on some of them: then it is done again. `force` replaces
    what another source or other settings have made.

    Raises:
        DpedBuildError: No such folders, nothing usable in them, other patches in `out`
            or files that are not ours, a full disk.
        UsageError: An option does not fit the source.
    """
    settings, jobs = settings or ImportSettings(), jobs or default_jobs()
    folders = find_exported(source, settings) or find_patch_folders(source, settings)
    out = out or Path(f"{with_name(source).name}-patches")
    stage = out_stage(out, FORMAT)
    size = common_size(folders)
    tasks = [
        block_task(block, size, settings.compress, stage.scratch)
        for block in folders.blocks
    ]
    recorded = recorded_settings(folders, tasks, settings)
    with held(stage):
        previous = _read_previous(stage, force=force)
        if previous is not None and not force:
            _refuse_others(out, previous, {**_cameras(folders), **recorded})
            if not any(line["reason"] == LOST for line in previous["failed"]):
                # A run may have been killed once it had published.
                shutil.rmtree(stage.scratch, ignore_errors=True)
                return _summary(out, previous, newly_done=0)
        todo = [task for task in tasks if not _is_read(task)]
        plan = _plan(tasks, todo, jobs)
        announce(plan)
        refuse_full_disk(stage.workspace, plan, "choose another --out")
        refused = _work(todo, jobs, backend, progress)
        content = _content(folders, tasks, refused, settings, recorded)
        processes = jobs if backend == "loky" else 1
        manifest = publish_content(stage, content, jobs=processes)
        shutil.rmtree(stage.scratch, ignore_errors=True)
    done = sum(len(task.block.files) for task in todo)
    return _summary(out, manifest, newly_done=done)


def _is_read(task: BlockTask) -> bool:
    """Whether an earlier run left the block's piece, with every pair.

    Where one is missing, only that run knew why.
    """
    if not task.out.exists():
        return False
    return len(read_piece(task.out).windows) == len(task.block.files)


def _plan(tasks: Sequence[BlockTask], todo: Sequence[BlockTask], jobs: int) -> Plan:
    count, left = (sum(len(t.block.files) for t in some) for some in (tasks, todo))
    patch = 2 * 3 * tasks[0].size ** 2  # bytes
    seconds = left * SECONDS_PER_PAIR / jobs + count * SECONDS_PER_ROW
    return Plan(count, left, (count + left) * patch, seconds)


def _work(
    todo: Sequence[BlockTask], jobs: int, backend: str, progress: OnProgress
) -> dict[str, list[Refusal]]:
    """Read what is left; every finished block is a piece on the disk.

    Gives the pairs of each block that gave no patch: LOST, all of them, where the
    worker process died.
    """
    total = sum(len(task.block.files) for task in todo)
    done, refused = 0, dict[str, list[Refusal]]()
    progress(0, total)
    with closing(run_all(make_block, todo, Workers(jobs, backend))) as results:
        for index, found in results:
            block = todo[index].block
            refused[block.name] = _lost(block) if found is None else found
            done += len(block.files)
            progress(done, total)
    return refused


def _lost(block: Block) -> list[Refusal]:
    message = f"the worker process died on one of {len(block.files)} pairs, twice; "
    message += "lower --jobs"
    return [refusal(block, files, LOST, message) for files in block.files]


def _content(
    folders: PatchFolders,
    tasks: Sequence[BlockTask],
    refused: Mapping[str, Sequence[Refusal]],
    settings: ImportSettings,
    recorded: Mapping[str, Any],
) -> Content:
    """What the folder will hold: the pieces of all blocks but the lost ones."""
    failed = [*folders.leftovers]
    pieces: dict[str, Piece] = {}
    for task in tasks:
        lines = refused.get(task.block.name, ())
        failed += lines
        if not any(line.reason == LOST for line in lines):
            pieces[task.block.name] = read_piece(task.out)
    if not any(len(piece.windows) for piece in pieces.values()):
        raise DpedBuildError(
            f"{folders.source}: no usable pair; the first problem: {failed[0].message}"
        )
    return Content(
        cameras=_cameras(folders),
        settings=recorded,
        pieces=pieces,
        keys={task.block.name: task.key for task in tasks},
        split=_split(folders.blocks, settings),
        failed=[asdict(line) for line in failed],
    )


def _split(blocks: Sequence[Block], settings: ImportSettings) -> list[SplitRow]:
    """As the source gives it, else drawn by pseudo-photo."""
    given = [SplitRow(b.name, b.group, b.split) for b in blocks if b.split]
    return extend_split(
        given,
        [block.name for block in blocks],
        {},
        test=settings.test_photos,
        val=settings.val_photos,
        seed=settings.split_seed,
    )


def _cameras(folders: PatchFolders) -> dict[str, str]:
    return dict(zip(CAMERA_KEYS, folders.cameras, strict=True))


def _read_previous(stage: Stage, *, force: bool) -> dict[str, Any] | None:
    """The manifest of what stands there; with `force`, None for a damaged one."""
    try:
        manifest = stage.manifest()
        if manifest is not None:
            require_sound(manifest)
        return manifest
    except DpedBuildError:
        if not force:
            raise
    except ValueError as error:
        if not force:
            raise DpedBuildError(
                f"{stage.folder}: damaged ({error}); add --force to make it again"
            ) from error
    return None


def _refuse_others(
    out: Path, manifest: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Stop where a finished folder is of another source or made otherwise."""
    found = {name: manifest.get(name) for name in wanted} | manifest["settings"]
    different = [name for name, value in wanted.items() if found[name] != value]
    if not different:
        return
    name = different[0]
    difference = f"{name.replace('_', ' ')}: {found[name]}, now {wanted[name]}"
    if not is_imported(manifest):
        difference = "cut by dped-build patches"
    elif name == LISTING:
        difference = "files of other names or sizes"
    raise DpedBuildError(
        f"{out}: holds other patches ({difference}); add --force to replace them, or "
        "choose another --out"
    )


def _summary(
    out: Path, manifest: Mapping[str, Any], *, newly_done: int
) -> ImportSummary:
    settings = manifest["settings"]
    return ImportSummary(
        out,
        settings[IMPORTED],
        (manifest["phone_camera"], manifest["dslr_camera"]),
        settings["size"],
        manifest["splits"],
        manifest["failed"],
        newly_done,
    )
