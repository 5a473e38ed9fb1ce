"""Which device a `--device` option means, and what to say when its memory is full."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dped_build.align.errors import DpedBuildError

CPU_ALLOCATOR = "DefaultCPUAllocator"  # which fails with a plain RuntimeError


def choose_device(name: str) -> torch.device:
    """The device by its name; `auto` is the GPU where there is one.

    Raises:
        DpedBuildError: A GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DpedBuildError(
            f"--device {name}: torch sees no CUDA device here; use --device cpu"
        )
    return torch.device(name)


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
        if not _is_out_of_memory(error):
            raise
        raise DpedBuildError(message) from error


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or CPU_ALLOCATOR in str(error)
