"""One aligned pair → its measured windows and accepted patches."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.borders import Box, content_box
from dped_build.align.geometry import (
    FloatArray,
    apply_homographies,
    corners,
    translation,
    visible_rows,
)
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample_finely, sample_patches
from dped_build.patches.grid import grid_windows
from dped_build.patches.masks import Masks, whole_masks
from dped_build.patches.quality import quality_columns
from dped_build.patches.records import (
    ACCEPTED,
    COLUMNS,
    Patches,
    Windows,
    concatenate,
    empty_windows,
)
from dped_build.patches.refinement.guide import Guide, find_guide
from dped_build.patches.refinement.layered import refine_layers
from dped_build.patches.refinement.paper_rule import (
    MAX_SHIFT,
    interpolated,
    paper_windows,
)
from dped_build.patches.refinement.pyramid import Fine, Luma
from dped_build.patches.refinement.refine import refine_windows
from dped_build.patches.selection import select_windows
from dped_build.patches.settings import PatchSettings
from dped_build.photos.arrays import require_photos

SEARCH_SHARE = 0.5  # of the largest shift, where one surface explains a pair
MEASURED_AT_ONCE = 256  # windows; bounds the copies of their pixels

Photo = NDArray[np.uint8]


def extract_patches(
    phone: Photo,
    dslr: Photo,
    alignment: Alignment,
    *,
    settings: PatchSettings | None = None,
) -> Patches:
    """Cut one aligned pair into patch pairs, keeping those that can be trusted.

    Args:
        phone: Upright RGB uint8 (H, W, 3).
        dslr: Likewise.
        alignment: What `align_pair` returned for these two photos.
        settings: PatchSettings() where not given.

    Returns:
        The kept patches; `windows` and `reasons` account for every candidate.

    Raises:
        ValueError: The pair is not aligned, the photos are no RGB uint8 (H, W, 3) or of
            other sizes than the alignment's, or the settings are others.
    """
    settings = PatchSettings() if settings is None else settings
    if not isinstance(settings, PatchSettings):
        raise ValueError("settings must be PatchSettings")
    require_photos(phone=phone, dslr=dslr)
    windows, pixels, valid = measure_windows(phone, dslr, alignment, settings)
    reasons = select_windows(windows, settings)
    kept = reasons == ACCEPTED
    chosen = windows.rows(kept)
    return Patches(
        **{name: getattr(chosen, name) for name in COLUMNS},
        phone=cut(phone, chosen.patch_to_phone, settings.size),
        dslr=pixels[kept],
        valid=valid[kept],
        windows=windows,
        reasons=reasons,
    )


def measure_windows(
    phone: Photo, dslr: Photo, alignment: Alignment, settings: PatchSettings
) -> tuple[Windows, Photo, Masks]:
    """Refine and measure every candidate window of a pair.

    Returns:
        The windows, the DSLR pixels of each, (N, S, S, 3), and which of them are valid,
        (N, S, S); zeros and False where the window leaves the DSLR photo.

    Raises:
        ValueError: As `extract_patches`.
    """
    if not isinstance(alignment, Alignment):
        raise ValueError("alignment must be what align_pair returned")
    if not alignment.aligned:
        named = f"pair {alignment.pair}" if alignment.pair else "the pair"
        raise ValueError(f"{named} is not aligned ({alignment.reason})")
    phone_to_dslr, size = alignment.matrix(), settings.size
    sizes = (phone.shape[1::-1], dslr.shape[1::-1])
    if sizes != (alignment.phone_size, alignment.dslr_size):
        raise ValueError(
            f"photos of {sizes} px do not belong to an alignment of "
            f"{(alignment.phone_size, alignment.dslr_size)} px"
        )
    dslr_box = content_box(dslr)
    rows = _within(phone_to_dslr, sizes[0], content_box(phone), dslr_box)
    places = grid_windows(rows, size)
    windows = replace(
        empty_windows(len(places)),
        window_xy=places,
        patch_to_phone=_shifts(places),
    )
    if not len(places):
        pixels = np.zeros((0, size, size, 3), np.uint8)
        return windows, pixels, whole_masks(0, size)
    place = _as_paper if settings.rule == "paper" else _refine
    windows, valid = place(phone, dslr, alignment, windows, settings)
    inside = _inside(windows.patch_to_dslr, size, dslr_box)
    windows.patch_to_dslr[~inside], valid[~inside] = np.nan, False
    pixels = sample_patches(dslr, windows.patch_to_dslr[inside], size)
    if not inside.all():
        every = np.zeros((len(places), *pixels.shape[1:]), np.uint8)
        every[inside] = pixels
        pixels = every
    measured = []
    for first in range(0, len(windows), MEASURED_AT_ONCE):
        some = slice(first, first + MEASURED_AT_ONCE)
        part = windows.rows(some)
        own = cut(phone, part.patch_to_phone, size)
        measured.append(_measure(own, pixels[some], valid[some], part, settings))
    return concatenate(measured), pixels, valid


def cut(phone: Photo, patch_to_phone: FloatArray, size: int) -> Photo:
    """The phone's pixels of patches whose matrices are (N, 3, 3): (N, size, size, 3).

    Its own, untouched, where the matrix is a shift by whole px; interpolated where it
    turns, which only `rule="paper"` does.
    """
    found = np.empty((len(patch_to_phone), size, size, 3), np.uint8)
    corner = np.rint(patch_to_phone[:, :2, 2]).astype(np.intp)
    own = (patch_to_phone == _shifts(corner)).all(axis=(1, 2))
    for number, (x, y) in enumerate(corner.tolist()):
        if own[number]:
            found[number] = phone[y : y + size, x : x + size]
        else:
            found[number] = interpolated(phone, patch_to_phone[number], size)
    return found


def _shifts(places: NDArray[np.integer[Any]]) -> FloatArray:
    """The matrices (N, 3, 3) that add whole px (N, 2)."""
    found = np.tile(np.eye(3), (len(places), 1, 1))
    found[:, :2, 2] = places
    return found


def _as_paper(
    phone: Photo,
    dslr: Photo,
    alignment: Alignment,
    windows: Windows,
    settings: PatchSettings,
) -> tuple[Windows, Masks]:
    """Windows as the paper places them, and their masks: it knows none."""
    luma, grey = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (phone, dslr))
    patch_to_dslr = alignment.matrix() @ windows.patch_to_phone
    found = paper_windows(
        luma,
        sample_patches(grey, patch_to_dslr, settings.size),
        windows.window_xy,
        max_shift=min(int(settings.max_shift), MAX_SHIFT),
        max_rotation=settings.max_rotation,
    )
    placed = replace(
        windows,
        patch_to_phone=found.patch_to_phone,
        patch_to_dslr=patch_to_dslr,
        shift_px=found.shift_px.astype(np.float32),
        rotation_deg=found.rotation_deg.astype(np.float32),
    )
    return placed, whole_masks(len(windows), settings.size)


def lumas_and_guide(
    phone: Photo, dslr: Photo, alignment: Alignment, settings: PatchSettings
) -> tuple[Luma, Fine, Guide | None]:
    """Both lumas on the phone's grid, and where depth leads; None without depth."""
    phone_to_dslr = alignment.matrix()
    luma = np.asarray(cv2.cvtColor(phone, cv2.COLOR_RGB2GRAY))
    # The DSLR's own luma is let go at once: a third of its photo.
    aligned = sample_finely(
        cv2.cvtColor(dslr, cv2.COLOR_RGB2GRAY), phone_to_dslr, luma.shape[::-1]
    )
    visible = visible_rows(phone_to_dslr, phone.shape[1::-1], dslr.shape[1::-1])
    guide = find_guide(
        luma,
        aligned,
        visible,
        max_shift=settings.max_shift,
        off_surface=alignment.off_surface,
    )
    return luma, aligned, guide


def _refine(
    phone: Photo,
    dslr: Photo,
    alignment: Alignment,
    windows: Windows,
    settings: PatchSettings,
) -> tuple[Windows, Masks]:
    """Windows with their refinement, and which of their pixels are valid."""
    size, places = settings.size, windows.window_xy
    luma, aligned, guide = lumas_and_guide(phone, dslr, alignment, settings)
    if guide is None:
        limit = SEARCH_SHARE * settings.max_shift
        found = refine_windows(luma, aligned, places, size=size, max_shift=limit)
        valid = whole_masks(len(windows), size)
    else:
        found, valid = refine_layers(luma, aligned, places, guide, size=size)
    middle = (size - 1) / 2
    placed = np.tile(np.eye(3), (len(windows), 1, 1))
    placed[:, :2, :2] += found.linear
    centre = windows.window_xy + middle + found.shift
    placed[:, :2, 2] = centre - placed[:, :2, :2] @ (middle, middle)
    turn = np.arctan2(
        placed[:, 1, 0] - placed[:, 0, 1], placed[:, 0, 0] + placed[:, 1, 1]
    )
    refined = replace(
        windows,
        patch_to_dslr=alignment.matrix() @ placed,
        shift_px=found.shift.astype(np.float32),
        rotation_deg=np.degrees(turn).astype(np.float32),
        sigma_px=found.sigma_px.astype(np.float32),
        depth_px=found.depth_px.astype(np.float32),
    )
    return refined, valid


def _within(
    phone_to_dslr: FloatArray, phone_size: tuple[int, int], phone_box: Box, box: Box
) -> NDArray[np.int64]:
    """The `visible_rows` that both photos show inside their bars."""
    rows = visible_rows(
        translation(-box[0], -box[1]) @ phone_to_dslr, phone_size, box[2:]
    )
    left, top, width, height = phone_box
    rows[:, 0] = np.maximum(rows[:, 0], left)
    rows[:, 1] = np.minimum(rows[:, 1], left + width - 1)
    rows[:top, 1] = rows[top + height :, 1] = -1
    return rows


def _inside(patch_to_dslr: FloatArray, size: int, box: Box) -> NDArray[np.bool_]:
    """Whether all pixels of each patch lie inside the DSLR photo's bars, (N,)."""
    first = np.array(box[:2])
    quads = apply_homographies(patch_to_dslr, corners((size, size)))
    within = (quads >= first) & (quads <= first + np.array(box[2:]) - 1.0)
    return np.asarray(within.all(axis=(1, 2)))


def _measure(
    phone: Photo, dslr: Photo, valid: Masks, windows: Windows, settings: PatchSettings
) -> Windows:
    measured = quality_columns(phone, dslr, valid, min_std=settings.min_std)
    outside = np.isnan(windows.patch_to_dslr[:, 0, 0])
    for values in measured.values():
        values[outside] = np.nan
    return replace(windows, **measured)
