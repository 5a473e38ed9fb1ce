"""Overlapping windows that were placed one by one → one displacement of every pixel.

Windows that place a pixel alike are averaged: in proportion to how sure they are, and
less towards their borders, so that no window's border shows. A pixel on which windows
of two surfaces meet goes with the surest of them, which keeps outlines sharp.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.borders import Box
from dped_build.patches.masks import Bits, unpacked
from dped_build.patches.refinement.placement import FLOOR_PX, Refinement
from dped_build.patches.refinement.prior import UNKNOWN_PX
from dped_build.patches.refinement.pyramid import Image

ALIKE_PX = 0.5  # between places of one surface
LEAST_TAPER = 0.02  # of a window's weight at its border, where it may be alone
STRIP_ROWS = 256  # fused at once

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PlacedWindows:
    """K windows, or surfaces in windows, that were placed on one grid."""

    corners: NDArray[np.int32]  # (K, 2) top-left phone px
    found: Refinement
    trusted: Mask  # (K,) as those that make patches
    bits: Bits  # which of their pixels are valid, packed
    size: int


@dataclass(frozen=True)
class _Part:
    """What one window says of some rows of the fused picture."""

    here: tuple[slice, slice]  # of these rows
    weight: Image
    tells: Mask  # where it is valid
    shift: tuple[Image, Image]  # x, y
    trusted: bool


def fused(
    placed: Sequence[PlacedWindows], box: Box
) -> tuple[Image, Mask, Mask]:
    """The displacement of every pixel of a box, px on the phone's grid.

    Args:
        placed: Windows inside the box, on several grids.
        box: Left, top, width and height, phone px.

    Returns:
        The displacement (H, W, 2); where any window tells it, (H, W), else it is 0; and
        where it is valid, (H, W): trusted windows that tell it outweigh those that
        have the pixel hidden, or elsewhere.
    """
    height, width = box[3], box[2]
    shift = np.zeros((height, width, 2), np.float32)
    known, valid = np.zeros((2, height, width), bool)
    for first in range(0, height, STRIP_ROWS):
        rows = slice(first, min(first + STRIP_ROWS, height))
        parts = list(_parts(placed, box, rows))
        shift[rows], known[rows], valid[rows] = _fused_rows(
            parts, (rows.stop - first, width)
        )
    return shift, known, valid


def _fused_rows(
    parts: Sequence[_Part], shape: tuple[int, int]
) -> tuple[Image, Mask, Mask]:
    surest, at_x, at_y = np.zeros((3, *shape), np.float32)
    for part in parts:
        weight, here = part.weight * part.tells, part.here
        surer = weight > surest[here]
        for best, own in ((surest, weight), (at_x, part.shift[0]), (at_y, part.shift[1])):
            np.copyto(best[here], own, where=surer)
    alike, hidden, other, trusted = np.zeros((4, *shape), np.float32)
    sums = np.zeros((*shape, 2), np.float32)
    for part in parts:
        here = part.here
        x, y = part.shift
        near = np.hypot(x - at_x[here], y - at_y[here]) < ALIKE_PX
        own = part.weight * (near & part.tells)
        alike[here] += own
        hidden[here] += part.weight * (near & ~part.tells)
        other[here] += part.weight * (part.tells & ~near)
        if part.trusted:
            trusted[here] += own
        sums[here][..., 0] += own * x
        sums[here][..., 1] += own * y
    known = surest > 0
    mean = sums / np.where(known, alike, 1)[..., None]
    return mean, known, known & (2 * trusted > alike + hidden + other)


def _parts(
    placed: Sequence[PlacedWindows], box: Box, rows: slice
) -> Iterator[_Part]:
    """What all windows say of these rows of the box."""
    for windows in placed:
        size = windows.size
        taper = _taper(size)
        unit = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
        confidence = 1 / (np.minimum(windows.found.sigma_px, UNKNOWN_PX) ** 2 + FLOOR_PX**2)
        top = windows.corners[:, 1] - box[1] - rows.start
        within = np.flatnonzero((top > -size) & (top < rows.stop - rows.start))
        tells = unpacked(windows.bits[within], size)
        for one, number in enumerate(within):
            left = int(windows.corners[number, 0]) - box[0]
            first, last = max(top[number], 0), min(top[number] + size, rows.stop - rows.start)
            inner = slice(first - top[number], last - top[number])
            shift, linear = (
                a[number].astype(np.float32)
                for a in (windows.found.shift, windows.found.linear)
            )
            yield _Part(
                (slice(first, last), slice(left, left + size)),
                taper[inner] * np.float32(confidence[number]),
                tells[one, inner],
                tuple(
                    along[0] * unit + (along[1] * unit[inner] + middle)[:, None]
                    for middle, along in zip(shift, linear, strict=True)
                ),
                bool(windows.trusted[number]),
            )


def _taper(size: int) -> Image:
    """Weights of a window's pixels, (S, S): 1 in the middle, least at the border."""
    along = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    along = np.maximum(along, LEAST_TAPER)
    return np.outer(along, along).astype(np.float32)


def filled(shift: Image, known: Mask) -> Image:
    """The displacement with its gaps filled smoothly from around them, (H, W, 2).

    Averages of the known pixels at ever smaller sizes fill what is unknown at the next
    larger one (pull-push: Gortler et al., "The lumigraph", 1996).
    """
    if known.all() or not known.any():
        return shift
    size = tuple(-(-side // 2) for side in known.shape[::-1])
    weight = known.astype(np.float32)
    part = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(shift * weight[..., None], size, interpolation=cv2.INTER_AREA)
    mean /= np.where(part > 0, part, 1)[..., None]
    around = filled(mean, part > 0)
    around = cv2.resize(around, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], shift, around)
