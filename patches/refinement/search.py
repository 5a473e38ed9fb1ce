"""Coarse position of every window: NCC over a square of shifts."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.compiled.loops import run
from dped_build.patches.refinement.pyramid import Image

MIN_TEXTURE = 0.1  # grey levels; OpenCV calls a flat template a perfect match
MAX_NCC = 0.995  # more is not believed
TABLE_PIXELS = 200_000  # held at once
INDEPENDENT_SHARE = 0.03  # of a band's pixels: neighbours repeat each other


def coarse_search(
    phone: Image,
    dslr: Image,
    corners: NDArray[np.integer[Any]],
    *,
    side: int,
    radius: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where each window correlates most within `radius` px.

    Args:
        phone: Band-passed luma (H, W).
        dslr: Likewise, on the same grid.
        corners: Top-left pixels of the windows (N, 2).
        side: Of a window, px.
        radius: Of the search, px.

    Returns:
        Shifts (N, 2) of the best NCC, their covariances (N, 2, 2) by how the NCC falls
        around it (along an edge slowly), and that NCC (N,).
    """
    padded = cv2.copyMakeBorder(dslr, *[radius] * 4, cv2.BORDER_CONSTANT, value=0)
    count = len(corners)
    shifts, spreads, scores = (
        np.zeros((count, 2)),
        np.zeros((count, 2, 2)),
        np.zeros(count),
    )
    step = max(1, TABLE_PIXELS // (2 * radius + 1) ** 2)
    for first in range(0, count, step):
        rows = slice(first, first + step)
        tables = _tables(phone, padded, corners[rows], side, radius)
        scores[rows] = tables.max(axis=(1, 2))
        places = _vertices(tables)
        places[scores[rows] <= 0] = radius  # no match, no shift
        shifts[rows] = places - radius
        spreads[rows] = _spreads(tables, places, INDEPENDENT_SHARE * side**2)
    return shifts, spreads, scores


def _tables(
    phone: Image,
    padded: Image,
    corners: NDArray[np.integer[Any]],
    side: int,
    radius: int,
) -> Image:
    """NCC of each window at every shift, (K, 2 radius + 1, 2 radius + 1)."""
    reach = 2 * radius
    tables = np.zeros((len(corners), reach + 1, reach + 1), np.float32)
    if run(
        "ncc_tables",
        *(np.ascontiguousarray(phone, np.float32), phone.shape[1]),
        *(np.ascontiguousarray(padded, np.float32), padded.shape[1]),
        *(len(corners), np.ascontiguousarray(corners, dtype=np.int64)),
        *(side, reach + 1, MIN_TEXTURE, tables),
    ):
        return tables
    for table, (x, y) in zip(tables, corners, strict=True):
        template = phone[y : y + side, x : x + side]
        if cv2.meanStdDev(template)[1][0, 0] < MIN_TEXTURE:
            continue  # opencv/opencv#5688
        area = padded[y : y + side + reach, x : x + side + reach]
        table[:] = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
    return tables


def _vertices(tables: Image) -> FloatArray:
    """Of the parabolas through the greatest score of each table, (K, 2) as x, y."""
    best = tables.reshape(len(tables), -1).argmax(axis=1)
    rows, columns = np.divmod(best, tables.shape[2])
    each = np.arange(len(tables))
    lines = tables[each, rows], tables[each, :, columns]  # along x, along y
    places = np.stack([columns, rows], axis=1).astype(np.float64)
    for axis, (line, at) in enumerate(zip(lines, (columns, rows), strict=True)):
        middle = np.clip(at, 1, line.shape[1] - 2)
        before, top, after = (line[each, middle + i].astype(float) for i in (-1, 0, 1))
        bend = before - 2 * top + after
        found = (middle == at) & (bend < 0)
        offset = (before - after) / (2 * np.where(found, bend, 1))
        places[:, axis] += np.where(found, np.clip(offset, -0.5, 0.5), 0)
    return places


def _spreads(tables: Image, places: FloatArray, independent: float) -> FloatArray:
    """Second moments (K, 2, 2) about `places` of the likelihood that the scores give.

    Of normal errors whose size is not known: a power of 1 - NCC².
    """
    # Through the logarithm, which is vectorised; NumPy's powers are not.
    noise = np.log(1 - np.clip(tables, 0, MAX_NCC) ** 2)
    weight = np.exp((noise.min(axis=(1, 2), keepdims=True) - noise) * (independent / 2))
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    steps = np.arange(tables.shape[1])
    x, y = steps - places[:, :1], steps - places[:, 1:]  # (N, steps)
    found = np.empty((len(tables), 2, 2))
    found[:, 0, 0] = (weight.sum(axis=1) * x**2).sum(axis=1)
    found[:, 1, 1] = (weight.sum(axis=2) * y**2).sum(axis=1)
    both = (y[:, None] @ weight @ x[:, :, None])[:, 0, 0]
    found[:, 0, 1] = found[:, 1, 0] = both
    return found
