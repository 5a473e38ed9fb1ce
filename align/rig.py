"""Geometry of two cameras on one rig: which way parallax moves what both see.

Beyond the pair's homography, what lies at another depth is displaced along one
direction, towards the epipole, which the lens bends a little over the photo (Hartley
and Zisserman, 2003, section 13.3: plane plus parallax). Across it the displacement is
smooth: lens distortion, and what the homography leaves.
"""

from dataclasses import dataclass, replace

import numpy as np

from dped_build.align.geometry import FloatArray
from dped_build.align.tracks import Tracks

MIN_TRACKS = 60
SEARCHED_TRACKS = 400  # that the direction is searched with
DIRECTIONS = 24  # tried, over half a turn
SEARCH_STEPS, FIT_STEPS, TURN_STEPS = 6, 10, 4  # of reweighting
SEARCH_PX = 0.3  # error of a track that follows the rig, while searching
TRACK_PX = 0.1  # ... of the fit, at least
TURNS = 3  # of the direction, each with a new fit
# What bends the direction, in radians at the border, before tracks are looked at.
TURN, BEND = 0.3, 0.05
WEAK = 1e-4  # precision of the smooth terms: the tracks say them
FOLLOWS = 4.0  # spreads, within which a track follows the rig
# Of one surface; share of corners off it from which there are several.
SURFACE_PX, SURFACE_SPREADS, OFF_SURFACE = 2.0, 5.0, 0.06
FAR_PX, FAR_OFF = 8.0, 0.017  # smooth parallax and wrong tracks stay below
FAR_TURN = 0.2  # radians, off the direction that most corners state
RANGE = (0.5, 99.5)  # percentiles of the tracks' parallax


@dataclass(frozen=True)
class Rig:
    """Displacement of a phone point with parallax d: d along, and `across(d)` px.

    Attributes:
        size: Of the phone photo, px.
        along: Unit vector (2,) of parallax.
        smooth: Coefficients (10,) of the displacement across: a cubic.
        bend: ... (6,) of what parallax adds to it: a quadratic.
        middle: Parallax at which it adds nothing, px.
        spread_px: Robust deviation of the tracks across.
        limits: Least and greatest parallax of the tracks that follow, px.
    """

    size: tuple[int, int]
    along: FloatArray
    smooth: FloatArray
    bend: FloatArray
    middle: float
    spread_px: float
    limits: tuple[float, float]

    @property
    def normal(self) -> FloatArray:
        """Unit vector (2,) across parallax."""
        return np.array([-self.along[1], self.along[0]])

    def across(self, points: FloatArray, parallax: FloatArray) -> FloatArray:
        """Displacement across, px, of points (..., 2) with parallax (...)."""
        smooth = _powers(points, self.size, 3) @ self.smooth
        bent = _powers(points, self.size, 2) @ self.bend
        return np.asarray(smooth + (parallax - self.middle) * bent)

    def depth(self, tracks: Tracks) -> float:
        """How many corners lie off the surface that most lie on, or far off it.

        In units of what one surface leaves off: above 1 there are several. A railing
        has few corners, all of them far off, but it moves as the rig does.
        """
        terms = _powers(tracks.points, self.size, 3)
        parallax = tracks.displacements @ self.along
        distances = np.abs(_off_surface(terms, parallax, FIT_STEPS))
        across = tracks.displacements @ self.normal
        rest = np.abs(across - self.across(tracks.points, parallax))
        follows = np.maximum(FOLLOWS * self.spread_px, FAR_TURN * distances)
        far = (distances > FAR_PX) & (rest < follows)
        off = distances > max(SURFACE_PX, SURFACE_SPREADS * self.spread_px)
        return float(off.mean() / OFF_SURFACE + far.mean() / FAR_OFF)


def off_surface(tracks: Tracks, size: tuple[int, int]) -> float:
    """Share of the points that are off the surface that most lie on, 0 to 1.

    Whichever way; `Rig.depth` knows what moves along its direction.
    """
    terms = _powers(tracks.points, size, 3)
    rest = _off_surface(terms, tracks.displacements.T, FIT_STEPS)
    return float((np.hypot(*rest) > SURFACE_PX).mean())


def fit_rig(tracks: Tracks, size: tuple[int, int]) -> Rig | None:
    """The rig that most tracks agree with; None where there are too few.

    Args:
        tracks: Corners that were followed, full-size phone px.
        size: Width and height of the phone photo.
    """
    if len(tracks.points) < MIN_TRACKS:
        return None
    along = _search_direction(tracks, size)
    start = Rig(size, _unit(along), np.zeros(10), np.zeros(6), 0.0, 0.0, (0.0, 0.0))
    rig, weights = _fitted(start, tracks, np.ones(len(tracks.points)), FIT_STEPS)
    for _ in range(TURNS - 1):
        turned = _unit(rig.along + rig.bend[0] * rig.normal)
        rig, weights = _fitted(replace(rig, along=turned), tracks, weights, TURN_STEPS)
    return rig


def _search_direction(tracks: Tracks, size: tuple[int, int]) -> FloatArray:
    """The direction across which most displacements are smooth."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(tracks.points))[:SEARCHED_TRACKS]
    terms = _powers(tracks.points[chosen], size, 3)
    displacements = tracks.displacements[chosen]
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    values = np.stack([-np.sin(angles), np.cos(angles)], axis=1) @ displacements.T
    square = (_off_surface(terms, values, SEARCH_STEPS) / SEARCH_PX) ** 2
    best = angles[int((square / (1 + square)).sum(axis=1).argmin())]
    return np.array([np.cos(best), np.sin(best)])


def _off_surface(terms: FloatArray, values: FloatArray, steps: int) -> FloatArray:
    """What the smooth surface of most values (..., N) leaves of each, px."""
    count = terms.shape[1]
    products = (terms[:, :, None] * terms[:, None]).reshape(-1, count**2)
    weights = np.ones(values.shape)
    for _ in range(steps):
        normal = (weights @ products).reshape(*values.shape[:-1], count, count)
        seen = (weights * values) @ terms
        smooth = normal + 1e-3 * np.eye(count)
        surface = np.linalg.solve(smooth, seen[..., None])[..., 0]
        rest = values - surface @ terms.T
        weights = 1 / (1 + (rest / SEARCH_PX) ** 2) ** 2
    return np.asarray(rest)


def _fitted(
    rig: Rig, tracks: Tracks, weights: FloatArray, steps: int
) -> tuple[Rig, FloatArray]:
    """The same direction with the terms that most tracks agree with, their weights."""
    parallax = tracks.displacements @ rig.along
    values = tracks.displacements @ rig.normal
    middle = float(np.median(parallax))
    smooth = _powers(tracks.points, rig.size, 3)
    bent = smooth[:, :6] * (parallax - middle)[:, None]
    terms = np.concatenate([smooth, bent], axis=1)
    precision = np.array([WEAK] * 10 + [TURN**-2] + [BEND**-2] * 5) * TRACK_PX**2
    for _ in range(steps):
        weighted = terms.T * weights
        normal = weighted @ terms + np.diag(precision)
        found = np.linalg.solve(normal, weighted @ values)
        rest = np.abs(values - terms @ found)
        spread = max(1.48 * float(np.median(rest)), TRACK_PX)
        weights = 1 / (1 + (rest / spread) ** 2)
    low, high = np.percentile(parallax[rest < FOLLOWS * spread], RANGE)
    found_rig = replace(
        rig,
        smooth=found[:10],
        bend=found[10:],
        middle=middle,
        spread_px=spread,
        limits=(float(low), float(high)),
    )
    return found_rig, weights


def _powers(points: FloatArray, size: tuple[int, int], degree: int) -> FloatArray:
    """Monomials up to `degree` of points (..., 2), -1 … 1 over the photo's width."""
    x, y = np.moveaxis((points - np.array(size) / 2) / (size[0] / 2), -1, 0)
    of_x, of_y = [np.ones_like(x)], [np.ones_like(y)]
    for _ in range(degree):
        of_x.append(of_x[-1] * x)
        of_y.append(of_y[-1] * y)
    powers = [(n - i, i) for n in range(degree + 1) for i in range(n + 1)]
    return np.stack([of_x[i] * of_y[j] for i, j in powers], axis=-1)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
