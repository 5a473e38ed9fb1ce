"""Patches with targets that are exact: the DSLR's pixels at their true places."""

from pathlib import Path
from typing import NamedTuple, Self

import cv2
import numpy as np
from depth_photos import Truth, truth_path
from depth_world import Mask
from numpy.typing import NDArray
from scoring import SIZE, Photo

from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import DpedBuildError

SAMPLES = 6  # of the DSLR's photo, a phone pixel along each axis
CLEARANCE = np.ones((5, 5), np.uint8)  # of valid pixels from outlines
WORTH = 0.5  # share of valid pixels that a window must have


class Patches(NamedTuple):
    """Pairs of patches, and where they count."""

    phone: Photo  # (N, S, S, 3)
    dslr: Photo  # (N, S, S, 3)
    valid: Mask  # (N, S, S)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All of them."""
        return cls(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def exact_patches(folder: Path, *, most: int = 0) -> Patches:
    """Windows of the scenes in a folder of depth.py, `most` of each; 0: all.

    Raises:
        DpedBuildError: There are none.
    """
    names = sorted(path.stem for path in (folder / "truth").glob("*.npz"))
    if not names:
        raise DpedBuildError(f"{folder}: no scenes; make some with bench/depth.py")
    return Patches.joined([_of_scene(name, folder, most) for name in names])


def _of_scene(name: str, folder: Path, most: int) -> Patches:
    phone, dslr = (
        read_photo(folder / side / f"{name}.jpg") for side in ("phone", "dslr")
    )
    truth = Truth.load(truth_path(name, folder))
    clear = (truth.visible & ~truth.edge).astype(np.uint8)
    valid = cv2.erode(clear, CLEARANCE) > 0
    height, width = valid.shape
    parts = [
        np.s_[top : top + SIZE, left : left + SIZE]
        for top in range(0, height - SIZE + 1, SIZE)
        for left in range(0, width - SIZE + 1, SIZE)
    ]
    parts = [part for part in parts if valid[part].mean() >= WORTH]
    parts = parts[:: -(-len(parts) // most)] if most else parts
    return Patches(
        np.array([phone[part] for part in parts]),
        np.array([target(dslr, truth.dslr_points, part) for part in parts]),
        np.array([valid[part] for part in parts]),
    )


def target(
    dslr: Photo,
    points: NDArray[np.float32],
    part: tuple[slice, slice],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Photo:
    """What the DSLR shows at a window's pixels, mean over each one's area.

    Args:
        dslr: The photo.
        points: DSLR px of every phone pixel, (H, W, 2).
        part: Rows and columns of the window.
        shift: By which the window is displaced, x and y, phone px.
    """
    rows, columns = (
        (np.arange((side.stop - side.start) * SAMPLES) + 0.5) / SAMPLES
        + (side.start - 0.5 + moved)
        for side, moved in zip(part, shift[::-1], strict=True)
    )
    x, y = (a.astype(np.float32) for a in np.meshgrid(columns, rows))
    return area_means(
        dslr,
        cv2.remap(points, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
    )


def area_means(dslr: Photo, points: NDArray[np.floating]) -> Photo:
    """The photo's means over SAMPLES x SAMPLES points each, (S * SAMPLES, ..., 2)."""
    seen = cv2.remap(dslr, points.astype(np.float32), None, cv2.INTER_LINEAR)
    size = (points.shape[1] // SAMPLES, points.shape[0] // SAMPLES)
    return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA))
