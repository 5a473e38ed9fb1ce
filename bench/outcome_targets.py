"""Training patches whose targets lie where each way puts them.

A way's patches claim where the DSLR shows what the phone does. *The same windows*: the
phone's own pixels wherever each way has kept a patch over them; targets are sampled
alike, each at the claim, so that nothing but place differs. *What a way yields*: its
patches as they are, with their number and their own pixels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from depth_targets import SAMPLES, Patches, area_means
from numpy.typing import NDArray
from scoring import SIZE, Photo

from dped_build.align.geometry import FloatArray, apply_homography, corners, translation

SIDE = 48  # px of a training patch: two of them fit in one of SIZE, each way
# Quantiles of the displacement within DPED's own patches, measured on 400 of them (by
# the kinder of two methods above the median; the paper says none exceeds 5 px).
DPED_SHARES, DPED_PX = (0.0, 0.5, 0.9, 0.95, 1.0), (0.0, 0.57, 1.8, 4.5, 5.0)


@dataclass(frozen=True)
class Claims:
    """What a way says of one pair.

    Attributes:
        boxes: The part of the phone's photo under each patch, (N, 4): first and last
            pixel inside, x0, y0, x1, y1.
        phone_to_dslr: Of each patch, (N, 3, 3).
    """

    boxes: NDArray[np.int64]
    phone_to_dslr: FloatArray


@dataclass(frozen=True)
class Window:
    """SIDE x SIDE px of a phone's photo, and what each way claims of them."""

    x: int
    y: int
    claims: tuple[FloatArray, ...]  # (3, 3) each, in the order of the ways

    def fine_points(self, *, margin: int = 0) -> FloatArray:
        """Phone px that a target is the mean of, as `area_means` takes them."""
        side = SIDE + 2 * margin
        steps = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - 0.5 - margin
        return np.stack(np.meshgrid(self.x + steps, self.y + steps), axis=-1)


def read_claims(files: Iterable[Path], pair: str) -> Claims:
    """One pair's, of shards or of the plain way's file."""
    to_phone, to_dslr = [np.empty((0, 3, 3))], [np.empty((0, 3, 3))]
    for path in files:
        with h5py.File(path) as file:
            owned = np.full(len(file["patch_to_phone"]), path.stem == pair)
            if "photo" in file:
                owned = file["photos"].asstr()[:][file["photo"][:]] == pair
            to_phone.append(file["patch_to_phone"][:][owned])
            to_dslr.append(file["patch_to_dslr"][:][owned])
    found = np.concatenate(to_phone)
    boxes = [_box(matrix) for matrix in found]
    matrices = np.concatenate(to_dslr) @ np.linalg.inv(found)
    return Claims(np.array(boxes, np.int64).reshape(-1, 4), matrices)


def _box(patch_to_phone: FloatArray) -> list[int]:
    """The upright box inside a patch that may be turned a little."""
    x, y = np.sort(apply_homography(patch_to_phone, corners((SIZE, SIZE))).T)
    return [*np.ceil([x[1], y[1]]).astype(int), *np.floor([x[2], y[2]]).astype(int)]


def common_windows(ways: list[Claims]) -> Iterator[Window]:
    """Windows, none over another, that lie in one patch of every way."""
    if not all(len(way.boxes) for way in ways):
        return
    for first in range(len(ways[0].boxes)):
        rows = [(ways[0].boxes[first], (first,))]
        for way in ways[1:]:
            rows = [
                (inner, (*path, row))
                for box, path in rows
                for inner, row in _within(box, way.boxes)
            ]
        for box, path in rows:
            claims = tuple(
                way.phone_to_dslr[row] for way, row in zip(ways, path, strict=True)
            )
            for y in range(box[1], box[3] - SIDE + 2, SIDE):
                for x in range(box[0], box[2] - SIDE + 2, SIDE):
                    yield Window(int(x), int(y), claims)


def _within(
    box: NDArray[np.int64], others: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """What each of the others shares with a box, where it can hold a window."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    for row in np.flatnonzero((high - low + 1 >= SIDE).all(axis=1)).tolist():
        yield np.concatenate([low[row], high[row]]), row


def target_at(dslr: Photo, claim: FloatArray, window: Window) -> Photo:
    """The DSLR's pixels at a claim."""
    return area_means(dslr, apply_homography(claim, window.fine_points()))


def spread_px(window: Window) -> float:
    """How far any claim lies from their mean, phone px, the worst corner."""
    places = corners((SIDE, SIDE)) + (window.x, window.y)
    seen = np.array([apply_homography(claim, places) for claim in window.claims])
    away = np.linalg.norm(seen - seen.mean(axis=0), axis=-1).max()
    return float(away / np.sqrt(abs(np.linalg.det(window.claims[0][:2, :2]))))


def displacement(random: np.random.Generator) -> FloatArray:
    """A shift (2,) as DPED's patches have, phone px."""
    length = np.interp(random.uniform(), DPED_SHARES, DPED_PX)
    angle = random.uniform(0, 2 * np.pi)
    return float(length) * np.array([np.cos(angle), np.sin(angle)])


def parts(patches: Patches) -> Patches:
    """The corners, SIDE x SIDE each, of every patch."""
    starts = (0, patches.phone.shape[1] - SIDE)
    return Patches.joined(
        [
            Patches(*(side[:, y : y + SIDE, x : x + SIDE] for side in patches))
            for y in starts
            for x in starts
        ]
    )


def moved(claim: FloatArray, shift: FloatArray) -> FloatArray:
    """A claim that is wrong by a shift, phone px."""
    return claim @ translation(*shift.tolist())
