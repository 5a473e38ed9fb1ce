"""Acceleration of the networks: precision, memory layout and compilation.

Autocast and compilation are put around each network's `forward`, so the training step
reads the same with and without them, and what they return is float32: losses always
are. Weights, optimisers and checkpoints are float32, too.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dped_build.train import ranks
from dped_build.train.settings import TrainSettings
from dped_build.workspace.environment import environment
from dped_build.workspace.errors import DpedBuildError


@dataclass(frozen=True)
class Acceleration:
    """What is in force on a device."""

    device: torch.device
    precision: str  # fp32 or bf16
    compiled: bool
    keeps_features: bool  # VGG's of the targets, if they fit
    batch_size: int  # of each process; what networks are compiled for
    processes: int = 1
    channels_last: bool = False  # the layout that tensor cores read
    mode: str = "default"  # of torch.compile
    fused: bool = True  # the optimisers
    replayed: bool = False  # a step is recorded as CUDA graphs; see `replay`

    def to_dict(self) -> dict[str, str | bool | int]:
        """As a run's `config.json` says it."""
        return {
            "device": self.device.type,
            "precision": self.precision,
            "compiled": self.compiled,
            "keeps_features": self.keeps_features,
            "processes": self.processes,
        }


def choose_acceleration(settings: TrainSettings, device: torch.device) -> Acceleration:
    """What `--precision`, `--compile` and `--cache-features` come to on this device.

    Raises:
        UsageError: Ranks cannot have equal shares of a batch.
        DpedBuildError: Compilation was asked for and there is no C++ compiler.
    """
    on_gpu = device.type == "cuda"
    precision = settings.precision
    if precision == "auto":
        bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if bf16 else "fp32"
    compiled = _switched(settings.compile, auto=on_gpu) and can_compile(device)
    if settings.compile == "on" and not compiled:
        raise DpedBuildError(
            "--compile on: no compiler works here; install a C++ compiler (g++), "
            "or leave the option out"
        )
    return Acceleration(
        device,
        precision,
        compiled=compiled,
        keeps_features="content" in settings.loss_weights()
        and _switched(settings.cache_features, auto=on_gpu),
        batch_size=ranks.share_of(settings.batch_size),
        processes=ranks.count(),
        channels_last=on_gpu,
    )


def can_compile(device: torch.device) -> bool:
    """Whether torch finds what it compiles with, shown on a sum."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about itself
            found = torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except (RuntimeError, OSError, ImportError):
        return False
    return bool((found == 1).all())


def accelerate(network: nn.Module, how: Acceleration) -> None:
    """Make a network run as `how` says; its parameters keep their names and values.

    A compiled network knows one batch size: smaller batches are filled up with zeros,
    which no image of a batch sees, as every other size would be compiled anew.
    """
    if how.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if how.precision == "fp32" and not how.compiled:
        return
    plain = network.forward
    run = torch.compile(plain, dynamic=False, mode=how.mode) if how.compiled else plain
    autocast = torch.autocast(
        how.device.type, torch.bfloat16, enabled=how.precision == "bf16"
    )

    def forward(images: Tensor) -> Tensor:
        missing = how.batch_size - len(images)
        if how.compiled and missing > 0:
            filled = F.pad(images, (0, 0, 0, 0, 0, 0, 0, missing))
        else:
            filled = images
        with autocast:
            made = cast("Tensor", run(filled))[: len(images)].float()
        # The next call overwrites what such a network has given.
        return made.clone() if how.mode == "reduce-overhead" else made

    network.forward = forward


def _switched(choice: str, *, auto: bool) -> bool:
    return choice == "on" or (choice == "auto" and auto)


@contextmanager
def reproducible(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same on every run; else the fastest ones."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = cudnn.benchmark
    cudnn.benchmark = not wanted
    # cuBLAS reads it when it is first used.
    variables = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if wanted else {}
    if wanted:
        torch.use_deterministic_algorithms(True)
    try:
        with environment(**variables):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        cudnn.benchmark = benchmark
