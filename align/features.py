"""Keypoints that two photos share: SIFT, rootSIFT, mutual nearest neighbours.

Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004 (SIFT, the
ratio test); Arandjelović and Zisserman, CVPR 2012 (rootSIFT).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

MAX_KEYPOINTS = 4000  # strongest kept; the distance table grows with the square
CONTRAST_PERCENTILES = (1, 99)  # stretched to the full range, for dark or hazy photos


def matching_luma(
    photo: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Luma with its long side at most `side` px, contrast stretched, and its scale.

    Args:
        photo: RGB (H, W, 3).
        side: Length of the longer side, px; smaller photos keep their size.

    Returns:
        uint8 luma (h, w) and the scale of x and y, (2,): matched px per photo px.
    """
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    full = np.array(luma.shape[::-1])
    if full.max() > side:
        smaller = np.maximum(np.rint(full * side / full.max()), 1).astype(int)
        luma = cv2.resize(luma, smaller.tolist(), interpolation=cv2.INTER_AREA)
    scale = luma.shape[::-1] / full  # rounding to whole pixels differs along x and y
    low, high = np.percentile(luma, CONTRAST_PERCENTILES)
    stretched = (luma.astype(np.float32) - low) * (255 / max(high - low, 1))
    return np.clip(stretched, 0, 255).astype(np.uint8), scale


def find_keypoints(
    luma: NDArray[np.uint8],
) -> tuple[FloatArray, NDArray[np.float32]]:
    """SIFT keypoints: positions (N, 2) in px and rootSIFT descriptors (N, 128).

    Without the precise upscaling OpenCV's positions are off by a quarter pixel
    (opencv/opencv#23123), which would bias every homography.
    """
    sift = cv2.SIFT_create(nfeatures=MAX_KEYPOINTS, enable_precise_upscale=True)
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

    Args:
        phone: Descriptors of unit length, (N, 128).
        dslr: Likewise, (K, 128).
        ratio: Largest distance to the nearest, as a share of the second nearest's.
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
