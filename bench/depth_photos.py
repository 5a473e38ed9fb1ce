"""The photos that a rig takes of a scene with depth, and the truth of every pixel.

Not simulated: focus, shadows, reflections, chromatic aberration, rolling shutter.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from depth_scenes import SCENES, DepthScene
from depth_world import NOTHING, Camera, Mask, Plane, look, pyramid
from numpy.typing import NDArray
from pictures import read_picture
from scenes import DSLR_QUALITY, jpeg, random_look

from dped_build.align.geometry import FloatArray
from dped_build.selftest.simulated_cameras import (
    DslrLook,
    Light,
    PhoneLook,
    develop_dslr,
    develop_phone,
)
from dped_build.workspace.durable import write_atomic

PHONE_RAYS, DSLR_RAYS = 3, 2  # a pixel along each axis; odd: one is its centre's
MAX_TURN_DEG = 1.2
MIXED_PX = 0.5  # displacements of a pixel's rays that differ by more: an outline
PHONE_QUALITY = 85
CARD_SHARE = 0.5  # of a picture, that a card shows
CLEARANCE = 1e-4  # of a distance; what is nearer than that hides


@dataclass(frozen=True)
class Truth:
    """What every phone pixel shows; arrays (H, W)."""

    dslr_points: NDArray[np.float32]  # (H, W, 2), DSLR px of the same place
    visible: Mask  # the DSLR sees it
    edge: Mask  # the pixel mixes two depths
    surface: NDArray[np.uint8]  # index of the plane, or NOTHING

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, **vars(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one."""
        with np.load(path) as file:
            return cls(**file)


def photograph_scene(
    scene: DepthScene,
    pictures: Sequence[Path],
    *,
    long_side: int,
    seed: int | tuple[int, ...],
    phone_look: PhoneLook | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Truth]:
    """The phone's photo, the DSLR's, RGB uint8 each, and the truth.

    `phone_look` None: a random one.
    """
    rng = np.random.default_rng(seed)
    roll, pitch, yaw = rng.uniform(-MAX_TURN_DEG, MAX_TURN_DEG, 3).tolist()
    phone, dslr = scene.cameras(long_side, (roll, pitch, yaw))
    textures = _textures(scene.planes, pictures, dslr, rng)
    seen, truth = _phone_view(phone, dslr, scene.planes, textures)
    strips = look(dslr, scene.planes, textures, samples=DSLR_RAYS, late=True)
    light = np.concatenate([strip.light for strip in strips])
    return (
        develop_phone(seen, phone_look or random_look(rng), rng),
        develop_dslr(light, DslrLook(), rng),
        truth,
    )


def write_scene(
    name: str, pictures: Sequence[Path], out: Path, *, long_side: int, seed: int
) -> None:
    """Write phone/<name>.jpg, dslr/<name>.jpg and, last, truth/<name>.npz."""
    own = (seed, list(SCENES).index(name))
    phone, dslr, truth = photograph_scene(
        SCENES[name], pictures, long_side=long_side, seed=own
    )
    write_photos(name, out, phone, dslr)
    truth.save(truth_path(name, out))


def write_photos(
    name: str,
    out: Path,
    phone: NDArray[np.uint8],
    dslr: NDArray[np.uint8],
    *,
    phone_quality: int = PHONE_QUALITY,
) -> None:
    """Write phone/<name>.jpg and dslr/<name>.jpg."""
    for side, photo, quality in (
        ("phone", phone, phone_quality),
        ("dslr", dslr, DSLR_QUALITY),
    ):
        path = out / side / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(photo, quality))


def truth_path(name: str, out: Path) -> Path:
    """Where the truth of a scene lies."""
    return out / "truth" / f"{name}.npz"


def _textures(
    planes: Sequence[Plane],
    pictures: Sequence[Path],
    dslr: Camera,
    rng: np.random.Generator,
) -> list[list[Light]]:
    """The planes' pictures, as fine as the DSLR sees the planes' middles."""
    order = rng.permutation(len(pictures))
    textures = []
    for number, plane in enumerate(planes):
        wanted = plane.span_m * dslr.focal_px / np.linalg.norm(plane.centre)
        share = CARD_SHARE if plane.outline else 1.0
        picture = read_picture(
            pictures[order[number % len(order)]],
            crop=(rng.uniform(), rng.uniform(), share),
            width=min(int(wanted), dslr.size[0]),
            seed=int(rng.integers(2**31)),
        )
        textures.append(pyramid(picture))
    return textures


def _phone_view(
    phone: Camera,
    dslr: Camera,
    planes: Sequence[Plane],
    textures: Sequence[list[Light]],
) -> tuple[Light, Truth]:
    width = phone.size[0]
    moves = np.array([any(plane.moves) for plane in planes] + [False])
    reach = phone.focal_px * float(np.linalg.norm(dslr.centre))  # px, m
    middle = PHONE_RAYS // 2
    lights, rows = [], []
    for strip in look(phone, planes, textures, samples=PHONE_RAYS, late=False):
        count = len(strip.light)
        y, x = np.mgrid[strip.top : strip.top + count, :width].astype(np.float64)
        rays = phone.rays(np.stack([x, y], axis=-1))
        surface = strip.plane[:, middle, :, middle]
        places = rays * strip.depth[:, middle, :, middle, None]
        points, visible = _seen_by(dslr, planes, places, surface)
        moving = moves[np.minimum(strip.plane, len(planes))]
        edge = np.ptp(reach / strip.depth, axis=(1, 3)) > MIXED_PX
        edge |= moving.any(axis=(1, 3)) & ~moving.all(axis=(1, 3))
        lights.append(strip.light)
        rows.append((points.astype(np.float32), visible, edge, surface))
    return np.concatenate(lights), Truth(*map(np.concatenate, zip(*rows, strict=True)))


def _seen_by(
    dslr: Camera,
    planes: Sequence[Plane],
    places: FloatArray,
    surface: NDArray[np.uint8],
) -> tuple[FloatArray, Mask]:
    """DSLR px (H, W, 2) of places (H, W, 3) on planes (H, W), and what it sees."""
    met = surface != NOTHING
    moves = np.array([*(plane.moves for plane in planes), (0, 0, 0)])
    there = np.where(met[..., None], places, 1.0)
    there = there + moves[np.minimum(surface, len(planes))]
    points = dslr.project(there)
    last = np.array(dslr.size) - 1
    visible = met & ((points >= 0) & (points <= last)).all(axis=-1)
    rays = (there - dslr.centre).reshape(-1, 3)  # reach the places at distance 1
    for number, plane in enumerate(planes):
        away, _ = plane.meet(np.array(dslr.centre), rays, late=True)
        before = (away < 1 - CLEARANCE).reshape(met.shape)
        visible &= ~before | (surface == number)
    return points, visible
