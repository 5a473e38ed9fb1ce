"""Whole photos on a device: time and memory of `enhance`, and the table of `bench`.

    python bench/whole_photos.py --part photos --results FILE --work DIR [--small]

The picture is held against the CPU's. Generators are those that `real_training.py` left
in DIR, which have something to tell apart; else ones of random weights.
"""

import time
from pathlib import Path

import numpy as np
import torch
from ceilings import parser
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from results import FAILED, Results
from torch import nn
from train_step import MODEL_PRESETS

from dped_build.train.architecture import Architecture
from dped_build.train.devices import choose_device
from dped_build.train.enhancing.in_memory import enhance
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.train.evaluating.benchmark import benchmark
from dped_build.train.model_file import load_generator
from dped_build.train.networks import build_generator

PHOTO = {False: (4032, 3024), True: (96, 72)}  # 12.2 MP
LEVELS = 1  # of 255 that pictures may differ by


def made_photo(width: int, height: int) -> NDArray[np.uint8]:
    """A photo with large and small shapes."""
    random = np.random.default_rng(0)
    coarse, fine = (
        random.integers(256, size=size, dtype=np.uint8)
        for size in ((height // 24, width // 24, 3), (height, width, 3))
    )
    shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.fromarray(fine).filter(ImageFilter.GaussianBlur(1))
    return np.array(Image.blend(shapes, grain, 0.2))


def generator(model: str, work: Path) -> tuple[nn.Module, str]:
    """The trained one, or one whose weights keep the signal's size."""
    run = work / f"dped-{model}"
    if (run / "generator.pt").exists():
        return load_generator(run), "trained"
    torch.manual_seed(0)
    return build_generator(Architecture(model)).eval(), "random"


def compare(
    model: str, work: Path, device: torch.device, *, small: bool
) -> dict[str, str | float]:
    """Seconds, memory and the largest difference from the CPU's picture."""
    network, kind = generator(model, work)
    photo = made_photo(*PHOTO[small])
    begun = time.perf_counter()
    expected = enhance(network, photo)
    cpu_s = time.perf_counter() - begun
    on_gpu = device.type == "cuda"
    for _ in range(2):  # at first kernels are chosen
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        found = enhance(network, photo, device=device)
        seconds = time.perf_counter() - begun
    difference = int(np.abs(found.astype(int) - expected.astype(int)).max())
    return {
        "weights": kind,
        "CPU, s": cpu_s,
        "device, s": seconds,
        "peak, GB": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0,
        "levels apart": difference,
        "holds": "yes" if difference <= LEVELS else "NO",
    }


def main() -> None:
    """Photos, then the table."""
    options = parser().parse_args()
    device = choose_device(options.device)
    results = Results(options.results, options.part)
    width, height = PHOTO[options.small]
    for model in reversed(MODEL_PRESETS):
        name = f"enhance, {model}, {width}x{height}"
        with results.trying(name):
            row = compare(model, options.work, device, small=options.small)
            results.add(name, **row)
    table = Results(options.results, "bench")
    size, repeat = ("64x48", 1) if options.small else ("1280x720", 5)
    settings = BenchSettings(size=size, repeat=repeat, device=device.type)
    with table.trying("bench"):
        few = [options.work / "dped-fast"] if options.small else []
        for line in benchmark(few, settings=settings):
            times = line.gpu or line.cpu
            table.add(
                f"{Path(line.name).name}, {size}",
                parameters=line.parameters,
                GMAC=line.gmacs,
                ms=times.median_ms if times else FAILED,
                **{"x DPED": line.dped_ratio},
            )


if __name__ == "__main__":
    main()
