"""What an exported model costs: file size, deviation, time and memory.

    python bench/deployment.py data/runs/released-dped iphone.pt
    python bench/deployment.py iphone.pt --size 640x480 --repeat 5 --picture photo.png

Exports every model as fp32 and fp16, then runs by turns eager PyTorch, `enhance` and
onnxruntime on one photo with two threads, so that whatever else the machine does falls
on all of them. Times are those of the fastest round: on the clock, and of all cores
together, which hardly depends on what else runs. Differences are from eager PyTorch,
before clipping. `rounded` is fp16 as a processor has it that rounds whatever an
operation reads and gives, which onnxruntime does not do on a CPU. Memory is the peak of
a process that does nothing else, above what the libraries take. Prints Markdown.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from tables import machine, table
from torch import Tensor

from dped_build.exchange.export_settings import PRECISIONS
from dped_build.exchange.onnx_graph import INPUT
from dped_build.exchange.onnx_model import LEVELS, export_onnx, made_photos
from dped_build.train.enhancing.in_memory import enhance
from dped_build.train.layers import Chain, Layer, Squash
from dped_build.train.model_file import load_generator
from dped_build.workspace.errors import DpedBuildError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
EAGER, ENHANCE = "PyTorch, eager", "`enhance`"
HEADER = (
    "",
    "file, MB",
    "largest difference, levels",
    "mean, levels",
    "ms",
    "CPU ms",
    "x eager, by CPU",
    "memory, MB",
)


@dataclass(frozen=True)
class Way:
    """A way to enhance the photo."""

    name: str
    run: Run
    peak_mb: float
    file_mb: float | None = None


def eager(model: Path) -> Run:
    """PyTorch as it stands."""
    network = load_generator(model)

    def run(photo: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return cast("NDArray[np.float32]", network(torch.from_numpy(photo)).numpy())

    return run


def in_strips(model: Path) -> Run:
    """Our own inference, from pixels to pixels."""
    network = cast("Chain", load_generator(model))

    def run(photo: NDArray[np.float32]) -> NDArray[np.float32]:
        pixels = (photo[0].transpose(1, 2, 0) * LEVELS).round().astype(np.uint8)
        found = enhance(network, pixels).astype(np.float32) / LEVELS
        return found.transpose(2, 0, 1)[np.newaxis]

    return run


def exported(path: Path, threads: int) -> Run:
    """The file in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    return lambda photo: cast(
        "NDArray[np.float32]", session.run(None, {INPUT: photo})[0]
    )


def rounded(model: Path) -> Run:
    """Every operation's result in float16, computed in float32."""
    network = deepcopy(cast("Chain", load_generator(model)))
    layers = cast("Iterable[Layer]", network.layers)
    half: Callable[[Tensor], Tensor] = lambda values: values.half().float()  # noqa: E731
    for layer in layers:
        for weights in layer.convolution.parameters():
            weights.data = half(weights.data)
        layer.convolution.register_forward_pre_hook(lambda m, i: half(i[0]))
        layer.convolution.register_forward_hook(lambda m, i, out: half(out))
        layer.norm.register_forward_hook(lambda m, i, out: half(out))
        if not isinstance(layer.activation, Squash):
            layer.activation.register_forward_hook(lambda m, i, out: half(out))

    def run(photo: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = network(half(torch.from_numpy(photo)))
        return cast("NDArray[np.float32]", output.numpy())

    return run


def peak_mb(build: Callable[[], Run], photo: NDArray[np.float32]) -> float:
    """Of a new process that runs once, above what it has before; in 1e6 bytes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_peak_of_this, build, photo).result()


def _peak_of_this(build: Callable[[], Run], photo: NDArray[np.float32]) -> float:
    torch.set_num_threads(2)
    before = _peak_so_far()
    build()(photo)
    return _peak_so_far() - before


def _peak_so_far() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def measure(
    model: Path, photo: NDArray[np.float32], *, repeat: int, folder: Path
) -> list[list[str]]:
    """The rows of one model."""
    builds: dict[str, Callable[[], Run]] = {
        EAGER: partial(eager, model),
        ENHANCE: partial(in_strips, model),
    }
    sizes: dict[str, float] = {}
    for precision in PRECISIONS:
        path = folder / f"{model.stem}-{precision}.onnx"
        name = f"onnxruntime, {precision}"
        sizes[name] = export_onnx(model, path, precision=precision).bytes / 1e6
        builds[name] = partial(exported, path, torch.get_num_threads())
    ways = [
        Way(name, build(), peak_mb(build, photo), sizes.get(name))
        for name, build in builds.items()
    ]
    clock: dict[str, list[float]] = {way.name: [] for way in ways}
    cpu: dict[str, list[float]] = {way.name: [] for way in ways}
    outputs = {}
    for _ in range(repeat + 1):  # the first is not counted
        for way in ways:
            begun = time.perf_counter(), time.process_time()
            outputs[way.name] = way.run(photo)
            clock[way.name].append((time.perf_counter() - begun[0]) * 1000)
            cpu[way.name].append((time.process_time() - begun[1]) * 1000)
    least = {name: min(times[1:]) for name, times in cpu.items()}
    rows = []
    for way in ways:
        compared = None if way.name in (EAGER, ENHANCE) else outputs[way.name]
        rows.append(
            [
                f"{model.stem}: {way.name}",
                f"{way.file_mb:.2f}" if way.file_mb else "",
                *differences(outputs[EAGER], compared),
                f"{min(clock[way.name][1:]):.0f}",
                f"{least[way.name]:.0f}",
                f"{least[EAGER] / least[way.name]:.2f}",
                f"{way.peak_mb:.0f}",
            ]
        )
    told = differences(outputs[EAGER], rounded(model)(photo))
    return [*rows, [f"{model.stem}: rounded", "", *told, "", "", "", ""]]


def differences(
    expected: NDArray[np.float32], found: NDArray[np.float32] | None
) -> list[str]:
    """Largest and mean difference in levels of 255."""
    if found is None:
        return ["", ""]
    difference = np.abs(found - expected) * LEVELS
    return [f"{difference.max():.2g}", f"{difference.mean():.2g}"]


def read_photo(path: Path | None, size: str) -> NDArray[np.float32]:
    """A picture as it is, or a made one of WIDTHxHEIGHT: (1, 3, H, W) in [0, 1]."""
    if path is None:
        width, height = map(int, size.split("x"))
        return made_photos(1, height, width)
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise DpedBuildError(f"{path}: no picture; name a PNG or JPEG file")
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[np.newaxis] / np.float32(255))


def main(arguments: list[str] | None = None) -> int:
    """Measure all models and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(2)
    try:
        photo = read_photo(chosen.picture, chosen.size)
        with tempfile.TemporaryDirectory() as folder:
            rows = [
                row
                for model in chosen.models
                for row in measure(
                    model, photo, repeat=chosen.repeat, folder=Path(folder)
                )
            ]
    except DpedBuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{machine()}, torch {torch.__version__}, ", end="")
    print(f"onnxruntime {onnxruntime.__version__}; photo {photo.shape[3:1:-1]}\n")
    print(table(HEADER, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
