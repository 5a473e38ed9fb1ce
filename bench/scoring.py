"""Hold the patches of one simulated pair against the truth that it was made with.

Errors are displacements in phone px at 5x5 points of a patch. Photos are upright RGB
uint8 (H, W, 3).
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scenes import Scene

from dped_build.align.geometry import FloatArray, corners
from dped_build.selftest.simulated_cameras import Rig
from dped_build.selftest.truth import patch_distances

Photo = NDArray[np.uint8]

MIN_CORR = 0.9
PHASES = 4  # of the plain grid along each axis, of which the best counts
SIZE = 100  # px; side of an attainable window
REFERENCE_SAMPLES = 6  # per patch pixel along each axis, at least
NCC_TOLERANCE = 2e-3
MARGIN_PX = 2  # of the DSLR photo, not counted as visible


class Claims(Protocol):
    """What is to be judged: N patches of S px, named as the shard's columns."""

    @property
    def phone(self) -> Photo:
        """Phone pixels, (N, S, S, 3)."""

    @property
    def dslr(self) -> Photo:
        """DSLR pixels, (N, S, S, 3)."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which pixels the claims are about, (N, S, S)."""

    @property
    def ncc(self) -> NDArray[np.float32]:
        """Stated NCC of the valid pixels, (N,)."""

    @property
    def sigma_px(self) -> NDArray[np.float32]:
        """Stated RMS displacement, (N,), phone px; NaN where nothing is stated."""

    @property
    def patch_to_phone(self) -> FloatArray:
        """Patch px → phone px, (N, 3, 3)."""

    @property
    def patch_to_dslr(self) -> FloatArray:
        """Patch px → DSLR px, (N, 3, 3)."""


@dataclass(frozen=True)
class StoredClaims:
    """Claims as a file holds them."""

    phone: Photo
    dslr: Photo
    valid: NDArray[np.bool_]
    ncc: NDArray[np.float32]
    sigma_px: NDArray[np.float32]
    patch_to_phone: FloatArray
    patch_to_dslr: FloatArray


NOTHING = StoredClaims(
    *(np.empty((0, SIZE, SIZE, 3), np.uint8),) * 2,
    np.empty((0, SIZE, SIZE), np.bool_),
    *(np.empty(0, np.float32),) * 2,
    *(np.empty((0, 3, 3)),) * 2,
)


@dataclass(frozen=True)
class Score:
    """What was found; one row per patch, those on moving objects left out."""

    attainable: int  # windows of a plain grid that correlate at the exact truth
    moving: int  # patches on moving objects: they have no truth
    mean_px: FloatArray  # error, mean over the patch
    rms_px: FloatArray  # error, root mean square over the patch
    sigma_px: FloatArray  # as stated
    psnr_db: FloatArray  # DSLR pixels against those that the claim points at
    detail: FloatArray  # likewise: ratio of the fine detail
    false_ncc: int = 0  # stated NCC is not that of the pixels
    low_ncc: int = 0  # NCC not above MIN_CORR
    resampled: int = 0  # phone pixels are not the photo's own
    overlapping: int = 0  # windows that share phone pixels


def score(claims: Claims, scene: Scene, phone: Photo, dslr: Photo) -> Score:
    """Judge the patches of one pair; `phone` and `dslr` are its photos."""
    count, size = claims.phone.shape[:2]
    sees_moving = _on_moving_objects(claims.patch_to_phone, scene, size)
    distances = patch_distances(
        claims.patch_to_phone, claims.patch_to_dslr, scene.rig, size
    )[~sees_moving]
    fidelity = [
        _fidelity(claims.dslr[i], dslr, claims.patch_to_dslr[i]) for i in range(count)
    ]
    psnr, detail = np.array(fidelity).reshape(-1, 2)[~sees_moving].T
    found = [
        ncc(luma(a)[shown], luma(b)[shown])
        for a, b, shown in zip(claims.phone, claims.dslr, claims.valid, strict=True)
    ]
    return Score(
        attainable=attainable(scene, phone, dslr),
        moving=int(sees_moving.sum()),
        mean_px=distances.mean(axis=1),
        rms_px=np.sqrt((distances**2).mean(axis=1)),
        sigma_px=np.asarray(claims.sigma_px, np.float64)[~sees_moving],
        psnr_db=psnr,
        detail=detail,
        false_ncc=int((~(np.abs(found - claims.ncc) <= NCC_TOLERANCE)).sum()),
        low_ncc=int((~(np.array(found) > MIN_CORR)).sum()),
        resampled=sum(
            _resampled(pixels, matrix, phone)
            for pixels, matrix in zip(claims.phone, claims.patch_to_phone, strict=True)
        ),
        overlapping=_overlapping(claims.patch_to_phone[:, :2, 2], size),
    )


def attainable(scene: Scene, phone: Photo, dslr: Photo) -> int:
    """Windows whose NCC at the exact truth is above MIN_CORR, in the best grid phase.

    The windows are those of a plain grid over all that both cameras see, moving objects
    excepted.
    """
    height, width = phone.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    points = scene.rig.dslr_points(grid.astype(np.float64))
    last = np.array(dslr.shape[1::-1]) - 1
    visible = ((points > MARGIN_PX) & (points < last - MARGIN_PX)).all(axis=-1)
    visible &= ~scene.moving(grid.astype(np.float64))
    blur = 0.43 * dslr_px_per_phone_px(scene.rig)
    smooth = cv2.GaussianBlur(luma(dslr).astype(np.float32), (0, 0), blur)
    there = cv2.remap(smooth, points.astype(np.float32), None, cv2.INTER_LINEAR)
    works = _window_ncc(luma(phone), there) > MIN_CORR
    works &= _window_sums(visible) == SIZE**2
    step = SIZE // PHASES
    starts = range(0, SIZE, step)
    return max(int(works[y::SIZE, x::SIZE].sum()) for y in starts for x in starts)


def dslr_px_per_phone_px(rig: Rig) -> float:
    """How much finer the DSLR's grid is, in the middle of the phone's frame."""
    middle = (np.array(rig.phone_size) - 1) / 2
    right, left = rig.dslr_points(middle + [[0.5, 0], [-0.5, 0]])
    return float(np.linalg.norm(right - left))


def luma(photo: Photo) -> Photo:
    """Rec. 601 luma (H, W), u8."""
    return np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def ncc(one: Photo, other: Photo) -> float:
    """Zero-mean NCC of two lumas, or of pixels of them; NaN where one is constant."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    power = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / power) if power > 0 else float("nan")


def _window_sums(values: NDArray[np.generic]) -> FloatArray:
    """Sum over the window whose top-left pixel is (x, y), for every (x, y)."""
    total = cv2.integral(np.asarray(values, np.float64))
    low, high = slice(None, -SIZE), slice(SIZE, None)
    sums = total[high, high] - total[low, high] - total[high, low] + total[low, low]
    return np.asarray(sums)


def _window_ncc(one: Photo, other: NDArray[np.float32]) -> FloatArray:
    a, b = one.astype(np.float64) - 128, other.astype(np.float64) - 128
    sum_a, sum_b, area = _window_sums(a), _window_sums(b), SIZE**2
    across = _window_sums(a * b) - sum_a * sum_b / area
    within_a = _window_sums(a * a) - sum_a**2 / area
    within_b = _window_sums(b * b) - sum_b**2 / area
    power = np.sqrt(np.maximum(within_a * within_b, 0))
    return np.asarray(np.where(power > area * 1e-3, across / np.maximum(power, 1), 0))


def _on_moving_objects(
    patch_to_phone: FloatArray, scene: Scene, size: int
) -> NDArray[np.bool_]:
    line = np.arange(0, size, 4)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    places = patch_to_phone[:, None, :2, 2] + grid
    return np.asarray(scene.moving(places).any(axis=1))


def _fidelity(
    stored: Photo, dslr: Photo, patch_to_dslr: FloatArray
) -> tuple[float, float]:
    """PSNR (dB) and ratio of Laplacian energy against dense samples at the claim."""
    size = stored.shape[0]
    expected = _reference(dslr, patch_to_dslr, size)
    error = float(((expected - stored) ** 2).mean())
    energies = [
        float((cv2.Laplacian(luma(p).astype(np.float32), cv2.CV_32F) ** 2).mean())
        for p in (stored, np.rint(expected).astype(np.uint8))
    ]
    psnr = 10 * np.log10(255**2 / max(error, 1e-3))
    return float(psnr), energies[0] / max(energies[1], 1e-6)


def _reference(
    dslr: Photo, patch_to_dslr: FloatArray, size: int
) -> NDArray[np.float32]:
    """Mean of dense cubic samples over every patch pixel, (S, S, 3) in [0, 255]."""
    outline = patch_to_dslr @ np.column_stack([corners((size, size)), np.ones(4)]).T
    outline = outline[:2] / outline[2]
    span = float(np.ptp(outline, axis=1).max())
    dense = max(REFERENCE_SAMPLES, int(np.ceil(2 * span / size)))
    line = (np.arange(size * dense) + 0.5) / dense - 0.5
    x, y = np.meshgrid(line, line)
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in patch_to_dslr)
    first = np.maximum(np.floor(outline.min(axis=1)).astype(int) - 8, 0)
    last = np.ceil(outline.max(axis=1)).astype(int) + 9
    part = dslr[first[1] : last[1], first[0] : last[0]].astype(np.float32)
    places = np.stack([u / w - first[0], v / w - first[1]], axis=-1).astype(np.float32)
    fine = cv2.remap(
        part, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    mean = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(mean, 0, 255), dtype=np.float32)


def _resampled(pixels: Photo, patch_to_phone: FloatArray, phone: Photo) -> bool:
    x, y = np.rint(patch_to_phone[:2, 2]).astype(int)
    size = pixels.shape[0]
    expected = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    on_grid = np.allclose(patch_to_phone, expected)
    own = phone[y : y + size, x : x + size]
    return not on_grid or not np.array_equal(own, pixels)


def _overlapping(places: FloatArray, size: int) -> int:
    """How many pairs of windows share phone pixels."""
    apart = np.abs(places[:, None] - places[None]).max(axis=-1)
    return int(np.triu(apart < size - 0.5, k=1).sum())
