"""Hold the patches of a scene with depth against the truth of every pixel.

A pixel of a patch is *right* if the DSLR sees its place, it shows one surface only and
the claim is within RIGHT_PX of it; *wrong* if the DSLR does not see it or the claim is
more than WRONG_PX off. Where a patch has a mask, its valid pixels alone count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import cv2
import h5py
import numpy as np
from depth_photos import Truth
from depth_world import Mask
from numpy.typing import NDArray
from scoring import MIN_CORR, PHASES, SIZE, Photo, luma, ncc

from dped_build.align.geometry import FloatArray, corners

RIGHT_PX, WRONG_PX = 0.5, 1.0  # phone px
CLEAN = 0.99  # share of right pixels; a patch that an outline crosses has fewer
WHOLE = 0.9  # share of valid pixels
SOILED = 0.02  # share of pixels that can be seen to be wrong
LEVELS, SIGMAS = 5.0, 4.0  # a grey that departs by more than both can be seen
BLUR = 5  # px; side of the mean that greys are compared in
MIN_RIGHT = 0.1  # share of right pixels that can tell what grey to expect
FITS = 4  # of a line, each with the weights that the one before gives
WORTH = 0.5  # share of right pixels from which those of a window are attainable
STEP = 5  # px, between the points of a window that a placement is fitted to
NEAR_PX = (2.0, 1.0, 0.7, 0.6, 0.6)  # what the next fit of a placement takes in


@dataclass(frozen=True)
class Patch:
    """One row of a shard."""

    phone: Photo  # (S, S, 3)
    dslr: Photo  # (S, S, 3)
    patch_to_phone: FloatArray  # (3, 3)
    patch_to_dslr: FloatArray  # (3, 3)
    valid: Mask  # (S, S)


@dataclass(frozen=True)
class Tally:
    """Counts of one scene or of several."""

    kept: int = 0  # patches
    clean: int = 0  # CLEAN of their valid pixels are right
    whole: int = 0  # clean, and WHOLE of their pixels are valid
    soiled: int = 0  # SOILED of their valid pixels can be seen to be wrong
    valid_px: int = 0
    right_px: int = 0  # right and valid
    wrong_px: int = 0  # wrong and valid
    shows_px: int = 0  # valid, and can be seen to be wrong
    could_px: int = 0  # right, valid or not
    attainable: int = 0  # windows that an affine placement makes clean
    attainable_px: int = 0  # right ones, in windows that can have WORTH of them

    @classmethod
    def pooled(cls, tallies: Iterable["Tally"]) -> Self:
        """Their sum."""
        counts = np.array([astuple(cls()), *(astuple(each) for each in tallies)])
        return cls(*counts.sum(axis=0).tolist())


def read_patches(files: Iterable[Path], pair: str) -> Iterator[Patch]:
    """The patches of one pair from shards, or from the plain way's file of it."""
    for path in files:
        with h5py.File(path) as file:
            owned = np.ones(len(file["phone"]), bool)
            if "photo" in file:
                owned = file["photos"].asstr()[:][file["photo"][:]] == pair
            for row in np.flatnonzero(owned).tolist():
                phone = file["phone"][row]
                valid = np.ones(phone.shape[:2], bool)
                if "valid" in file:
                    valid = file["valid"][row] > 0
                to_phone, to_dslr = (
                    file[f"patch_to_{side}"][row] for side in ("phone", "dslr")
                )
                yield Patch(phone, file["dslr"][row], to_phone, to_dslr, valid)


def judge(patch: Patch, truth: Truth) -> Tally:
    """Counts of one patch."""
    inside, right, wrong = truth_of_pixels(patch, truth)
    valid = inside & patch.valid
    shown = int((_departs(patch, right, wrong) & wrong & valid).sum())
    total, good = int(valid.sum()), int((right & valid).sum())
    clean = total > 0 and good >= CLEAN * total
    return Tally(
        kept=1,
        clean=int(clean),
        whole=int(clean and total >= WHOLE * inside.sum()),
        soiled=int(total > 0 and shown >= SOILED * total),
        valid_px=total,
        right_px=good,
        wrong_px=int((wrong & valid).sum()),
        shows_px=shown,
        could_px=int(right.sum()),
    )


def truth_of_pixels(patch: Patch, truth: Truth) -> tuple[Mask, Mask, Mask]:
    """Which pixels (S, S) of a patch lie in the phone's photo, are right, are wrong."""
    column, row, inside = _phone_pixels(patch, truth)
    visible, edge = truth.visible[row, column], truth.edge[row, column]
    error = _errors_px(patch, truth, column, row)
    right = inside & visible & ~edge & (error <= RIGHT_PX)
    wrong = inside & (~visible | (error > WRONG_PX))
    return inside, right, wrong


def attainable(truth: Truth, phone: Photo, dslr: Photo) -> Tally:
    """What a plain grid's windows can give, in the best of its phases each.

    Each is placed by the affine map that makes most of its pixels right, and has to lie
    in the DSLR photo. It counts if CLEAN of them are right and the NCC at the truth is
    above MIN_CORR; its right pixels count if they are WORTH of them.
    """
    height, width = truth.visible.shape
    there = _dslr_at_truth(truth, dslr)
    one, found = luma(phone), []
    starts = range(0, SIZE, SIZE // PHASES)
    for top, left in ((y, x) for y in starts for x in starts):
        windows, pixels = 0, 0
        for y in range(top, height - SIZE + 1, SIZE):
            for x in range(left, width - SIZE + 1, SIZE):
                share, inside = best_placement(truth, x, y, dslr.shape[1::-1])
                part = np.s_[y : y + SIZE, x : x + SIZE]
                if share < WORTH or not inside:
                    continue
                pixels += round(share * SIZE**2)
                if share >= CLEAN:
                    windows += ncc(one[part], there[part]) > MIN_CORR
        found.append((windows, pixels))
    most = np.max(found, axis=0).tolist()
    return Tally(attainable=most[0], attainable_px=most[1])


def best_placement(
    truth: Truth, x: int, y: int, dslr_size: tuple[int, ...]
) -> tuple[float, bool]:
    """Share of a window's pixels that its best affine map to the DSLR makes right.

    Tries one map for each surface in the window. The second value is whether the window
    so placed lies in the DSLR photo.
    """
    line = np.arange(STEP // 2, SIZE, STEP)
    u, v = (axis.ravel() for axis in np.meshgrid(line, line))
    usable = (truth.visible & ~truth.edge)[y + v, x + u]
    surface = truth.surface[y + v, x + u]
    target = truth.dslr_points[y + v, x + u].astype(np.float64)
    design = np.stack([u, v, np.ones_like(u)], axis=-1).astype(np.float64)
    best, placed = 0, np.zeros((3, 2))
    for number in np.unique(surface[usable]):
        chosen = usable & (surface == number)
        for limit in NEAR_PX:
            if chosen.sum() < design.shape[1]:
                break
            fit = np.linalg.lstsq(design[chosen], target[chosen], rcond=None)[0]
            scale = np.sqrt(abs(np.linalg.det(fit[:2])))  # DSLR px a phone px
            error = np.linalg.norm(target - design @ fit, axis=1)
            right = int((usable & (error <= RIGHT_PX * scale)).sum())
            if right > best:
                best, placed = right, fit
            chosen = usable & (error <= limit * scale)
    ends = np.column_stack([corners((SIZE, SIZE)), np.ones(4)]) @ placed
    inside = (ends >= 0).all() and (ends <= np.array(dslr_size) - 1).all()
    return best / len(u), bool(inside)


def _phone_pixels(
    patch: Patch, truth: Truth
) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Columns and rows (S, S) of the nearest phone pixels, and which there are."""
    size = len(patch.valid)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    nearest = np.rint(_mapped(patch.patch_to_phone, grid)).astype(np.int64)
    last = np.array(truth.visible.shape[::-1]) - 1
    inside = ((nearest >= 0) & (nearest <= last)).all(axis=-1)
    column, row = np.moveaxis(np.clip(nearest, 0, last), -1, 0)
    return column, row, np.asarray(inside)


def _errors_px(
    patch: Patch, truth: Truth, column: NDArray[np.int64], row: NDArray[np.int64]
) -> FloatArray:
    """Between where phone pixels are in the patch and where the DSLR's are."""
    here = np.stack([column, row], axis=-1)
    there = truth.dslr_points[row, column].astype(np.float64)
    apart = _mapped(np.linalg.inv(patch.patch_to_dslr), there)
    apart -= _mapped(np.linalg.inv(patch.patch_to_phone), here)
    return np.asarray(np.linalg.norm(apart, axis=-1))


def _mapped(matrix: FloatArray, points: FloatArray | NDArray[np.int64]) -> FloatArray:
    """Points (..., 2) through a homography."""
    seen = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(seen[..., :2] / seen[..., 2:])


def _departs(patch: Patch, right: Mask, wrong: Mask) -> Mask:
    """Where the DSLR's grey is not what the phone's tells, by the right pixels' line.

    Without right pixels those that are not wrong, without these all of them tell it.
    """
    phone, dslr = (
        cv2.blur(luma(side).astype(np.float32), (BLUR, BLUR))
        for side in (patch.phone, patch.dslr)
    )
    known = next(
        mask for mask in (right, ~wrong, np.ones_like(right)) if mask.mean() > MIN_RIGHT
    )
    design = np.stack([phone, np.ones_like(phone)], axis=-1)
    weight = np.ones((int(known.sum()), 1), np.float32)
    departure, sigma = np.zeros_like(dslr), 0.0
    for _ in range(FITS):
        wanted = weight[:, 0] * dslr[known]
        line = np.linalg.lstsq(weight * design[known], wanted, rcond=None)[0]
        departure = np.abs(dslr - design @ line)
        sigma = 1.48 * float(np.median(departure[known])) + 0.5
        weight = 1 / np.sqrt(1 + (departure[known, None] / (2 * sigma)) ** 2)
    return np.asarray(departure > max(LEVELS, SIGMAS * sigma))


def _dslr_at_truth(truth: Truth, dslr: Photo) -> Photo:
    """The DSLR's luma (H, W) where the phone's pixels are, as soft as a phone px."""
    steps = np.diff(truth.dslr_points, axis=1)[::STEP, ::STEP]
    ratio = float(np.median(np.linalg.norm(steps, axis=-1)))
    smooth = cv2.GaussianBlur(luma(dslr), (0, 0), 0.43 * ratio)
    points = truth.dslr_points
    return np.asarray(cv2.remap(smooth, points, None, cv2.INTER_LINEAR), np.uint8)
