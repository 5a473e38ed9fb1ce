"""Both photos at one size and in one band, a strip of window rows at a time.

Bands and gradients are many floats a pixel. Strips bound them whatever the photo; what
a strip is made from are the photos' grey levels, one byte a pixel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Luma = NDArray[np.uint8]
Image = NDArray[np.float32]
Band = tuple[float, float]  # sigmas, phone px: finer is noise, coarser is vignetting

BLOCKS = 5  # along each side of a window
STRIP_PIXELS = 2_000_000  # of a photo, about, held as floats at once
MIN_STRIP_ROWS = 2  # of windows; a strip's margins cost time too
REDUCED_ROWS = 64  # made at once
BLUR_REACH = 4.0  # sigmas, after which a Gaussian has ended
MIN_REDUCED_SIGMA = 2.0  # px; of the coarse blur in the picture that it is made in


@dataclass(frozen=True)
class Level:
    """N windows of both photos at one reduction, in one band."""

    target: Image  # the phone's band, (H, W)
    source: tuple[Image, Image, Image]  # the DSLR's on the same grid, and its gradients
    centres: FloatArray  # (N, 2) px of this level
    corners: NDArray[np.intp]  # (N, 2) top-left pixels of the blocks
    block: int  # side of a block, px of this level
    reduction: int  # phone px per px of this level
    half: float  # of a window's side, phone px


def strips_of_levels(
    phone: Luma,
    dslr: Luma,
    windows: NDArray[np.int32],
    size: int,
    *,
    reduction: int,
    bands: Sequence[Band],
    reach: float,
) -> Iterator[tuple[NDArray[np.intp], list[Level]]]:
    """Strip by strip: which windows it holds, ascending, and a level for each band.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid, (H, W).
        windows: Top-left pixels (N, 2).
        size: Side of a window, px.
        reduction: Of the levels, a whole number.
        bands: Of the levels.
        reach: How far a window may be displaced, phone px.
    """
    height, width = phone.shape
    rows = max(STRIP_PIXELS // (width * size), MIN_STRIP_ROWS)
    number = (windows[:, 1] - windows[:, 1].min(initial=height)) // (rows * size)
    margin = int(np.ceil(reach + BLUR_REACH * max(coarse for _, coarse in bands)))
    for strip in np.unique(number):
        own = np.flatnonzero(number == strip)
        first = max(int(windows[own, 1].min()) - margin, 0)
        # Whole steps of every blur's reduced picture: strips then agree.
        first -= first % (reduction * 16)
        last = min(int(windows[own, 1].max()) + size + margin, height)
        whole = [reduced(luma[first:last], reduction) for luma in (phone, dslr)]
        inside = windows[own] - (0, first)
        yield own, [_level(*whole, inside, size, reduction, band) for band in bands]


def reduced(luma: Luma, reduction: int) -> Image:
    """As floats, smaller by `reduction`; rows and columns left over are cut off."""
    if reduction == 1:
        return luma.astype(np.float32)
    height, width = (side // reduction for side in luma.shape)
    found = np.empty((height, width), np.float32)
    for top in range(0, height, REDUCED_ROWS):
        part = found[top : top + REDUCED_ROWS]
        rows = slice(top * reduction, (top + len(part)) * reduction)
        exact = luma[rows, : width * reduction].astype(np.float32)
        cv2.resize(exact, (width, len(part)), part, interpolation=cv2.INTER_AREA)
    return found


def band_pass(luma: Image, band: Band, reduction: int) -> Image:
    """Luma without noise and without what vignetting and tone curves change.

    Args:
        luma: Reduced by `reduction`, (H, W).
        band: Sigmas in px of the photo that is not reduced.
        reduction: Of `luma`.
    """
    fine, coarse = (sigma / reduction for sigma in band)
    # The coarse blur leaves nothing that a smaller picture could not hold.
    less = max(1, int(coarse / MIN_REDUCED_SIGMA))
    size = luma.shape[::-1]
    small = [max(round(side / less), 1) for side in size]
    away = cv2.resize(luma, small, interpolation=cv2.INTER_AREA)
    away = cv2.GaussianBlur(away, (0, 0), coarse / less)
    away = cv2.resize(away, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.subtract(cv2.GaussianBlur(luma, (0, 0), fine), away))


def _level(
    phone: Image,
    dslr: Image,
    windows: NDArray[np.int32],
    size: int,
    reduction: int,
    band: Band,
) -> Level:
    centres = (windows + size / 2) / reduction - 0.5
    block = max(size // reduction // BLOCKS, 1)
    limits = np.array(phone.shape[::-1]) - block * BLOCKS
    corners = np.rint(centres - (block * BLOCKS - 1) / 2).astype(np.intp)
    source = band_pass(dslr, band, reduction)
    slope, one = np.array([-0.5, 0, 0.5]), np.ones(1)
    gradients = (
        cv2.sepFilter2D(source, cv2.CV_32F, *kernels)
        for kernels in ((slope, one), (one, slope))
    )
    return Level(
        band_pass(phone, band, reduction),
        (source, *gradients),
        centres,
        np.clip(corners, 0, np.maximum(limits, 0)),
        block,
        reduction,
        size / 2,
    )
