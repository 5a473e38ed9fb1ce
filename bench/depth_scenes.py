"""Eight scenes with depth, the photos that a rig takes of them, and the exact truth.

Not simulated: focus, shadows, reflections, chromatic aberration, rolling shutter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from depth_shapes import Bars, Board, Leaves, Person
from depth_world import (
    NOTHING,
    Camera,
    Mask,
    Outline,
    Plane,
    Triple,
    look,
    pyramid,
)
from numpy.typing import NDArray
from pictures import read_picture
from scenes import DSLR_QUALITY, jpeg, random_look, sizes_for

from dped_build.align.geometry import FloatArray
from dped_build.selftest.simulated_cameras import (
    DslrLook,
    Light,
    develop_dslr,
    develop_phone,
)

PHONE_FOV, DSLR_FOV = 53.0, 46.0  # degrees
PHONE_LENS, DSLR_LENS = (-0.03, 0.008), (-0.01, 0.0)  # distortion
PHONE_RAYS, DSLR_RAYS = 3, 2  # a pixel along each axis; odd: one is its centre's
MIXED_PX = 0.5  # displacements of a pixel's rays that differ by more: an outline
PHONE_QUALITY = 85
CARD_SHARE = 0.5  # of a picture, that a card shows
CLEARANCE = 1e-4  # of a distance; what is nearer than that hides


@dataclass(frozen=True)
class DepthScene:
    """What is there, and where the DSLR is."""

    dslr_centre: Triple  # m, from the phone
    planes: tuple[Plane, ...]

    def cameras(self, long_side: int, turn_deg: Triple) -> tuple[Camera, Camera]:
        """The phone and the DSLR."""
        phone, dslr = sizes_for(long_side)
        return (
            Camera(phone, PHONE_FOV, PHONE_LENS),
            Camera(dslr, DSLR_FOV, DSLR_LENS, self.dslr_centre, turn_deg),
        )


@dataclass(frozen=True)
class Truth:
    """What every phone pixel shows; arrays (H, W)."""

    dslr_points: NDArray[np.float32]  # (H, W, 2), DSLR px of the same place
    visible: Mask  # the DSLR sees it
    edge: Mask  # the pixel mixes two depths
    surface: NDArray[np.uint8]  # index of the plane, or NOTHING

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(self))

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
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Truth]:
    """The phone's photo, the DSLR's, RGB uint8 each, and the truth."""
    rng = np.random.default_rng(seed)
    roll, pitch, yaw = rng.uniform(-1.2, 1.2, 3).tolist()
    phone, dslr = scene.cameras(long_side, (roll, pitch, yaw))
    textures = _textures(scene.planes, pictures, dslr, rng)
    seen, truth = _phone_view(phone, dslr, scene.planes, textures)
    strips = look(dslr, scene.planes, textures, samples=DSLR_RAYS, late=True)
    light = np.concatenate([strip.light for strip in strips])
    return (
        develop_phone(seen, random_look(rng), rng),
        develop_dslr(light, DslrLook(), rng),
        truth,
    )


def write_scene(
    name: str, pictures: Sequence[Path], out: Path, *, long_side: int, seed: int
) -> None:
    """Write phone/<name>.jpg, dslr/<name>.jpg and truth/<name>.npz below `out`."""
    own = (seed, list(SCENES).index(name))
    phone, dslr, truth = photograph_scene(
        SCENES[name], pictures, long_side=long_side, seed=own
    )
    for side, photo, quality in (
        ("phone", phone, PHONE_QUALITY),
        ("dslr", dslr, DSLR_QUALITY),
    ):
        path = out / side / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(photo, quality))
    truth.save(truth_path(name, out))


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


def _wall(z: float, yaw: float = 0.0) -> Plane:
    return Plane((0, 0, z), z, turn_deg=(0, 0, yaw))


def _floor(below: float, *, rise: float = 0.0) -> Plane:
    return Plane((0, below, 3 * below), 3 * below, turn_deg=(0, rise - 90, 0))


def _card(
    at: Triple,
    outline: Outline,
    span: float,
    *,
    yaw: float = 0.0,
    moves: Triple = (0, 0, 0),
) -> Plane:
    return Plane(at, span, outline, (0, 0, yaw), moves)


SCENES = {
    "railing": DepthScene(
        (0.08, 0.01, 0),
        (
            _wall(26, 6),
            _floor(1.6),
            _card((0.2, 0.75, 2.2), Bars(4, 1.05, 0.125, 0.022, 0.04), 2, yaw=-8),
        ),
    ),
    "poles": DepthScene(
        (0.1, -0.02, 0),
        (
            _wall(18, -15),
            _floor(1.6),
            _card((0.3, -0.6, 4.5), Bars(4.5, 4.4, 1.5, 0.1), 3),
            _card((-0.5, -0.8, 9), Bars(11, 4.8, 2.2, 0.16), 5, yaw=10),
        ),
    ),
    "foliage": DepthScene(
        (0.06, 0.02, 0),
        (
            _wall(9, 4),
            _card((-1.1, 0.2, 3.4), Leaves(0.8, 0.08, seed=1), 1.6),
            _card((1.2, -0.7, 4.8), Leaves(1.1, 0.1, seed=2), 2.2),
            _card((0.6, 1.0, 2.8), Leaves(0.6, 0.05, seed=3), 1.2),
        ),
    ),
    "persons": DepthScene(
        (0.12, 0, 0),
        (
            _wall(8, -6),
            _floor(1.6),
            _card((-0.55, 0.74, 2.1), Person(), 1.0),
            _card((0.4, 0.74, 2.8), Person(1.8), 1.0, yaw=10),
            _card((1.5, 0.74, 4.5), Person(1.7), 1.2),
        ),
    ),
    "slope": DepthScene(
        (0.07, 0, 0.01),
        (
            _wall(30),
            _floor(1.2, rise=10),
            _card((-0.9, 0.3, 4), Board(0.8, 0.9), 0.8, yaw=25),
            _card((1.2, -0.1, 5.5), Board(1.2, 1.3), 1.2, yaw=-20),
        ),
    ),
    "movers": DepthScene(
        (-0.02, 0.06, 0),
        (
            _wall(12, 10),
            _floor(1.6),
            _card((0.7, 0.74, 3.4), Person(), 1.0, moves=(0.08, 0, 0)),
            _card((-1.2, 0.74, 4.6), Person(1.8), 1.2, moves=(-0.05, 0, 0.04)),
            _card((2, 0.95, 7), Board(2.2, 1.3), 2.2, moves=(0.15, 0, 0)),
            _card((-2, -1, 6), Leaves(1, 0.12, seed=4), 2, moves=(0.015, 0.01, 0)),
        ),
    ),
    "skyline": DepthScene(
        (0.05, 0, 0),
        (
            _wall(70, -3),
            _card((9, 2, 50), Board(14, 20), 14),
            _card((-9, 4, 38), Leaves(5, 0.6, seed=5), 10),
        ),
    ),
    "table": DepthScene(
        (0.05, 0.015, 0),
        (
            _wall(2.6, 8),
            Plane((0, 0.3, 1.2), 1.2, Board(1.8, 1.1), turn_deg=(0, -60, 0)),
            _card((-0.25, 0.1, 1.0), Board(0.2, 0.28), 0.3, yaw=20),
            _card((0.25, 0.05, 1.05), Leaves(0.18, 0.025, seed=6), 0.36),
            _card((0.05, 0, 1.4), Board(0.3, 0.25), 0.4, yaw=-15),
        ),
    ),
}
