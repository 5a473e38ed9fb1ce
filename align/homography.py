"""A robust homography from matches, and whether two cameras can have made it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    corners,
    local_jacobian,
)

MAX_SIDE_RATIO = 1.3  # of opposite sides of the mapped photo; more is a wild tilt
ASPECT_RANGE = (0.8, 1.25)  # how differently x and y may be scaled
MIN_SCALE = 0.8  # DSLR px per phone px; below, the two folders are probably swapped
SWAPPED = "are the phone and the DSLR folder swapped?"


@dataclass(frozen=True)
class HomographyFit:
    """A homography and the matches that it explains."""

    phone_to_dslr: FloatArray  # (3, 3)
    inliers: NDArray[np.bool_]  # (M,)


def estimate_homography(
    phone_points: FloatArray, dslr_points: FloatArray, *, threshold_px: float
) -> HomographyFit | None:
    """MAGSAC++ fit (Barath et al., CVPR 2020) to matched points (M, 2), M >= 4.

    `threshold_px` is in px of `dslr_points`. The sampling is seeded, so that the same
    matches give the same matrix. None where no homography explains four of them.
    """
    matrix, mask = cv2.findHomography(
        phone_points,
        dslr_points,
        method=cv2.USAC_MAGSAC,
        ransacReprojThreshold=threshold_px,
        maxIters=10_000,
        confidence=0.9999,
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    inliers = mask.ravel().astype(bool)
    return HomographyFit(matrix, inliers) if inliers.sum() >= 4 else None


def reprojection_rmse(
    phone_to_dslr: FloatArray, phone_points: FloatArray, dslr_points: FloatArray
) -> float:
    """RMS distance of the DSLR points, mapped back, from the phone points, phone px."""
    back = apply_homography(np.linalg.inv(phone_to_dslr), dslr_points)
    return float(np.sqrt(((back - phone_points) ** 2).sum(axis=-1).mean()))


def implausible(phone_to_dslr: FloatArray, phone_size: tuple[int, int]) -> str | None:
    """Why two cameras on one rig cannot be related like this; None where they can."""
    quad = apply_homography(phone_to_dslr, corners(phone_size))
    if not np.isfinite(quad).all():
        return "a corner of the phone photo maps behind the camera"
    sides = np.roll(quad, -1, axis=0) - quad
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    if not (turns > 0).all():
        return "the phone photo maps mirrored or folded"
    lengths = np.linalg.norm(sides, axis=1)
    for one, other in ((0, 2), (1, 3)):
        ratio = max(lengths[one], lengths[other]) / min(lengths[one], lengths[other])
        if ratio > MAX_SIDE_RATIO:
            return f"opposite sides differ by a factor of {ratio:.2f}"
    width, height = phone_size
    aspect = lengths[[0, 2]].mean() / (width - 1) * (height - 1)
    aspect /= lengths[[1, 3]].mean()
    if not ASPECT_RANGE[0] <= aspect <= ASPECT_RANGE[1]:
        return f"width and height are scaled differently (by {aspect:.2f})"
    centre = ((width - 1) / 2, (height - 1) / 2)
    scale = np.sqrt(np.linalg.det(local_jacobian(phone_to_dslr, centre)))
    if scale < MIN_SCALE:
        return f"the DSLR has only {scale:.2f} px per phone px; {SWAPPED}"
    return None
