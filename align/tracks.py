"""Corners followed from the phone's photo into the DSLR's: what a rig is fitted to.

Both photos come on the phone's grid, so that what is left is parallax, lens distortion
and what moved. They are compared whitened, because phones change light and tone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Luma = NDArray[np.uint8]
Image = NDArray[np.float32]

SURROUNDINGS_PX = 8.0  # sigma, over which light and contrast are evened out
LEAST_CONTRAST = 3.0  # grey levels; less is noise
WHITENED = (40.0, 128.0)  # grey levels of one contrast, and of the mean
MAX_CORNERS = 3000
CORNER_QUALITY = 0.01  # of the best corner's
CORNER_DISTANCE, CORNER_BLOCK = 7, 5  # px
FOLLOW_WINDOW = 15  # px
FOLLOW_UNTIL = (3, 15, 0.02)  # OpenCV's criteria: both, steps, px
MAX_RETURN_PX = 0.15  # between a corner and where the way there and back ends
BORDER_PX = 8  # of the common area; no corner is taken there


@dataclass(frozen=True)
class Tracks:
    """N corners of the phone's photo and where the DSLR shows them, full-size px."""

    points: FloatArray  # (N, 2)
    displacements: FloatArray  # (N, 2)


def whitened(luma: Image) -> Luma:
    """Luma (H, W) less its surroundings' mean, in units of their contrast."""
    rest = _smooth(luma)
    np.subtract(luma, rest, out=rest)
    scale, mean = WHITENED
    contrast = _smooth(rest * rest)
    np.sqrt(contrast, out=contrast)
    contrast += LEAST_CONTRAST
    rest /= contrast
    rest *= scale
    rest += mean
    return np.clip(rest, 0, 255, out=rest).astype(np.uint8)


def _smooth(luma: Image) -> Image:
    less = 4
    small = _smaller(luma, less)
    small = cv2.GaussianBlur(small, (0, 0), SURROUNDINGS_PX / less)
    return np.asarray(cv2.resize(small, luma.shape[::-1], interpolation=1))


def _smaller(luma: NDArray[np.generic], times: int) -> NDArray[np.generic]:
    size = [max(side // times, 1) for side in luma.shape[::-1]]
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class Corners:
    """N corners of the phone's photo, and where to look for them in the DSLR's, px."""

    points: Image  # (N, 2)
    start: Image  # (N, 2)

    def every(self, nth: int) -> "Corners":
        """Every nth of them."""
        return Corners(self.points[::nth], self.start[::nth])


def find_corners(phone: Luma, dslr: Luma, inside: NDArray[np.bool_]) -> Corners:
    """Corners of the phone's photo.

    Dense inverse search (Kroeger et al., ECCV 2016) says where to look for them.

    Args:
        phone: Whitened luma (H, W).
        dslr: Likewise, on the same grid.
        inside: Which pixels both photos show, (H, W).
    """
    border = np.ones((2 * BORDER_PX - 1,) * 2)
    found = cv2.goodFeaturesToTrack(
        phone,
        MAX_CORNERS,
        CORNER_QUALITY,
        CORNER_DISTANCE,
        mask=cv2.erode(inside.astype(np.uint8), border),
        blockSize=CORNER_BLOCK,
    )
    if found is None:
        return Corners(*np.zeros((2, 0, 2), np.float32))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(_smaller(phone, 2), _smaller(dslr, 2), None)
    corners = found[:, 0]
    columns, rows = np.minimum((corners / 2).astype(int), _last(flow)).T
    return Corners(corners, corners + 2 * flow[rows, columns])


def follow_corners(
    phone: Luma, dslr: Luma, corners: Corners, *, reduction: int
) -> Tracks:
    """Those of the corners that are found in the DSLR's photo, there and back.

    Lucas and Kanade's tracker (1981) finds the place.

    Args:
        phone: Whitened luma (H, W).
        dslr: Likewise, on the same grid.
        corners: Of these two.
        reduction: Full-size px per px of these.
    """
    if not len(corners.points):
        return Tracks(np.zeros((0, 2)), np.zeros((0, 2)))
    points = corners.points
    there, seen = _follow(phone, dslr, points, corners.start)
    back, seen_back = _follow(dslr, phone, there, points)
    returned = np.linalg.norm(back - points, axis=1) < MAX_RETURN_PX
    kept = seen & seen_back & returned
    centre = (reduction - 1) / 2
    return Tracks(
        points[kept].astype(np.float64) * reduction + centre,
        (there - points)[kept].astype(np.float64) * reduction,
    )


def _last(flow: Image) -> NDArray[np.int64]:
    return np.array(flow.shape[1::-1]) - 1


def _follow(
    one: Luma, other: Luma, corners: Image, start: Image
) -> tuple[Image, NDArray[np.bool_]]:
    """Where the corners (N, 2) of `one` lie in `other`, and whether they were found."""
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        corners[:, None],
        start[:, None].copy(),
        winSize=(FOLLOW_WINDOW,) * 2,
        maxLevel=1,
        criteria=FOLLOW_UNTIL,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found[:, 0], status[:, 0] > 0
