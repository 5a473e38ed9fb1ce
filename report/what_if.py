"""What `dped-build patches` would keep with other thresholds: computed, not guessed.

The patch stage selects by measurements alone, so its own `select_windows` answers, from
the measurements in `windows.h5`, what another run would accept.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dped_build.patches.records import ACCEPTED
from dped_build.patches.selection import select_windows
from dped_build.patches.settings import PatchSettings
from dped_build.report.record import OptionValues, OtherValue, WhatIf
from dped_build.report.statistics import BY_HAND, NCC_THRESHOLDS
from dped_build.report.tables import WindowTable

MASKED = 0.5  # as --min-valid, for training with masks
OPTIONS: dict[str, tuple[float, ...]] = {  # from lenient to strict
    "max_sigma": (0.5, 0.35, 0.15, 0.1),
    "max_depth": (0.5, 0.3, 0.15, 0.1),
    "min_valid": (MASKED, 0.8, 0.95, 1.0),
    "min_sharpness_ratio": (0.8, 0.9, 1.0, 1.2),
    "min_color_fit": (20.0, 23.0, 26.0, 29.0),
    "max_clipped": (0.2, 0.1, 0.05, 0.01),
    "max_per_photo": (200, 100, 50, 28),
}
OFF = {  # the value that switches a test off
    "max_sigma": 0.0,
    "max_depth": 0.0,
    "min_valid": 0.0,
    "min_sharpness_ratio": 0.0,
    "min_color_fit": 0.0,
    "max_clipped": 1.0,
    "max_per_photo": 0,
}
# Tests that the paper's rule does not know.
INFORMED = ("max_sigma", "max_depth", "min_valid")


def thresholds(settings: PatchSettings | None) -> list[float]:
    """Those of the NCC that are compared, the one in force among them."""
    in_force = set() if settings is None else {settings.min_corr}
    return sorted({*NCC_THRESHOLDS} | in_force)


def what_if(windows: WindowTable, settings: PatchSettings) -> WhatIf:
    """Accepted windows under other values of one setting, the others as they are."""
    rows = windows.rows_of_pairs()
    now = accepted_with(windows, rows, settings)
    return WhatIf(
        min_corr=[
            _row(windows, rows, replace(settings, min_corr=value), value, now)
            for value in thresholds(settings)
        ],
        options=[
            OptionValues(
                option="--" + name.replace("_", "-"),
                now=None
                if getattr(settings, name) == OFF[name]
                else getattr(settings, name),
                values=[
                    _row(windows, rows, with_value(settings, name, value), value, now)
                    for value in values
                ],
            )
            for name, values in OPTIONS.items()
            if _counts(name, settings)
        ],
    )


def _counts(name: str, settings: PatchSettings) -> bool:
    """Whether an option decides anything under these settings."""
    if name == "max_depth" and settings.max_sigma == 0:
        return False  # switched off with it
    return settings.rule == "refined" or name not in INFORMED


def with_value(settings: PatchSettings, name: str, value: float) -> PatchSettings:
    """The settings with another value of one of them."""
    return PatchSettings(**{**settings.to_json(), name: value})


def accepted_with(
    windows: WindowTable, rows: Mapping[str, NDArray[np.intp]], settings: PatchSettings
) -> int:
    """How many windows these settings would accept; hand exclusions stay as they were.

    `rows` are those of each pair: `--max-per-photo` looks at one photo at a time.
    """
    taken_out = windows.refused_for(BY_HAND)
    without_share = replace(settings, max_per_photo=0)
    reasons = select_windows(windows.table, without_share, excluded=taken_out)
    kept = reasons == ACCEPTED
    if not settings.max_per_photo:
        return int(kept.sum())
    per_pair = (int(kept[members].sum()) for members in rows.values())
    return sum(min(count, settings.max_per_photo) for count in per_pair)


def _row(
    windows: WindowTable,
    rows: Mapping[str, NDArray[np.intp]],
    settings: PatchSettings,
    value: float,
    now: int,
) -> OtherValue:
    accepted = accepted_with(windows, rows, settings)
    candidates = len(windows) - int(windows.refused_for(BY_HAND).sum())
    return OtherValue(
        value=value,
        accepted=accepted,
        share=round(accepted / candidates, 6) if candidates else 0.0,
        change=accepted - now,
    )
