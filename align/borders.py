"""Bars and frames around a photo: letterboxes, white borders; no part of the scene."""

import cv2
import numpy as np
from numpy.typing import NDArray

BAR_LEVELS = 12  # grey levels within which a bar is of one colour
BAR_SHARE = 0.995  # of its pixels: JPEG leaves some beside
BEHIND_SHARE = 0.6  # of the pixels behind a bar that differ: a sky ends otherwise
TEXT_SHARE = 0.5  # likewise of rows with a text or mark in a bar
PLAIN_LEVELS = 1.5  # deviation of what no camera saw; walls and skies have noise
EDGE_PX = 8  # the block of a JPEG that a bar's edge lies in

Box = tuple[int, int, int, int]  # left, top, width, height


def content_box(photo: NDArray[np.uint8]) -> Box:
    """The part of a photo, RGB (H, W, 3), inside its bars; all where it has none.

    A bar is of one colour along a whole side, but for a text in it, and ends in a
    straight edge. Another one lies opposite, or it is a wall or a clipped sky; but for
    one without noise at the bottom, where phones write.
    """
    height, width = photo.shape[:2]
    top, bottom, is_plain = _bars(photo)
    bottom = bottom if top or is_plain else 0
    inside = photo[top : height - bottom]  # texts may reach into the corners
    left, right, _ = _bars(inside.swapaxes(0, 1))
    right = right if left else 0
    return left, top, width - left - right, height - top - bottom


def _bars(rows: NDArray[np.uint8]) -> tuple[int, int, bool]:
    """Rows that bars along the first and the last one take; whether the last is plain.

    The first needs the last.
    """
    (first, _), (last, is_plain) = _bar(rows), _bar(rows[::-1])
    return first if last else 0, last, is_plain


def _bar(rows: NDArray[np.uint8]) -> tuple[int, bool]:
    """Rows that a bar along the first one takes, with its edge, and if it is plain."""
    colour, half = np.median(rows[0], axis=0), len(rows) // 2
    thick, place = 0, 0
    while place < half and (share := _like(rows[place], colour)) >= TEXT_SHARE:
        place += 1
        if share >= BAR_SHARE:
            thick = place
        elif not thick:
            break
    behind = rows[thick : thick + EDGE_PX]
    if not 0 < thick < half or _like(behind[-1], colour) > 1 - BEHIND_SHARE:
        return 0, False
    own = rows[: min(thick, EDGE_PX)].reshape(-1, rows.shape[-1])
    return thick + EDGE_PX, bool(own.std(axis=0).max() <= PLAIN_LEVELS)


def _like(row: NDArray[np.uint8], colour: NDArray[np.float64]) -> float:
    """The share of a row's pixels that have a colour."""
    low, high = np.ceil(colour - BAR_LEVELS), np.floor(colour + BAR_LEVELS)
    same = cv2.inRange(row[None], tuple(low), tuple(high))
    return float(cv2.countNonZero(same) / len(row))
