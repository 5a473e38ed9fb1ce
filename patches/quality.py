"""Quality measures of a patch pair as training data.

Patches are RGB uint8 (N, S, S, 3); every figure is one number per patch, (N,), computed
from that patch alone: neither memory nor a bit of the result depends on the others.
Where masks are given, bool (N, S, S), a figure is over the valid pixels and does not
depend on the others: NaN where none is valid, the same to the last bit where all are.
Moments of pixels are whole numbers and kept as such, so differences of them are exact.
Patches are measured some at a time: a call costs as much as a patch. What goes over
pixels is a compiled loop, or its twin in NumPy.

Planes of a pair, in the order of their moments: ones, RGB of both sides, both lumas,
and where either side is clipped; each 0 where masked.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.compiled.loops import run
from dped_build.patches.masks import Masks

DETAIL_SIGMA = 1.5  # px; finer than this is what a better camera adds
DETAIL_REACH = 6  # px; a pixel's detail depends on those up to here in x and y
CLIPPED_BELOW, CLIPPED_ABOVE = 2, 253  # grey levels of any channel
LEAST_ERROR = 1e-10  # mean square in [0, 1]; no colour fit is stated above 100 dB
# Share of a channel's variance that is rounding: one level at one of 1024² pixels is
# 6e-11, what elimination leaves of a channel that others explain is below 1e-15.
DEPENDENT = 1e-13
PIXELS_AT_ONCE = 800_000  # of patches; bounds the copies of them
PLANES, COLOURS, LUMAS, CLIPPED = 11, slice(1, 7), slice(7, 9), slice(9, 11)

Pixels = NDArray[np.uint8]
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
    columns["ncc"][~(found[5:7].min(axis=0) >= min_std)] = np.nan
    columns["valid_share"] = np.nan_to_num(found[7])  # 0 where none is valid
    return {name: values.astype("f4") for name, values in columns.items()}


def _qualities(phone: Pixels, dslr: Pixels, valid: Masks | None) -> FloatArray:
    """NCC, sharpness, colour fit, clipped and contrast of both, valid share: (8, N)."""
    grey = lumas(phone), lumas(dslr)
    moments = _moments(*grey, valid, colours=(phone, dslr))
    contrast = _contrasts(moments)
    sharpness = _ratios(*grey, valid, contrast)
    figures = [_correlations(moments), sharpness, _color_fits(moments)]
    share = moments[:, 0, 0] / grey[0][0].size
    return np.stack([*figures, *_clipped(moments), *contrast, share])


def deviations(luma: Pixels, valid: Masks | None = None) -> FloatArray:
    """Standard deviation of each luma patch, grey levels."""
    return _measured(
        lambda one, masks: _contrasts(_moments(one, one, masks))[0], luma, valid=valid
    )


def normalised_cross_correlation(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Zero-mean NCC of luma patches (N, S, S) in float64; NaN where one is constant."""
    return _measured(
        lambda *pair: _correlations(_moments(*pair)), phone, dslr, valid=valid
    )


def sharpness_ratio(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """Fine detail of the DSLR luma over the phone's, each relative to its contrast.

    Takes luma patches (N, S, S); NaN where one of the two is constant. Detail counts
    where all pixels that it depends on are valid; NaN where that is nowhere.
    """
    return _measured(
        lambda one, other, masks: _ratios(
            one, other, masks, _contrasts(_moments(one, other, masks))
        ),
        *(phone, dslr),
        valid=valid,
    )


def color_fit_psnr(
    phone: Pixels, dslr: Pixels, valid: Masks | None = None
) -> FloatArray:
    """PSNR (dB) of the phone patch after its best 3x4 colour fit to the DSLR's.

    From moments alone, so nothing is clipped; `train.metrics` clips what it fits.
    """
    return np.asarray(_measured(_qualities, phone, dslr, valid=valid)[2])


def clipped_share(patches: Pixels, valid: Masks | None = None) -> FloatArray:
    """Share of pixels with a channel at either end of its range."""
    return np.asarray(_measured(_qualities, patches, patches, valid=valid)[3])


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
        masks = None
        if valid is not None and not valid[rows].all():
            masks = np.ascontiguousarray(valid[rows], bool)
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


def _moments(
    phone: Pixels,
    dslr: Pixels,
    valid: Masks | None,
    *,
    colours: tuple[Pixels, Pixels] | None = None,
) -> Whole:
    """Sums over patches of the products of two planes, (N, 11, 11), exactly.

    Takes lumas (N, S, S). Of the products that figures need, those above the diagonal.
    """
    found = np.zeros((len(phone), PLANES, PLANES), np.int64)
    sides = [np.ascontiguousarray(x, np.uint8) for x in (*(colours or ()), phone, dslr)]
    given = [*([] if colours else [None, None]), *sides, valid]
    limits = CLIPPED_BELOW, CLIPPED_ABOVE
    if not run("patch_moments", *given, len(phone), phone[0].size, *limits, found):
        for number, moments in enumerate(found):
            mask = 1 if valid is None else valid[number]
            moments[:] = _moments_of_pair([x[number] for x in sides], mask)
    return found


def _moments_of_pair(sides: list[Pixels], valid: Pixels | int) -> FloatArray:
    """As `_moments`, of one pair without the compiled loop, (11, 11)."""
    planes = np.zeros((PLANES, *sides[-1].shape))  # floats hold these sums exactly
    planes[0], planes[LUMAS] = 1, sides[-2:]
    for number, side in enumerate(sides[:-2]):
        planes[1 + 3 * number : 4 + 3 * number] = np.moveaxis(side, -1, 0)
        within = cv2.inRange(side, (CLIPPED_BELOW,) * 3, (CLIPPED_ABOVE,) * 3)
        planes[CLIPPED.start + number] = within == 0
    planes *= valid
    rows, found = planes.reshape(PLANES, -1), np.zeros((PLANES, PLANES))
    for number, row in enumerate(rows):
        found[number, number:] = np.vecdot(row, rows[number:])
    return found


def _comoments(moments: Whole, planes: slice) -> Whole:
    """Covariances of planes of n pixels times n²: n Σxy - Σx Σy, (N, K, K)."""
    sums = moments[:, 0, planes]
    products = moments[:, 0, 0, None, None] * moments[:, planes, planes]
    return np.asarray(products - sums[:, :, None] * sums[:, None, :])


def _contrasts(moments: Whole) -> FloatArray:
    """Standard deviation of both lumas, (2, N)."""
    powers = _comoments(moments, LUMAS).diagonal(axis1=1, axis2=2)
    return np.asarray(np.sqrt(powers).T / moments[:, 0, 0])


def _correlations(moments: Whole) -> FloatArray:
    found = _comoments(moments, LUMAS).astype(np.float64)
    powers = np.sqrt(found[:, 0, 0] * found[:, 1, 1])
    return _quotients(found[:, 0, 1], powers)


def _clipped(moments: Whole) -> FloatArray:
    """Shares of clipped pixels of both sides, (2, N)."""
    return np.asarray(moments[:, 0, CLIPPED].T / moments[:, 0, 0])


def _color_fits(moments: Whole) -> FloatArray:
    """PSNR by the mean square error of the least-squares fit, for values in [0, 1]."""
    unexplained = _unexplained(_comoments(moments, COLOURS), known=3)
    errors = unexplained / (3 * (255.0 * moments[:, 0, 0]) ** 2)
    return np.asarray(-10 * np.log10(np.maximum(errors, LEAST_ERROR)))


def _ratios(
    phone: Pixels, dslr: Pixels, valid: Masks | None, contrast: FloatArray
) -> FloatArray:
    """Sharpness ratios; `contrast` holds both sides' deviations, (2, N)."""
    within = None if valid is None else _detailed(valid)
    one, other = (
        _quotients(_details(luma, within), deviation)
        for luma, deviation in zip((phone, dslr), contrast, strict=True)
    )
    return _quotients(other, one)


def _detailed(valid: Masks) -> Pixels:
    """Which pixels' detail depends on valid ones only, (N, S, S)."""
    # Beyond the border lie reflected pixels of the same reach.
    reach = np.ones((2 * DETAIL_REACH + 1,) * 2, np.uint8)
    return np.stack([cv2.erode(mask.view(np.uint8), reach) for mask in valid])


def _details(luma: Pixels, within: Pixels | None) -> FloatArray:
    """Deviation of each patch's fine detail, grey levels; 0 where none counts."""
    luma, found = np.ascontiguousarray(luma, np.uint8), np.empty(len(luma))
    side = 2 * DETAIL_REACH + 1
    taps = cv2.getGaussianKernel(side, DETAIL_SIGMA, cv2.CV_32F)[DETAIL_REACH:]
    if run("patch_details", luma, within, *luma.shape, taps, found):
        return found
    for number, patch in enumerate(luma):
        grey = patch.astype(np.float32)
        fine = cv2.subtract(grey, cv2.GaussianBlur(grey, (side, side), DETAIL_SIGMA))
        mask = None if within is None else within[number]
        found[number] = cv2.meanStdDev(fine, mask=mask)[1][0, 0]
    return found


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
