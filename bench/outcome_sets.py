"""The training and test sets of outcome.py, as shards.

An arm is a way to come by targets. In the setting SAME all arms have the same windows,
in YIELD each has what its way keeps.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from depth import PLAIN
from depth_photos import Truth, truth_path
from depth_targets import Patches, area_means, target
from numpy.typing import NDArray
from outcome_cuts import EXACT, OURS, PAPER, patch_files
from outcome_targets import (
    SIDE,
    Window,
    common_windows,
    displacement,
    moved,
    read_claims,
    spread_px,
    target_at,
)
from plain_training import store_patches
from scoring import Photo

from dped_build.align.geometry import apply_homography
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import DpedBuildError

SHIFTED = "DPED's errors"
SIDES = ("phone", "dslr")
COMMON = (OURS, PAPER, PLAIN)  # ways whose windows must coincide
AGREED_PX = 0.3  # phone px; farthest that a claim may lie from the mean to be judged by
MARGIN = 8  # px around what is judged, so that the network sees its surroundings
BORDER = 6  # px of a patch where the network sees beyond it; they do not count
STEPS = 4  # of a window, along each axis, where errors are measured


@dataclass(frozen=True)
class Same:
    """The same windows with the targets of each arm, and how far off those are."""

    phone: Photo  # (N, SIDE, SIDE, 3)
    dslr: dict[str, Photo]  # arm → (N, SIDE, SIDE, 3)
    error_px: dict[str, NDArray[np.float64]]  # arm → (N,)


def same_windows(folder: Path, pair: str, *, seed: int) -> Same:
    """The windows of a pair that all ways have kept.

    Where the truth is known, it is an arm, and DPED's errors are added to it; else
    they are added to what ours claims.
    """
    phone, dslr = read_pair(folder, pair)
    path, random = truth_path(pair, folder), np.random.default_rng(seed)
    truth = Truth.load(path) if path.exists() else None
    cut_of_phone, targets, errors = [], [], []
    for window in windows_of(folder, pair):
        part = np.s_[window.y : window.y + SIDE, window.x : window.x + SIDE]
        shift = displacement(random)
        found = {
            way: target_at(dslr, claim, window)
            for way, claim in zip(COMMON, window.claims, strict=True)
        }
        if truth is None:
            found[SHIFTED] = target_at(dslr, moved(window.claims[0], shift), window)
        else:
            if not (truth.visible[part] & ~truth.edge[part]).all():
                continue
            points = truth.dslr_points
            found[EXACT] = target(dslr, points, part)
            found[SHIFTED] = target(dslr, points, part, shift=tuple(shift.tolist()))
        cut_of_phone.append(phone[part])
        targets.append(found)
        errors.append(_errors(window, truth) | {SHIFTED: float(np.hypot(*shift))})
    arms = targets[0] if targets else ()
    return Same(
        np.array(cut_of_phone, np.uint8).reshape(-1, SIDE, SIDE, 3),
        {arm: np.array([found[arm] for found in targets]) for arm in arms},
        {arm: np.array([found[arm] for found in errors]) for arm in arms},
    )


def windows_of(folder: Path, pair: str) -> list[Window]:
    """Those of a pair in a patch of each way; claims in the order of COMMON."""
    return list(
        common_windows([read_claims(patch_files(folder, way), pair) for way in COMMON])
    )


def read_pair(folder: Path, pair: str) -> tuple[Photo, Photo]:
    """The phone's photo and the DSLR's."""
    phone, dslr = (next((folder / side).glob(f"{pair}.*")) for side in SIDES)
    return read_photo(phone), read_photo(dslr)


def _errors(window: Window, truth: Truth | None) -> dict[str, float]:
    """How far each claim is off over a window, root mean square, phone px."""
    if truth is None:
        return dict.fromkeys((EXACT, *COMMON), np.nan)
    steps = np.linspace(0, SIDE - 1, STEPS).astype(int)
    x, y = np.meshgrid(window.x + steps, window.y + steps)
    places, right = np.stack([x, y], axis=-1), truth.dslr_points[y, x]
    found = {EXACT: 0.0}
    for way, claim in zip(COMMON, window.claims, strict=True):
        off = ((apply_homography(claim, places) - right) ** 2).sum(axis=-1).mean()
        found[way] = float(np.sqrt(off / abs(np.linalg.det(claim[:2, :2]))))
    return found


def agreed_windows(folder: Path, pairs: Sequence[str]) -> Patches:
    """Windows whose place all ways agree on, with targets at the mean of the claims.

    Their surroundings come along, MARGIN px wide.
    """
    found: list[tuple[Photo, Photo]] = []
    for pair in pairs:
        phone, dslr = read_pair(folder, pair)
        for window in windows_of(folder, pair):
            x, y, side = window.x - MARGIN, window.y - MARGIN, SIDE + 2 * MARGIN
            seen = phone[max(y, 0) : y + side, max(x, 0) : x + side]
            if spread_px(window) <= AGREED_PX and seen.shape[:2] == (side, side):
                fine = window.fine_points(margin=MARGIN)
                places = [apply_homography(claim, fine) for claim in window.claims]
                found.append((seen, area_means(dslr, np.mean(places, axis=0))))
    if not found:
        raise DpedBuildError(f"{folder}: no window whose place all ways agree on")
    phones, targets = (np.stack(side) for side in zip(*found, strict=True))
    return Patches(phones, targets, np.ones(phones.shape[:3], bool))


def store(patches: Patches, folder: Path, *, split: str) -> None:
    """Write one shard, complete or absent; its borders do not count."""
    begun = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir(parents=True)
    store_patches(begun, patches[:2], split=split)
    valid = np.zeros_like(patches.valid)
    inner = np.s_[:, BORDER:-BORDER, BORDER:-BORDER]
    valid[inner] = patches.valid[inner]
    with h5py.File(begun / f"{split}-00000.h5", "r+") as shard:
        shard["valid"] = valid.astype(np.uint8)
        shard["valid_share"] = valid.mean(axis=(1, 2)).astype(np.float32)
    begun.rename(folder)
