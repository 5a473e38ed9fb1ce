"""Quality measures of a patch pair as training data.

Patches are RGB uint8 (N, S, S, 3); every figure is one number per patch, (N,), computed
from that patch alone: neither memory nor a bit of the result depends on the others.
Where masks are given, bool (N, S, S), a figure is over the valid pixels and does not
depend on the others: NaN where none is valid, the same to the last bit where all are.
Moments of pixels are whole numbers and kept as such, so differences of them are exact.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.masks import Masks

DETAIL_SIGMA = 1.5  # px; finer than this is what a better camera adds
DETAIL_REACH = 6  # px; a pixel's detail depends on those up to here in x and y
CLIPPED_BELOW, CLIPPED_ABOVE = 2, 253  # grey levels of any channel
LEAST_ERROR = 1e-10  # mean square in [0, 1]; no colour fit is stated above 100 dB
# Share of a channel's variance that is rounding: one level at one of 1024² pixels is
# 6e-11, what elimination leaves of a channel that others explain is below 1e-15.
DEPENDENT = 1e-13

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]  # (S, S), 0 where a pixel does not count


def lumas(patches: Pixels) -> Pixels:
    """Rec. 601 luma, (N, S, S) u8, exactly as `cv2.cvtColor` rounds it."""
    count, size = len(patches), patches.shape[1]
    tall = patches.reshape(count * size, patches.shape[2], 3)
    grey = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY) if count else tall[..., 0]
    return np.asarray(grey, dtype=np.uint8).reshape(patches.shape[:3])


def quality_columns(
    phone: Pixels, dslr: Pixels, valid: Masks
) -> dict[str, NDArray[Any]]:
    """The columns of the shards that pixels and masks tell, (N,) f4 each."""
    phone_luma, dslr_luma = lumas(phone), lumas(dslr)
    measured = {
        "ncc": normalised_cross_correlation(phone_luma, dslr_luma, valid),
        "valid_share": valid.mean(axis=(1, 2)),
        "sharpness_ratio": sharpness_ratio(phone_luma, dslr_luma, valid),
        "color_fit_psnr": color_fit_psnr(phone, dslr, valid),
        "clipped_phone": clipped_share(phone, valid),
        "clipped_dslr": clipped_share(dslr, valid),
    }
    return {name: values.astype("f4") for name, values in measured.items()}


def deviations(luma: Pixels, valid: Masks | None = None) -> FloatArray:
    """Standard deviation of each luma patch, grey levels."""
    return _measured(_deviation, luma, valid=valid)


def normalised_cross_correlation(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Zero-mean NCC of luma patches (N, S, S) in float64; NaN where one is constant."""
    return _measured(_correlation, phone, dslr, valid=valid)


def sharpness_ratio(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Fine detail of the DSLR luma over the phone's, each relative to its contrast.

    Takes luma patches (N, S, S); NaN where one of the two is constant. Detail counts
    where all pixels that it depends on are valid; NaN where that is nowhere.
    """
    return _measured(_detail_ratio, phone, dslr, valid=valid)


def color_fit_psnr(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """PSNR (dB) of the phone patch after its best 3x4 colour fit to the DSLR's.

    From moments alone, so nothing is clipped; `train.metrics` clips what it fits.
    """
    errors = _measured(_color_fit_error, phone, dslr, valid=valid)
    return _figures(-10 * math.log10(max(x, LEAST_ERROR)) for x in errors.tolist())


def clipped_share(patches: Pixels, valid: Masks | None = None) -> FloatArray:
    """Share of pixels with a channel at either end of its range."""
    return _measured(_clipped, patches, valid=valid)


def _measured(
    measure: Callable[..., float], *sides: Pixels, valid: Masks | None
) -> FloatArray:
    """`measure(*patches, mask)` of each patch; a mask of ones is passed as None."""
    if valid is None:
        return _figures(measure(*x, None) for x in zip(*sides, strict=True))
    values = []
    for mask, *patches in zip(valid.view(np.uint8), *sides, strict=True):
        counting = cv2.countNonZero(mask)
        some = mask if counting < mask.size else None
        values.append(measure(*patches, some) if counting else math.nan)
    return _figures(values)


def _figures(values: Iterable[float]) -> FloatArray:
    return np.fromiter(values, dtype=np.float64)


def _quotient(value: float, by: float) -> float:
    return value / by if by > 0 else math.nan


def _seen(plane: Pixels, mask: Mask | None) -> Pixels:
    """A plane with zeros for the pixels that do not count: they add to no sum."""
    return plane if mask is None else cv2.bitwise_and(plane, plane, mask=mask)


def _counting(plane: Pixels, mask: Mask | None) -> int:
    return int(plane.size if mask is None else cv2.countNonZero(mask))


def _deviation(luma: Pixels, mask: Mask | None) -> float:
    pixels = _counting(luma, mask)
    return math.sqrt(_comoments([_seen(luma, mask)], pixels)[0][0]) / pixels


def _correlation(phone: Pixels, dslr: Pixels, mask: Mask | None) -> float:
    seen = [_seen(phone, mask), _seen(dslr, mask)]
    (phone_power, product), (_, dslr_power) = _comoments(seen, _counting(phone, mask))
    return _quotient(product, math.sqrt(phone_power * dslr_power))


def _detail_ratio(phone: Pixels, dslr: Pixels, mask: Mask | None) -> float:
    return _quotient(_detail(dslr, mask), _detail(phone, mask))


def _detail(luma: Pixels, mask: Mask | None) -> float:
    side = 2 * DETAIL_REACH + 1
    grey = luma.astype(np.float32)
    fine = cv2.subtract(grey, cv2.GaussianBlur(grey, (side, side), DETAIL_SIGMA))
    within = None
    if mask is not None:  # beyond the border lie reflected pixels of the same reach
        within = cv2.erode(mask, np.ones((side, side), np.uint8))
    _, deviation = cv2.meanStdDev(fine, mask=within)
    return _quotient(float(deviation[0, 0]), _deviation(luma, mask))


def _clipped(patch: Pixels, mask: Mask | None) -> float:
    low, high = (CLIPPED_BELOW,) * 3, (CLIPPED_ABOVE,) * 3
    within = cv2.inRange(patch, low, high)
    pixels = _counting(within, mask)
    return (pixels - int(cv2.countNonZero(_seen(within, mask)))) / pixels


def _color_fit_error(phone: Pixels, dslr: Pixels, mask: Mask | None) -> float:
    """Mean square error of the least-squares fit, for values in [0, 1]."""
    planes = [*cv2.split(phone), *cv2.split(dslr)]
    pixels = _counting(planes[0], mask)
    comoments = _comoments([_seen(plane, mask) for plane in planes], pixels)
    return _unexplained(comoments, known=3) / (3 * (255 * pixels) ** 2)


def _comoments(planes: Sequence[Pixels], pixels: int) -> list[list[int]]:
    """Covariances of K planes of n pixels times n², exactly: n Σxy - Σx Σy, K x K.

    Beyond the `pixels` that count, planes are 0.
    """
    sums = [round(cv2.sumElems(x)[0]) for x in planes]
    squares = [round(cv2.norm(x, cv2.NORM_L2SQR)) for x in planes]
    found = [[0] * len(planes) for _ in planes]
    for i, x in enumerate(planes):
        found[i][i] = pixels * squares[i] - sums[i] ** 2
        for j in range(i):
            apart = round(cv2.norm(x, planes[j], cv2.NORM_L2SQR))
            product = (squares[i] + squares[j] - apart) // 2
            found[i][j] = found[j][i] = pixels * product - sums[i] * sums[j]
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
