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
STRIP_ROWS = 64  # fused at once

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
    x: Image  # displacement
    y: Image
    trusted: bool


def fused(placed: Sequence[PlacedWindows], box: Box) -> tuple[Image, Mask, Mask]:
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
        parts = [part for grid in placed for part in _parts(grid, box, rows)]
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
        for best, own in zip(
            (surest, at_x, at_y), (weight, part.x, part.y), strict=True
        ):
            np.copyto(best[here], own, where=surer)
    told, trusted, asked, sum_x, sum_y = np.zeros((5, *shape), np.float32)
    for part in parts:
        here = part.here
        alike = np.hypot(part.x - at_x[here], part.y - at_y[here]) < ALIKE_PX
        weight = part.weight * (alike & part.tells)
        told[here] += weight
        if part.trusted:
            trusted[here] += weight
        # Asked are also those of the same surface that have the pixel hidden.
        asked[here] += part.weight * (alike | part.tells)
        sum_x[here] += weight * part.x
        sum_y[here] += weight * part.y
    known = surest > 0
    told[~known] = 1
    mean = np.stack([sum_x / told, sum_y / told], axis=-1)
    return mean, known, known & (2 * trusted > asked)


def _parts(placed: PlacedWindows, box: Box, rows: slice) -> Iterator[_Part]:
    """What windows say of these rows of the box."""
    size, found, count = placed.size, placed.found, rows.stop - rows.start
    taper = _taper(size)
    unit = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    sigma = np.minimum(found.sigma_px, UNKNOWN_PX)
    sure = (1 / (sigma**2 + FLOOR_PX**2)).astype(np.float32)
    tops = placed.corners[:, 1] - box[1] - rows.start
    for number in np.flatnonzero((tops > -size) & (tops < count)):
        left, top = int(placed.corners[number, 0]) - box[0], int(tops[number])
        first, last = max(top, 0), min(top + size, count)
        inner = slice(first - top, last - top)
        shift = found.shift[number].astype(np.float32)
        linear = found.linear[number].astype(np.float32)
        x, y = (
            slope[0] * unit + (slope[1] * unit[inner] + middle)[:, None]
            for middle, slope in zip(shift, linear, strict=True)
        )
        yield _Part(
            (slice(first, last), slice(left, left + size)),
            taper[inner] * sure[number],
            unpacked(placed.bits[number : number + 1], size)[0, inner],
            x,
            y,
            bool(placed.trusted[number]),
        )


def _taper(size: int) -> Image:
    """Weights of a window's pixels, (S, S): 1 in the middle, least at the border."""
    along = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    along = np.maximum(along, LEAST_TAPER)
    return np.outer(along, along).astype(np.float32)


def fill(shift: Image, known: Mask) -> None:
    """Fill the gaps of a displacement (H, W, 2), 0 there, smoothly from around them.

    Averages of the known pixels at ever smaller sizes fill what is unknown at the next
    larger one (pull-push: Gortler et al., "The lumigraph", 1996).
    """
    if known.all() or not known.any():
        return
    whole = known.shape[::-1]
    size = [-(-side // 2) for side in whole]
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(shift, size, interpolation=cv2.INTER_AREA)
    around = mean / np.where(share > 0, share, 1)[..., None]
    fill(around, share > 0)
    for axis in range(2):  # one at a time, for the memory
        more = cv2.resize(around[..., axis], whole, interpolation=cv2.INTER_LINEAR)
        np.copyto(shift[..., axis], more, where=~known)
