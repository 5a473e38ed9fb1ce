"""Calls of the compiled loops, where there are any."""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Argument = NDArray[Any] | int | float | None


def run(name: str, *arguments: Argument) -> bool:
    """Run a loop on arrays, which it fills in place, and numbers.

    Returns:
        False where it is not compiled; nothing was done then.

    Raises:
        MemoryError: It found none.
        ValueError: An array is not in C's order.
    """
    library = _library()
    function = getattr(library, name, None)
    if function is None:
        return False
    if function(*map(_for_c, arguments)):
        raise MemoryError(f"{name}: no memory")
    return True


def are_compiled() -> bool:
    """Whether this installation has them."""
    return _library() is not None


@cache
def _library() -> ctypes.CDLL | None:
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"kernels{suffix}")
        if path.exists():
            return ctypes.CDLL(str(path))
    return None


def _for_c(argument: Argument) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double:
    if argument is None:
        return ctypes.c_void_p()
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError("an array is not in C's order")
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_int64(argument)
