"""Robust homography estimation from matches, and its plausibility for two cameras.

Matches rarely fill the overlap: a plain fit to a crowded corner is off by a hundred
pixels in the opposite one. `settle` adds what is known of two cameras with square
pixels at one place (Hartley and Zisserman, Multiple View Geometry, 2nd ed., 8.4).
Turned by a small angle θ against each other they see, beyond a similarity, a
perspective of θ / f and a compression of θ² / 2 along the turn, and the phone's centre
falls f·θ from the DSLR's: it tells what to expect where matches do not.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    corners,
    local_jacobian,
    translation,
)

MAX_SIDE_RATIO = 1.5  # of opposite sides of the mapped photo; more is a wild tilt
ASPECT_RANGE = (0.7, 1.43)  # how differently x and y may be scaled
MIN_SCALE = 0.8  # DSLR px per phone px; below, the two folders are probably swapped
CELLS = 8  # across the phone's long side; the matches of one cell share an error
CELL_ERROR = 0.001  # of that shared error, in half long sides: distortion, parallax
PERSPECTIVE_ERROR = 0.005  # displacement at half the long side, in half long sides
FOCAL_TERM = 0.25  # (half long side / focal length)², of a field of view of 53°
FOCAL_DOUBT = 0.7  # relative error of that: fields of view from 31° to 66°
MIN_PLACES = 4  # a keypoint with several orientations is one place
REFITS = 2  # the second time with the matches that the first fit explains
PRIOR_STEPS = 2


@dataclass(frozen=True)
class Implausible:
    """Why two cameras on one rig cannot be related by a homography."""

    message: str
    swapped: bool = False  # as if the DSLR were the phone


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


def settle(
    fit: HomographyFit,
    phone_points: FloatArray,
    dslr_points: FloatArray,
    *,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
    noise_px: float,
    threshold_px: float,
) -> HomographyFit:
    """The homography that matches and cameras together make most likely.

    Points are (M, 2), px, those of `fit`, which says where to begin; sizes (width,
    height). `noise_px` is the standard error of a match, phone px, `threshold_px` the
    error of an inlier of the result, DSLR px. Gives `fit` itself where it mirrors the
    photo or stands on fewer than four places.
    """
    inliers, matrix = fit.inliers, fit.phone_to_dslr
    for _ in range(REFITS):
        phone, dslr = phone_points[inliers], dslr_points[inliers]
        if len(np.unique(np.rint(phone), axis=0)) < MIN_PLACES:
            break
        if np.linalg.det(local_jacobian(matrix, phone.mean(axis=0))) <= 0:
            return fit
        shared = (CELL_ERROR * max(phone_size) / 2) ** 2
        weights = 1 / (crowd(phone, phone_size) * shared + noise_px**2)
        matrix = likely_homography(phone, dslr, phone_size, dslr_size, weights)
        error = apply_homography(matrix, phone_points) - dslr_points
        inliers = np.linalg.norm(error, axis=1) < threshold_px
    return HomographyFit(matrix, inliers)


def likely_homography(
    phone: FloatArray,
    dslr: FloatArray,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
    weights: FloatArray,
) -> FloatArray:
    """The most likely homography (3, 3) of two cameras by weighted least squares.

    Points are (M, 2), px; `weights` (M,) are inverse variances, per phone px².
    """
    unit = max(phone_size) / 2
    to_unit = np.diag([1 / unit, 1 / unit, 1]) @ translation(
        *(-(np.array(phone_size) - 1) / 2)
    )
    points = apply_homography(to_unit, phone)
    weights = weights * unit**2
    similarity = _similarity(points, dslr, weights)
    back = np.linalg.inv(similarity)
    centre = apply_homography(back, (np.array(dslr_size) - 1) / 2)
    seen = apply_homography(back, dslr)
    rows = _equations(points, seen)  # (8, 2, M)
    weighted = (rows * weights).reshape(8, -1)
    normal = weighted @ rows.reshape(8, -1).T
    right = weighted @ (seen - points).T.ravel()
    found: FloatArray
    found, mean, prior = np.zeros((3, 8))
    for _ in range(PRIOR_STEPS):  # the prior depends on where the phone's centre lies
        mean[4:], sigma = _expectation(found[:2] - centre)
        prior[4:] = 1 / sigma**2
        found = np.linalg.solve(normal + np.diag(prior), right + prior * mean)
    x, y, grow, turn, stretch, shear, tilt_x, tilt_y = found
    warp = [
        [1 + grow + stretch, shear - turn, x],
        [shear + turn, 1 + grow - stretch, y],
        [tilt_x, tilt_y, 1],
    ]
    matrix = similarity @ np.array(warp) @ to_unit
    return np.asarray(matrix / matrix[2, 2])


def crowd(points: FloatArray, size: tuple[int, int]) -> NDArray[np.int64]:
    """How many of the points (M, 2), px, share each one's cell of the photo, (M,)."""
    place = (points - (np.array(size) - 1) / 2) / max(size) + 0.5
    cell = np.clip(place * CELLS, 0, CELLS - 1).astype(int) @ (1, CELLS)
    return np.asarray(np.bincount(cell)[cell])


def _similarity(
    points: FloatArray, targets: FloatArray, weights: FloatArray
) -> FloatArray:
    """Weighted least-squares similarity (3, 3) from points to targets, (M, 2) each."""
    middles = [weights @ xy / weights.sum() for xy in (points, targets)]
    z, w = (xy - middle for xy, middle in zip((points, targets), middles, strict=True))
    shared = (weights[:, None] * z).T @ w
    along, across = np.trace(shared), shared[0, 1] - shared[1, 0]
    power = (weights @ (z * z)).sum()
    cos, sin = along / power, across / power
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(translation(*middles[1]) @ turn @ translation(*-middles[0]))


def _equations(points: FloatArray, seen: FloatArray) -> FloatArray:
    """A homography near the identity as linear equations, (8, 2, M).

    The unknowns: shift, scale and turn, stretch and shear, perspective.
    """
    rows = np.zeros((8, 2, len(points)))
    x, y = points.T
    rows[0, 0] = rows[1, 1] = 1
    rows[2], rows[3] = (x, y), (-y, x)
    rows[4], rows[5] = (x, -y), (y, x)
    rows[6], rows[7] = -seen.T * x, -seen.T * y
    return rows


def _expectation(offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Stretch, shear and perspective, and their sigma, (4,) each.

    `offset` is the phone's centre from the DSLR's on the phone's axes, half long sides.
    """
    x, y = FOCAL_TERM * offset
    bend = np.hypot(x, y) * np.linalg.norm(offset) / 4
    expected = [(y * offset[1] - x * offset[0]) / 4, -x * offset[1] / 2, -x, -y]
    affine = np.hypot(PERSPECTIVE_ERROR / 2, FOCAL_DOUBT * bend)
    perspective = np.hypot(PERSPECTIVE_ERROR, FOCAL_DOUBT * np.hypot(x, y))
    return np.array(expected), np.array([affine, affine, perspective, perspective])


def reprojection_rmse(
    phone_to_dslr: FloatArray, phone_points: FloatArray, dslr_points: FloatArray
) -> float:
    """RMS distance of the DSLR points, mapped back, from the phone points, phone px."""
    back = apply_homography(np.linalg.inv(phone_to_dslr), dslr_points)
    return float(np.sqrt(((back - phone_points) ** 2).sum(axis=-1).mean()))


def implausible(
    phone_to_dslr: FloatArray, phone_size: tuple[int, int]
) -> Implausible | None:
    """Why two cameras on one rig cannot be related like this; None where they can."""
    quad = apply_homography(phone_to_dslr, corners(phone_size))
    if not np.isfinite(quad).all():
        return Implausible("a corner of the phone photo maps behind the camera")
    sides = np.roll(quad, -1, axis=0) - quad
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    if not (turns > 0).all():
        return Implausible("the phone photo maps mirrored or folded")
    lengths = np.linalg.norm(sides, axis=1)
    for one, other in ((0, 2), (1, 3)):
        ratio = max(lengths[one], lengths[other]) / min(lengths[one], lengths[other])
        if ratio > MAX_SIDE_RATIO:
            return Implausible(f"opposite sides differ by a factor of {ratio:.2f}")
    width, height = phone_size
    aspect = lengths[[0, 2]].mean() / (width - 1) * (height - 1)
    aspect /= lengths[[1, 3]].mean()
    if not ASPECT_RANGE[0] <= aspect <= ASPECT_RANGE[1]:
        return Implausible(f"width and height are scaled differently (by {aspect:.2f})")
    centre = ((width - 1) / 2, (height - 1) / 2)
    scale = np.sqrt(np.linalg.det(local_jacobian(phone_to_dslr, centre)))
    if scale < MIN_SCALE:
        return Implausible(
            f"the DSLR has only {scale:.2f} px per phone px; are the phone and the "
            "DSLR folder swapped? If not (a phone of 48 MP or more, digital zoom): "
            f"--reduce-phone {math.ceil(MIN_SCALE / scale)}",
            swapped=True,
        )
    return None
