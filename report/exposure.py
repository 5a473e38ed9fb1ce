"""How two crops of one scene differ in brightness and colour: arrays → numbers."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

UNCLIPPED = (
    8,
    247,
)  # grey levels: darker is noise, brighter is clipped in some channel
MIN_PIXELS = 50  # fewer comparable ones say nothing
TO_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709, as sRGB


class ToneDifference(NamedTuple):
    """How the DSLR crop differs from the phone crop, in stops; None: unknown."""

    # log2 of the DSLR's luminance over the phone's, median over the pixels that neither
    # side clips; positive where the DSLR photo is brighter.
    exposure_ev: float | None = None
    # The larger of the medians of |log2| of the ratios red/green and blue/green.
    color_ev: float | None = None


def tone_difference(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8]
) -> ToneDifference:
    """Exposure and colour of the DSLR crop against the phone's, (H, W, 3) sRGB each.

    Both unknown where fewer than MIN_PIXELS pixels can be compared.
    """
    levels = np.stack([phone, dslr]).reshape(2, -1, 3)
    usable = ((levels >= UNCLIPPED[0]) & (levels <= UNCLIPPED[1])).all(axis=(0, 2))
    if usable.sum() < MIN_PIXELS:
        return ToneDifference()
    light = linear(levels[:, usable])
    stops = np.log2(light[1] / light[0])
    luminance = light @ TO_LUMINANCE
    casts = np.median(stops[:, [0, 2]] - stops[:, 1:2], axis=0)
    return ToneDifference(
        exposure_ev=round(float(np.median(np.log2(luminance[1] / luminance[0]))), 3),
        color_ev=round(float(np.abs(casts).max()), 3),
    )


def linear(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear light in [0, 1] of sRGB levels (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(cv2.LUT(levels, curve), dtype=np.float64)
