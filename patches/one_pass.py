"""Both stages in one pass: each photo is read once, for aligning and for cutting.

Workers align a pair and cut it while its photos are at hand. Its piece lies where the
patch stage looks for finished ones, so the files are those of the two stages, and
either stage goes on where a pass was interrupted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dped_build.align.aligned_folder import camera_names, read_aligned
from dped_build.align.folders import align_folders
from dped_build.align.plan import AlignPlan
from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.align.summary import AlignSummary
from dped_build.align.worker import PairFiles, PairWork, align_and_keep
from dped_build.parallel.executor import Workers
from dped_build.patches.build import (
    DEPTH_MEMORY,
    SECONDS_PER_AREA,
    SECONDS_PER_WINDOW,
    PatchSummary,
    build_shards,
    patch_stage,
)
from dped_build.patches.exclusions import EXCLUDE_FILE, Exclusions, read_exclusions
from dped_build.patches.inputs import READING, recorded_settings
from dped_build.patches.pieces import PieceTask, cut_piece, measuring_key, piece_name
from dped_build.patches.settings import PatchSettings
from dped_build.workspace.durable import writing
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import as_json
from dped_build.workspace.plan import OnProgress
from dped_build.workspace.stage import opened, refuse_other_settings

BYTES_PER_PIXEL = 2 * 2 * 3  # of the phone: pieces, then shards; both photos' RGB


@dataclass(frozen=True)
class OnePass:
    """What both stages did; `patches` is None where no pair aligned."""

    aligned: AlignSummary
    patches: PatchSummary | None

    @property
    def newly_done(self) -> int:
        """Pairs that were aligned or cut."""
        cut = self.patches.newly_done if self.patches else 0
        return self.aligned.newly_done + cut


def align_and_cut(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workspace: Path,
    align: AlignSettings,
    pairing: PairingSettings,
    cut: PatchSettings,
    workers: Workers,
    force: bool = False,
    rehash: bool = False,
    probe: bool = True,
    dry_run: bool = False,
    announce: Callable[[AlignPlan], None] = lambda plan: None,
    progress: OnProgress = lambda done, total: None,
    pairing_progress: OnProgress = lambda done, total: None,
    cutting_progress: OnProgress = lambda done, total: None,
) -> OnePass | None:
    """As `align_folders`, then `build_shards`, with the very same files.

    `force` replaces the stage whose settings differ: a finished alignment of the same
    settings stays, and so do measurements.

    Returns:
        What both stages did; None for a dry run.

    Raises:
        DpedBuildError: As of the two; before any work where `patches/` is finished with
            other settings.
    """
    exclusions = read_exclusions(workspace / EXCLUDE_FILE)
    stage = patch_stage(workspace)
    if stage.folder.exists() and not force:
        with opened(stage):
            recorded = (stage.manifest() or {}).get("settings")
        if recorded:
            refuse_other_settings(stage, recorded, recorded_settings(cut, exclusions))
    names = camera_names(phone_dir, dslr_dir, pairing)
    stated = names, {**align.to_json(), **pairing.to_json()}
    aligned = align_folders(
        phone_dir,
        dslr_dir,
        workspace=workspace,
        settings=align,
        pairing=pairing,
        workers=workers,
        force=force and not _is_finished(workspace, *stated),
        rehash=rehash,
        probe=probe,
        work=PairWork(
            partial(
                _align_and_cut, settings=cut, excluded=exclusions, to=stage.scratch
            ),
            bytes_per_pixel=BYTES_PER_PIXEL,
            seconds_per_pixel=SECONDS_PER_WINDOW / cut.size**2 + SECONDS_PER_AREA / 1e4,
            memory=DEPTH_MEMORY,
        ),
        dry_run=dry_run,
        announce=announce,
        progress=progress,
        pairing_progress=pairing_progress,
    )
    if aligned is None:
        return None
    if not aligned.aligned:
        return OnePass(aligned, None)
    shards = build_shards(
        workspace, settings=cut, workers=workers, force=force, progress=cutting_progress
    )
    return OnePass(aligned, shards)


def _is_finished(
    workspace: Path, cameras: dict[str, str], settings: dict[str, object]
) -> bool:
    """Whether a sound alignment of these cameras and settings is there."""
    try:
        before = read_aligned(workspace)
    except DpedBuildError:
        return False
    wanted = as_json({**cameras, "settings": settings})
    return before is not None and all(
        before.manifest.get(key) == value for key, value in wanted.items()
    )


def _align_and_cut(
    files: PairFiles, *, settings: PatchSettings, excluded: Exclusions, to: Path
) -> Alignment:
    """Align a pair, and cut it from the same photos; runs in a worker.

    A pair that cannot be cut is tried again by the patch stage, which says why.
    """
    alignment, photos = align_and_keep(files)
    if photos is None:
        return alignment
    stated = files.settings.to_json()
    reading = {key: stated[key] for key in READING if key in stated}
    own = {entry for entry in excluded if entry[0] == alignment.pair}
    key = measuring_key(alignment, reading, settings)
    out = to / piece_name(key, settings, own)
    if not out.exists():
        with writing(to):
            to.mkdir(parents=True, exist_ok=True)
        phone, dslr = (files.roots[c] / photo for c, photo in files.pair.photos())
        task = PieceTask(
            alignment, phone, dslr, reading, settings, own, None, None, out
        )
        cut_piece(task, *photos)
    return alignment
