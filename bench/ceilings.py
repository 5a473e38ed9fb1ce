"""What a device can do at most, and what one training iteration asks of it.

    python bench/ceilings.py --device cuda

Measured: products of large matrices and a copy within the device's memory. Counted: the
arithmetic of one iteration at batch 50, the targets' features kept, and the bytes that
it moves at the least; both over what was measured are the iteration's two floors.
"""

import argparse
from pathlib import Path
from statistics import median

import plain_training as plain
import torch
from results import Results
from train_step import MODEL_PRESETS, product_flops, run_block

from dped_build.train.devices import choose_device
from dped_build.train.settings import TrainSettings

BATCH = 50
COPIED = {"cuda": 2**32, "cpu": 2**24}  # bytes
COPIES = 5


def copy_bytes_per_s(device: torch.device) -> float:
    """Bytes read plus bytes written in a second by a copy within the memory."""
    source = torch.ones(COPIED[device.type] // 4, device=device)
    target = torch.empty_like(source)
    seconds = [
        run_block(lambda: target.copy_(source), 1, device) for _ in range(COPIES)
    ]
    return 2 * source.nbytes / median(seconds[1:])


def measure(device: torch.device, results: Results) -> None:
    """Both ceilings, then the floors of every model's iteration."""
    kinds = ("bf16", "tf32", "fp32") if device.type == "cuda" else ("bf16", "fp32")
    flops = {kind: product_flops(kind, device) for kind in kinds}
    for kind, value in flops.items():
        results.add(f"{kind} matrix product", found=f"{value / 1e12:.4g} TFLOP/s")
    moved = copy_bytes_per_s(device)
    results.add("copy in memory", found=f"{moved / 1e12:.3g} TB/s, read and written")
    for model, preset in MODEL_PRESETS.items():
        flop, least_bytes = demand(model, preset)
        text = (
            f"{flop / 1e12:.3g} TFLOP: {1000 * flop / flops['bf16']:.3g} ms; "
            f"{least_bytes / 1e9:.3g} GB: {1000 * least_bytes / moved:.3g} ms"
        )
        results.add(f"{model}, kept features, batch {BATCH}", found=text)


def demand(model: str, preset: str) -> tuple[int, int]:
    """FLOP and least bytes of an iteration that need not look at targets anew."""
    what = {
        "weights": TrainSettings(preset=preset).loss_weights(),
        "vgg": plain.random_vgg(64),
        "batch_size": BATCH,
    }
    flop = plain.arithmetic(model, **what)
    return sum(flop.values()) - flop[plain.TARGET], plain.traffic(model, **what)


def parser() -> argparse.ArgumentParser:
    """The options that all parts of `gpu.py` share."""
    made = argparse.ArgumentParser()
    made.add_argument("--device", default="auto")
    made.add_argument("--small", action="store_true")
    made.add_argument("--results", type=Path, required=True)
    made.add_argument("--part", required=True)
    made.add_argument("--work", type=Path, help="of all parts")
    return made


if __name__ == "__main__":
    options = parser().parse_args()
    measure(choose_device(options.device), Results(options.results, options.part))
