"""The DPED paper's placement of windows, for comparison: `--rule paper`.

Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional
Networks", ICCV 2017, section 2: the DSLR patch stays where the homography puts it; the
phone's window is shifted by up to five pixels and turned a little until the correlation
is greatest. A turned window is interpolated, and so smoother than the phone's photo.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    corners,
    translation,
)

MAX_SHIFT = 5  # px; "the potential shifts do not exceed 5 pixels"
ROTATION_STEP_DEG = 0.5  # moves the corner of a window of 100 px by 0.6 px
MIN_STD = 0.5  # grey levels; matchTemplate calls a flatter window a perfect match

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PaperWindows:
    """Placement of N windows of S px.

    Attributes:
        patch_to_phone: Patch px → phone px, (N, 3, 3): a shift and a turn; of whole px
            where not turned.
        shift_px: Of the window's centre in the phone photo, (N, 2), phone px.
        rotation_deg: Of the window about its centre, (N,), x towards y.
    """

    patch_to_phone: FloatArray
    shift_px: FloatArray
    rotation_deg: FloatArray


@dataclass(frozen=True)
class _Place:
    """One candidate: how well it fits, and the window's pose."""

    score: float
    patch_to_phone: FloatArray
    rotation_deg: float


def paper_windows(
    phone: Pixels,
    templates: Pixels,
    places: NDArray[np.integer],
    *,
    max_shift: int,
    max_rotation: float,
) -> PaperWindows:
    """Shift and turn the phone's windows to where they correlate most with the DSLR.

    A window whose template is flat stays where it is.

    Args:
        phone: Luma uint8 (H, W).
        templates: Luma of the DSLR's patches on the plain windows' grids, uint8
            (N, S, S).
        places: Top-left pixels of the windows in the phone photo, (N, 2).
        max_shift: Whole px along the turned window's axes; MAX_SHIFT in the paper.
        max_rotation: Degrees; tried in steps of about ROTATION_STEP_DEG.

    Raises:
        ValueError: A window does not lie inside the phone photo.
    """
    size = templates.shape[1]
    limit = np.array(phone.shape[::-1]) - size
    if ((places < 0) | (places > limit)).any():
        raise ValueError(f"windows of {size} px must lie inside the phone photo")
    angles = _angles(max_rotation)
    found = [
        _best_place(phone, template, place, angles, max_shift)
        for template, place in zip(templates, places, strict=True)
    ]
    middle = np.full(2, (size - 1) / 2)
    centres = [apply_homography(place.patch_to_phone, middle) for place in found]
    return PaperWindows(
        np.array([place.patch_to_phone for place in found]).reshape(-1, 3, 3),
        np.array(centres).reshape(-1, 2) - middle - places,
        np.array([place.rotation_deg for place in found], dtype=np.float64),
    )


def interpolated(photo: Pixels, to_photo: FloatArray, size: int) -> Pixels:
    """A photo (H, W) or (H, W, 3) on a square grid that is shifted and turned.

    Bicubic, which is the paper's way: softer than the photo between its pixels, and
    equal to it on them.

    Args:
        photo: uint8; beyond it its border is repeated.
        to_photo: Grid px → photo px, (3, 3), affine.
        size: Side of the grid, px.
    """
    found = cv2.warpAffine(
        photo,
        to_photo[:2],
        (size, size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, dtype=np.uint8)


def _angles(max_rotation: float) -> list[float]:
    """Angles up to the limit, the smallest first: of equal fits the plainest wins."""
    steps = int(np.ceil(max_rotation / ROTATION_STEP_DEG))
    angles = np.linspace(-max_rotation, max_rotation, 2 * steps + 1)
    return sorted(angles.tolist(), key=lambda angle: (abs(angle), angle))


def _best_place(
    phone: Pixels,
    template: Pixels,
    place: NDArray[np.integer],
    angles: list[float],
    max_shift: int,
) -> _Place:
    size = len(template)
    unmoved = translation(*place.tolist())
    best = _Place(-np.inf, unmoved, 0.0)
    if template.std() < MIN_STD:
        return best
    side = size + 2 * max_shift
    for angle in angles:
        area_to_phone = (
            unmoved @ _turn(angle, size) @ translation(-max_shift, -max_shift)
        )
        scores = _scores(interpolated(phone, area_to_phone, side), template)
        if not _inside(phone, area_to_phone, corners((side, side))).all():
            scores[~_inside(phone, area_to_phone, _windows(scores, size))] = -np.inf
        down, right = np.unravel_index(scores.argmax(), scores.shape)
        score = float(scores[down, right])
        if score > best.score:
            moved = area_to_phone @ translation(float(right), float(down))
            best = _Place(score, moved, angle)
    return best


def _turn(angle_deg: float, size: int) -> FloatArray:
    """Rotation of a patch about its centre."""
    middle = (size - 1) / 2
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(
        translation(middle, middle) @ turn @ translation(-middle, -middle)
    )


def _scores(area: Pixels, template: Pixels) -> NDArray[np.float32]:
    """NCC of the template at every shift within the area; none where that is flat."""
    scores = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
    total, squares = cv2.integral2(area, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    size = len(template)
    mean, power = (_sums(table, size) / size**2 for table in (total, squares))
    scores[power - mean**2 < MIN_STD**2] = -np.inf
    return np.asarray(scores, dtype=np.float32)


def _sums(table: FloatArray, size: int) -> FloatArray:
    """Sums over all square windows, from an integral image."""
    lower = table[size:, size:] - table[size:, :-size]
    return np.asarray(lower - table[:-size, size:] + table[:-size, :-size])


def _windows(scores: NDArray[np.float32], size: int) -> FloatArray:
    """Corners of the window at every shift, (rows, columns, 4, 2), area px."""
    down, right = np.indices(scores.shape)
    return np.stack([right, down], axis=-1)[..., None, :] + corners((size, size))


def _inside(
    phone: Pixels, to_phone: FloatArray, quads: FloatArray
) -> NDArray[np.bool_]:
    """Which quads (..., 4, 2) lie inside the photo, (...)."""
    found = apply_homography(to_phone, quads)
    within = (found >= -1e-6) & (found <= np.array(phone.shape[::-1]) - 1 + 1e-6)
    return np.asarray(within.all(axis=(-1, -2)))
