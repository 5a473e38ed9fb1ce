"""Generators side by side: size, arithmetic, time and memory for a photo.

Times are comparable because the models take turns: whatever else the machine does falls
on all of them alike. Memory is the peak of a process of its own for each model.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from dped_build.train.architecture import Architecture
from dped_build.train.devices import choose_device, enough_memory, full_float32
from dped_build.train.enhancing.in_memory import enhance
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.train.layers import Chain, Layer, initialize
from dped_build.train.model_file import load_generator
from dped_build.train.networks import build_generator
from dped_build.train.pixels import to_unit
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.plan import OnProgress

PUBLISHED = {  # the papers' networks, and some of the fast paper's Tables 1 and 2
    "dped": Architecture(),
    "dped, 2 blocks": Architecture(blocks=2),
    "dped, 32 channels": Architecture(channels=32),
    "dped, 16 channels": Architecture(channels=16),
    "fast 16-64": Architecture("fast"),
    "fast 32-128": Architecture("fast", channels=32),
    "johnson": Architecture("johnson"),
    "srcnn": Architecture("srcnn"),
}
REFERENCE = "dped"
Model = Architecture | Path


@dataclass(frozen=True)
class Times:
    """Of the rounds, in milliseconds."""

    median_ms: float
    min_ms: float
    max_ms: float


@dataclass(frozen=True)
class Measured:
    """A line of the table."""

    name: str
    parameters: int
    gmacs: float  # 1e9 multiplications with additions, of the convolutions
    cpu: Times | None
    gpu: Times | None
    peak_mb: float | None  # 1e6 bytes; of a process that enhances one photo on the CPU
    dped_ratio: float  # DPED's time over this one's; the GPU's where there is one


def benchmark(
    models: Sequence[str | Path] = (),
    *,
    settings: BenchSettings | None = None,
    progress: "OnProgress" = lambda done, total: None,
) -> list[Measured]:
    """Measure run folders and `.pt` files, or else the `PUBLISHED` networks.

    DPED is measured in any case, as what the others are compared with.

    Raises:
        DpedBuildError: A model cannot be read, the GPU not be used, or memory is short.
    """
    settings = settings or BenchSettings()
    chosen: dict[str, Model] = {str(model): Path(model) for model in models}
    chosen = {REFERENCE: PUBLISHED[REFERENCE], **chosen} if models else {**PUBLISHED}
    devices = _devices(settings.device)
    networks = {name: _build(model) for name, model in chosen.items()}
    tasks = len(chosen) * (len(devices) * (settings.repeat + 1) + ("cpu" in devices))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, tasks)

    peaks = {}
    for name, model in chosen.items() if "cpu" in devices else ():
        peaks[name] = _peak_mb(model, settings)
        step()
    times = {
        device: _take_turns(networks, device, settings=settings, step=step)
        for device in devices
    }
    compared = times[devices[-1]]
    return [
        Measured(
            name=name,
            parameters=sum(weights.numel() for weights in network.parameters()),
            gmacs=count_macs(network, settings.height, settings.width) / 1e9,
            cpu=times["cpu"][name] if "cpu" in times else None,
            gpu=times["cuda"][name] if "cuda" in times else None,
            peak_mb=peaks.get(name),
            dped_ratio=compared[REFERENCE].median_ms / compared[name].median_ms,
        )
        for name, network in networks.items()
    ]


def count_macs(model: Chain, height: int, width: int) -> int:
    """Multiplications with additions of all convolutions, for a photo of that size."""
    size, sizes, total = (height, width), list[tuple[int, int]](), 0
    for layer in cast("Iterable[Layer]", model.layers):
        if layer.shrinks:
            sizes.append(size)
            size = -(-size[0] // 2), -(-size[1] // 2)
        # A deconvolution applies its kernel once to every pixel that it reads.
        total += size[0] * size[1] * layer.convolution.weight.numel()
        if layer.grows:
            size = sizes.pop()
    return total


def _devices(wanted: str) -> list[str]:
    """What to measure on, the fastest last."""
    found = choose_device(wanted).type
    return ["cpu", "cuda"] if wanted == "auto" and found == "cuda" else [found]


def _build(model: Model) -> Chain:
    if isinstance(model, Path):
        return cast("Chain", load_generator(model))
    network = build_generator(model).eval()
    initialize(network, seed=0)
    return network


def _noise(settings: BenchSettings) -> NDArray[np.uint8]:
    shape = settings.height, settings.width, 3
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _take_turns(
    networks: dict[str, Chain],
    device: str,
    *,
    settings: BenchSettings,
    step: Callable[[], None],
) -> dict[str, Times]:
    """Time every network once a round; the first round is not counted."""
    photo = _noise(settings)
    taken: dict[str, list[float]] = {name: [] for name in networks}
    time_one = _time_on_gpu if device == "cuda" else _time_on_cpu
    for _ in range(settings.repeat + 1):
        for name, network in networks.items():
            taken[name].append(time_one(network, photo) * 1000)
            step()
    return {
        name: Times(statistics.median(of_it), min(of_it), max(of_it))
        for name, (_, *of_it) in taken.items()
    }


def _time_on_cpu(network: Chain, photo: NDArray[np.uint8]) -> float:
    """Seconds from pixels to pixels, as `enhance` takes for a photo in memory."""
    begun = time.perf_counter()
    enhance(network, photo)
    return time.perf_counter() - begun


def _time_on_gpu(network: Chain, photo: NDArray[np.uint8]) -> float:
    """Seconds of the network alone, the photo being on the GPU."""
    full = "the GPU has too little memory for --size"
    with enough_memory(full), full_float32():
        network.to("cuda")
        pixels = torch.from_numpy(photo)[None].cuda()
        with torch.inference_mode():
            images = to_unit(pixels)
            network(images)  # its kernels are chosen, its memory is there
            torch.cuda.synchronize()
            begun = time.perf_counter()
            network(images)
            torch.cuda.synchronize()
            taken = time.perf_counter() - begun
    network.to("cpu")
    return taken


def _peak_mb(model: Model, settings: BenchSettings) -> float:
    """Of a new process that enhances one photo on the CPU."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(_peak_of_this, model, settings).result()
        except BrokenProcessPool as error:
            raise DpedBuildError(
                f"{model}: the process that measures memory was ended, probably for "
                "want of it; give a smaller --size"
            ) from error


def _peak_of_this(model: Model, settings: BenchSettings) -> float:
    import resource  # which Windows has not
    import sys

    enhance(_build(model), _noise(settings))
    if sys.platform == "linux":  # where the other figure counts the parent's as well
        status = Path("/proc/self/status").read_text()
        return float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
