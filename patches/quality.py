"""What a pair of patches is worth as training data, all patches of a photo at once.

Patches are RGB uint8 (N, S, S, 3); every figure is one number per patch, (N,).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

DETAIL_SIGMA = 1.5  # px; finer than this is what a better camera adds
CLIPPED_BELOW, CLIPPED_ABOVE = 2, 253  # grey levels of any channel

Pixels = NDArray[np.uint8]


def lumas(patches: Pixels) -> Pixels:
    """Rec. 601 luma, (N, S, S) u8, exactly as `cv2.cvtColor` rounds it."""
    count, size = len(patches), patches.shape[1]
    tall = patches.reshape(count * size, patches.shape[2], 3)
    grey = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY) if count else tall[..., 0]
    return np.asarray(grey, dtype=np.uint8).reshape(patches.shape[:3])


def deviations(luma: Pixels) -> FloatArray:
    """Standard deviation of each luma patch, grey levels."""
    return np.asarray(luma.std(axis=(1, 2), dtype=np.float64))


def normalised_cross_correlation(phone: Pixels, dslr: Pixels) -> FloatArray:
    """Zero-mean NCC of luma patches (N, S, S) in float64; NaN where one is constant."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (phone, dslr))
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    power = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(power > 0, power, np.nan))


def sharpness_ratio(phone: Pixels, dslr: Pixels) -> FloatArray:
    """Fine detail of the DSLR luma over the phone's, each relative to its contrast."""
    one, other = _detail(phone), _detail(dslr)
    return np.asarray(other / np.where(one > 0, one, np.nan))


def _detail(luma: Pixels) -> FloatArray:
    coarse = [
        cv2.GaussianBlur(x.astype(np.float32), (0, 0), DETAIL_SIGMA) for x in luma
    ]
    fine = luma - np.reshape(coarse, luma.shape)
    contrast = deviations(luma)
    return np.asarray(fine.std(axis=(1, 2)) / np.where(contrast > 0, contrast, np.nan))


def color_fit_psnr(phone: Pixels, dslr: Pixels) -> FloatArray:
    """PSNR (dB) of the phone patch after its best 3x4 colour fit to the DSLR's."""
    count = len(phone)
    given = phone.reshape(count, -1, 3).astype(np.float64) / 255
    wanted = dslr.reshape(count, -1, 3).astype(np.float64) / 255
    given = np.concatenate([given, np.ones((*given.shape[:2], 1))], axis=-1)
    across = given.transpose(0, 2, 1)
    # The smallest ridge that keeps a patch of one colour solvable.
    fit = np.linalg.solve(across @ given + 1e-6 * np.eye(4), across @ wanted)
    error = ((given @ fit - wanted) ** 2).mean(axis=(1, 2))
    return np.asarray(-10 * np.log10(np.maximum(error, 1e-10)))


def clipped_share(patches: Pixels) -> FloatArray:
    """Share of pixels with a channel at either end of its range."""
    low, high = patches.min(axis=-1), patches.max(axis=-1)
    clipped = (low < CLIPPED_BELOW) | (high > CLIPPED_ABOVE)
    return np.asarray(clipped.mean(axis=(1, 2)))
