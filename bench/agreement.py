"""Whether training on this device is right: what must agree, does.

    python bench/agreement.py --part checks --results FILE [--device cuda] [--small]

bf16, compiled and replayed steps against float32 from one seed; --deterministic twice
and resumed; several processes' communication; sets and features too large for memory.
Every check is a row: what was found, what is allowed, whether it holds.
"""

import dataclasses
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from unittest.mock import patch

import plain_training as plain
import torch
import torch.distributed as dist
from ceilings import parser
from results import Results
from torch import nn
from train_step import GRAPHS

from dped_build.patches.dataset import PatchDataset
from dped_build.train import ranks
from dped_build.train.acceleration import (
    accelerate,
    choose_acceleration,
    reproducible,
)
from dped_build.train.batches import Batches
from dped_build.train.devices import choose_device, full_float32
from dped_build.train.loop import train
from dped_build.train.replay import Replay
from dped_build.train.settings import TrainSettings
from dped_build.train.step import (
    TrainingState,
    is_finite,
    means,
    new_state,
    train_step,
)
from dped_build.workspace.errors import DpedBuildError

ROOM = "dped_build.train.batches._room"
TOLERANCE = 0.05  # of the mean loss, beside twice what float32 differs from itself
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1")
RANKS_SECONDS = 45
RANK = "--rank"  # this script as torchrun starts it


@dataclass(frozen=True)
class Setup:
    """What all checks train with."""

    settings: TrainSettings  # eager float32, deterministic
    device: torch.device
    vgg: nn.Module
    folder: Path
    patches: int
    curves: dict[str, Any]  # what other settings they have
    iterations: int  # of the curves
    block: int  # iterations whose mean losses are compared
    few: int  # iterations of every other check


def setup_in(folder: Path, device: torch.device, *, small: bool) -> Setup:
    """Made-up patches and VGG weights in a folder."""
    width, count = (1, 16) if small else (64, 512)
    vgg = plain.random_vgg(width)
    torch.save(vgg.state_dict(), folder / "vgg.pth")
    plain.write_shard(folder, count=count)
    settings = TrainSettings(
        preset="fast",
        vgg=folder / "vgg.pth",
        device=device.type,
        precision="fp32",
        compile="off",
        cache_features="off",
        deterministic=True,
        iterations=2 if small else 20,
        batch_size=2 if small else 50,
        channels=4 if small else 0,
        blocks=1 if small else 0,
        checkpoint_every=10_000,
        log_every=10_000,
    )
    vgg.to(device)
    # What a CPU compiles in some seconds.
    least = {"model": "srcnn", "channels": 0, "blocks": 0, "loss": "mse"}
    sizes = (2, 1, 2) if small else (200, 20, 20)
    curves = least if small else {}
    return Setup(settings, device, vgg, folder, count, curves, *sizes)


def curve(
    setup: Setup, *, replayed: bool = False, **changes: str | bool
) -> list[float]:
    """Mean loss of every block of iterations, from the same seed."""
    different: dict[str, Any] = {**setup.curves, **changes, "deterministic": False}
    settings = dataclasses.replace(setup.settings, **different)
    how = choose_acceleration(settings, setup.device)
    state, vgg = new_state(settings, setup.device), deepcopy(setup.vgg)
    for network in (state.generator, state.discriminator, vgg):
        if network is not None:
            accelerate(network, how)
    if replayed:
        state.run = Replay()
    batches, found = Batches(PatchDataset(setup.folder), device=setup.device), []
    for _ in range(setup.iterations // setup.block):
        for _ in range(setup.block):
            with reproducible(False):
                _step(settings, state, batches, vgg)
        found.append(means(state)["loss"])
        state.sums, state.summed = {}, 0
    return found


def _step(
    settings: TrainSettings, state: TrainingState, batches: Batches, vgg: nn.Module
) -> None:
    weights, size = settings.loss_weights(), settings.batch_size
    train_step(state, batches, batch_size=size, weights=weights, vgg=vgg)


def apart(one: list[float], other: list[float]) -> float:
    """Largest relative difference of two curves' blocks."""
    return max(abs(a - b) / abs(b) for a, b in zip(one, other, strict=True))


def compare_curves(setup: Setup, results: Results) -> None:
    """float32 with itself, then everything faster with float32."""
    plainly = curve(setup)
    noise = apart(curve(setup), plainly)
    results.add("fp32 again", found=f"{noise:.2%}", allowed="-", holds="yes")
    allowed = TOLERANCE + 2 * noise
    ways: dict[str, Callable[[], list[float]]] = {
        "bf16": partial(curve, setup, precision="bf16"),
        "compiled bf16": partial(curve, setup, precision="bf16", compile="on"),
    }
    if setup.device.type == "cuda":
        ways["compiled bf16, CUDA graphs"] = partial(
            curve, setup, precision="bf16", compile="on", replayed=True
        )
    for name, run in ways.items():
        with results.trying(f"{name}: loss against fp32"):
            difference = apart(run(), plainly)
            judge(
                results,
                f"{name}: loss against fp32",
                found=f"{difference:.2%} over {setup.iterations} iterations",
                allowed=f"{allowed:.2%}",
                holds=difference <= allowed,
            )


def judge(
    results: Results, name: str, *, found: str, allowed: str, holds: bool
) -> None:
    """A row."""
    results.add(name, found=found, allowed=allowed, holds="yes" if holds else "NO")


def compare_runs(setup: Setup, results: Results, **changes: str) -> None:
    """Two runs, and one that was interrupted half-way, weight by weight."""
    settings = dataclasses.replace(setup.settings, **changes)
    half = dataclasses.replace(settings, iterations=setup.few // 2)
    kind = ", ".join(f"--{key} {value}" for key, value in changes.items()) or "eager"
    with tempfile.TemporaryDirectory() as made:
        runs = [Path(made) / name for name in ("first", "second", "resumed")]
        first, second = (_weights(setup, run, settings) for run in runs[:2])
        name = f"--deterministic twice, {kind}"
        told = f"{unequal(first, second)} weights differ"
        judge(results, name, found=told, allowed="0", holds=told[0] == "0")
        _weights(setup, runs[2], half)
        resumed = _weights(setup, runs[2], settings)
        told = f"{unequal(first, resumed)} weights differ"
        name = f"resumed at {half.iterations}, {kind}"
        judge(results, name, found=told, allowed="0", holds=told[0] == "0")


def _weights(
    setup: Setup, run: Path, settings: TrainSettings
) -> dict[str, torch.Tensor]:
    train(setup.folder, run, settings, resume=run.exists(), progress=False)
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    parts = ("generator", "discriminator")
    return {f"{part}.{k}": v for part in parts for k, v in saved[part].items()}


def unequal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> int:
    """How many numbers of two sets of weights are not the same."""
    return sum(int((one[name] != other[name]).sum()) for name in one)


def fall_back(setup: Setup, results: Results) -> None:
    """Features that do not fit are not kept; pixels that do not fit come in pools."""
    pixels = setup.patches * 6 * plain.SIDE**2
    for name, room, then, resident in (
        ("features too large for memory", pixels, 1, True),
        ("patches too large for memory", pixels // 2, pixels // 2, False),
    ):
        rooms = chain([room], repeat(then))
        with results.trying(name), patch(ROOM, side_effect=rooms):
            batches = Batches(PatchDataset(setup.folder), device=setup.device)
            kept = batches.keep_features(setup.vgg, size=setup.settings.batch_size)
            state = new_state(setup.settings, setup.device)
            for _ in range(2):
                _step(setup.settings, state, batches, setup.vgg)
            finite = is_finite(state)
            judge(
                results,
                name,
                found=f"patches {'' if batches.resident else 'not '}all on the device, "
                f"features {'' if kept else 'not '}kept, losses "
                f"{'finite' if finite else 'not finite'}",
                allowed="goes on",
                holds=finite and not kept and batches.resident == resident,
            )


def communicate(setup: Setup, results: Results) -> None:
    """A run of one process under torchrun, with the communication that more would use.

    Raises:
        DpedBuildError: It failed.
    """
    line = [sys.executable, *TORCHRUN, "--nproc-per-node=1", __file__, RANK]
    line += [str(setup.folder), setup.device.type, str(setup.settings.batch_size)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    limit = RANKS_SECONDS if setup.device.type == "cuda" else None
    with subprocess.Popen(
        line, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as run:
        try:
            out, err = run.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            run.terminate()  # torchrun then ends its worker, which a kill would leave
            raise
    if run.returncode:
        print(out, err, sep="\n")
        said = [s for s in err.splitlines() if "Error" in s] or ["no message"]
        raise DpedBuildError(f"torchrun: {said[-1]}")
    found = out.strip().splitlines()[-1]
    judge(results, "torchrun, one process", found=found, allowed="runs", holds=True)


def be_rank(folder: Path, device: str, batch_size: int) -> None:
    """What torchrun starts: add up over all ranks, then train."""
    own = choose_device(ranks.own_device(device))
    with ranks.joined():
        total = torch.full((1000,), 2.0, device=own)
        dist.all_reduce(total)
        dist.broadcast(total, src=0)
        backend = dist.get_backend_config(dist.group.WORLD)
        if float(total.sum()) != 2000.0:
            raise DpedBuildError("the sum over all ranks is wrong")
    sizes = {"channels": 4, "blocks": 1, "compile": "off", "cache_features": "off"}
    settings = TrainSettings(
        preset="fast",
        loss="mse+texture",
        iterations=3,
        batch_size=batch_size,
        device=device,
        **sizes,  # type: ignore[arg-type]
    )
    with tempfile.TemporaryDirectory() as made:
        done = train(folder, Path(made) / "run", settings, progress=False)
    if not math.isfinite(done.metrics[-1]["train_loss"]):
        raise DpedBuildError("the loss is not finite")
    print(f"{backend}; {done.iteration} iterations")


def main() -> None:
    """All checks, those first that need no compilation."""
    if RANK in sys.argv:
        folder, device, batch_size = sys.argv[sys.argv.index(RANK) + 1 :]
        return be_rank(Path(folder), device, int(batch_size))
    options = parser().parse_args()
    device = choose_device(options.device)
    results = Results(options.results, options.part)
    with (
        tempfile.TemporaryDirectory() as made,
        torch._dynamo.config.patch(recompile_limit=GRAPHS),
        full_float32(),
    ):
        setup = setup_in(Path(made), device, small=options.small)
        for name, check in {
            "--deterministic": compare_runs,
            "too large for memory": fall_back,
            "torchrun, one process": communicate,
            "losses": compare_curves,
        }.items():
            with results.trying(name):
                check(setup, results)
        if device.type == "cuda":
            with results.trying("--deterministic, compiled"):
                compare_runs(setup, results, precision="bf16", compile="on")
    return None


if __name__ == "__main__":
    main()
