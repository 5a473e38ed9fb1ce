"""The pixels' likelihood of each window's position: a quadratic around a given one.

Gauss-Newton on an affine warp with gain and offset projected out (Lucas and Kanade,
1981; Baker and Matthews, IJCV 2004). Gradients come from the DSLR: in the phone photo,
noise would count as texture and make the result look certain. A window is divided into
5x5 blocks; the blocks' sums give both the window's quadratic and, left over after its
affine place, the shift of every block on its own.

A place is six numbers in phone px: the shift at the window's centre, then by how much x
moves towards the right and the lower border, and y likewise.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.block_sums import (
    MIN_VARIANCE,
    ONE,
    REST,
    BlockSums,
    block_sums,
    mean_of_blocks,
)
from dped_build.patches.refinement.pyramid import BLOCKS, Level
from dped_build.patches.refinement.rows import Rows

# Neighbouring residuals are not independent, over so many full-size px² times the
# reduction; makes sigma true.
CORRELATED_PX2 = 25.0
MIN_DEVIATION = 0.05  # grey levels of the DSLR's band; less holds no place
MIN_GAIN = 0.02  # of the phone's texture over the DSLR's
MIN_NCC = 0.15  # of the bands; chance gives as much to noise
CONTRADICTION = 8.0  # residual power of a block over the lower quartile of the blocks'
CONTRADICTED_SHARE = 0.5  # ... and over the block's own texture
MIN_BLOCK_PIXELS = 16  # fewer differ by as much by chance
RIDGE = 1e-6  # of the information


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
    return _evidence(block_sums(level, places, counted), level.reduction)


def _evidence(sums: BlockSums, reduction: int) -> Evidence:
    """The windows' quadratics by the sums of their pixels."""
    gain, power = sums.gain(), sums.power()
    usable = (power > MIN_DEVIATION**2) & (gain > MIN_GAIN)
    usable &= gain > MIN_NCC * np.sqrt(
        mean_of_blocks(sums.texture, sums.pixels) / power
    )
    one = sums.products[..., ONE, ONE].sum(axis=1)
    variance = sums.products[..., REST, REST].sum(axis=1) / np.maximum(one, 1e-9)
    # Textureless windows say nothing.
    weight = usable / np.maximum(variance, MIN_VARIANCE) * reduction / CORRELATED_PX2
    scale = np.ones((len(gain), 5))
    scale[:, :2] = gain[:, None] / reduction  # slopes of the phone's luma
    scale *= np.sqrt(weight)[:, None]
    both = (scale[:, :, None] * scale[:, None]).reshape(-1, 1, 25)
    products = (sums.products.reshape(-1, BLOCKS**2, 25) * both).reshape(-1, 25, 5, 5)
    score, info = _window_sums(products)
    # Rounding must not make it indefinite where all gradients are parallel.
    info += RIDGE * np.trace(info, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    blocks = products[..., :2, REST].copy(), products[..., :2, :2].copy()
    return Evidence(score, info, *blocks, _contradicted(sums))


def _contradicted(sums: BlockSums) -> NDArray[np.bool_]:
    """Which blocks contradict their window, (K, 25)."""
    # What a block's own gain leaves: light that differs locally contradicts nothing.
    own = sums.texture - sums.both**2 / np.maximum(sums.powers, MIN_VARIANCE)
    many = sums.pixels >= MIN_BLOCK_PIXELS
    typical = np.maximum(_lower_quartile(own, many), MIN_VARIANCE)
    found = many & (own > CONTRADICTION * typical[:, None])
    return found & (own > CONTRADICTED_SHARE * sums.texture)


def _lower_quartile(values: FloatArray, counted: NDArray[np.bool_]) -> FloatArray:
    """Over the blocks that count, (K, 25) → (K,); 0 where none does."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    number = counted.sum(axis=1)
    found = ordered[np.arange(len(values)), np.maximum(number - 1, 0) // 4]
    return np.where(number > 0, found, 0)


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
_COLUMN = np.array([0, 1, 0, 0, 1, 1, 2, ONE, REST])
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
