"""One training of outcome.py: a small network on squared error, and its scores.

The network begins as the best linear filter for its own patches, so that what even a
short training leaves behind is owed to the patches.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dped_build.patches.dataset import PatchDataset
from dped_build.train.batches import Batches
from dped_build.train.devices import choose_device, full_float32
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.networks import SRCNN
from dped_build.train.settings import TrainSettings
from dped_build.train.step import new_state, train_step
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.json_files import json_bytes

EMA = 0.98
LEARNING_RATE = 5e-4
FIGURES, MODEL = "figures.json", "model.pt"
SIDES = ("input", "output")
KERNEL = 9  # px of the filter, as of the first layer
FITTED_PATCHES = 1024  # that the filter is fitted to
FITTED_SHARE = 0.1  # of their pixels
RIDGE = 1e-6  # of the mean square of a pixel, on the filter's distance from nothing


@dataclass(frozen=True)
class Recipe:
    """How every arm is trained."""

    iterations: int
    batch_size: int
    device: str
    ema: float = EMA


def train_once(patches: Path, run: Path, recipe: Recipe, *, seed: int) -> None:
    """Train on a set; nothing where that was done."""
    if (run / MODEL).exists():
        return
    with full_float32():
        network = trained(patches, recipe, seed=seed)
    run.mkdir(parents=True, exist_ok=True)
    torch.save(network.cpu().state_dict(), run / f"{MODEL}.part")
    (run / f"{MODEL}.part").rename(run / MODEL)


def scores(run: Path, tests: Path, *, device: str) -> dict[str, Any]:
    """What `evaluate` says of a finished run on the tests, kept beside it."""
    kept = run / FIGURES
    if not kept.exists():
        found = evaluate(load(run), tests, masks=True, device=device)
        write_atomic(kept, json_bytes({side: found[side] for side in SIDES}))
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def load(run: Path) -> nn.Module:
    """The network of a finished run."""
    network = SRCNN()
    network.load_state_dict(torch.load(run / MODEL, weights_only=True))
    return network.eval()


def trained(folder: Path, recipe: Recipe, *, seed: int) -> nn.Module:
    """The network after its training, averaged."""
    settings = TrainSettings(
        preset="srcnn", ema=recipe.ema, seed=seed, learning_rate=LEARNING_RATE
    )
    device = choose_device(recipe.device)
    batches = Batches(PatchDataset(folder, "train", masks=True), device=device)
    state = new_state(settings, device)
    begin_as_filter(state.generator, best_filter(batches, seed=seed), seed=seed)
    state.enhancer.load_state_dict(state.generator.state_dict())
    for _ in range(recipe.iterations):
        train_step(
            state,
            batches,
            batch_size=recipe.batch_size,
            weights=settings.loss_weights(),
            vgg=None,
            decay=recipe.ema,
        )
    return state.enhancer


def best_filter(batches: Batches, *, seed: int) -> Tensor:
    """Least squares: a DSLR pixel from the phone's around it, and 1; (244, 3)."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(batches))[:FITTED_PATCHES]
    size = 3 * KERNEL**2 + 1
    normal = torch.zeros(size, size, dtype=torch.float64, device=batches.device)
    wanted = torch.zeros(size, 3, dtype=torch.float64, device=batches.device)
    inner, reach = slice(KERNEL // 2, -(KERNEL // 2)), 16
    for start in range(0, len(rows), reach):
        phone, dslr, valid, *_ = batches.take(rows[start : start + reach])
        around = F.unfold(phone, KERNEL).transpose(1, 2).flatten(0, 1)
        target = dslr[:, :, inner, inner].flatten(2).transpose(1, 2).flatten(0, 1)
        chosen = torch.from_numpy(random.random(len(target)) < FITTED_SHARE)
        chosen = chosen.to(batches.device)
        if valid is not None:
            chosen &= valid[:, :, inner, inner].flatten()
        known = F.pad(around[chosen], (0, 1), value=1.0).double()
        normal += known.T @ known
        wanted += known.T @ target[chosen].double()
    ridge = RIDGE * normal.diagonal().mean()
    return torch.linalg.solve(normal + ridge * torch.eye(size).to(normal), wanted)


@torch.no_grad()
def begin_as_filter(srcnn: nn.Module, weights: Tensor, *, seed: int) -> None:
    """Let three channels be a filter, and the others wait to be learned from.

    Those see differences alone and reach the output only as it learns.
    """
    random = torch.Generator().manual_seed(seed)
    first, second, third = (m for m in srcnn.modules() if isinstance(m, nn.Conv2d))
    for layer in (first, second):
        drawn = torch.empty(layer.weight.shape)
        nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=random)
        layer.weight.copy_(drawn)
    first.weight -= first.weight.mean(dim=(1, 2, 3), keepdim=True)
    second.weight[:3], second.weight[:, :3], third.weight[:] = 0, 0, 0
    middle = third.weight.shape[-1] // 2
    for layer in (first, second, third):
        layer.bias[:] = 0
    for channel in range(3):
        second.weight[channel, channel] = 1
        third.weight[channel, channel, middle, middle] = 1
    first.weight[:3] = weights[:-1].T.reshape(3, 3, KERNEL, KERNEL).to(first.weight)
    first.bias[:3] = weights[-1].to(first.bias)
