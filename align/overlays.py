"""Text and bars burned into both photos: matches of the overlay, not of the scene.

An overlay is drawn straight, at the same place of both photos: in a corner, along one
border or several, or across the middle.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray, apply_homography, local_jacobian

BAND = 0.35  # of the photo: how far from a border an overlay reaches
IN_BAND = 0.9  # of the matches
ANCHOR = 0.02  # of a side: how far an overlay's borders may lie from where they should
TURN = 0.005  # radians, and likewise of the stretch
CELLS = 16  # along each side, in which a photo is divided
MOST = 0.5  # of the cells: matches that are spread further are the scene's
MOST_BARS = 0.75  # of the cells

Region = NDArray[np.bool_]  # cells of the phone photo, (CELLS, CELLS)


@dataclass(frozen=True)
class Overlay:
    """Where an overlay may be.

    Attributes:
        cells: Of its matches.
        region: Of all that may belong to it, such as a bar behind a text.
        in_one_piece: As an object before a plain background would be.
    """

    cells: Region
    region: Region
    in_one_piece: bool


_Band = tuple[float, float, float, float]  # left, top, right, bottom; shares
_BANDS: tuple[_Band, ...] = (
    (0, 1 - BAND, 1, 1),
    (0, 0, 1, BAND),
    (0, 0, BAND, 1),
    (1 - BAND, 0, 1, 1),
)
_CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], dtype=np.float64)
_MIDDLE = np.array([(0.5, 0.5)])


def find_overlay(
    phone_to_dslr: FloatArray,
    phone_points: FloatArray,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
) -> Overlay | None:
    """The overlay in the phone photo that a fit may stand on; None: on the scene.

    Such a fit does not turn, and maps a border with an end or its middle to itself, all
    corners, or the middle pixel by pixel.

    Args:
        phone_to_dslr: The fit, (3, 3).
        phone_points: Its inliers, (M, 2).
        phone_size: (width, height), px.
        dslr_size: Likewise.
    """
    if _upright_scale(phone_to_dslr, phone_points) is None:
        return None
    sizes = phone_size, dslr_size
    share = phone_points / np.array(phone_size)
    for band in _BANDS:
        here = ((share >= band[:2]) & (share <= band[2:])).all(axis=1)
        ends = _ends(band)
        if here.mean() >= IN_BAND and any(
            _stays(phone_to_dslr, end[None], sizes) for end in ends
        ):
            cells, around = _cells_of(band), _around(share)
            if around is not None:  # with a few in another band, too
                cells |= around.region
            return Overlay(cells, cells, in_one_piece=False)
    if not stays_in_place(phone_to_dslr, phone_points, phone_size, dslr_size):
        return None
    return _around(share)


def stays_in_place(
    phone_to_dslr: FloatArray,
    phone_points: FloatArray,
    phone_size: tuple[int, int],
    dslr_size: tuple[int, int],
) -> bool:
    """Whether a fit maps the photo to itself: corner by corner, or pixel by pixel.

    So does one of a watermark all over. Parameters as of `find_overlay`.
    """
    scale = _upright_scale(phone_to_dslr, phone_points)
    if scale is None:
        return False
    sizes = phone_size, dslr_size
    by_pixel = abs(scale - 1) <= TURN and _stays(phone_to_dslr, _MIDDLE, sizes)
    return by_pixel or _stays(phone_to_dslr, _CORNERS, sizes)


def _upright_scale(phone_to_dslr: FloatArray, phone_points: FloatArray) -> float | None:
    """A fit's scale where it neither turns nor stretches; else None."""
    if not len(phone_points):
        return None
    jacobian = local_jacobian(phone_to_dslr, phone_points.mean(axis=0))
    scale = float(np.sqrt(max(np.linalg.det(jacobian), 1e-12)))
    return scale if np.abs(jacobian / scale - np.eye(2)).max() <= TURN else None


def in_region(
    points: FloatArray, size: tuple[int, int], region: Region
) -> NDArray[np.bool_]:
    """Which points, (M, 2), lie in a region of a photo of (width, height), (M,)."""
    columns, rows = _cells(points / np.array(size)).T
    return np.asarray(region[rows, columns], dtype=np.bool_)


def _cells(share: FloatArray) -> NDArray[np.int64]:
    """Column and row of the cells that points, (M, 2) shares of a photo, lie in."""
    return np.clip((share * CELLS).astype(np.int64), 0, CELLS - 1)


def _cells_of(band: _Band) -> Region:
    region = np.zeros((CELLS, CELLS), dtype=np.bool_)
    left, top, right, bottom = np.rint(np.array(band) * CELLS).astype(int)
    region[top:bottom, left:right] = True
    return region


def _around(share: FloatArray) -> Overlay | None:
    """The cells of matches and their neighbours; None where they are all over.

    Near a border, the region goes all along it, as a bar behind a text does.
    """
    cells, bars = np.zeros((2, CELLS, CELLS), dtype=np.bool_)
    for column, row in np.unique(_cells(share), axis=0):
        rows, columns = (slice(max(n - 1, 0), n + 2) for n in (row, column))
        cells[rows, columns] = True
        from_sides, from_ends = (min(n, CELLS - 1 - n) for n in (column, row))
        if min(from_sides, from_ends) < BAND * CELLS:
            bars[(rows, slice(None)) if from_ends <= from_sides else (..., columns)] = 1
    if cells.mean() > MOST:
        return None
    pieces = cv2.connectedComponents(cells.view(np.uint8))[0] - 1  # but the background
    region = cells | bars if (cells | bars).mean() <= MOST_BARS else cells
    return Overlay(cells, region, pieces == 1)


def _ends(band: _Band) -> FloatArray:
    """The ends and the middle of the border that a band lies along, (3, 2) shares."""
    along = 0 if band[0] == 0 and band[2] == 1 else 1
    side = float(band[:2][1 - along] > 0)
    places = [(place, side) for place in (0.0, 0.5, 1.0)]
    return np.array(places if along == 0 else [place[::-1] for place in places])


def _stays(
    phone_to_dslr: FloatArray,
    share: FloatArray,
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> bool:
    """Whether points, (M, 2) shares of a photo, are mapped to themselves."""
    phone_size, dslr_size = sizes
    target = apply_homography(phone_to_dslr, share * (np.array(phone_size) - 1))
    away = np.abs(target / (np.array(dslr_size) - 1) - share)
    return bool(away.max() <= ANCHOR)
