"""Which pixels of a placed window show the same point of the scene in both photos.

A pixel is valid where the parallax map has it near the window's surface, both photos
look alike there, no shift of its surroundings would make them more alike, and no other
surface nearby explains it as well. Far from other surfaces less is asked: there a flat
wall is not in doubt. What the map calls another surface, which it does too much around
outlines, is valid after all where the window's own surface explains it clearly better.
A window whose parts lie together overrules a map that hardly doubts it, and is judged
by residuals alone, unless the map explains what it doubts better: flat parts move with
any window.
In C, where that is compiled; else by OpenCV and NumPy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.compiled.loops import run
from dped_build.patches.refinement.pyramid import Fine, Image, Luma, finely, levels
from dped_build.patches.refinement.tidied import Mask, tidy

# compiled/visibility.c holds the same numbers.
SMOOTH_PX = 0.7  # sigma of the blur before photos are compared
BLUR_PX, REACH_PX = 3, 4  # how far that blur reaches, and with interpolation
LIGHT_PX, ALIKE_PX, SHIFT_PX = 15, 7, 21  # sides of the squares that means are over
OWN_PX, RIVAL_PX = 5, 9  # ... when two surfaces compete: the own one at its best
MAX_RESIDUAL = 4.0  # power over the window's typical one
DETAIL_SHARE = 0.25  # of detail's power that may stay as a residual
LEAST_POWER = 1.0  # grey levels²
LEAST_SLOPE = np.float32(2e-6)  # (grey levels / px)²
CORRELATED_PX2 = 20.0  # neighbouring residuals are not independent
APART_PX = 0.5  # a shift along parallax that is another depth
APART_SIGMA, APART_FAR_SIGMA = 1.5, 3.0  # ... that much beyond its own error
UNKNOWN_PX = 1.0  # error of such a shift, from which on it says nothing
BEATEN = 0.7  # of a rival's residual power that the own one must stay below
OVERRULED = 0.5  # ... to be valid where the map says otherwise
KNOWN_FAR, RIVAL_FAR, APART_FAR = 40.0, 32.0, 24.0  # px from others
CALM_DEPTH_PX = 0.2  # a window whose parts lie together that well ...
DOUBTED_PX, FEW_OTHERS = 4.0, 0.002  # ... and hardly a pixel is said further off
FEW_DOUBTED = 0.01  # ... nor so many within that, unless it explains them
RIVALS = 3
RIVAL_GAP_PX = (1.5, 80.0)  # between the own place and a rival's
RIVAL_REACH = 1.3  # windows, from which rivals come
LEAST_PIXELS = 200
OUTSIDE, DARKEST = -1e4, -50  # grey levels of pixels beyond the photo, and of any in it


@dataclass(frozen=True)
class Placed:
    """K windows with their places, of which rivals are taken."""

    corners: NDArray[np.int32]  # (K, 2) top-left pixels
    places: FloatArray  # (K, 6)
    size: int
    calm: Mask  # (K,) their parts lie together


@dataclass(frozen=True)
class Surroundings:
    """What the parallax map says of some windows' pixels."""

    distance: Image  # (k, S, S) px of parallax to the window's surface; NaN unknown
    near: Mask  # (k, S, S) on that surface
    away: Image  # (k, S, S) px to the nearest pixel of another surface
    direction: FloatArray  # (k, 2) displacement by 1 px of parallax


def visible_pixels(
    phone: Luma,
    dslr: Fine,
    placed: Placed,
    rows: NDArray[np.intp],
    around: Surroundings,
) -> Mask:
    """Valid pixels of some windows, (k, S, S).

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid, (H, W).
        placed: All windows.
        rows: Which of them, (k,).
        around: What is said of those.
    """
    found, dslr = np.zeros(around.near.shape, bool), finely(dslr)
    if not _judge_in_c(phone, dslr, placed, rows, around, found):
        for mask, one, number in zip(found, range(len(rows)), rows, strict=True):
            window = _Window(
                placed,
                int(number),
                *(getattr(around, field.name)[one] for field in fields(Surroundings)),
            )
            mask[:] = _judged(phone, dslr, window)
    tidy(found, around.away)
    return found


def _judge_in_c(
    phone: Luma,
    dslr: NDArray[np.uint16],
    placed: Placed,
    rows: NDArray[np.intp],
    around: Surroundings,
    found: Mask,
) -> bool:
    """Whether the compiled loop has filled the masks, as `_judged` does."""
    return run(
        "judge_windows",
        *(np.ascontiguousarray(phone, np.uint8), *phone.shape),
        *(np.ascontiguousarray(dslr), *dslr.shape),
        cv2.getGaussianKernel(2 * BLUR_PX + 1, SMOOTH_PX, cv2.CV_32F)[BLUR_PX:],
        np.ascontiguousarray(placed.corners, np.int32),
        np.ascontiguousarray(placed.places, np.float64),
        *(len(placed.places), placed.size, placed.calm),
        *(np.ascontiguousarray(rows, np.int64), len(rows)),
        np.ascontiguousarray(around.distance, np.float32),
        np.ascontiguousarray(around.near),
        np.ascontiguousarray(around.away, np.float32),
        np.ascontiguousarray(around.direction, np.float64),
        found,
    )


@dataclass(frozen=True)
class _Window:
    """One of them."""

    placed: Placed
    number: int
    distance: Image  # (S, S)
    near: Mask
    away: Image
    direction: FloatArray  # (2,)


class _Pair:
    """Both photos in one window: the DSLR as its place shows it, and what is left."""

    def __init__(self, phone: Luma, dslr: Fine, window: _Window, near: Mask) -> None:
        placed = window.placed
        left, top = placed.corners[window.number]
        size = placed.size
        self.dslr = dslr
        pixels, self.unit = _line(size)
        self.columns = pixels + np.float32(left)
        self.rows = (pixels + np.float32(top))[:, None]
        last = size - 1
        part, first = _part(phone, (left, left + last), (top, top + last))
        x, y = left - first[0], top - first[1]
        self.target = _blurred(part)[y : y + size, x : x + size]
        self.place = placed.places[window.number].astype(np.float32)
        luma = self.warped(self.place)
        self.inside = luma > DARKEST
        self.near = near & self.inside
        count = np.count_nonzero(self.near)
        self.usable = count >= LEAST_PIXELS
        if not self.usable:
            return
        self.whole = count == self.near.size
        self.weight = self.near.astype(np.float32)
        if not self.whole:
            self.light = _mean(self.weight, LIGHT_PX) + 1e-3
        self.even = self.target - self.local_mean(self.target)
        own = self.centred(luma)
        counted = (own * self.weight).ravel()
        power = max(float(counted @ own.ravel()), 1e-3)
        alike = float(counted @ self.even.ravel())
        self.gain = np.float32(min(max(alike / power, 0.05), 10))
        self.luma = self.gain * own
        self.rest = self.even - self.luma

    def warped(self, place: Image, beyond: tuple[Image, Image] | None = None) -> Image:
        """The DSLR's luma at a place (6,), each pixel moved `beyond` besides, px."""
        x, y = self.unit, self.unit[:, None]
        at_x = self.columns + place[0] + place[2] * x + place[3] * y
        at_y = self.rows + place[1] + place[4] * x + place[5] * y
        if beyond is None:
            step = len(at_x) - 1  # an affine warp is widest at its corners
            ends = at_x[::step, ::step], at_y[::step, ::step]
        else:
            at_x, at_y = ends = at_x + beyond[0], at_y + beyond[1]
        part, first = _part(self.dslr, *((one.min(), one.max()) for one in ends))
        if not part.size:
            return np.full(at_x.shape, OUTSIDE, np.float32)
        at_x -= first[0]
        at_y -= first[1]
        return np.asarray(
            cv2.remap(
                _blurred(part),
                at_x,
                at_y,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=OUTSIDE,
            )
        )

    def local_mean(self, luma: Image) -> Image:
        """Over the near pixels around each pixel."""
        if self.whole:
            return _mean(luma, LIGHT_PX)
        return _mean(luma * self.weight, LIGHT_PX) / self.light

    def centred(self, luma: Image) -> Image:
        """Less its local mean; what lies outside is grey."""
        luma = np.maximum(luma, DARKEST)
        return luma - self.local_mean(luma)

    def power_left(self, luma: Image) -> Image:
        """Residual power of another rendering of the DSLR, over a rival's square."""
        return _mean(self.rest_power(luma), RIVAL_PX)

    def rest_power(self, luma: Image) -> Image:
        """... pixel by pixel."""
        rest = self.even - self.gain * self.centred(luma)
        return np.asarray(rest * rest)

    def alike(self) -> tuple[Mask, float]:
        """Where both photos look alike, (S, S), and the typical residual power."""
        energy = _mean(self.rest * self.rest, ALIKE_PX)
        fine = self.luma - _mean(self.luma, 3)
        typical = _typical(energy, self.near)
        detail = DETAIL_SHARE * _mean(fine * fine, ALIKE_PX)
        return energy < MAX_RESIDUAL * (typical + detail + LEAST_POWER), typical


@lru_cache(maxsize=4)
def _line(size: int) -> tuple[Image, Image]:
    """Pixels of a window's row, and how far they are from its middle, -1 … 1."""
    pixels = np.arange(size, dtype=np.float32)
    return pixels, (pixels - (size - 1) / 2) / (size / 2)


def _typical(values: Image, counted: Mask) -> float:
    """The median of pixels that count, of every other row and column if any do.

    A mean over a square changes little from one pixel to the next.
    """
    some = values[::2, ::2][counted[::2, ::2]]
    if not len(some):
        some = values[counted]
    return float(np.partition(some, len(some) // 2)[len(some) // 2])


def _judged(phone: Luma, dslr: Fine, window: _Window) -> Mask:
    """Valid pixels before islands and outlines are tidied, (S, S)."""
    off = np.abs(window.distance)  # NaN is no other surface
    calm = window.placed.calm[window.number]
    if calm and np.count_nonzero(off > DOUBTED_PX) < FEW_OTHERS * off.size:
        pair = _Pair(phone, dslr, window, window.near | (off < DOUBTED_PX))
        if not pair.usable:
            return np.zeros_like(window.near)
        valid = pair.near & pair.alike()[0]
        doubted = valid & ~window.near
        few = np.count_nonzero(doubted) < FEW_DOUBTED * off.size
        if few or not _map_wins(pair, window, doubted):
            return valid
    pair = _Pair(phone, dslr, window, window.near)
    return _contested(pair, window) if pair.usable else np.zeros_like(window.near)


def _map_wins(pair: _Pair, window: _Window, doubted: Mask) -> bool:
    """Whether the map's parallax explains all those pixels clearly better."""
    other = pair.rest_power(_as_said(pair, window, doubted))[doubted].sum()
    return bool(other < BEATEN * (pair.rest[doubted] ** 2).sum())


def _contested(pair: _Pair, window: _Window) -> Mask:
    """Valid pixels of a window that the map doubts or whose parts lie apart, (S, S)."""
    away = window.away
    alike, typical = pair.alike()
    together, told = _shifts(pair, window, typical)
    own = _mean(pair.rest * pair.rest, OWN_PX)
    doubted = alike & together & told
    valid = pair.near & alike & together & (told | (away > KNOWN_FAR))
    valid |= _overruling(pair, window, own, doubted & ~pair.near)
    far = away > RIVAL_FAR
    for place in _rivals(window.placed, window.number) if (valid & ~far).any() else ():
        beaten = own < BEATEN * pair.power_left(pair.warped(place))
        valid &= beaten | far
    return valid


def _shifts(pair: _Pair, window: _Window, typical: float) -> tuple[Mask, Mask]:
    """Whether each pixel's surroundings lie together, and can tell; (S, S) each."""
    along = window.direction / np.linalg.norm(window.direction)
    slope_x, slope_y = (
        cv2.Sobel(pair.luma, cv2.CV_32F, i, 1 - i, scale=float(part) / 8)
        for i, part in zip((1, 0), along, strict=True)
    )
    slope = (slope_x + slope_y) * pair.weight
    information = _mean(slope * slope, SHIFT_PX)
    score = _mean(slope * pair.rest, SHIFT_PX)
    noise = np.float32(typical * CORRELATED_PX2 / SHIFT_PX**2)
    error = np.sqrt(noise / np.maximum(information, LEAST_SLOPE))
    shift = np.abs(score / (information + (noise + LEAST_SLOPE)))
    far = window.away > APART_FAR
    sigmas = np.where(far, np.float32(APART_FAR_SIGMA), np.float32(APART_SIGMA))
    apart = (shift > APART_PX) & (shift > sigmas * error)
    return ~apart, error < UNKNOWN_PX


def _overruling(pair: _Pair, window: _Window, own: Image, doubted: Mask) -> Mask:
    """Where the map's other parallax explains the pixels clearly worse, (S, S)."""
    said = doubted & np.isfinite(window.distance) & pair.inside
    if not said.any():
        return said
    other = _as_said(pair, window, said)
    return np.asarray(said & (own < OVERRULED * pair.power_left(other)))


def _as_said(pair: _Pair, window: _Window, said: Mask) -> Image:
    """The DSLR's luma with those pixels at the parallax that the map gives them."""
    parallax = np.where(said, window.distance, 0)
    x, y = (parallax * np.float32(part) for part in window.direction)
    return pair.warped(pair.place, (x, y))


def _rivals(placed: Placed, number: int) -> Iterator[Image]:
    """Places of surfaces around a window, carried over to it, the nearest first."""
    half = placed.size / 2
    way = (placed.corners[number] - placed.corners) / half
    close = np.abs(way).max(axis=1) < 2 * RIVAL_REACH
    close[number] = False
    places, way = placed.places[close], way[close]
    carried = places.copy()
    for axis in range(2):
        carried[:, axis] += (places[:, 2 + 2 * axis : 4 + 2 * axis] * way).sum(axis=1)
    gap = np.linalg.norm(carried[:, :2] - placed.places[number, :2], axis=1)
    taken: list[FloatArray] = []
    for one in np.argsort(gap, kind="stable"):
        place = carried[one]
        new = all(np.linalg.norm(place[:2] - o[:2]) > RIVAL_GAP_PX[0] for o in taken)
        if RIVAL_GAP_PX[0] < gap[one] < RIVAL_GAP_PX[1] and new:
            taken.append(place)
            yield place.astype(np.float32)
        if len(taken) == RIVALS:
            return


def _mean(values: Image, side: int) -> Image:
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT_101))


def _part(
    photo: Luma | Fine, x: tuple[float, float], y: tuple[float, float]
) -> tuple[Image, tuple[int, int]]:
    """The photo from the first to the last x and y, as blur needs it, and its corner.

    Empty where all of that is beyond the photo.
    """
    (left, right), (top, bottom) = (
        (max(int(first) - REACH_PX, 0), max(min(int(last) + REACH_PX, length), 0))
        for (first, last), length in zip((x, y), photo.shape[::-1], strict=True)
    )
    return levels(photo[top:bottom, left:right]), (left, top)


def _blurred(part: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(part, (0, 0), SMOOTH_PX))
