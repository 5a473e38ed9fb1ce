"""Output of a run in progress: metrics, pictures, models and checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dped_build.train import run_folder
from dped_build.train.batches import Batches
from dped_build.train.checkpoint import save_checkpoint, saved_iteration
from dped_build.train.events import EventFile
from dped_build.train.metrics import finite_or_none
from dped_build.train.model_file import FILE_NAME, save_generator
from dped_build.train.pixels import to_pixels
from dped_build.train.progress import TrainingProgress
from dped_build.train.run_files import BEST, CHECKPOINT
from dped_build.train.settings import TrainSettings
from dped_build.train.step import TrainingState, is_finite, means
from dped_build.train.validation import validate
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.logs import log

SAMPLES = 5  # examples per picture


@dataclass(frozen=True)
class Run:
    """What stays the same while training."""

    folder: Path
    settings: TrainSettings
    config: dict[str, Any]
    weights: dict[str, float]
    training: Batches
    validation: Batches | None
    vgg: nn.Module | None
    events: EventFile
    progress: bool


def write_evaluation(run: Run, state: TrainingState, shown: TrainingProgress) -> None:
    """Evaluate, and write the numbers, a picture and the best generator so far."""
    line: dict[str, Any] = {"iteration": state.iteration}
    line |= {f"train_{name}": value for name, value in means(state).items()}
    if run.validation is not None:
        values = validate(
            state,
            run.validation,
            batch_size=run.settings.batch_size,
            weights=run.weights,
            vgg=run.vgg,
            seed=run.settings.seed,
        )
        quality = {name: values.pop(name) for name in ("psnr", "ms_ssim")}
        line |= {f"val_{name}": value for name, value in values.items()} | quality
        if quality["psnr"] > state.best_psnr:
            state.best_psnr = quality["psnr"]
            _save_generator(run, state, BEST)
    line = {
        name: finite_or_none(value) if isinstance(value, float) else value
        for name, value in line.items()
    }
    run_folder.append_metrics(run.folder, line)
    log("evaluation", run=run.folder.name, **line)
    _show(run, state, line, shown)


def _show(
    run: Run, state: TrainingState, line: dict[str, Any], shown: TrainingProgress
) -> None:
    """The numbers for TensorBoard and the reader, and a before | after | target."""
    numbers = {name: line[name] for name in line if line[name] is not None}
    iteration = numbers.pop("iteration")
    told = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    shown.say(f"iteration {iteration}: {told}")
    run.events.add(iteration, {_tag(name): numbers[name] for name in numbers})

    shelf = run.validation or run.training
    places = np.linspace(0, len(shelf) - 1, min(SAMPLES, len(shelf))).astype(np.int64)
    before, target, *_ = shelf.take(places)
    with torch.no_grad():
        after = state.enhancer(before)
    triples = zip(
        *(to_pixels(images) for images in (before, after, target)), strict=True
    )
    rows = [list(triple) for triple in triples]
    png = run_folder.write_sample(run.folder, state.iteration, rows)
    run.events.add_picture(state.iteration, "before | after | target", png)


def _tag(name: str) -> str:
    """`train_loss` as `train/loss`; PSNR and MS-SSIM are those of `val`."""
    split, _, rest = name.partition("_")
    return f"{split}/{rest}" if split in ("train", "val") else f"val/{name}"


def write_checkpoint(run: Run, state: TrainingState) -> None:
    """Write the generator and the checkpoint, each whole or not at all."""
    _save_generator(run, state, FILE_NAME)
    save_checkpoint(run.folder / CHECKPOINT, state, run.config)


def _save_generator(run: Run, state: TrainingState, name: str) -> None:
    origin = {
        "preset": run.settings.preset,
        "iteration": state.iteration,
        "patches": run.config["patches"]["identity"],
    }
    architecture = run.settings.architecture()
    save_generator(run.folder / name, state.enhancer, architecture, origin=origin)


def require_finite(run: Run, state: TrainingState) -> None:
    """Stop a run before what is NaN or infinite is written anywhere.

    Raises:
        DpedBuildError: A weight, or a loss since the last log, is; names what is kept.
    """
    if is_finite(state):
        return
    good = saved_iteration(run.folder / CHECKPOINT)
    kept = (
        f"its checkpoint is the last good one, of iteration {good}"
        if good is not None
        else "no checkpoint had been written"
    )
    raise DpedBuildError(
        f"{run.folder}: a loss or weight was NaN or infinite by iteration "
        f"{state.iteration}; {kept}; train again "
        "with a lower --learning-rate under another --out"
    )
