"""The homography once more, at a size that the photos deserve.

The first fit stands on keypoints of a small picture: it is good to some px, and best
where keypoints crowd. That is enough to say where to look. Blobs all over the overlap
are followed from the phone's photo into the DSLR's, and the likely homography of two
cameras is fitted to them, and to the first matches where nothing can be followed, by
least absolute deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    rescaling,
    visible_rows,
)
from dped_build.align.homography import CELL_ERROR, crowd, likely_homography
from dped_build.align.sampling import sample
from dped_build.align.tracks import (
    Tracks,
    blob_contrast,
    find_blobs,
    follow_points,
    whitened,
)

Luma = NDArray[np.uint8]
Sizes = tuple[tuple[int, int], tuple[int, int]]  # (width, height) of phone and DSLR

SIDE = 1200  # px of the phone's long side at which points are followed, at most
CELLS = 48  # along it; each has one point
WINDOW = 21  # px, compared around a point
LEVELS = 3  # of halved photos: 40 px away are found
MIN_TRACKS = 40
ROUNDS, FAR = 3, 2.0  # followed again where the fit moved by more, px
CLEAR = 3.0  # contrast of a clear blob, grey levels (Lowe's 0.04 is 3.4)
# Unit and error of a clear blob's track and of a faint one's, px of that size.
CLEAR_PX, FAINT_PX = (1.0, 0.15), (3.0, 4.0)
# Least deviation that counts less than in full, and from which none counts, units.
DEVIATIONS = ((5.0, 40.0), (1.0, 10.0), (0.3, 5.0))
STEPS = 4  # of reweighting, with each


@dataclass(frozen=True)
class Matches:
    """Points that both photos show."""

    phone: FloatArray  # (N, 2), px
    dslr: FloatArray  # (N, 2), px
    unit_px: float  # of their deviations, phone px
    error_px: float  # standard error, phone px


@dataclass(frozen=True)
class Refit:
    """A homography and the places that it was fitted to.

    Attributes:
        phone_to_dslr: (3, 3).
        tracks: Points of the phone's photo, and how far from where the homography says
            the DSLR shows them, phone px.
    """

    phone_to_dslr: FloatArray
    tracks: Tracks


def refit(
    phone: Luma, dslr: Luma, phone_to_dslr: FloatArray, first: Matches
) -> Refit | None:
    """The homography near `phone_to_dslr`; None where too little can be followed.

    Both lumas are whole photos, (H, W); `first` are the matches of the first fit.
    """
    reduction = max(1, -(-max(phone.shape) // SIDE))
    sizes = (phone.shape[1], phone.shape[0]), (dslr.shape[1], dslr.shape[0])
    small = _reduced(phone, reduction)
    contrast = blob_contrast(small)
    matrix = phone_to_dslr
    for _ in range(ROUNDS):
        tracks = _follow(small, dslr, matrix, contrast, reduction)
        if len(tracks.points) < MIN_TRACKS:
            return None
        seen = apply_homography(matrix, tracks.points + tracks.displacements)
        columns, rows = np.floor(tracks.points / reduction).astype(int).T
        clear = np.abs(contrast[rows, columns]) > CLEAR
        followed = [
            Matches(tracks.points[which], seen[which], unit, error)
            for which, unit, error in (
                (clear, *np.multiply(CLEAR_PX, reduction)),
                (~clear, *np.multiply(FAINT_PX, reduction)),
            )
        ]
        before, matrix = matrix, fit([*followed, first], matrix, sizes)
        back = np.linalg.inv(matrix)
        moved = apply_homography(back @ before, tracks.points) - tracks.points
        tracks = Tracks(tracks.points, apply_homography(back, seen) - tracks.points)
        if not np.abs(moved).max() > FAR * reduction:
            break
    return Refit(matrix, tracks)


def fit(groups: Sequence[Matches], start: FloatArray, sizes: Sizes) -> FloatArray:
    """Reweighted least squares from `start`: the homography (3, 3) that groups state.

    A crowded cell counts by the square root of its points: they share an error, but
    they are what patches are cut from.
    """
    phone = np.concatenate([group.phone for group in groups])
    dslr = np.concatenate([group.dslr for group in groups])
    unit = np.concatenate(
        [np.full(len(group.phone), group.unit_px) for group in groups]
    )
    shared = (CELL_ERROR * max(sizes[0]) / 2) ** 2
    crowds = [np.sqrt(crowd(group.phone, sizes[0])) for group in groups]
    information = np.concatenate(
        [
            1 / (many * shared + group.error_px**2)
            for many, group in zip(crowds, groups, strict=True)
        ]
    )
    matrix = start
    for least, most in DEVIATIONS:
        for _ in range(STEPS):
            back = apply_homography(np.linalg.inv(matrix), dslr)
            off = np.linalg.norm(back - phone, axis=1) / unit
            lower = least / np.hypot(off, least)
            weights = information * np.where(off < most, lower, 0)
            matrix = likely_homography(phone, dslr, *sizes, weights)
    return matrix


def _reduced(luma: Luma, times: int) -> Luma:
    height, width = (side // times for side in luma.shape)
    whole = luma[: height * times, : width * times]
    area = cv2.INTER_AREA
    return np.asarray(cv2.resize(whole, (width, height), interpolation=area))


def _follow(
    phone: Luma,
    dslr: Luma,
    phone_to_dslr: FloatArray,
    contrast: NDArray[np.float32],
    reduction: int,
) -> Tracks:
    """Blobs of the phone's reduced luma, followed; the DSLR's luma is full-size."""
    size = (phone.shape[1], phone.shape[0])
    to_dslr = phone_to_dslr @ rescaling(reduction)
    rows = visible_rows(to_dslr, size, (dslr.shape[1], dslr.shape[0]))
    columns = np.arange(size[0])
    inside = (columns >= rows[:, :1]) & (columns <= rows[:, 1:])
    points = find_blobs(contrast, inside, CELLS)
    if len(points) < MIN_TRACKS:
        return Tracks(np.zeros((0, 2)), np.zeros((0, 2)))
    one, other = (
        whitened(luma.astype(np.float32))
        for luma in (phone, sample(dslr, to_dslr, size))
    )
    return follow_points(
        one,
        other,
        points,
        points,
        reduction=reduction,
        levels=LEVELS,
        window=WINDOW,
    )
