"""The pixels' likelihood of each window's position: a quadratic around a given one.

Gauss-Newton on an affine warp with gain and offset projected out (Lucas and Kanade,
1981; Baker and Matthews, IJCV 2004). Gradients come from the DSLR: in the phone photo,
noise would count as texture and make the result look certain. A window is divided into
5x5 blocks; the blocks' sums give both the window's quadratic and, left over after its
affine place, the shift of every block on its own.

A place is six numbers in phone px: the shift at the window's centre, then by how much x
moves towards the right and the lower border, and y likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.pyramid import BLOCKS, Image, Level
from dped_build.patches.refinement.rows import Rows

CORRELATED_PX2 = 50.0  # neighbouring residuals are not independent; makes sigma true
CHUNK_PIXELS = 80_000  # computed at once; stays in the processor's cache
MIN_DEVIATION = 0.05  # grey levels of the DSLR's band; less holds no place
MIN_GAIN = 0.02  # of the phone's texture over the DSLR's
MIN_NCC = 0.15  # of the bands; chance gives as much to noise
MIN_VARIANCE = 1e-4  # grey levels²; identical photos leave none
CONTRADICTION = 8.0  # residual power of a block over the lower quartile of the blocks'
CONTRADICTED_SHARE = 0.5  # ... and over the block's own texture
MIN_BLOCK_PIXELS = 16  # fewer differ by as much by chance
RIDGE = 1e-6  # of the information
MAX_COLUMNS = 32_000  # that cv2.remap takes
REMAP_STEPS = np.float32(32)  # per px, to which cv2.remap rounds
GOLDEN = ((0.7549, 0.5698), (0.5698, 0.7549))  # fill the square evenly (R2 sequence)
OUTLIER = 3.0  # residuals in units of their spread, of half the weight

_REST, _ONE = 3, 4  # of the products' columns


@dataclass(frozen=True)
class Evidence(Rows):
    """Quadratics of N windows around their places, filled strip by strip with `put`.

    A change d of the place raises the log likelihood by score d - d info d / 2. Blocks
    come row by row.
    """

    score: FloatArray  # (N, 6)
    info: FloatArray  # (N, 6, 6)
    block_score: FloatArray  # (N, 25, 2), likewise of the shift of each block
    block_info: FloatArray  # (N, 25, 2, 2)
    contradicted: NDArray[np.bool_]  # (N, 25) residuals that no small shift explains


def no_evidence(count: int) -> Evidence:
    """Of `count` windows of which nothing is known."""
    return Evidence(
        np.zeros((count, 6)),
        np.zeros((count, 6, 6)),
        np.zeros((count, BLOCKS**2, 2)),
        np.zeros((count, BLOCKS**2, 2, 2)),
        np.zeros((count, BLOCKS**2), bool),
    )


def gather_evidence(
    level: Level, places: FloatArray, counted: NDArray[np.bool_] | None = None
) -> Evidence:
    """The quadratic of every window around its place (N, 6).

    Args:
        level: Both photos.
        places: Of its windows.
        counted: Which pixels count, (N, side, side) of the level; None for all.
    """
    terms = _warps(level, places)
    sums = _no_sums(len(places))
    step = max(1, CHUNK_PIXELS // (level.block * BLOCKS) ** 2)
    for first in range(0, len(places), step):
        rows = slice(first, first + step)
        mask = None if counted is None else _by_blocks(counted[rows], level.block)
        luma, along_x, along_y = _dslr_pixels(level, terms[:, rows])
        target = _phone_pixels(level, rows)
        _add_up(sums.rows(rows), target, luma, along_x, along_y, mask)
    return _evidence(sums, level.reduction)


@dataclass(frozen=True)
class _Sums(Rows):
    """Of the pixels of each block that count, K windows."""

    products: FloatArray  # (K, 25, 5, 5) weighted: x and y gradient, luma, residual, 1
    pixels: FloatArray  # (K, 25) how many
    powers: FloatArray  # (K, 25) mean square of the DSLR's luma
    both: FloatArray  # (K, 25) ... of both photos' product
    texture: FloatArray  # (K, 25) ... of the phone's square

    def gain(self) -> FloatArray:
        """Of the phone's luma over the DSLR's, (K,)."""
        return _mean(self.both, self.pixels) / self.power()

    def power(self) -> FloatArray:
        """Mean square of the DSLR's luma, not too small, (K,)."""
        return np.maximum(_mean(self.powers, self.pixels), MIN_VARIANCE)


def _no_sums(count: int) -> _Sums:
    return _Sums(np.empty((count, BLOCKS**2, 5, 5)), *np.empty((4, count, BLOCKS**2)))


def _add_up(
    sums: _Sums,
    target: Image,
    luma: Image,
    along_x: Image,
    along_y: Image,
    mask: Image | None,
) -> None:
    """Fill the sums of pixels (K, 25, n), which are overwritten."""
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


def _evidence(sums: _Sums, reduction: int) -> Evidence:
    """The windows' quadratics by the sums of their pixels."""
    gain, power = sums.gain(), sums.power()
    usable = (power > MIN_DEVIATION**2) & (gain > MIN_GAIN)
    usable &= gain > MIN_NCC * np.sqrt(_mean(sums.texture, sums.pixels) / power)
    one = sums.products[..., _ONE, _ONE].sum(axis=1)
    variance = sums.products[..., _REST, _REST].sum(axis=1) / np.maximum(one, 1e-9)
    # Textureless windows say nothing.
    weight = usable / np.maximum(variance, MIN_VARIANCE) * reduction**2 / CORRELATED_PX2
    scale = np.ones((len(gain), 1, 5))
    scale[..., :2] = gain[:, None, None] / reduction  # slopes of the phone's luma
    scale *= np.sqrt(weight)[:, None, None]
    products = sums.products * scale[..., None] * scale[..., None, :]
    score, info = _window_sums(products)
    # Rounding must not make it indefinite where all gradients are parallel.
    info += RIDGE * np.trace(info, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    blocks = products[..., :2, _REST].copy(), products[..., :2, :2].copy()
    return Evidence(score, info, *blocks, _contradicted(sums))


def _contradicted(sums: _Sums) -> NDArray[np.bool_]:
    """Which blocks contradict their window, (K, 25)."""
    # What a block's own gain leaves: light that differs locally contradicts nothing.
    own = sums.texture - sums.both**2 / np.maximum(sums.powers, MIN_VARIANCE)
    many = sums.pixels >= MIN_BLOCK_PIXELS
    typical = np.maximum(_lower_quartile(own, many), MIN_VARIANCE)
    found = many & (own > CONTRADICTION * typical[:, None])
    return found & (own > CONTRADICTED_SHARE * sums.texture)


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


def _mean(blocks: FloatArray, pixels: FloatArray) -> FloatArray:
    """Of all pixels of a window, from its blocks' means (K, 25)."""
    if (pixels == pixels[:, :1]).all():
        return np.asarray(blocks.mean(axis=1))
    return np.asarray((blocks * pixels).sum(axis=1) / np.maximum(pixels.sum(axis=1), 1))


def _lower_quartile(values: FloatArray, counted: NDArray[np.bool_]) -> FloatArray:
    """Over the blocks that count, (K, 25) → (K,); 0 where none does."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    number = counted.sum(axis=1)
    found = ordered[np.arange(len(values)), np.maximum(number - 1, 0) // 4]
    return np.where(number > 0, found, 0)


def _weighted_products(
    columns: Sequence[Image], weights: Image, found: FloatArray
) -> None:
    """Fill (K, 25, 5, 5): products of the columns and 1, summed over each block."""
    weighted = np.empty_like(weights)
    for i, column in enumerate(columns):
        np.multiply(column, weights, out=weighted)
        for j, other in enumerate(columns[: i + 1]):
            found[..., i, j] = found[..., j, i] = np.vecdot(weighted, other)
        found[..., i, _ONE] = found[..., _ONE, i] = np.vecdot(column, weights)
    found[..., _ONE, _ONE] = weights.sum(axis=2)


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


def _warps(level: Level, places: FloatArray) -> Image:
    """What x and y in the DSLR grow from, by and by along x and y: (2, N, 3) px."""
    shift, slope = places[:, :2] / level.reduction, places[:, 2:] / level.half
    matrix = np.eye(2) + slope.reshape(-1, 2, 2)
    inner = (level.corners - level.centres)[..., None]
    first = (level.centres + shift)[..., None] + matrix @ inner
    terms = np.concatenate([first, matrix], axis=2).astype(np.float32)
    return np.ascontiguousarray(terms.swapaxes(0, 1))


def _dslr_pixels(level: Level, warps: Image) -> list[Image]:
    """The DSLR's band and gradients where warps (2, K, 3) lead, (K, 25, n) each."""
    columns, dither = _coordinates(level.block)
    asked = [warp @ columns + share for warp, share in zip(warps, dither, strict=True)]
    wide = asked[0].shape[1] <= MAX_COLUMNS
    flat = [at if wide else at.reshape(-1, level.block) for at in asked]
    shape = (warps.shape[1], BLOCKS**2, level.block**2)
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


def moved(evidence: Evidence, change: FloatArray) -> Evidence:
    """The same quadratics around places that lie `change` (N, 6) further."""
    x, y = block_centres()
    shift = (
        change[:, None, :2]
        + change[:, None, [2, 4]] * x[:, None]
        + change[:, None, [3, 5]] * y[:, None]
    )  # (N, 25, 2)
    own = (evidence.block_info @ shift[..., None])[..., 0]
    whole = (evidence.info @ change[..., None])[..., 0]
    return replace(
        evidence,
        score=evidence.score - whole,
        block_score=evidence.block_score - own,
    )


# Six numbers of a place, gain, offset and residual: which column of the block sums,
# times which of 1, x, y; and the number of the product of two of those.
_COLUMN = np.array([0, 1, 0, 0, 1, 1, 2, _ONE, _REST])
_FACTOR = np.array([0, 0, 1, 2, 1, 2, 0, 0, 0])
_POWER = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])


@lru_cache(maxsize=1)
def block_centres() -> tuple[FloatArray, FloatArray]:
    """Columns and rows of the blocks' centres, -1 … 1 across a window."""
    middle = (np.arange(BLOCKS) + 0.5) / BLOCKS * 2 - 1
    x, y = np.meshgrid(middle, middle)
    return x.ravel(), y.ravel()


def _window_sums(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Score (K, 6) and info (K, 6, 6) of the affine place from block sums."""
    x, y = block_centres()
    powers = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    moments = sums.reshape(len(sums), BLOCKS**2, 25).transpose(0, 2, 1) @ powers
    normal = moments.reshape(len(sums), 5, 5, 6)[
        :, _COLUMN[:, None], _COLUMN, _POWER[_FACTOR[:, None], _FACTOR]
    ]  # (K, 9, 9)
    free, look = slice(0, 6), slice(6, 8)
    fixed = normal[:, look, look] + 1e-9 * np.eye(2)
    explained = normal[:, free, look] @ np.linalg.inv(fixed)
    score = normal[:, free, 8] - (explained @ normal[:, look, 8:])[..., 0]
    return score, normal[:, free, free] - explained @ normal[:, look, free]
