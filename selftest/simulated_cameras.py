"""Two cameras on one rig look at a picture: photo pairs with exactly known geometry.

The picture is a scene far away. The DSLR is a pinhole camera; the phone is another,
turned against it, with radial lens distortion, and all that makes a phone photo worse:
blur, vignetting, a colour cast, noise, a tone curve. A scene with depth displaces what
the phone sees, smoothly or at the edges of near objects. Points are (x, y), pixel
centres at integers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Light = NDArray[np.float32]
Points = Callable[[FloatArray], FloatArray]  # maps points (..., 2)

GAMMA = 2.2
MIN_SAMPLES = 2  # per pixel along each axis
STRIP_SAMPLES = 4_000_000  # held at once; bounds the memory
STEP_PX = 0.5  # of the numerical derivative in `residual_px`
WAVES = 4  # that smooth parallax is made of, along each axis
NEAR_OBJECTS = 6
EDGE_WIDTH_PX = 12.0  # phone px from 10 % to 90 % of a near object's displacement
ROLLING_CYCLES = 1.5  # of the camera's swing while the phone's rows are read


@dataclass(frozen=True)
class Rig:
    """The geometry of two cameras and of the scene; all that a truth file holds."""

    phone_size: tuple[int, int] = (800, 600)  # px
    dslr_size: tuple[int, int] = (1200, 800)  # px
    phone_fov_deg: float = 53.0  # horizontal
    dslr_fov_deg: float = 46.0
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)  # roll, pitch, yaw
    distortion: tuple[float, float] = (-0.03, 0.008)  # of r² and r⁴, r = 1 in a corner
    parallax_px: float = 0.0  # largest smooth displacement, phone px
    edge_px: float = 0.0  # displacement of near objects, phone px
    rolling_px: float = 0.0  # sideways swing of rolling-shutter rows, phone px
    relief_seed: int = 0  # of the scene's depth

    def dslr_points(self, phone_points: FloatArray) -> FloatArray:
        """Where the DSLR sees what the phone sees at points (..., 2), DSLR px."""
        middle = (np.array(self.phone_size) - 1) / 2
        offset = phone_points - middle
        r2 = (offset**2).sum(axis=-1, keepdims=True) / (middle**2).sum()
        k1, k2 = self.distortion
        straight = offset * (1 + k1 * r2 + k2 * r2**2) + self._relief_px(phone_points)
        focal = focal_px(self.phone_size[0], self.phone_fov_deg)
        rays = np.concatenate([straight / focal, np.ones_like(r2)], axis=-1)
        turned = rays @ rotation(self.turn_deg).T
        focal = focal_px(self.dslr_size[0], self.dslr_fov_deg)
        centre = (np.array(self.dslr_size) - 1) / 2
        return np.asarray(focal * turned[..., :2] / turned[..., 2:] + centre)

    def residual_px(
        self, phone_points: FloatArray, dslr_points: FloatArray
    ) -> FloatArray:
        """Error of claimed correspondences (..., 2), as displacement in phone px.

        DSLR px are turned into phone px by the cameras alone: at the edge of a near
        object the mapping itself folds, and has no inverse.
        """
        error = dslr_points - self.dslr_points(phone_points)
        flat = replace(self, parallax_px=0.0, edge_px=0.0, rolling_px=0.0)
        columns = [
            flat.dslr_points(phone_points + step)
            - flat.dslr_points(phone_points - step)
            for step in np.eye(2) * STEP_PX
        ]
        jacobian = np.stack(columns, axis=-1) / (2 * STEP_PX)  # (..., 2, 2)
        return np.asarray(np.linalg.solve(jacobian, error[..., None])[..., 0])

    def _relief_px(self, points: FloatArray) -> FloatArray:
        """What depth and rolling shutter add to phone points (..., 2), phone px."""
        moved = np.zeros_like(points, dtype=np.float64)
        if self.parallax_px:
            reach = self.parallax_px * np.array([1.0, 0.4])
            moved += reach * _waves(points / self.phone_size[0], self.relief_seed)
        if self.edge_px:
            moved[..., 0] += self.edge_px * self._nearness(points)
        if self.rolling_px:
            turns = ROLLING_CYCLES * points[..., 1] / self.phone_size[1]
            moved[..., 0] += self.rolling_px * np.sin(2 * np.pi * turns)
        return moved

    def _nearness(self, points: FloatArray) -> FloatArray:
        """0 on the background, 1 on a near object, at points (..., 2)."""
        rng = np.random.default_rng((self.relief_seed, 1))
        beyond = np.full(points.shape[:-1], np.inf)  # px outside the nearest outline
        for _ in range(NEAR_OBJECTS):
            offset = points - rng.uniform(0.1, 0.9, 2) * self.phone_size
            radius = rng.uniform(0.05, 0.12) * self.phone_size[0]
            angle = np.arctan2(offset[..., 1], offset[..., 0])
            wavy = 1 + 0.15 * np.sin(3 * angle + rng.uniform(0, 2 * np.pi))
            outside = np.hypot(offset[..., 0], offset[..., 1]) - radius * wavy
            beyond = np.minimum(beyond, outside)
        # tanh goes from -0.8 to 0.8 within 2.2 times its unit.
        return np.asarray((1 - np.tanh(2.2 * beyond / EDGE_WIDTH_PX)) / 2)


@dataclass(frozen=True)
class PhoneLook:
    """What the phone's optics, sensor and processing do to its picture."""

    blur_px: float = 0.8
    vignetting: float = 0.3
    gains: tuple[float, float, float] = (0.95, 0.75, 0.5)  # exposure times cast, RGB
    noise: float = 0.02  # of full scale, at full exposure
    tone: float = 0.4  # share of an S-curve
    denoise: float = 0.0  # grey levels that noise reduction takes for noise
    sharpening: float = 0.0  # share of the fine detail that is added once more
    aberration_px: float = 0.0  # red outwards and blue inwards in a corner


@dataclass(frozen=True)
class DslrLook:
    """What is not perfect in the DSLR photo."""

    noise: float = 0.002  # of full scale, at full exposure
    aberration_px: float = 0.0  # red outwards and blue inwards in a corner


def focal_px(width: int, fov_deg: float) -> float:
    """Focal length, px, of a camera whose `width` px see `fov_deg`."""
    return float(width / 2 / np.tan(np.radians(fov_deg) / 2))


def rotation(turn_deg: tuple[float, float, float]) -> FloatArray:
    """(3, 3) from roll, pitch and yaw."""
    roll, pitch, yaw = np.radians(turn_deg)
    axes = np.array([[0, 0, roll], [pitch, 0, 0], [0, yaw, 0]])
    matrices = [cv2.Rodrigues(axis)[0] for axis in axes]
    return np.asarray(matrices[0] @ matrices[1] @ matrices[2])


def _waves(places: FloatArray, seed: int) -> FloatArray:
    """Smooth random values (..., 2) within ±1 at places in units of the width."""
    rng = np.random.default_rng(seed)
    total = np.zeros_like(places, dtype=np.float64)
    for axis in np.repeat([0, 1], WAVES):
        cycles, phase = rng.uniform(0.5, 1.6, 2), rng.uniform(0, 2 * np.pi)
        total[..., axis] += np.sin(2 * np.pi * (places @ cycles) + phase)
    return total / WAVES


def photograph(
    picture: NDArray[np.uint8],
    rig: Rig,
    look: PhoneLook,
    *,
    seed: int,
    dslr_look: DslrLook | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The phone's and the DSLR's photo of a picture, RGB uint8 (H, W, 3) each.

    The picture fills the DSLR's frame and, mirrored at its edges, what the phone sees
    beyond. `seed` is the noise's.
    """
    rng, plain = np.random.default_rng(seed), dslr_look or DslrLook()
    levels = np.asarray((np.arange(256) / 255) ** GAMMA, dtype=np.float32)
    light = levels[picture]
    scene, frame = (np.array(s, float) for s in (light.shape[1::-1], rig.dslr_size))
    scale = float((scene / frame).min())

    def to_picture(dslr_points: FloatArray) -> FloatArray:
        return (dslr_points - (frame - 1) / 2) * scale + (scene - 1) / 2

    exposed = _expose(light, rig.dslr_size, to_picture, plain.aberration_px)
    dslr = develop_dslr(exposed, plain, rng)
    del exposed  # at 45 MP half a gigabyte
    phone = _expose(
        light,
        rig.phone_size,
        lambda points: to_picture(rig.dslr_points(points)),
        look.aberration_px,
    )
    return develop_phone(phone, look, rng), dslr


def _expose(
    light: Light, size: tuple[int, int], to_picture: Points, aberration_px: float
) -> Light:
    """Light on a sensor of `size` whose pixels look where `to_picture` says."""
    if not aberration_px:
        return _integrate(light, size, to_picture)
    middle = (np.array(size) - 1) / 2
    stretch = aberration_px / float(np.hypot(*middle))

    def channel(index: int, scale: float) -> Light:
        plane = np.ascontiguousarray(light[..., index])
        return _integrate(
            plane, size, lambda points: to_picture(middle + (points - middle) / scale)
        )

    scales = (1 + stretch, 1.0, 1 - stretch)  # red, green, blue
    return np.stack([channel(i, scale) for i, scale in enumerate(scales)], axis=-1)


def _integrate(light: Light, size: tuple[int, int], to_picture: Points) -> Light:
    """Mean light over the area of each pixel, from samples as dense as the picture."""
    width, height = size
    middle = (np.array(size) - 1) / 2
    step = to_picture(middle + np.eye(2) / 2) - to_picture(middle - np.eye(2) / 2)
    dense = int(np.ceil(np.linalg.norm(step, axis=-1).max()))
    per_pixel = max(MIN_SAMPLES, dense)
    rows = max(1, STRIP_SAMPLES // (width * per_pixel**2))
    seen = np.empty((height, width, *light.shape[2:]), np.float32)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        grid = np.meshgrid(np.arange(-1, width + 1), np.arange(top - 1, bottom + 1))
        places = to_picture(np.stack(grid, axis=-1).astype(np.float64))
        # Linear between pixel centres: the mappings are smooth within a pixel.
        fine_size = ((width + 2) * per_pixel, (bottom - top + 2) * per_pixel)
        fine = cv2.resize(places, fine_size, interpolation=cv2.INTER_LINEAR)
        fine = fine[per_pixel:-per_pixel, per_pixel:-per_pixel].astype(np.float32)
        samples = cv2.remap(
            light, fine, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        seen[top:bottom] = cv2.resize(
            samples, (width, bottom - top), interpolation=cv2.INTER_AREA
        )
    return np.clip(seen, 0, 1)


def develop_phone(
    light: Light, look: PhoneLook, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The phone's photo of light (H, W, 3) in [0, 1]."""
    height, width = light.shape[:2]
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    shade = (1 + look.vignetting * (x**2 + y**2) / 2) ** -2
    gains = np.array(look.gains, np.float32)
    seen = cv2.GaussianBlur(light, (0, 0), look.blur_px)
    seen = seen * shade[..., None].astype(np.float32) * gains
    shot = look.noise * np.sqrt(np.clip(seen, 0, 1) + np.float32(0.02))
    seen += rng.standard_normal(seen.shape, dtype=np.float32) * shot
    coded = np.clip(seen, 0, 1) ** np.float32(1 / GAMMA)
    curve = np.float32(0.5) - np.float32(0.5) * np.cos(np.float32(np.pi) * coded)
    photo = 255 * ((1 - look.tone) * coded + look.tone * curve)
    if look.denoise:
        photo = cv2.bilateralFilter(photo, 5, look.denoise, 1.2)
    if look.sharpening:
        photo += look.sharpening * (photo - cv2.GaussianBlur(photo, (0, 0), 1.2))
    return np.asarray(np.rint(np.clip(photo, 0, 255)), dtype=np.uint8)


def develop_dslr(
    light: Light, look: DslrLook, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The DSLR's photo of light (H, W, 3) in [0, 1]."""
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    noise *= look.noise * np.sqrt(light + np.float32(0.01))
    coded = 255 * np.clip(light + noise, 0, 1) ** np.float32(1 / GAMMA)
    return np.asarray(np.rint(coded), dtype=np.uint8)
