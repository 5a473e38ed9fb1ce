"""Two cameras on one rig look at a picture: photo pairs with exactly known geometry.

The picture is a flat scene far away. The DSLR is a pinhole camera; the phone is
another, turned against it, with radial lens distortion, and all that makes a phone
photo worse: blur, vignetting, a colour cast, noise, a tone curve. Points are (x, y),
pixel centres at integers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray

Light = NDArray[np.float32]

GAMMA = 2.2
SUPERSAMPLING = 2  # samples per pixel along each axis
STEP_PX = 0.5  # of the numerical derivative in `residual_px`


@dataclass(frozen=True)
class Rig:
    """The geometry of two cameras; all that a truth file holds."""

    phone_size: tuple[int, int] = (800, 600)  # px
    dslr_size: tuple[int, int] = (1200, 800)  # px
    phone_fov_deg: float = 53.0  # horizontal
    dslr_fov_deg: float = 46.0
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)  # roll, pitch, yaw
    distortion: tuple[float, float] = (-0.03, 0.008)  # of r² and r⁴, r = 1 in a corner

    def dslr_points(self, phone_points: FloatArray) -> FloatArray:
        """Where the DSLR sees what the phone sees at points (..., 2), DSLR px."""
        middle = (np.array(self.phone_size) - 1) / 2
        offset = phone_points - middle
        r2 = (offset**2).sum(axis=-1, keepdims=True) / (middle**2).sum()
        k1, k2 = self.distortion
        straight = offset * (1 + k1 * r2 + k2 * r2**2)
        focal = _focal_px(self.phone_size[0], self.phone_fov_deg)
        rays = np.concatenate([straight / focal, np.ones_like(r2)], axis=-1)
        turned = rays @ _rotation(self.turn_deg).T
        focal = _focal_px(self.dslr_size[0], self.dslr_fov_deg)
        centre = (np.array(self.dslr_size) - 1) / 2
        return np.asarray(focal * turned[..., :2] / turned[..., 2:] + centre)

    def residual_px(
        self, phone_points: FloatArray, dslr_points: FloatArray
    ) -> FloatArray:
        """Error of claimed correspondences (..., 2), as displacement in phone px."""
        error = dslr_points - self.dslr_points(phone_points)
        columns = [
            self.dslr_points(phone_points + step)
            - self.dslr_points(phone_points - step)
            for step in np.eye(2) * STEP_PX
        ]
        jacobian = np.stack(columns, axis=-1) / (2 * STEP_PX)  # (..., 2, 2)
        return np.asarray(np.linalg.solve(jacobian, error[..., None])[..., 0])


@dataclass(frozen=True)
class PhoneLook:
    """What the phone's optics, sensor and processing do to its picture."""

    blur_px: float = 0.8
    vignetting: float = 0.3
    gains: tuple[float, float, float] = (0.95, 0.75, 0.5)  # exposure times cast, RGB
    noise: float = 0.02  # of full scale, at full exposure
    tone: float = 0.4  # share of an S-curve


def _focal_px(width: int, fov_deg: float) -> float:
    return float(width / 2 / np.tan(np.radians(fov_deg) / 2))


def _rotation(turn_deg: tuple[float, float, float]) -> FloatArray:
    roll, pitch, yaw = np.radians(turn_deg)
    axes = np.array([[0, 0, roll], [pitch, 0, 0], [0, yaw, 0]])
    matrices = [cv2.Rodrigues(axis)[0] for axis in axes]
    return np.asarray(matrices[0] @ matrices[1] @ matrices[2])


def photograph(
    picture: NDArray[np.uint8], rig: Rig, look: PhoneLook, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The phone's and the DSLR's photo of a picture, RGB uint8 each.

    The picture fills the DSLR's frame and, mirrored at its edges, what the phone sees
    beyond.

    Args:
        picture: RGB uint8 (H, W, 3).
        rig: Where the cameras look.
        look: What the phone does to its picture.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    light = np.asarray((picture / 255) ** GAMMA, dtype=np.float32)
    dslr = _expose(light, rig.dslr_size, rig.dslr_size, lambda points: points)
    phone = _expose(light, rig.phone_size, rig.dslr_size, rig.dslr_points)
    noise = 0.002 * rng.normal(size=dslr.shape) * np.sqrt(dslr + 0.01)
    return _develop_phone(phone, look, rng), _encode(dslr + noise)


def _expose(
    light: Light,
    size: tuple[int, int],
    dslr_size: tuple[int, int],
    to_dslr: Callable[[FloatArray], FloatArray],
) -> Light:
    """Light on a sensor of `size` whose pixels look where `to_dslr` says."""
    width, height = (SUPERSAMPLING * n for n in size)
    x = (np.arange(width) + 0.5) / SUPERSAMPLING - 0.5
    y = (np.arange(height) + 0.5) / SUPERSAMPLING - 0.5
    points = to_dslr(np.stack(np.meshgrid(x, y), axis=-1))
    scene = np.array(light.shape[1::-1])
    scale = (scene / dslr_size).min()
    middle = (np.array(dslr_size) - 1) / 2
    places = ((points - middle) * scale + (scene - 1) / 2).astype(np.float32)
    seen = cv2.remap(
        light, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    mean = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(mean, 0, 1), dtype=np.float32)


def _develop_phone(
    light: Light, look: PhoneLook, rng: np.random.Generator
) -> NDArray[np.uint8]:
    height, width = light.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    shade = 1 / (1 + look.vignetting * (x**2 + y**2) / 2) ** 2
    seen = cv2.GaussianBlur(light, (0, 0), look.blur_px)
    seen = seen * shade[..., None] * np.array(look.gains)
    shot = look.noise * np.sqrt(np.clip(seen, 0, 1) + 0.02)
    seen = np.clip(seen + rng.normal(size=seen.shape) * shot, 0, 1)
    curve = 0.5 - 0.5 * np.cos(np.pi * seen ** (1 / GAMMA))
    toned = (1 - look.tone) * seen ** (1 / GAMMA) + look.tone * curve
    return np.asarray(np.rint(255 * np.clip(toned, 0, 1)), dtype=np.uint8)


def _encode(light: FloatArray) -> NDArray[np.uint8]:
    coded = 255 * np.clip(light, 0, 1) ** (1 / GAMMA)
    return np.asarray(np.rint(coded), dtype=np.uint8)
