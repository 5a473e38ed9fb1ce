"""Two photos as arrays → their Alignment."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.features import (
    Features,
    agreement,
    agreement_with_parallax,
    contradicts,
    find_features,
    has_detail,
    match_keypoints,
)
from dped_build.align.geometry import (
    FloatArray,
    apply_homography,
    largest_box,
    overlap_share,
    visible_rows,
)
from dped_build.align.homography import (
    HomographyFit,
    estimate_homography,
    implausible,
    reprojection_rmse,
    settle,
)
from dped_build.align.overlays import (
    Overlay,
    Region,
    find_overlay,
    in_region,
    stays_in_place,
)
from dped_build.align.records import Alignment, FieldRow, Matrix
from dped_build.align.refit import Matches, refit
from dped_build.align.settings import AlignSettings
from dped_build.photos.arrays import require_photos

# Of a scene with depth: as it is, and once flow has taken out its parallax.
DEEP_AGREEMENT, FLOWN_AGREEMENT = 0.3, 0.8
MIN_SIDE = 32  # px; a smaller photo holds no keypoints worth the name
MAX_OVERLAYS = 3  # in different places, which are set aside one after the other


def align_pair(
    phone: NDArray[np.uint8],
    dslr: NDArray[np.uint8],
    *,
    settings: AlignSettings | None = None,
    pair: str = "",
) -> Alignment:
    """Find the homography from a phone photo to a DSLR photo of the same scene.

    Matching starts at a small size and continues at larger ones until the pair aligns;
    if it never does, the attempt with the most inliers is returned. Photos that do not
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
        ValueError: An array is not RGB uint8 (H, W, 3), or the settings are others.
    """
    settings = AlignSettings() if settings is None else settings
    if not isinstance(settings, AlignSettings):
        raise ValueError("settings must be AlignSettings")
    require_photos(phone=phone, dslr=dslr)
    sizes = phone.shape[1::-1], dslr.shape[1::-1]
    if min(*sizes[0], *sizes[1]) < MIN_SIDE:
        return Alignment(
            pair,
            "rejected",
            reason="too_few_matches",
            message=f"a photo is smaller than {MIN_SIDE} px",
            phone_size=sizes[0],
            dslr_size=sizes[1],
            keypoints=(0, 0),
            matches=0,
        )
    lumas = _luma(phone), _luma(dslr)
    attempts: list[Alignment] = []
    for side in settings.matching_sides:
        features = find_features(lumas[0], side), find_features(lumas[1], side)
        points = _matched(*features, settings)
        attempts.append(_align_points(*features, *points, settings, pair))
        if attempts[-1].aligned:
            found = _refitted(attempts[-1], features, points, lumas, settings)
            return _with_box(found)
        if side >= max(*sizes[0], *sizes[1]):
            break  # nothing larger is there to be seen
    return _with_box(max(attempts, key=lambda attempt: attempt.inliers or 0))


def align_features(
    phone: Features, dslr: Features, *, settings: AlignSettings, pair: str = ""
) -> Alignment:
    """As `align_pair`, from the features of both photos at one size alone."""
    points = _matched(phone, dslr, settings)
    return _with_box(_align_points(phone, dslr, *points, settings, pair))


def _matched(
    phone: Features, dslr: Features, settings: AlignSettings
) -> tuple[FloatArray, FloatArray]:
    pairs = match_keypoints(phone.descriptors, dslr.descriptors, ratio=settings.ratio)
    return phone.positions[pairs[:, 0]], dslr.positions[pairs[:, 1]]


def _align_points(
    phone: Features,
    dslr: Features,
    phone_points: FloatArray,
    dslr_points: FloatArray,
    settings: AlignSettings,
    pair: str,
) -> Alignment:
    seen = Alignment(
        pair,
        "rejected",
        phone_size=phone.size,
        dslr_size=dslr.size,
        keypoints=(len(phone.positions), len(dslr.positions)),
        matches=len(phone_points),
    )
    if len(phone_points) < settings.min_matches:
        return replace(
            seen,
            reason="too_few_matches",
            message=f"{len(phone_points)} matches, {settings.min_matches} needed: "
            "the photos do not seem to show the same scene",
        )
    return _beside_overlays(seen, phone, dslr, phone_points, dslr_points, settings)


def _beside_overlays(
    seen: Alignment,
    phone: Features,
    dslr: Features,
    phone_points: FloatArray,
    dslr_points: FloatArray,
    settings: AlignSettings,
) -> Alignment:
    """The alignment of the scene, also where most matches are an overlay's.

    Matches of what looks like one are set aside, and the rest is fitted. Where that
    fails, the first fit counts only if the rest of the picture agrees with it.
    """
    rest = np.ones(len(phone_points), dtype=np.bool_)
    but: Region | None = None
    first: tuple[Alignment, tuple[FloatArray, FloatArray], Overlay] | None = None
    for _ in range(MAX_OVERLAYS + 1):
        here = phone_points[rest], dslr_points[rest]
        found, fit = _fitted(seen, phone, dslr, *here, settings, but=but)
        if fit is None:
            break
        placed = fit.phone_to_dslr, here[0][fit.inliers]
        overlay = find_overlay(*placed, phone.size, dslr.size)
        if overlay is None:
            if found.status != "aligned":
                break
            return (
                _of_overlay(found)
                if _covers_all(phone, dslr, *placed, settings)
                else found
            )
        first = first or (found, placed, overlay)
        but = overlay.region if but is None else but | overlay.region
        rest &= ~in_region(phone_points, phone.size, overlay.cells)
    if first is None:
        return found
    found, placed, overlay = first
    if found.status != "aligned":
        return found
    agrees = _agrees(phone, dslr, placed[0], overlay, settings)
    if agrees and not _covers_all(phone, dslr, *placed, settings):
        return found
    return _of_overlay(found)


def _covers_all(
    phone: Features,
    dslr: Features,
    phone_to_dslr: FloatArray,
    phone_points: FloatArray,
    settings: AlignSettings,
) -> bool:
    """Whether a fit is that of a watermark all over, before other scenes."""
    if settings.min_agreement <= -1:  # nothing is asked of the pictures
        return False
    sizes = phone.size, dslr.size
    stays = stays_in_place(phone_to_dslr, phone_points, *sizes)
    return stays and contradicts(phone, dslr, phone_to_dslr)


def _of_overlay(found: Alignment) -> Alignment:
    return replace(
        found,
        status="rejected",
        reason="implausible_homography",
        message="the photos match only in a text, mark or bar, which both have in the "
        "same place: use photos without it",
    )


def _agrees(
    phone: Features,
    dslr: Features,
    matrix: FloatArray,
    overlay: Overlay,
    settings: AlignSettings,
) -> bool:
    """Whether the rest of the picture agrees, or is a plain background of an object."""
    but = overlay.region
    if agreement(phone, dslr, matrix, but=but) >= settings.min_agreement:
        return True
    return overlay.in_one_piece and not has_detail(phone, dslr, matrix, but=but)


def _fitted(
    seen: Alignment,
    phone: Features,
    dslr: Features,
    phone_points: FloatArray,
    dslr_points: FloatArray,
    settings: AlignSettings,
    *,
    but: Region | None = None,
) -> tuple[Alignment, HomographyFit | None]:
    """The alignment that matches, (M, 2) each, give; `but` is no part of the scene."""
    threshold = settings.threshold_px / float(dslr.scale.mean())
    fit = None
    if len(phone_points) >= settings.min_matches:
        fit = estimate_homography(phone_points, dslr_points, threshold_px=threshold)
    if fit is not None:
        fit = settle(
            fit,
            phone_points,
            dslr_points,
            phone_size=phone.size,
            dslr_size=dslr.size,
            noise_px=1 / float(phone.scale.mean()),
            threshold_px=threshold,
        )
    seen = _judge(seen, fit, phone_points, dslr_points, settings)
    if seen.status != "aligned":
        return seen, fit
    alike = agreement(phone, dslr, seen.matrix(), but=but)
    if alike >= settings.min_agreement:
        return seen, fit
    if alike >= DEEP_AGREEMENT:
        matrix = seen.matrix()
        if agreement_with_parallax(phone, dslr, matrix, but=but) >= FLOWN_AGREEMENT:
            return seen, fit
    return replace(
        seen,
        status="rejected",
        reason="implausible_homography",
        message=f"keypoints match but the pictures do not (correlation {alike:.2f}, "
        f"{settings.min_agreement:.2f} needed): a mirrored photo, or another scene "
        "with the same structures?",
    ), fit


def _judge(
    seen: Alignment,
    fit: HomographyFit | None,
    phone_points: FloatArray,
    dslr_points: FloatArray,
    settings: AlignSettings,
) -> Alignment:
    inliers = 0 if fit is None else int(fit.inliers.sum())
    seen = replace(seen, inliers=inliers)
    if fit is None or inliers < settings.min_inliers:
        return replace(
            seen,
            reason="too_few_inliers",
            message=f"{inliers} inliers among {seen.matches} matches, "
            f"{settings.min_inliers} needed: the photos do not seem to show "
            "the same scene",
        )
    seen = replace(seen, phone_to_dslr=_nested(fit.phone_to_dslr))
    trouble = implausible(fit.phone_to_dslr, seen.phone_size or (0, 0))
    if trouble:
        return replace(seen, reason="implausible_homography", message=trouble.message)
    rmse = reprojection_rmse(
        fit.phone_to_dslr, phone_points[fit.inliers], dslr_points[fit.inliers]
    )
    seen = replace(seen, inlier_rmse_px=round(rmse, 4))
    return _place(seen, fit.phone_to_dslr, settings)


def _refitted(
    first: Alignment,
    features: tuple[Features, Features],
    points: tuple[FloatArray, FloatArray],
    lumas: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    settings: AlignSettings,
) -> Alignment:
    """The alignment with a finer homography, where one can be had."""
    phone, dslr = features
    threshold = settings.threshold_px / float(dslr.scale.mean())
    error = apply_homography(first.matrix(), points[0]) - points[1]
    inliers = np.linalg.norm(error, axis=1) < threshold
    unit = 1 / float(phone.scale.mean())
    matches = Matches(points[0][inliers], points[1][inliers], unit, unit)
    found = refit(*lumas, first.matrix(), matches)
    if found is None or implausible(found.phone_to_dslr, phone.size):
        return first
    refitted = replace(
        first,
        phone_to_dslr=_nested(found.phone_to_dslr),
        rmse_px=_rounded(found.rmse_px),
        field=tuple(map(_displacements, found.field)),
        off_surface=_rounded(found.off_surface),
    )
    placed = _place(refitted, found.phone_to_dslr, settings)
    return placed if placed.aligned else first


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _place(
    seen: Alignment, phone_to_dslr: FloatArray, settings: AlignSettings
) -> Alignment:
    """State the overlap and judge it."""
    phone_size, dslr_size = seen.phone_size or (0, 0), seen.dslr_size or (0, 0)
    rows = visible_rows(phone_to_dslr, phone_size, dslr_size)
    overlap = overlap_share(rows, phone_size)
    seen = replace(seen, overlap=round(overlap, 6))
    if overlap <= settings.min_overlap:
        return replace(
            seen,
            reason="small_overlap",
            message=f"only {overlap:.0%} of the phone photo is in the DSLR photo",
        )
    return replace(seen, status="aligned")


def _with_box(found: Alignment) -> Alignment:
    """With the intersection, whose search costs some ms, where the overlap is known."""
    if found.overlap is None:
        return found
    sizes = found.phone_size or (0, 0), found.dslr_size or (0, 0)
    return replace(found, phone_box=largest_box(visible_rows(found.matrix(), *sizes)))


def _luma(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


def _nested(matrix: FloatArray) -> Matrix:
    return tuple(map(tuple, matrix.tolist()))


def _displacements(cells: FloatArray) -> FieldRow:
    """A row of the field, rounded to 0.01 px; None where nothing is known."""
    known = np.isfinite(cells[:, 0])
    rounded = np.round(cells, 2).tolist()
    return tuple(
        (x, y) if k else None for (x, y), k in zip(rounded, known, strict=True)
    )
