"""Windows placed as the DPED paper did, for comparison.

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
from dped_build.align.sampling import sample
from dped_build.patches.quality import lumas, normalised_cross_correlation

MAX_SHIFT = 5  # px; "the potential shifts do not exceed 5 pixels"
ROTATION_STEP_DEG = 0.5  # moves the corner of a window of 100 px by 0.6 px
MIN_STD = 0.5  # grey levels; matchTemplate calls a flatter window a perfect match

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class PaperWindows:
    """Placement of N windows of S px.

    Attributes:
        patch_to_phone: Patch px → phone px, (N, 3, 3): a shift and a turn.
        patch_to_dslr: Patch px → DSLR px, (N, 3, 3): the plain window's homography.
        phone: The phone's pixels there, uint8 (N, S, S, 3); its own where not turned.
        dslr: The DSLR's pixels, uint8 (N, S, S, 3).
        ncc: NCC of the luma of the two, (N,); NaN where one is flat.
        shift_px: Of the window's centre, (N, 2), phone px.
        rotation_deg: Of the window about its centre, (N,), x towards y.
    """

    patch_to_phone: FloatArray
    patch_to_dslr: FloatArray
    phone: Photo
    dslr: Photo
    ncc: FloatArray
    shift_px: FloatArray
    rotation_deg: FloatArray


@dataclass(frozen=True)
class _Place:
    """One candidate: how well it fits, the window's pose, its pixels."""

    score: float
    shift_px: FloatArray
    rotation_deg: float
    patch_to_phone: FloatArray
    pixels: Photo


def paper_windows(
    phone: Photo,
    dslr: Photo,
    phone_to_dslr: FloatArray,
    places: NDArray[np.integer],
    *,
    size: int,
    max_shift: int,
    max_rotation: float,
) -> PaperWindows:
    """Shift and turn the phone's windows to where they correlate most with the DSLR.

    A window whose DSLR patch is flat stays where it is.

    Args:
        phone: RGB uint8 (H, W, 3).
        dslr: Likewise.
        phone_to_dslr: Homography (3, 3), phone px → DSLR px.
        places: Top-left pixels of the windows in the phone photo, (N, 2).
        size: Side of a window, S px.
        max_shift: Whole px along the turned window's axes; MAX_SHIFT in the paper.
        max_rotation: Degrees; tried in steps of about ROTATION_STEP_DEG.

    Raises:
        ValueError: A window does not lie inside the phone photo.
    """
    limit = np.array(phone.shape[1::-1]) - size
    if ((places < 0) | (places > limit)).any():
        raise ValueError(f"windows of {size} px must lie inside the phone photo")
    angles = _angles(max_rotation)
    plain = [translation(x, y) for x, y in places]
    patch_to_dslr = np.array([phone_to_dslr @ m for m in plain]).reshape(-1, 3, 3)
    seen = np.array([sample(dslr, m, (size, size)) for m in patch_to_dslr], np.uint8)
    seen = seen.reshape(-1, size, size, 3)
    found = [
        _best_place(phone, template, place, angles, max_shift)
        for template, place in zip(lumas(seen), places, strict=True)
    ]
    pixels = np.array([place.pixels for place in found], np.uint8)
    pixels = pixels.reshape(-1, size, size, 3)
    ncc = np.full(len(found), np.nan)
    matched = np.array([np.isfinite(place.score) for place in found], dtype=bool)
    if matched.any():
        ncc[matched] = normalised_cross_correlation(
            lumas(pixels[matched]), lumas(seen[matched])
        )
    return PaperWindows(
        np.array([place.patch_to_phone for place in found]).reshape(-1, 3, 3),
        patch_to_dslr,
        pixels,
        seen,
        ncc,
        np.array([place.shift_px for place in found]).reshape(-1, 2),
        np.array([place.rotation_deg for place in found], dtype=np.float64),
    )


def _angles(max_rotation: float) -> list[float]:
    """Angles up to the limit, the smallest first: of equal fits the plainest wins."""
    steps = int(np.ceil(max_rotation / ROTATION_STEP_DEG))
    angles = np.linspace(-max_rotation, max_rotation, 2 * steps + 1)
    return sorted(angles.tolist(), key=lambda angle: (abs(angle), angle))


def _best_place(
    phone: Photo,
    template: Photo,
    place: NDArray[np.integer],
    angles: list[float],
    max_shift: int,
) -> _Place:
    size = len(template)
    x, y = (int(value) for value in place)
    unmoved = translation(x, y)
    own = phone[y : y + size, x : x + size]
    best = _Place(-np.inf, np.zeros(2), 0.0, unmoved, own)
    if template.std() < MIN_STD:
        return best
    for angle in angles:
        area_to_phone = (
            unmoved @ _turn(angle, size) @ translation(-max_shift, -max_shift)
        )
        area = _cut(phone, area_to_phone, size + 2 * max_shift)
        scores = _scores(area, template)
        scores[~_inside(phone, area_to_phone, size, scores.shape)] = -np.inf
        down, right = np.unravel_index(scores.argmax(), scores.shape)
        if scores[down, right] <= best.score:
            continue
        patch_to_phone = area_to_phone @ translation(float(right), float(down))
        middle = np.full(2, (size - 1) / 2)
        best = _Place(
            float(scores[down, right]),
            apply_homography(patch_to_phone, middle) - middle - place,
            angle,
            patch_to_phone,
            area[down : down + size, right : right + size],
        )
    return best


def _turn(angle_deg: float, size: int) -> FloatArray:
    """Rotation of a patch about its centre."""
    middle = (size - 1) / 2
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(
        translation(middle, middle) @ turn @ translation(-middle, -middle)
    )


def _cut(phone: Photo, area_to_phone: FloatArray, side: int) -> Photo:
    """The phone's pixels on a square grid; its own where that is not turned."""
    area = cv2.warpAffine(
        phone,
        area_to_phone[:2],
        (side, side),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(area, dtype=np.uint8)


def _scores(area: Photo, template: Photo) -> NDArray[np.float32]:
    """NCC of the template at every shift within the area; none where that is flat."""
    luma = cv2.cvtColor(area, cv2.COLOR_RGB2GRAY)
    scores = cv2.matchTemplate(luma, template, cv2.TM_CCOEFF_NORMED)
    total, squares = cv2.integral2(luma, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    size = len(template)
    mean, power = (_sums(table, size) / size**2 for table in (total, squares))
    scores[power - mean**2 < MIN_STD**2] = -np.inf
    return np.asarray(scores, dtype=np.float32)


def _sums(table: FloatArray, size: int) -> FloatArray:
    """Sums over all square windows, from an integral image."""
    lower = table[size:, size:] - table[size:, :-size]
    return np.asarray(lower - table[:-size, size:] + table[:-size, :-size])


def _inside(
    phone: Photo, area_to_phone: FloatArray, size: int, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """At which shifts the whole window lies inside the photo."""
    down, right = np.indices(shape)
    shifts = np.stack([right, down], axis=-1)[..., None, :]  # (rows, columns, 1, 2)
    quads = apply_homography(area_to_phone, corners((size, size)) + shifts)
    within = (quads >= -1e-6) & (quads <= np.array(phone.shape[1::-1]) - 1 + 1e-6)
    return np.asarray(within.all(axis=(-1, -2)))
