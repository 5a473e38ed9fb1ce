"""Both photos at one pyramid level, band-passed, a strip of window rows at a time.

Bands and gradients are many floats a pixel. Strips bound them whatever the photo; what
a strip is made from are the photos' grey levels.

The gradient along an edge must be zero whichever way the edge runs, or the fit slides
along it. Plain differences are not: they weaken fine detail by its frequency along each
axis. So luma and gradients come from filters that are matched to each other (Farid and
Simoncelli, "Differentiation of discrete multidimensional signals", 2004, three taps).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.align.sampling import FINE
from dped_build.compiled.loops import run

Luma = NDArray[np.uint8]
Image = NDArray[np.float32]
Fine = NDArray[np.uint16] | Image  # grey levels times FINE, or not rounded

BLOCKS = 5  # along each side of a window
COARSE_SIGMA = 5.0  # phone px; what is coarser is vignetting and tone curves
SMOOTH = np.array([0.229879, 0.540242, 0.229879])
SLOPE = np.array([-0.425287, 0, 0.425287])
FILTERS = (SMOOTH, SMOOTH), (SLOPE, SMOOTH), (SMOOTH, SLOPE)  # along x, along y
STRIP_PIXELS = 1_000_000  # of a level, about, held as floats at once
MIN_STRIP_ROWS = 2  # of windows; a strip's margins cost time too
REDUCED_ROWS = 64  # made at once
BLUR_REACH = 4.0  # sigmas, after which a Gaussian has ended
MIN_REDUCED_SIGMA = 2.0  # px; of the coarse blur in the picture that it is made in
COARSE_REACH = 10  # px of that picture; four of its sigmas


@dataclass(frozen=True)
class Level:
    """N windows of both photos at one reduction."""

    target: Image  # the phone's band, (H, W)
    source: tuple[Image, Image, Image]  # the DSLR's on the same grid, and its gradients
    centres: FloatArray  # (N, 2) px of this level
    corners: NDArray[np.intp]  # (N, 2) top-left pixels of the blocks
    block: int  # side of a block, px of this level
    reduction: int  # phone px per px of this level
    half: float  # of a window's side, phone px

    def rows(self, chosen: NDArray[np.intp]) -> "Level":
        """The same photos with these windows alone."""
        corners, centres = self.corners[chosen], self.centres[chosen]
        return replace(self, corners=corners, centres=centres)


def strips_of_levels(
    phone: Luma,
    dslr: Fine,
    windows: NDArray[np.int32],
    size: int,
    *,
    reduction: int,
    reach: float,
) -> Iterator[tuple[NDArray[np.intp], Level]]:
    """Strip by strip: which windows it holds, ascending, and their level.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid, (H, W).
        windows: Top-left pixels (N, 2).
        size: Side of a window, px.
        reduction: Of the levels, a whole number.
        reach: How far a window may be displaced, phone px.
    """
    height, width = phone.shape
    rows = max(STRIP_PIXELS * reduction**2 // (width * size), MIN_STRIP_ROWS)
    number = (windows[:, 1] - windows[:, 1].min(initial=height)) // (rows * size)
    margin = int(np.ceil(reach + BLUR_REACH * COARSE_SIGMA))
    for strip in np.unique(number):
        own = np.flatnonzero(number == strip)
        first = max(int(windows[own, 1].min()) - margin, 0)
        # Whole steps of every blur's reduced picture: strips then agree.
        first -= first % (reduction * 16)
        last = min(int(windows[own, 1].max()) + size + margin, height)
        inside = np.asarray(windows[own] - (0, first), dtype=np.int32)
        one, other = (luma[first:last] for luma in (phone, dslr))
        if reduction > 1:
            one, other = (reduced(luma, reduction) for luma in (one, other))
        yield own, _level(one, other, inside, size, reduction)


def levels(luma: Luma | Fine) -> Image:
    """Grey levels as floats."""
    found = luma.astype(np.float32, copy=False)
    return found / np.float32(FINE) if luma.dtype == np.uint16 else found


def finely(luma: Fine) -> NDArray[np.uint16]:
    """Grey levels times FINE."""
    if luma.dtype == np.uint16:
        return np.asarray(luma, np.uint16)
    return np.asarray(np.rint(np.clip(luma, 0, 255) * FINE), dtype=np.uint16)


def reduced(luma: Luma | Fine, reduction: int) -> Image:
    """As floats, smaller by `reduction`; rows and columns left over are cut off."""
    if reduction == 1:
        return levels(luma)
    height, width = (side // reduction for side in luma.shape)
    if reduction % 2 == 0:
        half = np.empty((luma.shape[0] // 2, luma.shape[1] // 2), np.float32)
        if run("half_size", *_as_one_kind(luma), *luma.shape, half):
            return reduced(half, reduction // 2)
    found = np.empty((height, width), np.float32)
    for top in range(0, height, REDUCED_ROWS):
        part = found[top : top + REDUCED_ROWS]
        rows = slice(top * reduction, (top + len(part)) * reduction)
        exact = levels(luma[rows, : width * reduction])
        cv2.resize(exact, (width, len(part)), part, interpolation=cv2.INTER_AREA)
    return found


def _as_one_kind(luma: Luma | Fine) -> list[NDArray[Any] | None]:
    """As bytes, fine or floats, the others None, as the compiled loops take it."""
    kinds = (np.uint8, np.uint16, np.float32)
    whole = np.ascontiguousarray(luma)
    return [whole if luma.dtype == kind else None for kind in kinds]


def without_coarse(luma: Image, sigma: float) -> Image:
    """Luma (H, W) less its blur of `sigma` px."""
    less = _coarse_reduction(sigma)
    away = cv2.GaussianBlur(_whole(luma, less), (0, 0), sigma / less)
    if less > 1:
        size = away.shape[1] * less, away.shape[0] * less
        away = cv2.resize(away, size, interpolation=cv2.INTER_LINEAR)
        away = away[: luma.shape[0], : luma.shape[1]]
    return np.asarray(cv2.subtract(luma, away))


def _coarse_reduction(sigma: float) -> int:
    # The blur leaves nothing that a smaller picture could not hold.
    return max(1, int(sigma / MIN_REDUCED_SIGMA))


def _whole(luma: Image, reduction: int) -> Image:
    """Smaller by `reduction`; the last row and column are repeated to make whole px."""
    if reduction == 1:
        return luma
    missing = (-side % reduction for side in luma.shape)
    (below, right), edge = missing, cv2.BORDER_REPLICATE
    if below or right:
        luma = cv2.copyMakeBorder(luma, 0, below, 0, right, edge)
    size = luma.shape[1] // reduction, luma.shape[0] // reduction
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))


def _level(
    phone: Luma | Fine,
    dslr: Luma | Fine,
    windows: NDArray[np.int32],
    size: int,
    reduction: int,
) -> Level:
    centres = (windows + size / 2) / reduction - 0.5
    block = max(size // reduction // BLOCKS, 1)
    limits = np.array(phone.shape[::-1]) - block * BLOCKS
    corners = np.rint(centres - (block * BLOCKS - 1) / 2).astype(np.intp)
    sigma = COARSE_SIGMA / reduction
    (target,) = filtered(phone, sigma, 1)
    smooth, along_x, along_y = filtered(dslr, sigma, 3)
    return Level(
        target,
        (smooth, along_x, along_y),
        centres,
        np.clip(corners, 0, np.maximum(limits, 0)),
        block,
        reduction,
        size / 2,
    )


def filtered(luma: Luma | Fine, sigma: float, count: int) -> list[Image]:
    """Luma without what is coarser than `sigma` px, by the first `count` of FILTERS."""
    found = [np.empty(luma.shape, np.float32) for _ in FILTERS[:count]]
    less = _coarse_reduction(sigma)
    taps = cv2.getGaussianKernel(2 * COARSE_REACH + 1, sigma / less, cv2.CV_32F)
    sizes, halves = (*luma.shape, less), (taps[COARSE_REACH:], SMOOTH[1:], SLOPE[1:])
    missing = (None,) * (len(FILTERS) - count)
    if not run(
        "filtered_bands", *_as_one_kind(luma), *sizes, *halves, *found, *missing
    ):
        band = without_coarse(levels(luma), sigma)
        for image, (along_x, along_y) in zip(found, FILTERS, strict=False):
            cv2.sepFilter2D(band, cv2.CV_32F, along_x, along_y, image)
    return found
