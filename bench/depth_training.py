"""Does the mask help a training? Patches cut in several ways, one exact test.

    python bench/depth.py A
    python bench/depth.py B --seed 1
    python bench/depth_training.py A B --work C

Trains a small network on the patches of A's scenes that depth.py has cut, as many steps
on each kind, and tests it on windows of B's scenes whose targets are the DSLR's pixels
at their true places. Prints Markdown.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from depth import OURS, PLAIN, cut_folder
from depth_targets import Patches, exact_patches
from plain_training import store_patches
from scoring import SIZE
from stored import shards
from tables import machine, table
from torch import nn

from dped_build.patches.dataset import PatchDataset
from dped_build.patches.quality import lumas, sharpness_ratio
from dped_build.train.batches import Batches
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.pixels import to_unit
from dped_build.train.settings import TrainSettings
from dped_build.train.step import new_state, train_step
from dped_build.workspace.errors import DpedBuildError

WHOLE, _, MASKED = OURS
CPU = torch.device("cpu")
PRESET, EMA = "srcnn", 0.98
FIGURES = {
    "PSNR, dB": "psnr_pirm",
    "after a colour fit, dB": "psnr_color_fit",
    "SSIM": "ssim",
}
COLUMNS = ("trained on", "patches", "valid Mpx", *FIGURES, "detail")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("scenes", type=Path, help="folder of depth.py, to train on")
    add("tests", type=Path, help="another, of another --seed")
    add("--work", type=Path, required=True, help="folder for patches")
    add("--iterations", type=int, default=800, help="[%(default)s]")
    add("--batch-size", type=int, default=4, help="quarters of patches [%(default)s]")
    add("--seeds", type=int, default=3, help="trainings of each kind [%(default)s]")
    add("--windows", type=int, default=24, help="to test, a scene [%(default)s]")
    return made


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines to print."""
    exact = exact_patches(options.tests, most=options.windows)
    tests = store(exact, options.work / "test", split="test")
    yield machine()
    yield (
        f"\n{options.iterations} iterations of {options.batch_size} quarters of "
        f"patches, {options.seeds} seeds; {len(exact.phone)} windows to test, "
        f"{exact.valid.mean():.0%} of their pixels valid\n"
    )
    untrained = scores(nn.Identity(), tests)
    rows = [("nothing (the phone's photo)", "", "", *map(_spread, untrained))]
    for number, (name, patches) in enumerate(training_sets(options.scenes).items()):
        folder = store(quarters(patches), options.work / str(number), split="train")
        found = np.array(
            [
                scores(trained(folder, options, seed=seed), tests)
                for seed in range(options.seeds)
            ]
        )
        counts = str(len(patches.phone)), f"{patches.valid.sum() / 1e6:.1f}"
        rows.append((name, *counts, *map(_spread, *found)))
    yield table(COLUMNS, rows)


def training_sets(scenes: Path) -> dict[str, Patches]:
    """What is trained on, by its name."""
    plain = sorted(cut_folder(scenes, PLAIN).glob("*.h5"))
    whole, masked = (
        _read(shards(cut_folder(scenes, way) / "patches")) for way in (WHOLE, MASKED)
    )
    return {
        PLAIN: _read(plain),
        WHOLE: _unmasked(whole),
        f"{MASKED}, without the masks": _unmasked(masked),
        MASKED: masked,
        "exact targets": exact_patches(scenes),
    }


def _read(files: Sequence[Path]) -> Patches:
    """All rows of shards, or of the plain way's files."""
    parts = []
    for path in files:
        with h5py.File(path) as file:
            phone, dslr = file["phone"][:], file["dslr"][:]
            valid = file["valid"][:] if "valid" in file else np.ones(phone.shape[:3])
        parts.append(Patches(phone, dslr, valid > 0))
    return Patches.joined(parts)


def _unmasked(patches: Patches) -> Patches:
    return patches._replace(valid=np.ones_like(patches.valid))


def quarters(patches: Patches) -> Patches:
    """Four of each patch: a step of as many pixels sees more places."""
    half = SIZE // 2
    parts = [
        Patches(*(side[:, y : y + half, x : x + half] for side in patches))
        for y in (0, half)
        for x in (0, half)
    ]
    return Patches.joined(parts)


def store(patches: Patches, folder: Path, *, split: str) -> Path:
    """Write one shard; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    store_patches(folder, patches[:2], split=split)
    with h5py.File(folder / f"{split}-00000.h5", "r+") as shard:
        shard["valid"] = patches.valid.astype(np.uint8)
        shard["valid_share"] = patches.valid.mean(axis=(1, 2)).astype(np.float32)
    return folder


def trained(folder: Path, options: argparse.Namespace, *, seed: int) -> nn.Module:
    """The averaged network after a training on squared error."""
    settings = TrainSettings(preset=PRESET, ema=EMA, seed=seed)
    state = new_state(settings, CPU)
    begin_as_identity(state.generator)
    state.enhancer.load_state_dict(state.generator.state_dict())
    batches = Batches(PatchDataset(folder, "train", masks=True), device=CPU)
    for _ in range(options.iterations):
        train_step(
            state,
            batches,
            batch_size=options.batch_size,
            weights=settings.loss_weights(),
            vgg=None,
            decay=EMA,
        )
    return state.enhancer


@torch.no_grad()
def begin_as_identity(srcnn: nn.Module) -> None:
    """Let the phone's colours through: what a short training adds is what it learned.

    The other channels are random, but reach the output only as it learns.
    """
    first, second, third = (m for m in srcnn.modules() if isinstance(m, nn.Conv2d))
    for layer in (first, second):
        layer.weight[:3] = 0
    third.weight[:] = 0
    for layer in (first, second, third):
        layer.bias[:3] = 0
        middle = layer.weight.shape[-1] // 2
        for channel in range(3):
            layer.weight[channel, channel, middle, middle] = 1


@torch.inference_mode()
def scores(model: nn.Module, tests: Path) -> list[float]:
    """FIGURES, and the output's fine detail relative to the target's, median."""
    found = evaluate(model, tests, masks=True)["output"]
    rows = zip(*PatchDataset(tests, "test", masks=True), strict=True)
    phone, dslr, valid = map(np.stack, rows)
    output = [model(to_unit(torch.from_numpy(one[None]))) for one in phone]
    levels = (torch.cat(output).clamp(0, 1) * 255).round().byte()
    own = lumas(levels.permute(0, 2, 3, 1).contiguous().numpy())
    detail = np.nanmedian(sharpness_ratio(lumas(dslr), own, valid))
    return [*(float(found[key]) for key in FIGURES.values()), float(detail)]


def _spread(*values: float) -> str:
    """Mean and deviation over the seeds."""
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def main() -> None:
    """Run and print."""
    torch.set_num_threads(1)
    try:
        for line in report(parser().parse_args()):
            print(line, flush=True)
    except DpedBuildError as error:
        sys.exit(f"depth_training: {error}")


if __name__ == "__main__":
    main()
