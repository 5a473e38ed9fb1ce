"""Quality measures of a patch pair as training data.

Patches are RGB uint8 (N, S, S, 3); every figure is one number per patch, (N,), computed
from that patch alone: neither memory nor a bit of the result depends on the others.
Where masks are given, bool (N, S, S), a figure is over the valid pixels and does not
depend on the others: NaN where none is valid, the same to the last bit where all are.
Moments of pixels are whole numbers and kept as such, so differences of them are exact.
Patches are measured some at a time: a call costs as much as a patch.
"""

from collections.abc import Callable, Sequence
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
PIXELS_AT_ONCE = 160_000  # of patches; stays in the processor's cache
MIDDLE = 128  # grey levels taken off before products are summed
EXACT_SUM = 1024  # products of such levels, which float32 sums without rounding

Pixels = NDArray[np.uint8]
Image = NDArray[np.float32]
Whole = NDArray[np.int64]


def lumas(patches: Pixels) -> Pixels:
    """Rec. 601 luma, (N, S, S) u8, exactly as `cv2.cvtColor` rounds it."""
    count, size = len(patches), patches.shape[1]
    tall = patches.reshape(count * size, patches.shape[2], 3)
    grey = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY) if count else tall[..., 0]
    return np.asarray(grey, dtype=np.uint8).reshape(patches.shape[:3])


def quality_columns(
    phone: Pixels, dslr: Pixels, valid: Masks, *, min_std: float = 0.0
) -> dict[str, NDArray[Any]]:
    """The columns of the shards that pixels and masks tell, (N,) f4 each.

    `ncc` is NaN where the luma of either side deviates by less than `min_std`.
    """
    found = _measured(_qualities, phone, dslr, valid=valid)
    names = ("ncc", "sharpness_ratio", "color_fit_psnr", "clipped_phone")
    columns = dict(zip((*names, "clipped_dslr"), found[:5], strict=True))
    columns["ncc"][~(found[5:].min(axis=0) >= min_std)] = np.nan
    columns["valid_share"] = valid.mean(axis=(1, 2))
    return {name: values.astype("f4") for name, values in columns.items()}


def _qualities(phone: Pixels, dslr: Pixels, valid: Masks | None) -> FloatArray:
    """NCC, sharpness, colour fit, clipped shares, and both deviations: (7, N)."""
    one, other = lumas(phone), lumas(dslr)
    contrast = _deviations(one, valid), _deviations(other, valid)
    sharpness = _ratios(one, other, valid, contrast)
    color_fit = _color_fits(phone, dslr, valid)
    clipped = _clipped(phone, valid), _clipped(dslr, valid)
    ncc = _correlations(one, other, valid)
    return np.stack([ncc, sharpness, color_fit, *clipped, *contrast])


def deviations(luma: Pixels, valid: Masks | None = None) -> FloatArray:
    """Standard deviation of each luma patch, grey levels."""
    return _measured(_deviations, luma, valid=valid)


def normalised_cross_correlation(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Zero-mean NCC of luma patches (N, S, S) in float64; NaN where one is constant."""
    return _measured(_correlations, phone, dslr, valid=valid)


def sharpness_ratio(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Fine detail of the DSLR luma over the phone's, each relative to its contrast.

    Takes luma patches (N, S, S); NaN where one of the two is constant. Detail counts
    where all pixels that it depends on are valid; NaN where that is nowhere.
    """
    return _measured(_ratios, phone, dslr, valid=valid)


def color_fit_psnr(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """PSNR (dB) of the phone patch after its best 3x4 colour fit to the DSLR's.

    From moments alone, so nothing is clipped; `train.metrics` clips what it fits.
    """
    return _measured(_color_fits, phone, dslr, valid=valid)


def clipped_share(patches: Pixels, valid: Masks | None = None) -> FloatArray:
    """Share of pixels with a channel at either end of its range."""
    return _measured(_clipped, patches, valid=valid)


def _measured(
    measure: Callable[..., FloatArray], *sides: Pixels, valid: Masks | None
) -> FloatArray:
    """`measure(*patches, masks)` of all patches, some at a time, (..., N).

    Masks of ones are passed as None. Where none is valid, NaN.
    """
    count, size = len(sides[0]), sides[0].shape[1]
    if not count:  # the figures of some patch, none of them
        some = (np.zeros((1, *side.shape[1:]), np.uint8) for side in sides)
        return measure(*some, None)[..., :0]
    step = max(1, PIXELS_AT_ONCE // size**2)
    parts = []
    for first in range(0, count, step):
        rows = slice(first, first + step)
        masks = None if valid is None or valid[rows].all() else valid[rows]
        with np.errstate(invalid="ignore"):
            found = measure(*(side[rows] for side in sides), masks)
        if masks is not None:
            found[..., ~masks.any(axis=(1, 2))] = np.nan
        parts.append(found)
    return np.concatenate(parts, axis=-1)


def _quotients(values: FloatArray, by: FloatArray) -> FloatArray:
    """NaN where the divisor is not above 0."""
    found = np.full(np.shape(values), np.nan)
    return np.asarray(np.divide(values, by, out=found, where=by > 0))


def _counts(plane: Pixels, valid: Masks | None) -> Whole:
    """How many pixels of each patch count, (N,)."""
    if valid is None:
        return np.full(len(plane), plane[0].size, np.int64)
    return np.asarray(valid.sum(axis=(1, 2), dtype=np.int64))


def _deviations(luma: Pixels, valid: Masks | None) -> FloatArray:
    power = _comoments([luma], valid)[:, 0, 0]
    return np.asarray(np.sqrt(power) / _counts(luma, valid))


def _correlations(phone: Pixels, dslr: Pixels, valid: Masks | None) -> FloatArray:
    found = _comoments([phone, dslr], valid).astype(np.float64)
    powers = np.sqrt(found[:, 0, 0] * found[:, 1, 1])
    return _quotients(found[:, 0, 1], powers)


def _ratios(
    phone: Pixels,
    dslr: Pixels,
    valid: Masks | None,
    contrast: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """Sharpness ratios; `contrast` holds both sides' deviations where known."""
    lumas_of = phone, dslr
    contrast = contrast or [_deviations(luma, valid) for luma in lumas_of]
    one, other = (
        _quotients(_details(luma, valid), deviation)
        for luma, deviation in zip(lumas_of, contrast, strict=True)
    )
    return _quotients(other, one)


def _details(luma: Pixels, valid: Masks | None) -> FloatArray:
    """Deviation of each patch's fine detail, grey levels."""
    side, reach = 2 * DETAIL_REACH + 1, DETAIL_REACH
    # One below the other, each within its own reflection.
    tall = np.pad(luma, ((0, 0), (reach, reach), (0, 0)), mode="reflect")
    grey = tall.reshape(-1, luma.shape[2]).astype(np.float32)
    fine = cv2.subtract(grey, cv2.GaussianBlur(grey, (side, side), DETAIL_SIGMA))
    fine = fine.reshape(tall.shape)[:, reach:-reach]
    found = np.empty(len(luma))
    for number, patch in enumerate(fine):
        within = None
        if valid is not None and not valid[number].all():
            # Beyond the border lie reflected pixels of the same reach.
            mask = valid[number].view(np.uint8)
            within = cv2.erode(mask, np.ones((side, side), np.uint8))
        found[number] = cv2.meanStdDev(patch, mask=within)[1][0, 0]
    return found


def _clipped(patches: Pixels, valid: Masks | None) -> FloatArray:
    low, high = (CLIPPED_BELOW,) * 3, (CLIPPED_ABOVE,) * 3
    tall = patches.reshape(-1, *patches.shape[2:])
    within = cv2.inRange(tall, low, high).reshape(patches.shape[:3])
    if valid is not None:
        within &= valid.view(np.uint8)
    count = _counts(within, valid)
    dark_or_bright = count - np.array([cv2.countNonZero(x) for x in within])
    return np.asarray(dark_or_bright / count)


def _color_fits(phone: Pixels, dslr: Pixels, valid: Masks | None) -> FloatArray:
    """PSNR by the mean square error of the least-squares fit, for values in [0, 1]."""
    sides = (side.reshape(-1, *side.shape[2:]) for side in (phone, dslr))
    planes = [x.reshape(phone.shape[:3]) for side in sides for x in cv2.split(side)]
    unexplained = _unexplained(_comoments(planes, valid, known=3), known=3)
    errors = unexplained / (3 * (255.0 * _counts(planes[0], valid)) ** 2)
    return np.asarray(-10 * np.log10(np.maximum(errors, LEAST_ERROR)))


def _comoments(
    planes: Sequence[Pixels], valid: Masks | None, *, known: int | None = None
) -> Whole:
    """Covariances of K planes of n pixels times n², exactly: n Σxy - Σx Σy, (N, K, K).

    With `known`, those between two other planes than the first ones are left out.
    """
    count = len(planes)
    known = count if known is None else known
    centred = [_centred(plane, valid) for plane in planes]
    pixels = _counts(planes[0], valid)
    one = np.ones(centred[0].shape[2], np.float32)
    sums = [_sums(x, one) for x in centred]
    found = np.zeros((len(pixels), count, count), np.int64)
    for i, x in enumerate(centred):
        for j in (*range(min(i, known)), i):
            product = pixels * _sums(x, centred[j]) - sums[i] * sums[j]
            found[:, i, j] = found[:, j, i] = product
    return found


def _centred(plane: Pixels, valid: Masks | None) -> Image:
    """Levels about the middle, 0 where they do not count, in pieces: (N, C, L)."""
    pixels = plane[0].size
    pieces = -(-pixels // EXACT_SUM)
    length = -(-pixels // pieces)
    found = np.zeros((len(plane), pieces * length), np.float32)
    levels = found[:, :pixels]
    levels[:] = plane.reshape(len(plane), pixels)
    levels -= MIDDLE
    if valid is not None:
        levels *= valid.reshape(len(plane), pixels)
    return found.reshape(-1, pieces, length)


def _sums(one: Image, other: Image) -> Whole:
    """Of products over each patch's pixels, (N, C, L) → (N,)."""
    return np.asarray(np.vecdot(one, other).sum(axis=1, dtype=np.float64), np.int64)


def _unexplained(comoments: Whole, *, known: int) -> FloatArray:
    """What no linear fit of the first `known` variables explains of the others, summed.

    In the unit of `comoments`, (N,). Gaussian elimination, which positive semi-definite
    matrices need no pivoting for; elementwise, so no BLAS has a say in the last bit.
    """
    left = comoments.astype(np.float64)
    diagonal = left.diagonal(axis1=1, axis2=2)
    least = DEPENDENT * diagonal
    for i in range(known):
        pivot = left[:, i, i]
        # Else it follows from those before it.
        by = np.where(pivot > least[:, i], pivot, np.inf)
        left = left - left[:, i, None] * left[:, i, :, None] / by[:, None, None]
    return np.asarray(left.diagonal(axis1=1, axis2=2)[:, known:].sum(axis=1))
