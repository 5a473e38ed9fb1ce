"""Masks of valid pixels: which pixels of a patch show the same point in both photos.

In memory a mask is bool, (S, S). Every candidate window has one, so files that keep
them all pack eight pixels into a byte, row by row, the first in the highest bit.
"""

import numpy as np
from numpy.typing import NDArray

Masks = NDArray[np.bool_]  # (N, S, S)
Bits = NDArray[np.uint8]  # (N, packed_length(S))


def whole_masks(count: int, size: int) -> Masks:
    """Masks that hide nothing, (count, size, size)."""
    return np.ones((count, size, size), np.bool_)


def packed_length(size: int) -> int:
    """Bytes of a packed mask of `size` x `size` pixels."""
    return -(-(size**2) // 8)


def packed(valid: Masks) -> Bits:
    """Masks (N, S, S) as bits, (N, packed_length(S))."""
    count, size = valid.shape[:2]
    bits = np.packbits(valid.reshape(count, size**2), axis=1)
    return bits.reshape(count, packed_length(size))


def unpacked(bits: Bits, size: int) -> Masks:
    """The masks (N, size, size) that `packed` made bits of."""
    flat = np.unpackbits(bits, axis=1, count=size**2)
    return flat.reshape(len(bits), size, size).astype(np.bool_)
