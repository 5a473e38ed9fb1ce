"""Parallax of every pixel along the rig's direction: a guide, never the answer.

Semi-global matching (Hirschmüller, PAMI 2008) on whitened photos, turned so that
parallax lies along the rows and freed of what the rig displaces across them.
"""

import cv2
import numpy as np

from dped_build.align.geometry import FloatArray
from dped_build.align.rig import Rig
from dped_build.align.tracks import Luma
from dped_build.patches.refinement.pyramid import Image

BLOCK = 5  # px of a matching block
STEP_COST, JUMP_COST = 8, 40  # per px of a block: of parallax changing by 1 px, by more
MIN_UNIQUE = 5  # percent by which the best match beats the next
SPECKLE_PX, SPECKLE_STEP = 60, 2  # islands up to so large, of such a step, are unknown
BEYOND = 3  # px searched beyond the tracks' parallax
SIXTEEN = 16  # OpenCV's unit of disparities, in number and in value
STRIP = 128  # rows of the turned photo made at once
STRIP_PIXELS, MARGIN = 4_000_000, 64  # matched at once, and rows of what is around
GRID = 8  # px between which what lies across is interpolated


def parallax_map(phone: Luma, dslr: Luma, rig: Rig, reduction: int) -> Image:
    """Parallax of each pixel of the phone's photo, full-size px; NaN where unknown.

    Args:
        phone: Whitened luma (H, W).
        dslr: Likewise, on the same grid.
        rig: Of full-size px.
        reduction: Full-size px per px of these.
    """
    height, width = phone.shape
    axes = np.array([rig.along, rig.normal])
    centre = np.array([width, height]) / 2
    low, high = (limit / reduction for limit in rig.limits)
    first = int(np.floor(low)) - BEYOND
    count = int(np.ceil((high + BEYOND - first) / SIXTEEN)) * SIXTEEN
    reach = max(abs(first), abs(first + count)) + 2
    outer = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    turned = (outer - centre) @ axes.T
    origin = turned.min(axis=0) - (reach + 2, 2)
    size = np.ceil(np.ptp(turned, axis=0)).astype(int) + (2 * reach + 4, 4)

    straight = np.column_stack([axes.T, centre + origin @ axes])
    left = cv2.warpAffine(phone, straight, size, flags=_BACK, borderMode=_REPEAT)
    right = np.empty_like(left)
    for top in range(0, int(size[1]), STRIP):
        part = right[top : top + STRIP]
        at = _without_parallax(rig, centre, origin + (0, top), part.shape, reduction)
        part[:] = cv2.remap(dslr, at, None, cv2.INTER_LINEAR, borderMode=_REPEAT)

    lowest = 1 - (first + count)
    matcher = cv2.StereoSGBM.create(
        minDisparity=lowest,
        numDisparities=count,
        blockSize=BLOCK,
        P1=STEP_COST * BLOCK**2,
        P2=JUMP_COST * BLOCK**2,
        disp12MaxDiff=1,
        preFilterCap=63,
        uniquenessRatio=MIN_UNIQUE,
        speckleWindowSize=SPECKLE_PX,
        speckleRange=SPECKLE_STEP,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    unknown = (lowest - 1) * SIXTEEN  # what OpenCV gives
    found = np.empty(left.shape, np.int16)
    at_once = max(STRIP_PIXELS // left.shape[1], MARGIN)
    for top in range(0, len(left), at_once):
        begun, last = max(top - MARGIN, 0), top + at_once + MARGIN
        part = matcher.compute(left[begun:last], right[begun:last])
        found[top : top + at_once] = part[top - begun :][:at_once]
    back = np.column_stack([axes, -(axes @ centre) - origin])
    on_phone = cv2.warpAffine(
        found,
        back,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderValue=unknown,
    )
    parallax = np.asarray(on_phone, np.float32)
    parallax *= -reduction / SIXTEEN
    parallax[on_phone <= unknown] = np.nan
    return parallax


_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_REPEAT = cv2.BORDER_REPLICATE


def _without_parallax(
    rig: Rig,
    centre: FloatArray,
    origin: FloatArray,
    shape: tuple[int, ...],
    reduction: int,
) -> Image:
    """Where the DSLR shows the pixels of a turned grid without parallax, (h, w, 2).

    What the rig displaces across is smooth, so it is found on a coarser grid.
    """
    columns, rows = np.meshgrid(
        *(np.arange(0, n + GRID, GRID, dtype=np.float64) for n in shape[::-1])
    )
    turned = np.stack([columns, rows], axis=-1) + origin
    points = centre + turned @ np.array([rig.along, rig.normal])
    across = rig.across(points * reduction, np.full(points.shape[:2], rig.middle))
    points += across[..., None] / reduction * rig.normal
    grow = np.array([[1 / GRID, 0, 0], [0, 1 / GRID, 0]])
    return np.asarray(
        cv2.warpAffine(points.astype(np.float32), grow, shape[::-1], flags=_BACK)
    )
