"""A card before a wall, as two cameras side by side see it: small, with exact truth."""

from dataclasses import dataclass

import cv2
import numpy as np

CARD = (150, 130, 340, 290)  # left, top, right, bottom in the phone photo
PARALLAX = -14.0  # of the card against the wall, px along x


@dataclass(frozen=True)
class DeepPair:
    """Lumas on one grid, and what is right of each phone pixel."""

    phone: np.ndarray  # (H, W) u8
    dslr: np.ndarray  # (H, W) f4
    card: np.ndarray  # (H, W) bool
    hidden: np.ndarray  # (H, W) bool: wall that the DSLR's card covers

    @property
    def visible(self):
        """First and last column of each row, (H, 2)."""
        height, width = self.phone.shape
        return np.tile([0, width - 1], (height, 1))


def deep_pair(textured, *, parallax=PARALLAX, size=(500, 400)):
    """The wall does not move, the card by `parallax` px along x."""
    wall, front = (
        cv2.cvtColor(textured(seed, size), cv2.COLOR_RGB2GRAY).astype(np.float32)
        for seed in (5, 6)
    )
    left, top, right, bottom = CARD
    shape = np.zeros(wall.shape, np.float32)
    cv2.ellipse(
        shape,
        ((left + right) // 2, (top + bottom) // 2),
        ((right - left) // 2, (bottom - top) // 2),
        *(0, 0, 360, 1, -1),
    )
    shift = np.array([[1, 0, parallax], [0, 1, 0]])
    there, moved = (
        cv2.warpAffine(values, shift, size, flags=cv2.INTER_CUBIC, borderMode=2)
        for values in (shape, front)
    )
    rng = np.random.default_rng(7)
    phone = np.where(shape > 0.5, front, wall) * 0.8 + 20
    phone = phone + rng.normal(0, 1.5, phone.shape)
    dslr = np.where(there > 0.5, moved, wall).astype(np.float32)
    card = shape > 0.5
    return DeepPair(
        np.clip(phone + 0.5, 0, 255).astype(np.uint8),
        dslr,
        card,
        (there > 0.5) & ~card,
    )
