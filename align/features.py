"""Keypoint matching by mutual nearest neighbours, and detail in the overlap.

Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004 (SIFT, the
ratio test); Arandjelović and Zisserman, CVPR 2012 (rootSIFT).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    rescaling,
    row_mask,
    visible_rows,
)
from dped_build.align.overlays import Region
from dped_build.align.sampling import sample
from dped_build.align.tracks import whitened

KEYPOINTS_PER_PX = 1  # strongest kept, per px of the long side
MAX_KEYPOINTS = 4000  # in all: the table of distances grows with the square
MIN_CONTRAST = 0.01  # of a keypoint (Lowe: 0.04): weak ones fill skies and shadows
HALVE_ABOVE = 3  # times the size wanted; halving is far faster than one reduction
MIN_DETAIL = 1.5  # grey levels at the 90 % point: noise makes 1.0, a hazy scene 2.0
SHOWN_DETAIL = 2.0  # grey levels of deviation: what a place shows, not noise
UNLIKE = 0.3  # correlation of a place that shows something else in both
PARTS, MIN_SHOWN = 4, 0.1  # along each side; of a part's places, for it to count
MAX_DIFFERING, MAX_DIFFERING_FLOWN = 0.03, 0.02  # of a part's places, the median part
AGREEMENT_SIDE = 300  # px of the phone's long side at which photos are compared
AGREEMENT_BOX = 21  # px of a local correlation
DETAIL_SIGMAS = (1.5, 8.0)  # px; between them lies what is compared
CONTRAST_PERCENTILES = (1, 99)  # stretched to the full range, for dark or hazy photos


@dataclass(frozen=True)
class Features:
    """What one photo offers for matching."""

    size: tuple[int, int]  # (width, height) of the photo, px
    positions: FloatArray  # (N, 2), px of the photo
    descriptors: NDArray[np.float32]  # of unit length, (N, 128)
    luma: NDArray[np.uint8]  # at the size searched, (h, w), contrast stretched
    scale: FloatArray  # Px of that size per px of the photo, along x and y, (2,)


def find_features(photo: NDArray[np.uint8], side: int) -> Features:
    """Features of a photo, RGB or luma, reduced to a long side of `side` px."""
    luma, scale = matching_luma(photo, side)
    positions, descriptors = find_keypoints(luma)
    return Features(
        (photo.shape[1], photo.shape[0]),
        (positions + 0.5) / scale - 0.5,
        descriptors,
        luma,
        scale,
    )


def matching_luma(
    photo: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Luma of a photo, contrast stretched, uint8 (h, w); px per photo px, (2,).

    The photo is RGB (H, W, 3) or luma (H, W). The long side is at most `side` px;
    smaller photos keep their size.
    """
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) if photo.ndim == 3 else photo
    halved = 1
    while max(luma.shape) >= HALVE_ABOVE * side and min(luma.shape) > 1:
        height, width = luma.shape[0] // 2, luma.shape[1] // 2
        even = luma[: 2 * height, : 2 * width]  # an odd last row or column is left out
        luma = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
        halved *= 2
    large = np.array(luma.shape[::-1])
    if large.max() > side:
        small = np.maximum(np.rint(large * side / large.max()), 1).astype(int)
        luma = cv2.resize(luma, small.tolist(), interpolation=cv2.INTER_AREA)
    # Rounding to whole pixels makes the scales of x and y differ.
    scale = np.array(luma.shape[::-1]) / large / halved
    darker = np.bincount(luma.ravel(), minlength=256).cumsum() / luma.size
    low, high = np.searchsorted(darker, np.array(CONTRAST_PERCENTILES) / 100)
    stretched = (luma.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.clip(stretched, 0, 255).astype(np.uint8), scale


def find_keypoints(
    luma: NDArray[np.uint8],
) -> tuple[FloatArray, NDArray[np.float32]]:
    """SIFT keypoints: positions (N, 2) in px and rootSIFT descriptors (N, 128).

    Without the precise upscaling OpenCV's positions are off by a quarter pixel
    (opencv/opencv#23123), which would bias every homography.
    """
    sift = cv2.SIFT_create(
        nfeatures=min(KEYPOINTS_PER_PX * max(luma.shape), MAX_KEYPOINTS),
        contrastThreshold=MIN_CONTRAST,
        enable_precise_upscale=True,
    )
    keypoints, descriptors = sift.detectAndCompute(luma, None)
    if descriptors is None:
        return np.empty((0, 2)), np.empty((0, 128), np.float32)
    positions = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64)
    total = descriptors.sum(axis=1, keepdims=True)
    return positions, np.sqrt(descriptors / np.maximum(total, 1e-7))


def match_keypoints(
    phone: NDArray[np.float32], dslr: NDArray[np.float32], *, ratio: float
) -> NDArray[np.int64]:
    """Mutual nearest neighbours that pass the ratio test: index pairs (M, 2).

    Descriptors of unit length, (N, 128) and (K, 128). `ratio` is the largest distance
    to the nearest, as a share of the second nearest's.
    """
    if len(phone) < 2 or len(dslr) < 2:
        return np.empty((0, 2), np.int64)
    alike = phone @ dslr.T  # (N, K) cosine
    nearest = alike.argmax(axis=1)
    mutual = alike.argmax(axis=0)[nearest] == np.arange(len(phone))
    second, first = np.partition(alike, -2, axis=1)[:, -2:].T
    distances = np.sqrt(np.maximum(2 - 2 * np.stack([first, second]), 0))
    kept = np.flatnonzero(mutual & (distances[0] < ratio * distances[1]))
    return np.stack([kept, nearest[kept]], axis=1)


def agreement(
    phone: Features,
    dslr: Features,
    phone_to_dslr: FloatArray,
    *,
    but: Region | None = None,
) -> float:
    """How alike the overlap looks once laid over each other, -1 to 1.

    `but` leaves a part of the phone photo out.

    The mean local correlation of fine detail, where both photos have some: exposure,
    cast and vignetting cancel. Keypoints can agree by chance, or on a symmetric front
    seen in a mirror; the picture as a whole then does not.
    """
    return _agreement(*_laid_over(phone, dslr, phone_to_dslr, but))


def has_detail(
    phone: Features, dslr: Features, phone_to_dslr: FloatArray, *, but: Region
) -> bool:
    """Whether both photos show anything beside a region, or but a plain background."""
    one, other, inside = _laid_over(phone, dslr, phone_to_dslr, but)
    whole = _mean(inside) > 1 - 1e-3
    detail = np.sqrt(np.minimum(*(_variance(_detail(luma)) for luma in (one, other))))
    return bool(whole.any() and np.percentile(detail[whole], 90) >= MIN_DETAIL)


def agreement_with_parallax(
    phone: Features,
    dslr: Features,
    phone_to_dslr: FloatArray,
    *,
    but: Region | None = None,
) -> float:
    """As `agreement` once optical flow has taken out what depth displaces.

    Of photos of other scenes, and of mirrored ones, flow makes 0.63 at most (324 pairs
    tried), of stereo pairs with great depth 0.90.
    """
    one, other, inside = _laid_over(phone, dslr, phone_to_dslr, but)
    return _agreement(one, _without_parallax(one, other), inside)


def contradicts(phone: Features, dslr: Features, phone_to_dslr: FloatArray) -> bool:
    """Whether places with detail in both photos differ all over, flow or not.

    A watermark all over agrees with itself, and outweighs the scenes behind it. What
    moved differs in some parts alone: in the median part nothing of real pairs does,
    nor with something else on a fifth of the picture; of other scenes in haze under one
    watermark 0.28, with flow 0.13 at least.
    """
    one, other, inside = _laid_over(phone, dslr, phone_to_dslr, None)
    if _differing(one, other, inside) <= MAX_DIFFERING:
        return False
    flown = _without_parallax(one, other)
    return _differing(one, flown, inside) > MAX_DIFFERING_FLOWN


def _differing(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], inside: NDArray[np.float32]
) -> float:
    """The share of places with detail in both that are unlike, in the median part."""
    correlation, deviation, whole = _correlations(phone, dslr, inside)
    seen = whole & (deviation > SHOWN_DETAIL)
    parts = (PARTS, PARTS)
    shown, unlike = (
        cv2.resize(places.astype(np.float32), parts, interpolation=cv2.INTER_AREA)
        for places in (seen, seen & (correlation < UNLIKE))
    )
    counts = shown >= MIN_SHOWN
    return float(np.median(unlike[counts] / shown[counts])) if counts.any() else 0.0


def _without_parallax(
    one: NDArray[np.uint8], other: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The other luma, each pixel moved by optical flow to where it is in the first."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(whitened(one), whitened(other), None)
    rows, columns = np.mgrid[: one.shape[0], : one.shape[1]].astype(np.float32)
    at = columns + flow[..., 0], rows + flow[..., 1]
    return np.asarray(cv2.remap(other, *at, cv2.INTER_LINEAR), np.uint8)


def _laid_over(
    phone: Features, dslr: Features, phone_to_dslr: FloatArray, but: Region | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Both lumas on one small grid, and where both show something (1) or not (0)."""
    width, height = (
        min(n, round(AGREEMENT_SIDE * n / max(phone.size))) for n in phone.size
    )
    size = (max(width, 1), max(height, 1))
    to_phone = np.linalg.inv(rescaling(*np.array(size) / phone.size))
    to_dslr = phone_to_dslr @ to_phone
    one = sample(phone.luma, rescaling(*phone.scale) @ to_phone, size)
    other = sample(dslr.luma, rescaling(*dslr.scale) @ to_dslr, size)
    rows = visible_rows(to_dslr, size, dslr.size)
    inside = row_mask(rows, size[0]).astype(np.float32)
    if but is not None:
        left_out = cv2.resize(but.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        inside[left_out > 0] = 0
    return one, other, inside


def _agreement(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], inside: NDArray[np.float32]
) -> float:
    correlation, deviation, whole = _correlations(phone, dslr, inside)
    if not whole.any():
        return 0.0
    weight = deviation * whole
    return float((correlation * weight).sum() / weight.sum())


def _correlations(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], inside: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Of each place: how alike it is, the smaller deviation, whether both show it."""
    one, other = _detail(phone), _detail(dslr)
    shared = _mean(one * other) - _mean(one) * _mean(other)
    variances = [_variance(a) for a in (one, other)]
    correlation = shared / np.sqrt(variances[0] * variances[1])
    return correlation, np.sqrt(np.minimum(*variances)), _mean(inside) > 1 - 1e-3


def _detail(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = luma.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in DETAIL_SIGMAS)
    return np.asarray(fine - coarse, dtype=np.float32)


def _variance(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    """Local variance; not below a thousandth, so that it may divide."""
    variance = _mean(detail * detail) - _mean(detail) ** 2
    return np.asarray(np.maximum(variance, 1e-3), dtype=np.float32)


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    box = (AGREEMENT_BOX, AGREEMENT_BOX)
    return np.asarray(cv2.blur(values, box, borderType=cv2.BORDER_REPLICATE))
