"""How fast the networks run: number format, memory layout and compilation.

Autocast and compilation are put around each network's `forward`, so the training step
reads the same with and without them, and what they return is float32: losses always
are. Weights, optimisers and checkpoints are float32, too.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dped_build.align.errors import DpedBuildError
from dped_build.train.settings import TrainSettings


@dataclass(frozen=True)
class Acceleration:
    """What is in force on a device."""

    device: torch.device
    precision: str  # fp32 or bf16
    compiled: bool

    def to_dict(self) -> dict[str, str | bool]:
        """As a run's `config.json` says it."""
        return {
            "device": self.device.type,
            "precision": self.precision,
            "compiled": self.compiled,
        }


def choose_acceleration(settings: TrainSettings, device: torch.device) -> Acceleration:
    """What `--precision` and `--compile` come to on this device.

    Raises:
        DpedBuildError: Compilation was asked for and there is no C++ compiler.
    """
    on_gpu = device.type == "cuda"
    precision = settings.precision
    if precision == "auto":
        bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if bf16 else "fp32"
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if settings.compile == "on" and not compiler:
        raise DpedBuildError(
            "--compile on: no C++ compiler (g++) is installed here; install one, or "
            "leave the option out"
        )
    compiled = settings.compile == "on" or (
        settings.compile == "auto" and on_gpu and compiler is not None
    )
    return Acceleration(device, precision, compiled)


def accelerate(network: nn.Module, how: Acceleration) -> None:
    """Make a network run as `how` says; its parameters keep their names and values."""
    if how.device.type == "cuda":  # the layout that tensor cores read
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if how.precision == "bf16":
        plain = network.forward

        def forward(images: Tensor) -> Tensor:
            with torch.autocast(how.device.type, torch.bfloat16):
                return cast("Tensor", plain(images)).float()

        network.forward = forward
    if how.compiled:
        network.compile()


@contextmanager
def reproducible(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same on every run; else the fastest ones."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark
    cudnn.benchmark = not wanted
    if wanted:
        # cuBLAS reads it when it is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark = before[1]
