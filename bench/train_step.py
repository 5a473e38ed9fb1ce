"""How fast the training step is: against a plain port, and against the arithmetic.

    python bench/train_step.py --device cuda                 # on a GPU, batch 50
    python bench/train_step.py --device cuda --model fast
    python bench/train_step.py --batch-size 2 --vgg-width 8  # small, for a CPU

Runs by turns a plain float32 port of the original step (`plain_training.py`) and our
step with one measure after the other: bf16, compilation, kept VGG features; the row of
what `train` does unasked says so, and after it stands what else could be chosen. A
figure is the median over rounds, each a block of iterations that the device is waited
for at both ends. What comes before (compilation, features of all targets, first
iterations) is the column "warm-up". Patches and VGG weights are made up; speed does not
depend on them. A way that fails is told below the table. Prints Markdown.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import plain_training as plain
import torch
from kernels import dearest_kernels
from results import FAILED, FAILURES, Results, in_a_line
from tables import machine, table
from torch import nn

from dped_build.patches.dataset import PatchDataset
from dped_build.train.acceleration import accelerate, choose_acceleration, reproducible
from dped_build.train.batches import Batches
from dped_build.train.devices import choose_device, full_float32
from dped_build.train.replay import Replay
from dped_build.train.settings import TrainSettings
from dped_build.train.step import new_state, train_step
from dped_build.train.vgg import load_vgg
from dped_build.workspace.errors import DpedBuildError

MODEL_PRESETS = {"dped": "released", "fast": "fast"}
# Patches; iterations of a block, and of the warm-up; side of the matrices whose product
# is the device's limit.
ON_GPU = {"batch_size": 50, "patches": 2048, "block": 20, "warm_up": 10, "side": 8192}
ON_CPU = {"batch_size": 4, "patches": 64, "block": 1, "warm_up": 1, "side": 1536}
PRODUCTS = 5  # of matrices, per measurement
GRAPHS = 256  # of one function; at torch's own limit, 8, it would go on uncompiled
PLAIN = "plain fp32"
# What else `Acceleration` could be, beside what is chosen.
MORE_ON_GPU: dict[str, dict[str, Any]] = {
    "CUDA graphs": {"replayed": True},
    "unfused optimisers": {"fused": False},
    "NCHW": {"channels_last": False},
    "reduce-overhead": {"mode": "reduce-overhead"},
    "max-autotune": {"mode": "max-autotune-no-cudagraphs"},
}
MORE_ON_CPU: dict[str, dict[str, Any]] = {
    "unfused optimisers": {"fused": False},
    "NHWC": {"channels_last": True},
}
COLUMNS = {
    "way": "{way}",
    "ms": "{ms:.4g}",
    "least-most": "{least_ms:.4g}-{most_ms:.4g}",
    "it/s": "{per_second:.3g}",
    "x plain": "{against_plain:.2f}",
    "limit, ms": "{limit_ms:.3g}",
    "of the limit": "{of_limit:.0%}",
    "peak, MB": "{peak_mb:.0f}",
    "warm-up, s": "{warm_up_s:.1f}",
    "{iterations:,} iterations, min": "{minutes:.3g}",
}

Step = Callable[[], object]  # runs one iteration


@dataclass
class Way:
    """One way to train, and what it took."""

    name: str
    number: str  # format of the products: fp32, tf32 or bf16
    kept: bool = False  # VGG features of the targets
    warm_up_s: float = 0.0
    own_bytes: int = 0  # held between two iterations
    rise_bytes: int = 0  # on top of them within one
    seconds: list[float] = field(default_factory=list)  # an iteration's, per block


@dataclass(frozen=True)
class Setup:
    """What all ways share."""

    settings: TrainSettings
    device: torch.device
    vgg: nn.Module | None
    folder: Path  # of the patches
    pixels: plain.Pixels | None = None  # the same in memory, for the plain port


def sizes(device: torch.device) -> dict[str, int]:
    """How much is enough on a device."""
    return ON_GPU if device.type == "cuda" else ON_CPU


def ways(setup: Setup) -> Iterator[tuple[Way, Callable[[], Step]]]:
    """Every row of the table, and what prepares it.

    First the plain port, on a GPU with TF32 in convolutions, which is torch's default,
    and without; then our step, with ever more measures; then variants of the default.
    """
    on_gpu = setup.device.type == "cuda"
    yield (
        Way(PLAIN, "tf32" if on_gpu else "fp32"),
        partial(plain_step, setup, tf32=True),
    )
    if on_gpu:
        yield Way(f"{PLAIN}, no TF32", "fp32"), partial(plain_step, setup, tf32=False)
    how = choose_acceleration(setup.settings, setup.device)
    unasked = (how.compiled, how.precision, how.keeps_features)
    ladder = [(on, kind, False) for on in (False, True) for kind in ("fp32", "bf16")]
    ladder += [(True, how.precision, True)] if setup.vgg is not None else []
    ladder += [] if unasked in ladder else [unasked]
    for choice in ladder:
        compiled, number, kept = choice
        name = f"{'compiled' if compiled else 'eager'} {number}"
        name += ", kept features" * kept + " (default)" * (choice == unasked)
        switch = "on" if compiled else "off"
        settings = replace(setup.settings, compile=switch, precision=number)
        way = Way(name, number, kept)
        yield way, partial(our_step, setup, settings, kept=kept)
        if choice == unasked:
            base = name.removesuffix(" (default)"), partial(our_step, setup, settings)
    for name, changes in (MORE_ON_GPU if on_gpu else MORE_ON_CPU).items():
        prepared = partial(base[1], kept=how.keeps_features, changes=changes)
        yield Way(f"{base[0]}, {name}", how.precision, how.keeps_features), prepared


def plain_step(setup: Setup, *, tf32: bool) -> Step:
    """The plain port, ready to run."""
    if setup.pixels is None:
        raise DpedBuildError("the plain port reads patches in memory")
    return plain.PlainTraining(
        setup.settings.model,
        setup.pixels,
        weights=setup.settings.loss_weights(),
        vgg=setup.vgg,
        device=setup.device,
        batch_size=setup.settings.batch_size,
        tf32=tf32,
    ).step


def our_step(
    setup: Setup,
    settings: TrainSettings,
    *,
    kept: bool,
    changes: dict[str, Any] | None = None,
) -> Step:
    """Our step, prepared as `train` prepares it.

    Raises:
        DpedBuildError: There is no compiler, or the features do not fit.
    """
    how = replace(choose_acceleration(settings, setup.device), **(changes or {}))
    state = new_state(settings, setup.device, fused=how.fused)
    state.run, vgg = Replay() if how.replayed else state.run, deepcopy(setup.vgg)
    batches = Batches(PatchDataset(setup.folder), device=setup.device)
    for network in (state.generator, state.discriminator, vgg):
        if network is not None:
            accelerate(network, how)
    if kept and vgg is not None and not batches.keep_features(vgg, size=how.batch_size):
        raise DpedBuildError("the VGG features do not fit in memory")
    fixed = {"weights": settings.loss_weights(), "batch_size": settings.batch_size}

    def step() -> None:
        with reproducible(settings.deterministic):  # or else the fastest algorithms
            train_step(state, batches, vgg=vgg, **fixed)

    return step


def prepare(
    setup: Setup,
    *,
    wanted: list[str],
    unwanted: list[str],
    until: float,
    failed: dict[str, str],
) -> Iterator[tuple[Way, Step]]:
    """The plain port and the ways with a wanted word in their names, warmed up.

    Args:
        setup: What all share.
        wanted: Words; none: every way.
        unwanted: Words whose ways are left out.
        until: When to begin with no further one, by `time.perf_counter`.
        failed: Gets the others' names and what kept them out.
    """
    for way, prepared in ways(setup):
        chosen = not wanted or any(word in way.name for word in wanted)
        if any(word in way.name for word in unwanted) or (
            way.name != PLAIN and not chosen
        ):
            continue
        if time.perf_counter() > until:
            failed[way.name] = "no time was left"
            continue
        print(f"warm-up: {way.name}", file=sys.stderr, flush=True)
        start, before = time.perf_counter(), memory(setup.device)
        try:
            step = prepared()
            run_block(step, sizes(setup.device)["warm_up"], setup.device)
        except FAILURES as error:
            failed[way.name] = in_a_line(error)
            print(f"left out: {failed[way.name]}", file=sys.stderr, flush=True)
            continue
        way.warm_up_s = time.perf_counter() - start
        way.own_bytes = max(memory(setup.device) - before, 0)
        yield way, step


def measure(
    setup: Setup,
    running: list[tuple[Way, Step]],
    *,
    block: int,
    limits: dict[str, float],
) -> None:
    """Run ways by turns, and the products of matrices with them.

    `limits` keeps the best FLOP/s of a product per number format.
    """
    for number in dict.fromkeys(way.number for way, _ in running):
        found = product_flops(number, setup.device)
        limits[number] = max(limits.get(number, 0.0), found)
    for way, step in running:
        before = memory(setup.device, anew=True)
        way.seconds.append(run_block(step, block, setup.device) / block)
        peak = memory(setup.device, peak=True)
        way.rise_bytes = max(way.rise_bytes, peak - before)


def run_block(step: Step, count: int, device: torch.device) -> float:
    """Seconds of so many calls, a GPU waited for at both ends."""
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.cpu.synchronize
    wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return time.perf_counter() - start


def product_flops(number: str, device: torch.device) -> float:
    """FLOP/s of a product of large matrices in a number format."""
    side, kind = sizes(device)["side"], torch.bfloat16 if number == "bf16" else None
    torch.backends.cuda.matmul.allow_tf32 = number == "tf32"
    matrix = torch.randn(side, side, device=device, dtype=kind)
    multiply = partial(torch.mm, matrix, matrix, out=torch.empty_like(matrix))
    run_block(multiply, 1, device)
    seconds = run_block(multiply, PRODUCTS, device)
    torch.backends.cuda.matmul.allow_tf32 = False
    return PRODUCTS * 2 * side**3 / seconds


def memory(device: torch.device, *, peak: bool = False, anew: bool = False) -> int:
    """Bytes held on a GPU, else by the process (Linux); or the most since `anew`."""
    if device.type == "cuda":
        if anew:
            torch.cuda.reset_peak_memory_stats()
        cuda = torch.cuda
        return cuda.max_memory_allocated() if peak else cuda.memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if anew:
        status.with_name("clear_refs").write_text("5")  # forgets VmHWM, see proc(5)
    wanted = "VmHWM:" if peak else "VmRSS:"
    (line,) = (s for s in status.read_text().splitlines() if s.startswith(wanted))
    return int(line.split()[1]) * 1024


def figures(
    way: Way, plain_s: float, parts: dict[str, int], peaks: dict[str, float], count: int
) -> dict[str, Any]:
    """A row of the table; `count` iterations are projected."""
    seconds = median(way.seconds)
    wanted = sum(parts.values()) - way.kept * parts.get(plain.TARGET, 0)
    limit = wanted / peaks[way.number]
    return {
        "way": way.name,
        "ms": 1000 * seconds,
        "least_ms": 1000 * min(way.seconds),
        "most_ms": 1000 * max(way.seconds),
        "per_second": 1 / seconds,
        "against_plain": plain_s / seconds,
        "limit_ms": 1000 * limit,
        "of_limit": limit / seconds,
        "peak_mb": (way.own_bytes + way.rise_bytes) / 2**20,
        "warm_up_s": way.warm_up_s,
        "minutes": count * seconds / 60,
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The figures as Markdown."""
    what = (
        "{machine}\n\n{model}, batch {batch_size}, {loss}; {rounds} rounds of {block}\n"
    )
    yield what.format(**found)
    rows = ([cell.format(**way) for cell in COLUMNS.values()] for way in found["ways"])
    yield table([name.format(**found) for name in COLUMNS], rows)
    total = sum(found["flop"].values())
    parts = ", ".join(f"{name} {n / 1e12:.3g}" for name, n in found["flop"].items())
    yield f"\nOne iteration: {total / 1e12:.3g} TFLOP ({parts})."
    yield from (f"Left out: {name}: {why}" for name, why in found["failed"].items())
    peaks = (f"{kind} {n / 1e12:.3g}" for kind, n in found["flop_per_s"].items())
    yield f"Limit, by products of matrices in this run: {', '.join(peaks)} TFLOP/s."


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="[auto]")
    add("--model", choices=MODEL_PRESETS, default="dped", help="[dped]")
    add("--batch-size", type=positive, help="patches [50 on a GPU, 4 on a CPU]")
    add("--rounds", type=positive, default=5, help="blocks of each way [5]")
    add("--iterations", type=positive, help="of a block [20 on a GPU, 1 on a CPU]")
    add("--loss", help="sum of loss terms [as the model was published]")
    add("--vgg", type=Path, metavar="FILE", help="VGG-19 weights [random ones]")
    add("--vgg-width", type=positive, default=64, help="of random weights [64]")
    add("--ways", default="", help="beside the plain port: eager,compiled bf16 [all]")
    add("--without", default="", help="leave out: max-autotune,NCHW [none]")
    add("--seconds", type=positive, default=3600, help="begin no way after [3600]")
    add("--results", type=Path, metavar="FILE", help="append rows as they come")
    add("--part", default="step", help="what those rows belong to [step]")
    add("--kernels", type=Path, metavar="FILE", help="append the fastest way's kernels")
    add("--json", action="store_true", help="print one JSON object instead")
    return made


def positive(text: str) -> int:
    """A count that an option gives."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def report(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure; every figure by name."""
    device = choose_device(options.device)
    usual = sizes(device)
    settings = TrainSettings(
        preset=MODEL_PRESETS[options.model],
        loss=options.loss,
        batch_size=options.batch_size or usual["batch_size"],
    )
    vgg = None
    if "content" in settings.loss_weights():
        given = options.vgg
        vgg = load_vgg(given) if given else plain.random_vgg(options.vgg_width)
        vgg.to(device)
    pixels = plain.write_shard(folder, count=usual["patches"])
    setup = Setup(settings, device, vgg, folder, pixels)
    plan = {"rounds": options.rounds, "block": options.iterations or usual["block"]}
    what = {"model": settings.model, "batch_size": settings.batch_size}
    flop = plain.arithmetic(**what, weights=settings.loss_weights(), vgg=vgg)
    running, failed, limits = take_turns(setup, options, plan, flop)
    if not running:
        raise DpedBuildError("nothing could be measured: " + "; ".join(failed.values()))
    if options.kernels:
        tell_kernels(options.kernels, settings.model, running, device)
    plain_s, count = plain_seconds(running), settings.iterations
    gpu = f"{torch.cuda.get_device_name()}; " if device.type == "cuda" else ""
    return {
        "machine": f"{gpu}{machine()}, torch {torch.__version__}",
        **what,
        "loss": settings.loss,
        **plan,
        "iterations": count,
        "ways": [figures(way, plain_s, flop, limits, count) for way, _ in running],
        "failed": failed,
        "flop": flop,
        "flop_per_s": limits,
    }


def take_turns(
    setup: Setup,
    options: argparse.Namespace,
    plan: dict[str, int],
    flop: dict[str, int],
) -> tuple[list[tuple[Way, Step]], dict[str, str], dict[str, float]]:
    """Measure what can be: the ways, what kept others out, and the products' FLOP/s.

    The first round follows each warm-up, so that a way that ends the process costs
    only itself and what would come later.
    """
    running: list[tuple[Way, Step]] = []
    failed: dict[str, str] = {}
    limits: dict[str, float] = {}
    results = Results(options.results, options.part)

    def go(chosen: list[tuple[Way, Step]]) -> None:
        measure(setup, chosen, block=plan["block"], limits=limits)
        plain_s = plain_seconds(running)
        for way, _ in chosen:
            row = figures(way, plain_s, flop, limits, setup.settings.iterations)
            results.add(row.pop("way"), **row)

    words = {
        "wanted": [word for word in options.ways.split(",") if word],
        "unwanted": [word for word in options.without.split(",") if word],
    }
    until = time.perf_counter() + options.seconds
    for pair in prepare(setup, **words, until=until, failed=failed):
        running.append(pair)
        go([pair])
    for _ in range(plan["rounds"] - 1):
        go(running)
    for name, why in failed.items():
        results.add(name, **{FAILED: why})
    return running, failed, limits


def plain_seconds(running: list[tuple[Way, Step]]) -> float:
    """Of the plain port, NaN where it failed."""
    found = [median(way.seconds) for way, _ in running if way.name == PLAIN]
    return found[0] if found else math.nan


def tell_kernels(
    path: Path, model: str, running: list[tuple[Way, Step]], device: torch.device
) -> None:
    """Append the kernels of our fastest way."""
    ours = [pair for pair in running if not pair[0].name.startswith(PLAIN)]
    way, step = min(ours or running, key=lambda pair: median(pair[0].seconds))
    with path.open("a", encoding="utf-8") as file:
        text = dearest_kernels(step, device)
        file.write(f"## {model}, {way.name}\n\n{text}\n\n")


def main() -> None:
    """Run and print."""
    options = parser().parse_args()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            full_float32(),
            torch._dynamo.config.patch(recompile_limit=GRAPHS),
        ):
            found = report(options, Path(folder))
    except DpedBuildError as error:
        sys.exit(f"train_step: {error}")
    print(json.dumps(found, indent=2) if options.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
