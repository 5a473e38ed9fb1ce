"""Text and bars burned into both photos: matches of the overlay, not of the scene."""

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray, apply_homography, local_jacobian

BAND = 0.35  # of the photo: how far from a border an overlay reaches
IN_BAND = 0.9  # of the matches
ANCHOR = 0.02  # of a side: how far an overlay's borders may lie from where they should
TURN = 0.005  # radians, and likewise of the stretch

Share = tuple[float, float, float, float]  # left, top, right, bottom; 0 to 1
_BANDS: tuple[Share, ...] = (
    (0, 1 - BAND, 1, 1),
    (0, 0, 1, BAND),
    (0, 0, BAND, 1),
    (1 - BAND, 0, 1, 1),
)


def overlay_band(
    phone_to_dslr: FloatArray,
    phone_points: FloatArray,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
) -> Share | None:
    """The border band whose overlay a fit stands on; None where it has the scene.

    An overlay is drawn straight, at the same place of both photos: its matches lie in a
    band along a border, which is mapped to the same border, without a turn, and one of
    its corners or its middle to the same one.

    Args:
        phone_to_dslr: The fit, (3, 3).
        phone_points: Its inliers, (M, 2).
        phone_size: (width, height), px.
        dslr_size: Likewise.
    """
    jacobian = local_jacobian(phone_to_dslr, phone_points.mean(axis=0))
    scale = np.sqrt(max(np.linalg.det(jacobian), 1e-12))
    if np.abs(jacobian / scale - np.eye(2)).max() > TURN:
        return None
    for band in _BANDS:
        here = in_band(phone_points, phone_size, band)
        if here.mean() >= IN_BAND and _is_anchored(
            phone_to_dslr, band, phone_size, dslr_size
        ):
            return band
    return None


def in_band(
    points: FloatArray, size: tuple[int, int], band: Share
) -> NDArray[np.bool_]:
    """Which points, (M, 2), lie in a band of a photo of (width, height), (M,)."""
    share = points / np.array(size)
    return np.asarray(
        ((share >= band[:2]) & (share <= band[2:])).all(axis=1), dtype=np.bool_
    )


def _is_anchored(
    phone_to_dslr: FloatArray,
    band: Share,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
) -> bool:
    """Whether the band's border maps to itself, and an end or its middle as well."""
    along = 0 if band[0] == 0 and band[2] == 1 else 1
    side = float(band[:2][1 - along] > 0)
    for place in (0.0, 0.5, 1.0):
        share = np.array([place, side] if along == 0 else [side, place])
        target = apply_homography(phone_to_dslr, share * (np.array(phone_size) - 1))
        if np.abs(target / (np.array(dslr_size) - 1) - share).max() <= ANCHOR:
            return True
    return False
