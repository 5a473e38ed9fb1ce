"""Bars and frames around a photo: letterboxes, white borders; no part of the scene."""

import numpy as np
from numpy.typing import NDArray

BAR_LEVELS = 12  # grey levels within which a bar is of one colour
BAR_SHARE = 0.995  # of its pixels: JPEG leaves some beside
BEHIND_SHARE = 0.6  # of the pixels behind a bar that differ: a sky ends otherwise
EDGE_PX = 8  # the block of a JPEG that a bar's edge lies in

Box = tuple[int, int, int, int]  # left, top, width, height


def content_box(photo: NDArray[np.uint8]) -> Box:
    """The part of a photo, RGB (H, W, 3), inside its bars; all where it has none.

    A bar is of one colour along a whole side and ends in a straight edge; another one
    lies opposite, or it is a wall or a clipped window.
    """
    height, width = photo.shape[:2]
    top, bottom = _bars(photo)
    left, right = _bars(photo.swapaxes(0, 1))
    return left, top, width - left - right, height - top - bottom


def _bars(rows: NDArray[np.uint8]) -> tuple[int, int]:
    """Rows that the bars along the first and the last one take; 0 without both."""
    first, last = _bar(rows), _bar(rows[::-1])
    return (first, last) if first and last else (0, 0)


def _bar(rows: NDArray[np.uint8]) -> int:
    """Rows that a bar along the first one takes, with its edge; 0 without."""
    colour = np.median(rows[0], axis=0)
    thick = 0
    while thick < len(rows) // 2 and _like(rows[thick], colour) >= BAR_SHARE:
        thick += 1
    behind = rows[thick : thick + EDGE_PX]
    if not 0 < thick < len(rows) // 2 or _like(behind[-1], colour) > 1 - BEHIND_SHARE:
        return 0
    return thick + EDGE_PX


def _like(row: NDArray[np.uint8], colour: NDArray[np.float64]) -> float:
    """The share of a row's pixels that have a colour."""
    away = np.abs(row.astype(np.int16) - colour).max(axis=-1)
    return float((away <= BAR_LEVELS).mean())
