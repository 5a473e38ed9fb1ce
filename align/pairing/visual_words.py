"""Similarity of photos by visual words, to choose which of thousands to compare.

A sketch holds a photo's strongest keypoints. Two sketches are compared as a pair is
aligned, by a homography. Visual words select which are worth comparing (Sivic and
Zisserman, "Video Google", ICCV 2003): photos of one scene share rare ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.features import find_features, match_keypoints
from dped_build.align.homography import estimate_homography, implausible
from dped_build.align.settings import AlignSettings

SIDE = 300  # px, as the alignment's first size
KEYPOINTS = 200  # strongest kept: 27 kB a photo
QUANTUM = 1 / 255  # of a descriptor's entries, 0 to 1
WORDS = 1024
BLOCK_ROWS = 512  # of the table of similarities at a time

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Sketch:
    """A photo's strongest keypoints."""

    size: tuple[int, int]  # (width, height) of the photo, px
    scale: float  # Px of the size searched per px of the photo
    positions: NDArray[np.float32]  # (N, 2), px of the photo
    descriptors: NDArray[np.uint8]  # of unit length, in steps of QUANTUM, (N, 128)


def sketch(photo: NDArray[np.uint8]) -> Sketch:
    """The sketch of a photo, RGB (H, W, 3)."""
    found = find_features(photo, SIDE)
    descriptors = np.rint(found.descriptors[:KEYPOINTS] / QUANTUM)
    return Sketch(
        found.size,
        float(found.scale.mean()),
        found.positions[:KEYPOINTS].astype(np.float32),
        np.clip(descriptors, 0, 255).astype(np.uint8),
    )


def likeness(phone: Sketch, dslr: Sketch, settings: AlignSettings) -> int:
    """Matches that one homography explains; 0 where two cameras cannot have made it."""
    one, other = _vectors(phone), _vectors(dslr)
    i, j = match_keypoints(one, other, ratio=settings.ratio).T
    if len(i) < settings.min_matches:
        return 0
    fit = estimate_homography(
        phone.positions[i].astype(np.float64),
        dslr.positions[j].astype(np.float64),
        threshold_px=settings.threshold_px / dslr.scale,
    )
    if fit is None or fit.inliers.sum() < settings.min_inliers:
        return 0
    return 0 if implausible(fit.phone_to_dslr, phone.size) else int(fit.inliers.sum())


def vocabulary(sketches: Sequence[Sketch]) -> Vectors:
    """Descriptors spread evenly over all sketches, (W, 128): the words."""
    total = sum(len(one.descriptors) for one in sketches)
    wanted = np.linspace(0, total, min(WORDS, total), endpoint=False, dtype=np.int64)
    found, start = [np.empty((0, 128), np.float32)], 0
    for one in sketches:
        count = len(one.descriptors)
        inside = wanted[(wanted >= start) & (wanted < start + count)] - start
        found.append(_vectors(one)[inside])
        start += count
    return np.concatenate(found)


def word_counts(one: Sketch, words: Vectors) -> Vectors:
    """How often each word occurs in a sketch, (W,)."""
    nearest = (_vectors(one) @ words.T).argmax(axis=1)
    return np.bincount(nearest, minlength=len(words)).astype(np.float32)


def most_alike(phone: Vectors, dslr: Vectors, count: int) -> NDArray[np.int64]:
    """For each phone photo the `count` DSLR photos that share most words: (N, count).

    Word counts are (N, W) and (M, W).
    """
    count = min(count, len(dslr))
    rarity = np.log((1 + len(dslr)) / (1 + (dslr > 0).sum(axis=0))).astype(np.float32)
    one, other = (_unit(np.sqrt(counts) * rarity) for counts in (phone, dslr))
    rows = np.empty((len(one), count), np.int64)
    for start in range(0, len(one), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        rows[block] = np.argsort(-(one[block] @ other.T), kind="stable")[:, :count]
    return rows


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


def _vectors(one: Sketch) -> Vectors:
    """Descriptors of unit length, (N, 128)."""
    return _unit(one.descriptors.astype(np.float32))
