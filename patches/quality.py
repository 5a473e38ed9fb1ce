"""Quality measures of a patch pair as training data.

Patches are RGB uint8 (N, S, S, 3); every figure is one number per patch, (N,), computed
from that patch alone: neither memory nor a bit of the result depends on the others.
Moments of pixels are whole numbers and kept as such, so differences of them are exact.
"""

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

DETAIL_SIGMA = 1.5  # px; finer than this is what a better camera adds
CLIPPED_BELOW, CLIPPED_ABOVE = 2, 253  # grey levels of any channel
LEAST_ERROR = 1e-10  # mean square in [0, 1]; no colour fit is stated above 100 dB
# Share of a channel's variance that is rounding: one level at one of 1024² pixels is
# 6e-11, what elimination leaves of a channel that others explain is below 1e-15.
DEPENDENT = 1e-13

Pixels = NDArray[np.uint8]


def lumas(patches: Pixels) -> Pixels:
    """Rec. 601 luma, (N, S, S) u8, exactly as `cv2.cvtColor` rounds it."""
    count, size = len(patches), patches.shape[1]
    tall = patches.reshape(count * size, patches.shape[2], 3)
    grey = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY) if count else tall[..., 0]
    return np.asarray(grey, dtype=np.uint8).reshape(patches.shape[:3])


def deviations(luma: Pixels) -> FloatArray:
    """Standard deviation of each luma patch, grey levels."""
    return _figures(_deviation(x) for x in luma)


def normalised_cross_correlation(phone: Pixels, dslr: Pixels) -> FloatArray:
    """Zero-mean NCC of luma patches (N, S, S) in float64; NaN where one is constant."""
    return _figures(_correlation(a, b) for a, b in zip(phone, dslr, strict=True))


def sharpness_ratio(phone: Pixels, dslr: Pixels) -> FloatArray:
    """Fine detail of the DSLR luma over the phone's, each relative to its contrast.

    Takes luma patches (N, S, S); NaN where one of the two is constant.
    """
    pairs = zip(phone, dslr, strict=True)
    return _figures(_quotient(_detail(b), _detail(a)) for a, b in pairs)


def color_fit_psnr(phone: Pixels, dslr: Pixels) -> FloatArray:
    """PSNR (dB) of the phone patch after its best 3x4 colour fit to the DSLR's.

    From moments alone, so nothing is clipped; `train.metrics` clips what it fits.
    """
    errors = (_color_fit_error(a, b) for a, b in zip(phone, dslr, strict=True))
    return _figures(-10 * math.log10(max(x, LEAST_ERROR)) for x in errors)


def clipped_share(patches: Pixels) -> FloatArray:
    """Share of pixels with a channel at either end of its range."""
    pixels = patches.shape[1] * patches.shape[2]
    return _figures((pixels - _unclipped(x)) / pixels for x in patches)


def _figures(values: Iterable[float]) -> FloatArray:
    return np.fromiter(values, dtype=np.float64)


def _quotient(value: float, by: float) -> float:
    return value / by if by > 0 else math.nan


def _deviation(luma: Pixels) -> float:
    return math.sqrt(_comoments([luma])[0][0]) / luma.size


def _correlation(phone: Pixels, dslr: Pixels) -> float:
    (phone_power, product), (_, dslr_power) = _comoments([phone, dslr])
    return _quotient(product, math.sqrt(phone_power * dslr_power))


def _detail(luma: Pixels) -> float:
    grey = luma.astype(np.float32)
    fine = cv2.subtract(grey, cv2.GaussianBlur(grey, (0, 0), DETAIL_SIGMA))
    _, deviation = cv2.meanStdDev(fine)
    return _quotient(float(deviation[0, 0]), _deviation(luma))


def _unclipped(patch: Pixels) -> int:
    low, high = (CLIPPED_BELOW,) * 3, (CLIPPED_ABOVE,) * 3
    return int(cv2.countNonZero(cv2.inRange(patch, low, high)))


def _color_fit_error(phone: Pixels, dslr: Pixels) -> float:
    """Mean square error of the least-squares fit, for values in [0, 1]."""
    comoments = _comoments([*cv2.split(phone), *cv2.split(dslr)])
    pixels: int = phone.shape[0] * phone.shape[1]
    return _unexplained(comoments, known=3) / (3 * (255 * pixels) ** 2)


def _comoments(planes: Sequence[Pixels]) -> list[list[int]]:
    """Covariances of K planes of n pixels times n², exactly: n Σxy - Σx Σy, K x K."""
    sums = [round(cv2.sumElems(x)[0]) for x in planes]
    squares = [round(cv2.norm(x, cv2.NORM_L2SQR)) for x in planes]
    found = [[0] * len(planes) for _ in planes]
    for i, x in enumerate(planes):
        found[i][i] = x.size * squares[i] - sums[i] ** 2
        for j in range(i):
            apart = round(cv2.norm(x, planes[j], cv2.NORM_L2SQR))
            product = (squares[i] + squares[j] - apart) // 2
            found[i][j] = found[j][i] = x.size * product - sums[i] * sums[j]
    return found


def _unexplained(comoments: list[list[int]], *, known: int) -> float:
    """What no linear fit of the first `known` variables explains of the others, summed.

    In the unit of `comoments`. Gaussian elimination, which positive semi-definite
    matrices need no pivoting for; elementwise, so no BLAS has a say in the last bit.
    """
    left = np.array(comoments, dtype=np.float64)
    least = DEPENDENT * left.diagonal()
    for i in range(known):
        if left[i, i] > least[i]:  # else it follows from those before it
            left -= left[i] * left[i, :, None] / left[i, i]
    return float(left.diagonal()[known:].sum())
