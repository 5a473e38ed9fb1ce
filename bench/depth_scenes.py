"""Eight scenes with depth: what is there, and where a rig's DSLR is."""

from dataclasses import dataclass

from depth_shapes import Bars, Board, Leaves, Person
from depth_world import Camera, Outline, Plane, Triple
from scenes import sizes_for

PHONE_FOV, DSLR_FOV = 53.0, 46.0  # degrees
PHONE_LENS, DSLR_LENS = (-0.03, 0.008), (-0.01, 0.0)  # distortion


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
