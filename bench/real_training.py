"""A training by the clock: how fast the whole loop is, and what it reaches.

    python bench/real_training.py --data DIR --set dped --model fast --seconds 40 \
        --part "train fast" --results FILE --work DIR

DIR/dped holds DPED's patches (`iphone/N.jpg` or .png beside `canon/N.jpg`): the last
quarter is the test part. DIR/city100 is a `patches` folder. Without them made-up
patches show the speed alone. The rate counts evaluations and checkpoints, from the
first evaluation on; the bare step's is that of `train_step` alone on the same patches.
"""

import argparse
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import plain_training as plain
import torch
from ceilings import parser
from PIL import Image
from results import Results
from torch import nn
from train_step import GRAPHS, MODEL_PRESETS, Setup, our_step, run_block

from dped_build.patches.dataset import PatchDataset
from dped_build.train.acceleration import choose_acceleration
from dped_build.train.batches import Batches
from dped_build.train.devices import choose_device, full_float32
from dped_build.train.evaluating.scores import BATCH, measure, summarize
from dped_build.train.loop import train
from dped_build.train.model_file import load_generator
from dped_build.train.settings import TrainSettings
from dped_build.workspace.errors import DpedBuildError, Interrupted
from dped_build.workspace.logs import LOGGER

LOSS = "mse+texture"  # needs no VGG weights
TEST_SHARE = 0.25
MADE_UP = {True: 20, False: 2048}  # patches, by whether it is a small run


class Clock(logging.Handler):
    """Notes when evaluations were done; after some seconds it asks the run to stop."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.seen = seconds, list[tuple[float, int]]()

    def emit(self, record: logging.LogRecord) -> None:
        """Count from the first evaluation: by then everything is compiled."""
        if record.getMessage() != "evaluation":
            return
        fields: dict[str, Any] = vars(record)["fields"]
        self.seen.append((record.created, fields["iteration"]))
        if len(self.seen) > 1 and record.created - self.seen[0][0] >= self.seconds:
            os.kill(os.getpid(), signal.SIGTERM)

    def rate(self) -> float:
        """Iterations per second, between the first and the last evaluation."""
        (begun, first), (ended, last) = self.seen[0], self.seen[-1]
        return (last - first) / (ended - begun)


def patches_folder(options: argparse.Namespace) -> tuple[Path, bool]:
    """A folder of shards, and whether they are real."""
    given = options.data / options.set if options.data else None
    if given and options.set == "dped" and given.is_dir():
        return from_pictures(given, options.work / "dped-patches"), True
    if given and given.is_dir():
        return given, True
    if options.set != "dped":
        raise DpedBuildError(f"{given}: no such folder of patches")
    made = options.work / "made-up"
    made.mkdir(exist_ok=True)
    pixels = plain.write_shard(made, count=MADE_UP[options.small])
    plain.store_patches(made, tuple(side[:BATCH] for side in pixels), split="test")
    return made, False


def from_pictures(folder: Path, made: Path) -> Path:
    """DPED's folders as shards, in the order of the numbers; nothing where done."""
    if made.is_dir():
        return made
    phones = sorted((folder / "iphone").iterdir(), key=lambda path: int(path.stem))
    sides = [phones, [folder / "canon" / path.name for path in phones]]
    pixels = [
        np.stack([np.asarray(Image.open(path).convert("RGB")) for path in side])
        for side in sides
    ]
    test = max(int(len(phones) * TEST_SHARE), 1)
    made.mkdir(parents=True)
    for split, part in {"train": slice(-test), "test": slice(-test, None)}.items():
        plain.store_patches(made, (pixels[0][part], pixels[1][part]), split=split)
    return made


@torch.inference_mode()
def figures(folder: Path, model: nn.Module, device: torch.device) -> dict[str, str]:
    """PSNR and MS-SSIM of the phone's patches and the enhanced ones, on test."""
    batches = Batches(PatchDataset(folder, "test"), device=device)
    sides: dict[str, list[torch.Tensor]] = {"phone": [], "enhanced": []}
    for phone, dslr, *_ in batches.in_order(size=BATCH):
        sides["phone"].append(measure(phone, dslr))
        sides["enhanced"].append(measure(model(phone), dslr))
    found = {name: summarize(torch.cat(parts)) for name, parts in sides.items()}
    return {
        kind: " → ".join(f"{found[side][key] or float('inf'):{form}}" for side in sides)
        for kind, key, form in (
            ("PSNR, dB", "psnr_training", ".2f"),
            ("MS-SSIM", "ms_ssim_image", ".4f"),
        )
    }


def settings_of(options: argparse.Namespace) -> TrainSettings:
    """As a user would have them, but that the clock ends the run."""
    small = {"batch_size": 1, "log_every": 1, "checkpoint_every": 2}
    usual = {"log_every": 250}
    return TrainSettings(
        preset=MODEL_PRESETS[options.model],
        loss=LOSS,
        device=options.device,
        iterations=10**7,
        **(small if options.small else usual),
    )


def bare_ms(
    settings: TrainSettings, folder: Path, device: torch.device, *, small: bool
) -> float:
    """Milliseconds of the step alone."""
    block, warm_up, rounds = (1, 1, 2) if small else (50, 20, 5)
    setup = Setup(settings, device, None, folder)
    step = our_step(setup, settings, kept=False)
    run_block(step, warm_up, device)
    seconds = [run_block(step, block, device) / block for _ in range(rounds)]
    return 1000 * median(seconds)


def report(options: argparse.Namespace, results: Results) -> None:
    """Train, judge, and time the bare step."""
    device, settings = choose_device(options.device), settings_of(options)
    folder, real = patches_folder(options)
    run = options.work / f"{options.set}-{options.model}"
    clock = Clock(options.seconds)
    LOGGER.addHandler(clock)
    LOGGER.setLevel(logging.INFO)
    with suppress(Interrupted):
        train(folder, run, settings, progress=False)
    if len(clock.seen) < 2:
        raise DpedBuildError("fewer than two evaluations in the time given")
    how = choose_acceleration(settings, device)
    row: dict[str, Any] = {
        "iterations": clock.seen[-1][1],
        "with": f"{how.precision}{', compiled' if how.compiled else ''}",
        "loop, it/s": clock.rate(),
    }
    if real:
        row |= figures(folder, load_generator(run).to(device), device)
    name = f"{options.set if real else 'made-up patches'}, {options.model}"
    results.add(name, **row)
    ms = bare_ms(settings, folder, device, small=options.small)
    share = clock.rate() * ms / 1000
    results.add(name, **row, **{"step alone, it/s": 1000 / ms, "loop / step": share})


def main() -> None:
    """The options."""
    made = parser()
    made.add_argument("--data", type=Path)
    made.add_argument("--set", choices=("dped", "city100"), default="dped")
    made.add_argument("--model", choices=MODEL_PRESETS, default="fast")
    made.add_argument("--seconds", type=float, default=40.0)
    options = made.parse_args()
    with full_float32(), torch._dynamo.config.patch(recompile_limit=GRAPHS):
        report(options, Results(options.results, options.part))


if __name__ == "__main__":
    main()
