"""Selection of measured windows as patches, with a reason for each rejection."""

import numpy as np
from numpy.typing import NDArray

from dped_build.patches.records import ACCEPTED, Windows
from dped_build.patches.settings import PatchSettings


def select_windows(
    windows: Windows,
    settings: PatchSettings,
    *,
    excluded: NDArray[np.bool_] | None = None,
) -> NDArray[np.str_]:
    """The reason of every window (N,), `accepted` for those that are kept.

    The first test that a window fails gives its reason. No test looks at pixels, so
    another threshold needs no new measurement. The paper's rule keeps what its search
    found, up to its limits, and knows neither uncertainty nor masks: none is tested.
    """
    refined = settings.rule == "refined"
    informed = refined and settings.max_sigma > 0
    limit = settings.max_shift
    moved = np.abs(windows.shift_px).max(axis=1, initial=0)
    clipped = np.maximum(windows.clipped_phone, windows.clipped_dslr)
    no_ncc = np.isnan(windows.ncc)
    hidden = windows.valid_share == 0  # has no NCC either, whatever its texture
    tests = {
        "excluded": np.zeros(len(windows), bool) if excluded is None else excluded,
        "outside": no_ncc & np.isnan(windows.patch_to_dslr[:, 0, 0]),
        "flat": no_ncc & ~hidden,
        "shift_limit": refined
        & ((moved >= limit) | (np.abs(windows.rotation_deg) > settings.max_rotation)),
        "low_ncc": ~(windows.ncc > settings.min_corr) & ~hidden,
        "uncertain": informed & ~(windows.sigma_px <= settings.max_sigma),
        "depth_edge": informed
        & (settings.max_depth > 0)
        & ~(windows.depth_px <= settings.max_depth),
        "low_valid": refined & ~(windows.valid_share >= settings.min_valid),
        "soft_target": (settings.min_sharpness_ratio > 0)
        & ~(windows.sharpness_ratio >= settings.min_sharpness_ratio),
        "color_misfit": (settings.min_color_fit > 0)
        & ~(windows.color_fit_psnr >= settings.min_color_fit),
        "clipped": clipped > settings.max_clipped,
    }
    reasons = np.select(list(tests.values()), list(tests), default=ACCEPTED)
    if settings.max_per_photo:
        kept = np.flatnonzero(reasons == ACCEPTED)
        chosen = spread_out(windows.window_xy[kept], settings.max_per_photo)
        reasons[np.setdiff1d(kept, kept[chosen])] = "surplus"
    return reasons


def spread_out(points: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Indices of `count` of the points (N, 2) that lie far from each other, ascending.

    Farthest-point sampling (Gonzalez, 1985) from the point nearest to the middle.
    """
    if len(points) <= count:
        return np.arange(len(points))
    places = points.astype(np.float64)
    chosen = [int(np.linalg.norm(places - places.mean(axis=0), axis=1).argmin())]
    distance = np.full(len(places), np.inf)
    while len(chosen) < count:
        gap = np.linalg.norm(places - places[chosen[-1]], axis=1)
        distance = np.minimum(distance, gap)
        distance[chosen[-1]] = -1  # below any other, also where points coincide
        chosen.append(int(distance.argmax()))
    return np.sort(np.array(chosen))
