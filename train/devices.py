"""Devices named by `--device`, and the error when their memory is full."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dped_build.train.settings import require_device_name
from dped_build.workspace.errors import DpedBuildError

# What fails with a plain RuntimeError where the memory is full.
FULL = "DefaultCPUAllocator", "out of memory", "_ALLOC_FAILED"


def choose_device(name: str) -> torch.device:
    """The device by its name; `auto` is the GPU where there is one.

    Raises:
        UsageError: No such name.
        DpedBuildError: A GPU was asked for and there is none, or not as many.
    """
    require_device_name(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DpedBuildError(
            f"--device {name}: torch sees no CUDA device here; use --device cpu"
        )
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise DpedBuildError(
                f"--device {name}: there are {count} here, from cuda:0"
            )
    return device


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions of float32 keep all its digits on a GPU, too.

    Torch would have them use TF32, which has ten bits.
    """
    switches = _roundings()
    before = [getattr(place, name) for place, name, _ in switches]
    for place, name, value in switches:
        setattr(place, name, value)
    try:
        yield
    finally:
        for (place, name, _), value in zip(switches, before, strict=True):
            setattr(place, name, value)


def _roundings() -> list[tuple[Any, str, Any]]:
    """What lets convolutions round: its place, its name, and its value without."""
    cudnn: Any = torch.backends.cudnn
    try:
        _ = cudnn.allow_tf32
    except RuntimeError:  # torch's newer switches are in use and exclude the older
        return [(part, "fp32_precision", "ieee") for part in (cudnn.conv, cudnn.rnn)]
    return [(cudnn, "allow_tf32", False)]


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array on the device, without waiting for what a GPU is still at."""
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def enough_memory(message: str) -> Iterator[None]:
    """Turn every way of running out of memory into one error that says `message`.

    Raises:
        DpedBuildError: The memory of the device, or of NumPy, is full.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DpedBuildError(message) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that some memory is full."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(word in str(error) for word in FULL)
