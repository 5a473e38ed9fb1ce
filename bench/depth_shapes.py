"""What is there of a plane: outlines of things that stand before a wall.

Places are metres from the middle of the thing, x to the right and y down.
"""

from dataclasses import dataclass

import numpy as np
from depth_world import Mask

from dped_build.align.geometry import FloatArray

WAVES = 30  # that leaves are cut from
LONGEST, SHORTEST = 8.0, 0.7  # of the waves, leaves
BODY = (  # x, y, radii of ellipses, mirrored left to right; of the height
    (0.0, -0.43, 0.05, 0.07),
    (0.0, -0.17, 0.12, 0.21),
    (0.13, -0.12, 0.04, 0.21),
    (0.06, 0.22, 0.055, 0.28),
)


@dataclass(frozen=True)
class Board:
    """A rectangle."""

    width: float  # m
    height: float  # m

    def covers(self, x: FloatArray, y: FloatArray) -> Mask:
        """Whether places (N,) are on it."""
        return (np.abs(x) < self.width / 2) & (np.abs(y) < self.height / 2)


@dataclass(frozen=True)
class Bars:
    """A railing; poles, without the rails."""

    width: float  # m
    height: float  # m
    step: float  # m, from bar to bar
    bar: float  # m across
    rail: float = 0.0  # m across

    def covers(self, x: FloatArray, y: FloatArray) -> Mask:
        """Whether places (N,) are on it."""
        inside = Board(self.width, self.height).covers(x, y)
        on_bar = np.abs((x / self.step) % 1 - 0.5) * self.step < self.bar / 2
        on_rail = self.height / 2 - np.abs(y) < self.rail
        return np.asarray(inside & (on_bar | on_rail))


@dataclass(frozen=True)
class Leaves:
    """Foliage, with more holes outwards."""

    radius: float  # m
    leaf: float  # m across
    seed: int

    def covers(self, x: FloatArray, y: FloatArray) -> Mask:
        """Whether places (N,) are on it."""
        away = np.hypot(x, y) / self.radius
        covered = away < 1
        x, y, away = x[covered], y[covered], away[covered]
        rng = np.random.default_rng(self.seed)
        lengths = self.leaf * np.geomspace(LONGEST, SHORTEST, WAVES)
        angles, phases = rng.uniform(0, 2 * np.pi, (2, WAVES))
        grown = np.zeros(x.shape)
        for length, angle, phase in zip(lengths, angles, phases, strict=True):
            along = x * np.cos(angle) + y * np.sin(angle)
            grown += np.sin(2 * np.pi * along / length + phase)
        covered[covered] = grown / np.sqrt(WAVES / 2) > 2.2 * away**2 - 1.0
        return np.asarray(covered)


@dataclass(frozen=True)
class Person:
    """Somebody who stands."""

    height: float = 1.72  # m

    def covers(self, x: FloatArray, y: FloatArray) -> Mask:
        """Whether places (N,) are on it."""
        u, v = np.abs(x) / self.height, y / self.height
        covered = np.zeros(u.shape, bool)
        for cx, cy, rx, ry in BODY:
            covered |= ((u - cx) / rx) ** 2 + ((v - cy) / ry) ** 2 < 1
        return covered
