"""Points followed from the phone's photo into the DSLR's.

A homography is fitted to blobs, a rig's geometry to corners. Both photos come on the
phone's grid, so that what is left is parallax, lens distortion and what moved. They are
compared whitened, because phones change light and tone.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Luma = NDArray[np.uint8]
Image = NDArray[np.float32]

SURROUNDINGS_PX = 8.0  # sigma, over which light and contrast are evened out
LEAST_CONTRAST = 3.0  # grey levels; less is noise
WHITENED = (40.0, 128.0)  # grey levels of one contrast, and of the mean
MAX_CORNERS, MAX_FOLLOWED = 3000, 1500  # weak ones among them, too
STRIP_PIXELS = 2_000_000  # in which corners are found at once
CORNER_QUALITY = 0.01  # of the best corner's
CORNER_DISTANCE, CORNER_BLOCK = 7, 5  # px
FOLLOW_WINDOW = (17, 17)  # px; of rows, OpenCV takes eight at once, and one by one
FOLLOW_LEVELS = 1  # of halved photos
FLOW_REDUCTION, MIN_FLOW_PX = 2, 8  # where points are looked for; OpenCV needs 8 px
FOLLOW_UNTIL = (3, 15, 0.02)  # OpenCV's criteria: both, steps, px
MAX_RETURN_PX = 0.15  # between a corner and where the way there and back ends
BORDER_PX = 8  # of the common area; no corner is taken there
BLOB_SIGMA, BLOB_WINDOW = 1.8, 11  # px
BLOB_RATIO = 1.26  # of Lowe's two Gaussians (section 3.3)
LEAST_BLOB = 0.5  # grey levels of their difference; less is noise
EDGE_RATIO = 10.0  # of the curvatures along and across an edge (Lowe, section 4.1)


@dataclass(frozen=True)
class Tracks:
    """N points of the phone's photo and where the DSLR shows them, full-size px."""

    points: FloatArray  # (N, 2)
    displacements: FloatArray  # (N, 2)


def whitened(luma: Luma | Image) -> Luma:
    """Luma (H, W) less its surroundings' mean, in units of their contrast."""
    size = luma.shape[::-1]
    mean = cv2.resize(_surroundings(luma), size, interpolation=cv2.INTER_LINEAR)
    rest = cv2.subtract(luma, mean, dst=mean, dtype=cv2.CV_32F)
    contrast = np.sqrt(_surroundings(cv2.multiply(rest, rest))) + LEAST_CONTRAST
    contrast = cv2.resize(contrast, size, interpolation=cv2.INTER_LINEAR)
    scale, middle = WHITENED
    cv2.divide(rest, contrast, dst=rest, scale=scale)
    return np.asarray(cv2.add(rest, middle, dtype=cv2.CV_8U))


def _surroundings(values: NDArray[np.generic]) -> Image:
    """Their blur, in a picture of a quarter of their size."""
    less = 4
    small = smaller(values, less).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SURROUNDINGS_PX / less))


def smaller(luma: NDArray[Any], times: int) -> NDArray[Any]:
    """Means over blocks of `times` x `times` px; rows and columns over are left out.

    Halved as often as that goes, which is a dozen times as fast as one reduction.
    """
    if times == 1:
        return luma
    step = times if times % 2 else 2
    height, width = (max(side // step, 1) for side in luma.shape)
    whole = luma[: step * height, : step * width]
    found = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return smaller(np.asarray(found), times // step)


def find_corners(luma: Luma, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Corners (N, 2) of a whitened luma, px, that lie `inside`; both (H, W)."""
    corners = _strongest_corners(luma, _within(inside))
    return corners[:: max(1, -(-len(corners) // MAX_FOLLOWED))]


def _strongest_corners(luma: Luma, inside: NDArray[np.uint8]) -> Image:
    """Corners (N, 2), px; strip by strip, as OpenCV takes 24 bytes a pixel."""
    strips = -(-luma.size // STRIP_PIXELS)
    found, top = [], 0
    for strip in np.array_split(luma, strips):
        bottom = top + len(strip)
        corners = cv2.goodFeaturesToTrack(
            strip,
            MAX_CORNERS // strips,
            CORNER_QUALITY,
            CORNER_DISTANCE,
            mask=inside[top:bottom],
            blockSize=CORNER_BLOCK,
        )
        if corners is not None:
            found.append(corners[:, 0] + np.array((0, top), np.float32))
        top = bottom
    return np.concatenate(found) if found else np.zeros((0, 2), np.float32)


def blob_contrast(luma: Luma) -> Image:
    """Laplacian of a Gaussian, as Lowe's difference of two (IJCV 2004), grey levels."""
    values = luma.astype(np.float32)
    cv2.GaussianBlur(values, (BLOB_WINDOW, BLOB_WINDOW), BLOB_SIGMA, dst=values)
    between = (BLOB_RATIO - 1 / BLOB_RATIO) / 2 * BLOB_SIGMA**2
    return np.asarray(cv2.Laplacian(values, cv2.CV_32F, scale=between))


def find_blobs(
    contrast: Image, inside: NDArray[np.bool_], cells: int
) -> NDArray[np.float32]:
    """The strongest blob of each cell, `cells` along the long side: (N, 2), whole px.

    Extrema of `blob_contrast` that are neither noise nor on an edge. Corners would do
    where the scene is flat; elsewhere many of them are crossings of near and far
    outlines, which are no places of the scene.
    """
    strength = np.abs(contrast)
    found = strength >= cv2.dilate(strength, np.ones((3, 3)))
    found &= strength > LEAST_BLOB
    found &= _within(inside) > 0
    places = np.flatnonzero(found)
    places = places[_is_round(contrast, places)]
    # Of the places of a cell, the strongest is written last.
    order = np.argsort(-strength.ravel()[places], kind="stable")[::-1]
    rows, columns = np.divmod(places[order], contrast.shape[1])
    side = math.ceil(max(contrast.shape) / cells)
    best = np.full(cells**2, -1)
    best[rows // side * cells + columns // side] = places[order]
    rows, columns = np.divmod(best[best >= 0], contrast.shape[1])
    return np.stack([columns, rows], axis=1).astype(np.float32)


def _is_round(contrast: Image, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether extrema inside the border are none of an edge (Lowe, section 4.1)."""
    flat, row = contrast.ravel(), contrast.shape[1]

    def at(down: int, right: int) -> Image:
        return np.asarray(flat[places + (down * row + right)])

    middle = 2 * at(0, 0)
    across, down = at(0, 1) + at(0, -1) - middle, at(1, 0) + at(-1, 0) - middle
    mixed = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    product = across * down - mixed**2
    least = (across + down) ** 2 * EDGE_RATIO / (EDGE_RATIO + 1) ** 2
    return np.asarray((product > 0) & (least < product))


def follow_points(
    phone: Luma,
    dslr: Luma,
    points: NDArray[np.float32],
    *,
    reduction: int,
    window: tuple[int, int] = FOLLOW_WINDOW,
    flow_reduction: int = FLOW_REDUCTION,
) -> Tracks:
    """The points (N, 2) of the phone's photo that are found there and back again.

    Lucas and Kanade's tracker on whitened lumas (H, W) of one grid, from where dense
    inverse search (Kroeger et al., ECCV 2016) leads, on lumas reduced further by
    `flow_reduction`. `reduction` is full-size px per px of these.
    """
    if not len(points):
        return Tracks(np.zeros((0, 2)), np.zeros((0, 2)))
    start = _flown(phone, dslr, points, flow_reduction)
    there, seen = _follow(phone, dslr, points, start, window)
    back, seen_back = _follow(dslr, phone, there, points, window)
    returned = np.linalg.norm(back - points, axis=1) < MAX_RETURN_PX
    kept = seen & seen_back & returned
    centre = (reduction - 1) / 2
    return Tracks(
        points[kept].astype(np.float64) * reduction + centre,
        (there - points)[kept].astype(np.float64) * reduction,
    )


def _within(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What is `inside`, (H, W), without a border, 1 or 0."""
    padded = np.pad(inside.astype(np.uint8), BORDER_PX)
    eroded = cv2.erode(padded, np.ones((2 * BORDER_PX - 1,) * 2))
    return np.asarray(eroded[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX])


def _flown(phone: Luma, dslr: Luma, points: Image, reduction: int) -> Image:
    """Where optical flow between small pictures sees the points (N, 2), to some px."""
    small = [smaller(luma, reduction) for luma in (phone, dslr)]
    if min(small[0].shape) < MIN_FLOW_PX:
        return points
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(*small, None)
    last = np.array(flow.shape[1::-1]) - 1
    columns, rows = np.minimum((points / reduction).astype(int), last).T
    return np.asarray(points + reduction * flow[rows, columns])


def _follow(
    one: Luma, other: Luma, points: Image, start: Image, window: tuple[int, int]
) -> tuple[Image, NDArray[np.bool_]]:
    """Where the points (N, 2) of `one` lie in `other`, and whether they were found."""
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        points[:, None],
        start[:, None].copy(),
        winSize=window,
        maxLevel=FOLLOW_LEVELS,
        criteria=FOLLOW_UNTIL,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found[:, 0], status[:, 0] > 0
