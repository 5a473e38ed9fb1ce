"""Two photos as arrays → their Alignment."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dped_build.align.features import find_keypoints, match_keypoints, matching_luma
from dped_build.align.geometry import (
    FloatArray,
    largest_box,
    overlap_share,
    visible_rows,
)
from dped_build.align.homography import (
    estimate_homography,
    implausible,
    reprojection_rmse,
)
from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings

MIN_SIDE = 32  # px; a smaller photo holds no keypoints worth the name


@dataclass(frozen=True)
class _Matches:
    """Matched points at full size, and what they were found among."""

    phone: FloatArray  # (M, 2)
    dslr: FloatArray  # (M, 2)
    keypoints: tuple[int, int]
    dslr_scale: float  # matched px per DSLR px


def align_pair(
    phone: NDArray[np.uint8],
    dslr: NDArray[np.uint8],
    *,
    settings: AlignSettings | None = None,
    pair: str = "",
) -> Alignment:
    """Find the homography from a phone photo to a DSLR photo of the same scene.

    Matching starts at a small size and is repeated at larger ones until a plausible
    homography has plenty of inliers; the one with the most is kept. Photos that do not
    match are a result, not an error.

    Args:
        phone: Upright RGB uint8 (H, W, 3).
        dslr: Likewise.
        settings: Thresholds; AlignSettings() where not given.
        pair: Name to carry in the result.

    Returns:
        The Alignment, `aligned` or `rejected` with its reason. File names and hashes
        are None.

    Raises:
        ValueError: An array is not RGB uint8 (H, W, 3).
    """
    settings = settings or AlignSettings()
    for name, photo in (("phone", phone), ("dslr", dslr)):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise ValueError(
                f"{name} must be RGB uint8 (H, W, 3), not {photo.dtype} {photo.shape}"
            )
    base = Alignment(pair, "rejected", phone_size=_size(phone), dslr_size=_size(dslr))
    if min(*phone.shape[:2], *dslr.shape[:2]) < MIN_SIDE:
        return replace(
            base,
            reason="too_few_matches",
            message=f"a photo is smaller than {MIN_SIDE} px",
            keypoints=(0, 0),
            matches=0,
        )
    best = base
    longest = max(*phone.shape[:2], *dslr.shape[:2])
    for number, side in enumerate(settings.matching_sides):
        if number and settings.matching_sides[number - 1] >= longest:
            break  # both were matched at full size
        found = _match(phone, dslr, side, settings)
        alignment = _judge(base, found, settings)
        if number == 0 or _rank(alignment) > _rank(best):
            best = alignment
        if best.aligned and (best.inliers or 0) >= settings.plenty_of_inliers:
            break
    return best


def _rank(alignment: Alignment) -> tuple[bool, int]:
    return alignment.aligned, alignment.inliers or 0


def _size(photo: NDArray[np.uint8]) -> tuple[int, int]:
    return photo.shape[1], photo.shape[0]


def _match(
    phone: NDArray[np.uint8],
    dslr: NDArray[np.uint8],
    side: int,
    settings: AlignSettings,
) -> _Matches:
    positions, descriptors, scales = [], [], []
    for photo in (phone, dslr):
        luma, scale = matching_luma(photo, side)
        points, described = find_keypoints(luma)
        positions.append((points + 0.5) / scale - 0.5)
        descriptors.append(described)
        scales.append(scale)
    pairs = match_keypoints(descriptors[0], descriptors[1], ratio=settings.ratio)
    return _Matches(
        positions[0][pairs[:, 0]],
        positions[1][pairs[:, 1]],
        (len(positions[0]), len(positions[1])),
        float(scales[1].mean()),
    )


def _judge(base: Alignment, found: _Matches, settings: AlignSettings) -> Alignment:
    matches = len(found.phone)
    seen = replace(base, keypoints=found.keypoints, matches=matches)
    if matches < settings.min_matches:
        return replace(
            seen,
            reason="too_few_matches",
            message=f"{matches} matches, {settings.min_matches} needed: "
            "the photos do not seem to show the same scene",
        )
    threshold = settings.threshold_px / found.dslr_scale
    fit = estimate_homography(found.phone, found.dslr, threshold_px=threshold)
    inliers = 0 if fit is None else int(fit.inliers.sum())
    seen = replace(seen, inliers=inliers)
    if fit is None or inliers < settings.min_inliers:
        return replace(
            seen,
            reason="too_few_inliers",
            message=f"{inliers} inliers among {matches} matches, "
            f"{settings.min_inliers} needed: the photos do not seem to show "
            "the same scene",
        )
    trouble = implausible(fit.phone_to_dslr, base.phone_size or (0, 0))
    seen = replace(seen, phone_to_dslr=_nested(fit.phone_to_dslr))
    if trouble:
        return replace(seen, reason="implausible_homography", message=trouble)
    rmse = reprojection_rmse(
        fit.phone_to_dslr, found.phone[fit.inliers], found.dslr[fit.inliers]
    )
    seen = replace(seen, inlier_rmse_px=round(rmse, 4))
    return _place(seen, fit.phone_to_dslr, settings)


def _place(
    seen: Alignment, phone_to_dslr: FloatArray, settings: AlignSettings
) -> Alignment:
    """State the intersection and judge it."""
    phone_size, dslr_size = seen.phone_size or (0, 0), seen.dslr_size or (0, 0)
    rows = visible_rows(phone_to_dslr, phone_size, dslr_size)
    overlap = overlap_share(rows, phone_size)
    box = largest_box(rows)
    seen = replace(seen, overlap=round(overlap, 6), phone_box=box)
    if overlap <= settings.min_overlap or box is None:
        return replace(
            seen,
            reason="small_overlap",
            message=f"only {overlap:.0%} of the phone photo is in the DSLR photo",
        )
    return replace(seen, status="aligned")


def _nested(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)
