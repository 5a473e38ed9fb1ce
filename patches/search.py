"""A first, coarse place for every window: NCC over a square of shifts."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Image = NDArray[np.float32]

MIN_TEXTURE = 0.1  # grey levels; OpenCV calls a flat template a perfect match
MAX_NCC = 0.995  # more is not believed
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

    Returns:
        Shifts (N, 2) of the best NCC, their covariances (N, 2, 2) as the NCC falls
        around it (along an edge slowly), and that NCC (N,).

    Args:
        phone: Band-passed luma (H, W).
        dslr: Likewise, on the same grid.
        corners: Top-left pixels of the windows (N, 2).
        side: Of a window, px.
        radius: Of the search, px.
    """
    padded = cv2.copyMakeBorder(dslr, *[radius] * 4, cv2.BORDER_CONSTANT, value=0)
    shifts, scores = np.zeros((len(corners), 2)), np.zeros(len(corners))
    spreads = np.zeros((len(corners), 2, 2))
    grid = np.stack(np.meshgrid(*[np.arange(2 * radius + 1.0)] * 2), axis=-1)
    for i, (x, y) in enumerate(corners):
        template = phone[y : y + side, x : x + side]
        area = padded[y : y + side + 2 * radius, x : x + side + 2 * radius]
        if template.std() < MIN_TEXTURE:
            continue  # opencv/opencv#5688
        table = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
        _, scores[i], _, peak = cv2.minMaxLoc(table)
        place = _subpixel(table, peak)
        shifts[i] = place - radius
        # Normal errors, their size unknown: the likelihood is a power of 1 - NCC².
        noise = 1 - np.clip(table, 0, MAX_NCC) ** 2
        weight = (noise.min() / noise) ** (INDEPENDENT_SHARE * side**2 / 2)
        away = (grid - place) * weight[..., None]
        spreads[i] = np.einsum("yxi,yxj->ij", away, grid - place) / weight.sum()
    return shifts, spreads, scores


def _subpixel(table: Image, peak: tuple[int, int]) -> FloatArray:
    """Vertex of the parabolas through the peak of a score table."""
    place = np.array(peak, dtype=np.float64)
    for axis, (at, length) in enumerate(zip(peak, table.shape[::-1], strict=True)):
        if 0 < at < length - 1:
            line = table[peak[1]] if axis == 0 else table[:, peak[0]]
            before, top, after = (float(v) for v in line[at - 1 : at + 2])
            bend = before - 2 * top + after
            if bend < 0:
                place[axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return place
