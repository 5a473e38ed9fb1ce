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

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.pyramid import BLOCKS, Image, Level
from dped_build.patches.refinement.rows import Rows

CORRELATED_PX2 = 50.0  # neighbouring residuals are not independent; makes sigma true
CHUNK_PIXELS = 40_000  # computed at once; stays in the processor's cache
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

_REST, _ONE = 3, 4  # of the block sums' columns


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
    found = no_evidence(len(places))
    step = max(1, CHUNK_PIXELS // (level.block * BLOCKS) ** 2)
    for first in range(0, len(places), step):
        rows = slice(first, first + step)
        mask = None if counted is None else _by_blocks(counted[rows], level.block)
        sums, variance, contradicted = _block_sums(level, places[rows], rows, mask)
        # Textureless windows have no variance here and say nothing.
        weight = np.divide(1, variance, out=np.zeros_like(variance), where=variance > 0)
        sums *= (weight * level.reduction**2 / CORRELATED_PX2)[:, None, None, None]
        blocks = sums[..., :2, _REST], sums[..., :2, :2]
        score, info = _window_sums(sums)
        # Rounding must not make it indefinite where all gradients are parallel.
        ridge = RIDGE * np.trace(info, axis1=1, axis2=2)[:, None, None] * np.eye(6)
        found.put(rows, Evidence(score, info + ridge, *blocks, contradicted))
    return found


def _block_sums(
    level: Level, places: FloatArray, rows: slice, mask: Image | None
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Weighted products of (x gradient, y gradient, luma, residual, 1), by blocks.

    Returns:
        Sums (K, 25, 5, 5), the residuals' variance (K,), 0 without texture, and which
        blocks contradict their window (K, 25).
    """
    target = _phone_pixels(level, rows)
    luma, along_x, along_y = _dslr_pixels(level, places, rows)
    every = np.full(target.shape[:2], target.shape[2])
    pixels = every if mask is None else mask.sum(axis=2, dtype=np.float64)
    # Of what all pixels' mean must be divided by where only some count.
    share = np.maximum(pixels.sum(axis=1) / every.sum(axis=1), 1e-6)[:, None, None]
    for values in (luma, target):
        _centre(values, mask, share)
    powers, both, texture = (
        _dot(one, other) / np.maximum(pixels, 1)
        for one, other in ((luma, luma), (luma, target), (target, target))
    )  # (K, 25)
    power = np.maximum(_mean(powers, pixels), MIN_VARIANCE)
    gain = _mean(both, pixels) / power
    usable = (power > MIN_DEVIATION**2) & (gain > MIN_GAIN)
    usable &= gain > MIN_NCC * np.sqrt(_mean(texture, pixels) / power)
    rest = target - gain.astype(np.float32)[:, None, None] * luma
    # 1.25: the standard deviation of normal errors over their mean size.
    spread = np.abs(rest).mean(axis=(1, 2), keepdims=True)
    spread = 1.25 * (spread if mask is None else spread / share) + 1e-3
    weights = 1 / (1 + (rest * (1 / (OUTLIER * spread))) ** 2)
    if mask is not None:
        weights = (weights * mask).astype(np.float32)

    sums = _weighted_products((along_x, along_y, luma, rest), weights)
    scale = np.ones((len(gain), 5))
    scale[:, :2] = gain[:, None] / level.reduction  # slopes of the phone's luma
    sums *= scale[:, None, :, None] * scale[:, None, None]
    total = np.maximum(sums[:, :, _ONE, _ONE].sum(axis=1), 1e-9)
    variance = sums[:, :, _REST, _REST].sum(axis=1) / total
    # What a block's own gain leaves: light that differs locally contradicts nothing.
    own = texture - both**2 / np.maximum(powers, MIN_VARIANCE)
    many = pixels >= MIN_BLOCK_PIXELS
    typical = np.maximum(_lower_quartile(own, many), MIN_VARIANCE)
    contradicted = many & (own > CONTRADICTION * typical[:, None])
    contradicted &= own > CONTRADICTED_SHARE * texture
    return sums, np.where(usable, np.maximum(variance, MIN_VARIANCE), 0), contradicted


def _by_blocks(counted: NDArray[np.bool_], block: int) -> Image:
    """Masks (K, side, side) as 0 and 1, (K, 25, pixels of a block)."""
    x, y = _block_pixels(block)
    return counted[:, y, x].astype(np.float32)


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
    if counted.all():
        return np.asarray(np.percentile(values, 25, axis=1))
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    number = counted.sum(axis=1)
    found = ordered[np.arange(len(values)), np.maximum(number - 1, 0) // 4]
    return np.where(number > 0, found, 0)


def _weighted_products(columns: Sequence[Image], weights: Image) -> FloatArray:
    """Of the columns and 1, summed over the pixels of each block: (K, 25, 5, 5)."""
    count = len(columns) + 1
    found = np.empty((*weights.shape[:2], count, count))
    for i, column in enumerate(columns):
        weighted = column * weights
        for j, other in enumerate(columns[: i + 1]):
            found[..., i, j] = found[..., j, i] = _dot(weighted, other)
        found[..., i, -1] = found[..., -1, i] = weighted.sum(axis=2)
    found[..., -1, -1] = weights.sum(axis=2)
    return found


def _dot(one: Image, other: Image) -> FloatArray:
    """Products summed over the pixels of each block: (K, 25, pixels) → (K, 25)."""
    return np.asarray(np.einsum("kbp,kbp->kb", one, other), dtype=np.float64)


def _phone_pixels(level: Level, rows: slice) -> Image:
    """The phone's band, (K, 25, pixels of a block)."""
    x, y = _block_pixels(level.block)
    width = level.target.shape[1]
    corner = level.corners[rows] @ (1, width)
    place = corner[:, None, None] + (y * width + x)
    return np.asarray(level.target.ravel()[place])


@lru_cache(maxsize=8)
def _block_pixels(block: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns and rows of a window's pixels: (25, pixels of a block)."""
    y, x = np.indices((BLOCKS * block, BLOCKS * block), dtype=np.intp)
    shape = (BLOCKS, block, BLOCKS, block)
    order = (0, 2, 1, 3)
    flat = (BLOCKS**2, block**2)
    return (
        x.reshape(shape).transpose(order).reshape(flat),
        y.reshape(shape).transpose(order).reshape(flat),
    )


def _dslr_pixels(level: Level, places: FloatArray, rows: slice) -> list[Image]:
    """The DSLR's band and gradients at the windows' places, (K, 25, pixels) each."""
    x, y = _block_pixels(level.block)
    corners, centres = level.corners[rows], level.centres[rows]
    offset = (corners - centres).astype(np.float32)[..., None, None]
    from_x = x.astype(np.float32) + offset[:, 0]
    from_y = y.astype(np.float32) + offset[:, 1]
    middle = centres.astype(np.float32)[..., None, None]
    step = (places / level.reduction).astype(np.float32)
    step[:, 2:] *= level.reduction / level.half
    step = step[..., None, None]
    at_x = (middle[:, 0] + step[:, 0]) + (1 + step[:, 2]) * from_x + step[:, 3] * from_y
    at_y = (middle[:, 1] + step[:, 1]) + step[:, 4] * from_x + (1 + step[:, 5]) * from_y
    columns = at_x.shape[2] if at_x.shape[2] <= MAX_COLUMNS else level.block
    flat = (-1, columns)
    wanted = at_x, at_y
    asked = [
        at + dither for at, dither in zip(wanted, _dither(level.block), strict=True)
    ]
    luma, along_x, along_y = (
        cv2.remap(
            image,
            *(at.reshape(flat) for at in asked),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(at_x.shape)
        for image in level.source
    )
    for along, at, place in zip((along_x, along_y), wanted, asked, strict=True):
        luma += along * (at - _place_read(place))
    return [luma, along_x, along_y]


@lru_cache(maxsize=8)
def _dither(block: int) -> tuple[Image, Image]:
    """Shares of cv2.remap's step, evenly spread over a window: (25, pixels) each.

    Without them all pixels of a window step to the next place at once.
    """
    x, y = _block_pixels(block)
    shares = ((x * p + y * q) % 1 - 0.5 for p, q in GOLDEN)
    one, other = ((share / REMAP_STEPS).astype(np.float32) for share in shares)
    return one, other


def _place_read(asked: Image) -> Image:
    """Where a ramp has the value that cv2.remap gives for `asked`, px.

    It rounds the place, and its cubic kernel (a = -0.75) does not keep ramps straight.
    """
    place = np.rint(asked * REMAP_STEPS) * (1 / REMAP_STEPS)
    part = place - np.floor(place)
    return np.asarray(place + 0.5 * part * (1 - part) * (1 - 2 * part))


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
