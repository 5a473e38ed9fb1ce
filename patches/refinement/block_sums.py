"""Sums over the pixels of each block of a window that both photos show.

A window's pixels are taken from the phone, and from the DSLR where the window's place
leads (cubic interpolation). In C, where that is compiled; else by OpenCV and NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.compiled.loops import run
from dped_build.patches.refinement.pyramid import BLOCKS, Image, Level
from dped_build.patches.refinement.rows import Rows

CHUNK_PIXELS = 80_000  # computed at once; stays in the processor's cache
MIN_VARIANCE = 1e-4  # grey levels²; identical photos leave none
MAX_COLUMNS = 32_000  # that cv2.remap takes
REMAP_STEPS = np.float32(32)  # per px, to which cv2.remap rounds
GOLDEN = ((0.7549, 0.5698), (0.5698, 0.7549))  # fill the square evenly (R2 sequence)
OUTLIER = 3.0  # residuals in units of their spread, of half the weight

REST, ONE = 3, 4  # of the products' columns


@dataclass(frozen=True)
class BlockSums(Rows):
    """Of the pixels of each block that count, K windows."""

    products: FloatArray  # (K, 25, 5, 5) weighted: x and y gradient, luma, residual, 1
    pixels: FloatArray  # (K, 25) how many
    powers: FloatArray  # (K, 25) mean square of the DSLR's luma
    both: FloatArray  # (K, 25) ... of both photos' product
    texture: FloatArray  # (K, 25) ... of the phone's square

    def gain(self) -> FloatArray:
        """Of the phone's luma over the DSLR's, (K,)."""
        return mean_of_blocks(self.both, self.pixels) / self.power()

    def power(self) -> FloatArray:
        """Mean square of the DSLR's luma, not too small, (K,)."""
        return np.maximum(mean_of_blocks(self.powers, self.pixels), MIN_VARIANCE)


def block_sums(
    level: Level, places: FloatArray, counted: NDArray[np.bool_] | None = None
) -> BlockSums:
    """The sums of every window at its place (N, 6).

    Args:
        level: Both photos.
        places: Of its windows.
        counted: Which pixels count, (N, side, side) of the level; None for all.
    """
    displacements = _displacements(level, places)
    sums = _no_sums(len(places))
    compiled = run(
        "block_sums",
        level.target,
        *level.source,
        *level.target.shape,
        level.block,
        len(places),
        np.ascontiguousarray(level.corners, dtype=np.int64),
        displacements,
        None if counted is None else np.ascontiguousarray(counted),
        *(getattr(sums, field.name) for field in fields(BlockSums)),
    )
    if not compiled:
        _sum_in_chunks(level, displacements, counted, sums)
    return sums


def _sum_in_chunks(
    level: Level,
    displacements: Image,
    counted: NDArray[np.bool_] | None,
    sums: BlockSums,
) -> None:
    step = max(1, CHUNK_PIXELS // (level.block * BLOCKS) ** 2)
    for first in range(0, len(sums.pixels), step):
        rows = slice(first, first + step)
        mask = None if counted is None else _by_blocks(counted[rows], level.block)
        dslr = _dslr_pixels(level, displacements[:, rows], level.corners[rows])
        _add_up(sums.rows(rows), _phone_pixels(level, rows), dslr, mask)


def _no_sums(count: int) -> BlockSums:
    return BlockSums(
        np.empty((count, BLOCKS**2, 5, 5)), *np.empty((4, count, BLOCKS**2))
    )


def _add_up(
    sums: BlockSums,
    target: Image,
    dslr: Sequence[Image],
    mask: Image | None,
) -> None:
    """Fill the sums of pixels (K, 25, n), which are overwritten."""
    luma, along_x, along_y = dslr
    sums.pixels[:] = target.shape[2] if mask is None else mask.sum(axis=2)
    # Of what all pixels' mean must be divided by where only some count.
    share = np.maximum(sums.pixels.mean(axis=1) / target.shape[2], 1e-6)[:, None, None]
    for values in (luma, target):
        _centre(values, mask, share)
    each = np.maximum(sums.pixels, 1)
    np.divide(np.vecdot(luma, luma), each, out=sums.powers)
    np.divide(np.vecdot(luma, target), each, out=sums.both)
    np.divide(np.vecdot(target, target), each, out=sums.texture)
    weights = luma * sums.gain().astype(np.float32)[:, None, None]
    rest = np.subtract(target, weights, out=target)
    # 1.25: the standard deviation of normal errors over their mean size.
    spread = np.abs(rest, out=weights).mean(axis=(1, 2), keepdims=True)
    spread = 1.25 * (spread if mask is None else spread / share) + 1e-3
    np.multiply(rest, (1 / (OUTLIER * spread)).astype(np.float32), out=weights)
    weights *= weights
    weights += 1
    np.divide(1, weights, out=weights)
    if mask is not None:
        weights *= mask
    _weighted_products((along_x, along_y, luma, rest), weights, sums.products)


def _by_blocks(counted: NDArray[np.bool_], block: int) -> Image:
    """Masks (K, side, side) as 0 and 1, (K, 25, pixels of a block)."""
    return _in_blocks(counted, block).astype(np.float32)


def _in_blocks(values: NDArray[Any], block: int) -> NDArray[Any]:
    """Squares (K, side, side) block by block, (K, 25, pixels of a block)."""
    squares = values.reshape(-1, BLOCKS, block, BLOCKS, block).swapaxes(2, 3)
    return squares.reshape(-1, BLOCKS**2, block**2)


def _centre(values: Image, mask: Image | None, share: FloatArray) -> None:
    """Take a window's mean out, in place; pixels that do not count become 0."""
    if mask is None:
        values -= values.mean(axis=(1, 2), keepdims=True)
        return
    values *= mask
    values -= (values.mean(axis=(1, 2), keepdims=True) / share).astype(np.float32)
    values *= mask


def mean_of_blocks(blocks: FloatArray, pixels: FloatArray) -> FloatArray:
    """Of all pixels of a window, from its blocks' means (K, 25)."""
    if (pixels == pixels[:, :1]).all():
        return np.asarray(blocks.mean(axis=1))
    return np.asarray((blocks * pixels).sum(axis=1) / np.maximum(pixels.sum(axis=1), 1))


def _weighted_products(
    columns: Sequence[Image], weights: Image, found: FloatArray
) -> None:
    """Fill (K, 25, 5, 5): products of the columns and 1, summed over each block."""
    weighted = np.empty_like(weights)
    for i, column in enumerate(columns):
        np.multiply(column, weights, out=weighted)
        for j, other in enumerate(columns[: i + 1]):
            found[..., i, j] = found[..., j, i] = np.vecdot(weighted, other)
        found[..., i, ONE] = found[..., ONE, i] = np.vecdot(column, weights)
    found[..., ONE, ONE] = weights.sum(axis=2)


def _phone_pixels(level: Level, rows: slice) -> Image:
    """The phone's band, (K, 25, pixels of a block)."""
    block, target = level.block, level.target
    height, width = (side - BLOCKS * block + 1 for side in target.shape)
    down, right = target.strides
    # Every window that there is: blocks' rows and columns, then pixels'.
    windows = as_strided(
        target,
        (height, width, BLOCKS, BLOCKS, block, block),
        (down, right, block * down, block * right, down, right),
        writeable=False,
    )
    x, y = level.corners[rows].T
    return np.asarray(windows[y, x].reshape(len(x), BLOCKS**2, block**2))


def _displacements(level: Level, places: FloatArray) -> Image:
    """How far x and y of a window's first pixel move, and by how much more each next.

    Along x and along y: (2, N, 3) px of the level.
    """
    slope = (places[:, 2:] / level.half).reshape(-1, 2, 2)
    inner = (level.corners - level.centres)[..., None]
    first = (places[:, :2] / level.reduction)[..., None] + slope @ inner
    terms = np.concatenate([first, slope], axis=2).astype(np.float32)
    return np.ascontiguousarray(terms.swapaxes(0, 1))


def _dslr_pixels(
    level: Level, displacements: Image, corners: NDArray[np.intp]
) -> list[Image]:
    """The DSLR's band and gradients where windows are displaced, (K, 25, n) each."""
    columns, dither = _coordinates(level.block)
    asked = []
    for axis, moved in enumerate(displacements):
        at = corners[:, axis : axis + 1].astype(np.float32) + columns[1 + axis]
        asked.append(at + moved @ columns + dither[axis])
    wide = asked[0].shape[1] <= MAX_COLUMNS
    flat = [at if wide else at.reshape(-1, level.block) for at in asked]
    shape = (len(corners), BLOCKS**2, level.block**2)
    found = [
        cv2.remap(
            image, *flat, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        ).reshape(shape)
        for image in level.source
    ]
    for along, at, share in zip(found[1:], asked, dither, strict=True):
        missed = _missed(at)
        missed -= share
        missed *= along.reshape(missed.shape)
        found[0] += missed.reshape(shape)
    return found


@lru_cache(maxsize=8)
def _coordinates(block: int) -> tuple[Image, Image]:
    """Of a window's n pixels, block by block: 1, x and y, (3, n), and dither, (2, n).

    The dither, shares of cv2.remap's step, is spread evenly over a window. Without it
    all pixels of a window step to the next place at once.
    """
    y, x = np.indices((BLOCKS * block, BLOCKS * block), dtype=np.float64)
    shares = [((x * p + y * q) % 1 - 0.5) / REMAP_STEPS for p, q in GOLDEN]
    every = _in_blocks(np.stack([np.ones_like(x), x, y, *shares]), block)
    flat = every.reshape(len(every), -1).astype(np.float32)
    return flat[:3], flat[3:]


def _missed(asked: Image) -> Image:
    """`asked` less where a ramp has the value that cv2.remap gives for it, px.

    It rounds the place, and its cubic kernel (a = -0.75) does not keep ramps straight.
    """
    place = np.multiply(asked, REMAP_STEPS)
    np.rint(place, out=place)
    place *= 1 / REMAP_STEPS
    missed = asked - place
    place -= np.floor(place)
    # For the part p of a pixel: p (1 - p) (1 - 2p) / 2.
    bend = place - np.float32(1.5)
    bend *= place
    bend += np.float32(0.5)
    bend *= place
    missed -= bend
    return np.asarray(missed)
