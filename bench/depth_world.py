"""Two cameras in front of textured planes: light, and what lies where, by casting rays.

World = the phone: x right, y down, z forward, metres. Points are (x, y) px, pixel
centres at integers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.selftest.simulated_cameras import GAMMA, Light, focal_px, rotation

Mask = NDArray[np.bool_]
Triple = tuple[float, float, float]

NOTHING = 255  # index of no plane
NEAREST, FARTHEST = 1e-3, 1e3  # lengths of a ray
STRIP_RAYS = 100_000  # cast at once, so that their arrays stay in the cache
UNDISTORT_STEPS = 10  # each brings 1.5 digits at a distortion of 0.03
REMAP_ROW = 4096  # cv2.remap takes at most 32,767 points in a row


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with radial distortion, px → ray in closed form."""

    size: tuple[int, int]  # px
    fov_deg: float  # horizontal
    distortion: tuple[float, float]  # of r² and r⁴, r = 1 in a corner
    centre: Triple = (0.0, 0.0, 0.0)  # m
    turn_deg: Triple = (0.0, 0.0, 0.0)  # roll, pitch, yaw

    @property
    def focal_px(self) -> float:
        """Focal length, px."""
        return focal_px(self.size[0], self.fov_deg)

    @property
    def _middle(self) -> FloatArray:
        return (np.array(self.size) - 1) / 2

    def rays(self, points: FloatArray) -> FloatArray:
        """Directions (..., 3) that pixels (..., 2) see, of length 1 along the axis."""
        offset = points - self._middle
        straight = offset * self._stretch(offset)
        axis = np.ones_like(straight[..., :1])
        seen = np.concatenate([straight / self.focal_px, axis], axis=-1)
        return np.asarray(seen @ rotation(self.turn_deg))

    def project(self, places: FloatArray) -> FloatArray:
        """Pixels (..., 2) that show places (..., 3)."""
        seen = (places - self.centre) @ rotation(self.turn_deg).T
        straight = self.focal_px * seen[..., :2] / seen[..., 2:]
        offset = straight
        for _ in range(UNDISTORT_STEPS):
            offset = straight / self._stretch(offset)
        return np.asarray(offset + self._middle)

    def _stretch(self, offset: FloatArray) -> FloatArray:
        r2 = (offset**2).sum(axis=-1, keepdims=True) / (self._middle**2).sum()
        return np.asarray(1 + self.distortion[0] * r2 + self.distortion[1] * r2**2)


class Outline(Protocol):
    """What is there of a plane."""

    def covers(self, x: FloatArray, y: FloatArray) -> Mask:
        """Whether places (N,) of the plane are; metres from its centre."""


@dataclass(frozen=True)
class Plane:
    """A wall, or a card: the part of a plane that an outline leaves."""

    centre: Triple  # m
    span_m: float  # that the picture's width fills; beyond, it is mirrored
    outline: Outline | None = None
    turn_deg: Triple = (0.0, 0.0, 0.0)  # roll, pitch, yaw; pitch -90: a floor
    moves: Triple = (0.0, 0.0, 0.0)  # m, before the DSLR's exposure

    def meet(
        self, origin: FloatArray, rays: FloatArray, *, late: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Where rays (N, 3) from `origin` meet it.

        Args:
            origin: (3,), m.
            rays: Directions (N, 3).
            late: Whether it has moved.

        Returns:
            Distances (N,) in lengths of the rays, infinite for those that miss, and
            places (N, 2) on the plane, m from its centre.
        """
        axes = rotation(self.turn_deg)
        moved = (np.array(self.centre) + np.array(self.moves) * late - origin) @ axes
        x, y, z = (rays @ axes).T
        with np.errstate(divide="ignore", invalid="ignore"):
            away = moved[2] / z
        hit = (away > NEAREST) & (away < FARTHEST)
        away[~hit] = np.inf
        places = np.zeros((len(rays), 2))
        places[hit, 0] = away[hit] * x[hit] - moved[0]
        places[hit, 1] = away[hit] * y[hit] - moved[1]
        if self.outline:
            hit[hit] = self.outline.covers(*places[hit].T)
            away[~hit] = np.inf
        return away, places

    def slant(self, rays: FloatArray) -> FloatArray:
        """Cosine (N,) between rays (N, 3) and the plane's normal."""
        along = np.abs(rays @ rotation(self.turn_deg)[:, 2])
        return np.asarray(along / np.linalg.norm(rays, axis=-1))


@dataclass(frozen=True)
class Strip:
    """What the rays of some rows meet, `n` x `n` rays a pixel."""

    top: int  # the first row
    light: Light  # (rows, W, 3), mean over the rays
    depth: FloatArray  # (rows, n, W, n), m along the camera's axis
    plane: NDArray[np.uint8]  # (rows, n, W, n), index, or NOTHING


def pyramid(picture: NDArray[np.uint8]) -> list[Light]:
    """Light of a picture (H, W, 3), halved again and again."""
    levels = np.asarray((np.arange(256) / 255) ** GAMMA, np.float32)
    found = [levels[picture]]
    while min(found[-1].shape[:2]) >= 16:
        last = found[-1]
        size = (last.shape[1] // 2, last.shape[0] // 2)
        found.append(cv2.resize(last, size, interpolation=cv2.INTER_AREA))
    return found


def look(
    camera: Camera,
    planes: Sequence[Plane],
    textures: Sequence[list[Light]],
    *,
    samples: int,
    late: bool,
) -> Iterator[Strip]:
    """What a camera sees, strip by strip, with `samples` x `samples` rays a pixel.

    Args:
        camera: Which looks.
        planes: All that is there.
        textures: Their pictures, as `pyramid` gives them.
        samples: Odd, so that one of the rays goes through the pixel's centre.
        late: Whether the planes have moved.
    """
    width, height = camera.size
    rows = max(1, STRIP_RAYS // (width * samples**2))
    for top in range(0, height, rows):
        count = min(rows, height - top)
        x, y = (
            (np.arange(n * samples) + 0.5) / samples - 0.5 + first
            for n, first in ((width, 0), (count, top))
        )
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        rays = camera.rays(points)
        depth, index, places = first_met(camera, planes, rays, late=late)
        light = np.zeros((len(rays), 3), np.float32)
        for number, (plane, texture) in enumerate(zip(planes, textures, strict=True)):
            chosen = index == number
            if chosen.any():
                apart = depth[chosen] / (camera.focal_px * samples)  # m
                apart /= np.maximum(plane.slant(rays[chosen]), 1e-3)
                light[chosen] = _colour(plane, texture, places[chosen], apart)
        fine = light.reshape(count * samples, width * samples, 3)
        seen = cv2.resize(fine, (width, count), interpolation=cv2.INTER_AREA)
        cells = (count, samples, width, samples)
        yield Strip(
            top, np.clip(seen, 0, 1), depth.reshape(cells), index.reshape(cells)
        )


def first_met(
    camera: Camera, planes: Sequence[Plane], rays: FloatArray, *, late: bool
) -> tuple[FloatArray, NDArray[np.uint8], FloatArray]:
    """Depth (N,), plane (N,) and place on it (N, 2) that rays (N, 3) meet first."""
    depth = np.full(len(rays), np.inf)
    index = np.full(len(rays), NOTHING, np.uint8)
    places = np.zeros((len(rays), 2))
    for number, plane in enumerate(planes):
        away, there = plane.meet(np.array(camera.centre), rays, late=late)
        nearer = away < depth
        depth[nearer], index[nearer] = away[nearer], number
        places[nearer] = there[nearer]
    return depth, index, places


def _colour(
    plane: Plane, texture: list[Light], places: FloatArray, apart: FloatArray
) -> Light:
    """Light (N, 3) at places (N, 2), m, of samples that lie `apart` (N,), m."""
    height, width = texture[0].shape[:2]
    per_m = width / plane.span_m
    points = places * per_m + (np.array([width, height]) - 1) / 2
    level = np.clip(np.log2(apart * per_m), 0, len(texture) - 1)
    light = np.zeros((len(places), 3), np.float32)
    for number, texels in enumerate(texture):
        weight = 1 - np.abs(level - number)
        chosen = weight > 0
        if chosen.any():
            shrunk = np.array(texels.shape[1::-1]) / (width, height)
            part = _sampled(texels, (points[chosen] + 0.5) * shrunk - 0.5)
            light[chosen] += weight[chosen, None].astype(np.float32) * part
    return light


def _sampled(texels: Light, points: FloatArray) -> Light:
    """Cubic samples (N, 3) at points (N, 2)."""
    rows = -(-len(points) // REMAP_ROW)
    padded = np.resize(points.astype(np.float32), (rows, REMAP_ROW, 2))
    found = cv2.remap(
        texels, padded, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(found.reshape(-1, 3)[: len(points)])
