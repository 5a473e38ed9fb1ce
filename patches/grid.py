"""The candidate windows of a phone photo: a grid over the whole overlap."""

import numpy as np
from numpy.typing import NDArray


def grid_windows(rows: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """Non-overlapping windows inside the overlap, in the phase that fits most.

    Args:
        rows: First and last overlapping pixel of each row, (H, 2), a convex region
            (`dped_build.align.geometry.visible_rows`).
        size: Side of a window, px.

    Returns:
        Top-left pixels (N, 2) as x, y; row by row. Where phases tie, the smallest.
    """
    total = np.zeros((size, size), np.int64)  # by vertical and horizontal phase
    for start in range(0, len(rows) - size + 1, size):
        bands = _bands(rows[: start + 2 * size - 1], size, start, 1)
        total[: len(bands)] += _counts(bands[:, 1:], size)
    top, phase = np.unravel_index(total.argmax(), total.shape)
    return _windows(_bands(rows, size, int(top), size), size, int(phase))


def _bands(
    rows: NDArray[np.int64], size: int, top: int, step: int
) -> NDArray[np.int64]:
    """Rows of windows as (y, first pixel, last pixel): enough in a convex region."""
    y = np.arange(top, len(rows) - size + 1, step)
    upper, lower = rows[y], rows[y + size - 1]
    first = np.maximum(upper[:, 0], lower[:, 0])
    last = np.minimum(upper[:, 1], lower[:, 1])
    return np.stack([y, first, last], axis=1)


def _counts(spans: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many windows fit into each band at each horizontal phase, (bands, size)."""
    phase = np.arange(size)
    start = _first_window(spans[:, :1], phase, size)  # (bands, size)
    return np.asarray(np.maximum((spans[:, 1:] + 1 - start) // size, 0))


def _first_window(
    first: NDArray[np.int64], phase: NDArray[np.int64] | int, size: int
) -> NDArray[np.int64]:
    return np.asarray(phase - (phase - first) // size * size)


def _windows(bands: NDArray[np.int64], size: int, phase: int) -> NDArray[np.int32]:
    found = [
        (x, y)
        for y, first, last in bands
        for x in range(int(_first_window(first, phase, size)), last + 2 - size, size)
    ]
    return np.array(found, dtype=np.int32).reshape(-1, 2)
