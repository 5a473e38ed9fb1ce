"""Train a generator on patch shards: the run from its first file to its last.

`train` opens the run folder, then repeats `train_step`, with an evaluation every
`log_every` and a checkpoint every `checkpoint_every` iterations. All randomness lies in
the state that checkpoints hold, so two runs with one seed on one machine's CPU, with as
many threads, give the same weights, interrupted or not. Under torchrun several
processes train as one; see `ranks`.
"""

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.train import ranks, run_folder
from dped_build.train.acceleration import (
    Acceleration,
    accelerate,
    choose_acceleration,
    reproducible,
)
from dped_build.train.batches import Batches, training_and_validation
from dped_build.train.checkpoint import (
    restore_checkpoint,
    saved_iteration,
)
from dped_build.train.devices import choose_device, enough_memory, full_float32
from dped_build.train.discriminator import PATCH
from dped_build.train.events import EventFile
from dped_build.train.interrupts import deferred_signals
from dped_build.train.progress import TrainingProgress
from dped_build.train.replay import Replay
from dped_build.train.run_config import describe_run
from dped_build.train.run_files import CHECKPOINT
from dped_build.train.run_output import (
    Run,
    require_finite,
    write_checkpoint,
    write_evaluation,
)
from dped_build.train.settings import TrainSettings
from dped_build.train.step import (
    TrainingState,
    discriminator_step,
    means,
    new_state,
    train_step,
)
from dped_build.train.vgg import find_vgg, load_vgg
from dped_build.workspace.durable import writing
from dped_build.workspace.errors import INTERRUPTED, DpedBuildError, Interrupted
from dped_build.workspace.terminal import say

DEFAULTS = TrainSettings()


@dataclass(frozen=True)
class TrainResult:
    """Where a run lies and how far it came."""

    run_dir: Path
    iteration: int
    metrics: list[dict[str, Any]]  # the lines of `metrics.jsonl`


def train(
    patches: str | Path | Sequence[str | Path],
    run_dir: str | Path,
    settings: TrainSettings = DEFAULTS,
    *,
    resume: bool = False,
    progress: bool = True,
) -> TrainResult:
    """Train on the patches of one or several folders, or resume an unfinished run.

    `best.pt` is chosen on the `val` split; where none of the folders has one, on whole
    photos held out of `train`; with fewer than three photos not at all. A finished run
    with the same settings is left as it is.

    Args:
        patches: `patches` folders.
        run_dir: Folder for everything that is written.
        settings: How to train.
        resume: Resume an unfinished run, from 0 if it has no checkpoint.
        progress: Show progress on stderr.

    Returns:
        `run_dir`, the `iteration` reached, and `metrics`: the lines of `metrics.jsonl`.

    Raises:
        DpedBuildError: No patches or VGG weights, a run that cannot resume or is
            in use by another process, no such device, too little memory on it, or a
            loss that became NaN.
        Interrupted: Ctrl-C or SIGTERM; the checkpoint is written before.
    """
    folder = Path(run_dir)
    device = choose_device(ranks.own_device(settings.device))
    datasets = _open_patches(patches, settings)
    with ranks.joined():
        how = choose_acceleration(settings, device)
        full = (
            f"{how.device} has too little memory for --batch-size "
            f"{settings.batch_size}: lower it"
            f"{', or add --cache-features off' if how.keeps_features else ''}"
        )
        with (
            ranks.by_leader(run_folder.held(folder)),
            enough_memory(full),
            full_float32(),
            reproducible(settings.deterministic),
        ):
            return _train(
                datasets,
                folder,
                settings,
                how=how,
                resume=resume,
                progress=progress and ranks.is_leader(),
            )


def _train(
    datasets: tuple[PatchDataset, PatchDataset | None],
    folder: Path,
    settings: TrainSettings,
    *,
    how: Acceleration,
    resume: bool,
    progress: bool,
) -> TrainResult:
    training, validation = datasets
    vgg_path = _vgg_path(settings)
    vgg = load_vgg(vgg_path) if vgg_path else None
    vgg_name = vgg.network if vgg else None
    config = describe_run(settings, training, validation, vgg_path, vgg_name, how)

    def open_run() -> tuple[bool, int | None]:
        done = saved_iteration(folder / CHECKPOINT)
        return run_folder.open_run(folder, config, resume=resume, done=done), done

    unfinished, done = ranks.from_leader(open_run)
    if not unfinished:
        # A kill may have come before it.
        ranks.from_leader(partial(run_folder.finish_run, folder))
        return TrainResult(folder, done or 0, run_folder.read_metrics(folder))

    state = new_state(settings, how.device, fused=how.fused)
    state.run = Replay() if how.replayed else state.run
    for network in (state.generator, state.average, state.discriminator, vgg):
        if network is not None:
            accelerate(network.to(how.device), how)
    if done is not None:
        restore_checkpoint(folder / CHECKPOINT, state)
    ranks.from_leader(partial(run_folder.forget_metrics_after, folder, state.iteration))
    learn, judge = training_and_validation(
        training, validation, device=how.device, seed=settings.seed
    )
    if progress:
        say(_beginning(settings, how, learn, judge, split=validation is not None))
        if vgg_name:
            say(f"content loss by {vgg_name}")
        if learn.masked or training.left_out:
            say(_about_masks(training, learn))
    with (
        writing(folder),
        closing(EventFile(folder, start=state.iteration)) as events,
    ):
        run = Run(
            folder=folder,
            settings=settings,
            config=config,
            weights=settings.loss_weights(),
            training=learn,
            validation=judge,
            vgg=vgg,
            events=events,
            progress=progress,
        )
        _keep_features(run, how)
        with deferred_signals() as asked_to_stop:
            _pretrain(run, state, asked_to_stop)
            _iterate(run, state, asked_to_stop)
    ranks.from_leader(partial(run_folder.finish_run, folder))
    return TrainResult(folder, state.iteration, run_folder.read_metrics(folder))


def _beginning(
    settings: TrainSettings,
    how: Acceleration,
    learn: Batches,
    judge: Batches | None,
    *,
    split: bool,
) -> str:
    """What is trained on what, in a line."""
    aside = "none for validation"
    if judge is not None:
        origin = (
            "of val" if split else "of whole photos held out (there is no val split)"
        )
        aside = f"{len(judge)} {origin} for validation"
    return (
        f"{settings.model}, {settings.loss}: {len(learn)} patches, {aside}; "
        f"{settings.batch_size} a batch{_shared(how)}, "
        f"{how.device.type} {how.precision}{', compiled' if how.compiled else ''}"
    )


def _about_masks(training: PatchDataset, learn: Batches) -> str:
    if training.left_out:
        return f"{training.left_out} partly valid patches left out (--masks uses them)"
    share = f"{learn.valid_share:.1%}"
    return f"{learn.masked} patches have masks; {share} of all pixels are valid"


def _shared(how: Acceleration) -> str:
    if how.processes == 1:
        return ""
    return f" ({how.batch_size} on each of {how.processes} processes)"


def _keep_features(run: Run, how: Acceleration) -> None:
    """Compute the targets' VGG features beforehand, where it pays and they fit."""
    if run.vgg is None or not how.keeps_features:
        return
    if run.progress:
        say(f"computing the VGG features of {len(run.training)} targets once")
    kept = run.training.keep_features(run.vgg, size=how.batch_size)
    if not kept and run.settings.cache_features == "on":
        raise DpedBuildError(
            f"--cache-features on: those of {len(run.training)} patches do not fit in "
            "memory; leave the option out"
        )


def _pretrain(run: Run, state: TrainingState, asked_to_stop: threading.Event) -> None:
    """Teach the discriminator phone from DSLR before all (DPED, sect. 3.1.2)."""
    total = run.settings.pretrain_discriminator if state.discriminator else 0
    if state.iteration or state.pretrained >= total:
        return
    if run.progress:
        say(f"{total} discriminator steps first, phone against DSLR")
    with closing(
        TrainingProgress(total=total, start=state.pretrained, show=run.progress)
    ) as shown:
        while state.pretrained < total:
            state.pretrained += 1
            state.summed += 1
            phone, dslr, valid, *_ = run.training.draw(
                state.random, size=run.settings.batch_size
            )
            clip = run.settings.clip_gradient
            discriminator_step(state, phone, dslr, valid=valid, clip=clip)
            shown.advance(state.pretrained, means(state) if shown.due() else None)
            if ranks.anyone(wants=asked_to_stop.is_set(), iteration=state.pretrained):
                _stop(run, state)
    _require_finite(run, state)
    state.sums, state.summed = {}, 0
    ranks.from_leader(partial(write_checkpoint, run, state))


def _iterate(run: Run, state: TrainingState, asked_to_stop: threading.Event) -> None:
    """Repeat the training step until the run is finished or asked to stop."""
    settings = run.settings
    with closing(
        TrainingProgress(
            total=settings.iterations, start=state.iteration, show=run.progress
        )
    ) as shown:
        while state.iteration < settings.iterations:
            run.training.turn_to(state.iteration + 1)
            train_step(
                state,
                run.training,
                batch_size=settings.batch_size,
                weights=run.weights,
                vgg=run.vgg,
                clip=settings.clip_gradient,
                decay=settings.ema,
            )
            shown.advance(state.iteration, means(state) if shown.due() else None)
            last = state.iteration == settings.iterations
            log = last or state.iteration % settings.log_every == 0
            save = last or state.iteration % settings.checkpoint_every == 0
            if log or save:
                _require_finite(run, state)
            if log:
                ranks.from_leader(partial(write_evaluation, run, state, shown))
                state.sums, state.summed = {}, 0
            if save:
                ranks.from_leader(partial(write_checkpoint, run, state))
            wanted = asked_to_stop.is_set()
            if ranks.anyone(wants=wanted, iteration=state.iteration) and not last:
                _stop(run, state)


def _stop(run: Run, state: TrainingState) -> NoReturn:
    """Save what is whole and end.

    Raises:
        DpedBuildError: A weight or loss is not finite.
        Interrupted: Always, otherwise.
    """
    _require_finite(run, state)
    ranks.from_leader(partial(write_checkpoint, run, state))
    if not ranks.is_leader():
        raise SystemExit(INTERRUPTED)
    raise Interrupted(
        f"Interrupted at iteration {state.iteration}; the checkpoint is saved. "
        "Continue with --resume."
    )


def _require_finite(run: Run, state: TrainingState) -> None:
    """Every rank's losses become those of the whole batch; stop where one is NaN."""
    ranks.average(list(state.sums.values()))
    ranks.from_leader(partial(require_finite, run, state))


def _vgg_path(settings: TrainSettings) -> Path | None:
    if "content" not in settings.loss_weights():
        return None
    return find_vgg(Path(settings.vgg) if settings.vgg else None)


def _open_patches(
    folders: str | Path | Sequence[str | Path], settings: TrainSettings
) -> tuple[PatchDataset, PatchDataset | None]:
    training = PatchDataset(folders, "train", masks=settings.masks)
    if "texture" in settings.loss_weights() and training.patch_size != PATCH:
        raise DpedBuildError(
            f"the texture loss reads patches of {PATCH} px, these have "
            f"{training.patch_size}: choose a --loss without texture"
        )
    try:
        return training, PatchDataset(folders, "val", masks=settings.masks)
    except NoPatchesError:
        return training, None
