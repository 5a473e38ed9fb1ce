"""Calls of the compiled loops, where there are any."""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Argument = NDArray[Any] | int | float | None

# Each loop's arguments in order: arrays by their kind, n whole numbers, r others. An
# array of another kind would be read beyond its end.
ARGUMENTS = {
    "block_sums": "ffffnnnnlfuddddd",
    "filtered_bands": "uhfnnnfddfff",
    "fletcher_sums": "ullnl",
    "half_size": "uhfnnf",
    "judge_windows": "unnhnnfidnnulnfufdu",
    "ncc_tables": "fnfnnlnnrf",
    "patch_details": "uunnnfd",
    "patch_moments": "uuuuunnnnl",
    "sample_grids": "unnnnlddnuh",
    "tidy_masks": "ufnn",
}
# By dtype: to find its name takes longer than all else before a call.
KINDS: dict[np.dtype[Any], str] = {
    **{np.dtype("uint8"): "u", np.dtype("bool"): "u", np.dtype("uint16"): "h"},
    **{np.dtype("int32"): "i", np.dtype("int64"): "l"},
    **{np.dtype("float32"): "f", np.dtype("float64"): "d"},
}


def run(name: str, *arguments: Argument) -> bool:
    """Run a loop on arrays, which it fills in place, and numbers.

    Returns:
        False where it is not compiled; nothing was done then.

    Raises:
        MemoryError: It found none.
        ValueError: An array is not in C's order, or an argument is of another kind.
    """
    function = getattr(_library(), name, None)
    if function is None:
        return False
    known = zip(arguments, ARGUMENTS[name], strict=True)
    if function(*(_for_c(argument, kind) for argument, kind in known)):
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


def _for_c(
    argument: Any,  # noqa: ANN401
    kind: str,
) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double:
    if kind == "n":
        return ctypes.c_int64(index(argument))
    if kind == "r":
        return ctypes.c_double(argument)
    if argument is None:
        return ctypes.c_void_p()
    if not argument.flags.c_contiguous:
        raise ValueError("an array is not in C's order")
    if KINDS.get(argument.dtype) != kind:
        raise ValueError(f"an array of {argument.dtype} is not of kind {kind}")
    return ctypes.c_void_p(argument.ctypes.data)
