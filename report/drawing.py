"""Pictures of pairs, windows and patches: arrays in, arrays out; no file is touched."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.photos.encoding import encode

Rgb = tuple[int, int, int]

ACCEPTED_RGB: Rgb = (18, 190, 150)
REASON_RGB: dict[str, Rgb] = {
    "low_ncc": (235, 130, 40),
    "flat": (150, 160, 170),
    "uncertain": (240, 200, 60),
    "depth_edge": (200, 90, 220),
    "low_valid": (130, 90, 235),
    "shift_limit": (225, 60, 80),
    "outside": (120, 95, 80),
    "soft_target": (70, 130, 240),
    "color_misfit": (40, 180, 225),
    "clipped": (245, 245, 245),
    "surplus": (20, 105, 85),
    "excluded": (255, 0, 140),
}
OTHER_RGB: Rgb = (225, 60, 80)
GAP = 4  # pixels between the two photos of a pair
PAPER = 84  # grey of gaps
DIFFERENCE_GAIN = 4
MIN_VARIANCE = 1e-6
MASK_RGB = REASON_RGB["low_valid"]
HATCH = 6, 2  # px from stripe to stripe, and of a stripe


def reason_rgb(reason: str) -> Rgb:
    """The colour of a window with this outcome."""
    if reason == "accepted":
        return ACCEPTED_RGB
    return REASON_RGB.get(reason, OTHER_RGB)


def shrink(photo: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """`photo`, (H, W, 3), reduced so that its longer side is at most `side` pixels."""
    height, width = photo.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, dtype=np.uint8)


def side_by_side(
    first: NDArray[np.uint8], *others: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Pictures, (H, W, 3) each, in a row with gaps; all get the first one's height."""
    height = first.shape[0]
    gap = np.full((height, GAP, 3), PAPER, np.uint8)
    parts = [first]
    for other in others:
        width = max(1, round(other.shape[1] * height / other.shape[0]))
        resized = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)
        parts += [gap, np.asarray(resized, dtype=np.uint8)]
    return np.concatenate(parts, axis=1)


def halves(pair: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two pictures, (H, W, 3) each, that `side_by_side` put in a row."""
    width = (pair.shape[1] - GAP) // 2
    return pair[:, :width], pair[:, width + GAP :]


def patch_triple(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], valid: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Phone | DSLR | difference of two (S, S, 3) patches, (S, 3S + gaps, 3).

    The difference is hatched where the mask `valid`, (S, S), is not.
    """
    difference = luma_difference(phone, dslr, valid if valid.any() else True)
    return side_by_side(phone, dslr, hatched(difference, ~valid))


def hatched(picture: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A picture, (H, W, 3), tinted and striped where `hidden`, (H, W)."""
    period, width = HATCH
    stripe = np.indices(hidden.shape).sum(axis=0) % period < width
    tinted = picture // 2 + np.array(MASK_RGB, np.uint8) // 2
    tinted[stripe] = MASK_RGB
    return np.where(hidden[:, :, None], tinted, picture)


def luma_difference(
    phone: NDArray[np.uint8],
    dslr: NDArray[np.uint8],
    valid: NDArray[np.bool_] | bool = True,
) -> NDArray[np.uint8]:
    """DSLR minus phone luma after the best gain and bias, (S, S, 3): grey is equal.

    Exposure and contrast cancel, so that what remains is detail and misalignment,
    amplified DIFFERENCE_GAIN times. Gain and bias are those of the pixels `valid`.
    """
    phone_luma = cv2.cvtColor(phone, cv2.COLOR_RGB2GRAY).astype(np.float64)
    dslr_luma = cv2.cvtColor(dslr, cv2.COLOR_RGB2GRAY).astype(np.float64)
    centred = phone_luma - phone_luma.mean(where=valid)
    residual = dslr_luma - dslr_luma.mean(where=valid)
    covariance = (centred * residual).mean(where=valid)
    gain = covariance / max((centred**2).mean(where=valid), MIN_VARIANCE)
    amplified = 128 + DIFFERENCE_GAIN * (residual - gain * centred)
    grey = np.clip(np.rint(amplified), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def jpeg(picture: NDArray[np.uint8], *, quality: int = 82) -> bytes:
    """An RGB picture as JPEG."""
    return encode(picture, quality=quality, subsampled=True)


def png(picture: NDArray[np.uint8]) -> bytes:
    """An RGB picture as PNG."""
    return encode(picture)
