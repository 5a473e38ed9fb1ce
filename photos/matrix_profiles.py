"""Matrix profiles → sRGB with the very bytes of LittleCMS, in a quarter of its time.

Cameras' profiles are three curves and a matrix. LittleCMS converts them by a table a
channel, a matrix in 1.14 fixed point and a table back (cmsopt.c, `MatShaperEval16`);
here OpenCV does the same to many pixels at a time.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ONE = 1 << 14  # 1.0 in 1.14 fixed point
WORDS = 1 << 16  # of 16 bits
SRGB_POINTS = ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
STRIP_ROWS = 32  # converted at once: what a core's cache holds
_D50 = (0.9642, 1.0, 0.8249)  # of ICC profiles
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SHIFT = ONE  # keeps sums of negative lobes positive
_TAG_TABLE, _TAG_BYTES = 128, 12  # ICC.1:2022, 7.3
_CONNECTION = slice(20, 24)  # its connection space
_COLORANTS, _CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
_GAMMA_ONLY, _PIECEWISE = b"\0\0", b"\0\3"  # types of parametric curves, 10.18


@dataclass(frozen=True)
class Shaper:
    """A conversion of RGB to 8 bits of sRGB.

    Attributes:
        curves: Gamma, a, b, c, d of each channel (ICC.1:2022, 10.18, type 3).
        linear: Of each channel's levels, (1, 256, 3) float64, in 1.14 fixed point.
        matrix: From these, (3, 4) float64, with the rounding in the last column.
        coded: The sum's value, moved by `_SHIFT`, as a level; (65536,) uint8.
    """

    curves: tuple[tuple[float, ...], ...]
    linear: NDArray[np.float64]
    matrix: NDArray[np.float64]
    coded: NDArray[np.uint8]

    def convert(self, photo: NDArray[np.uint8]) -> None:
        """Convert RGB values (H, W, 3) in place."""
        for top in range(0, len(photo), STRIP_ROWS):
            strip = photo[top : top + STRIP_ROWS]
            strip[:] = self._converted(strip, self.linear)

    def convert_words(
        self, values: NDArray[np.uint16], white: int
    ) -> NDArray[np.uint8]:
        """SRGB of 16-bit values (H, W, 3), of which `white` is the largest.

        Rounded to 8 bits before, linear values would lose their shadows.
        """
        levels = np.arange(WORDS, dtype=np.float32).clip(0, white) / np.float32(white)
        linear = np.stack([_fixed(curve, levels) for curve in self.curves], axis=-1)
        photo = np.empty(values.shape, np.uint8)
        for top in range(0, len(values), STRIP_ROWS):
            strip = values[top : top + STRIP_ROWS]
            photo[top : top + STRIP_ROWS] = self._converted(strip, linear[None])
        return photo

    def _converted(
        self, strip: NDArray[Any], linear: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        sums = cv2.transform(cv2.LUT(strip, linear), self.matrix)
        return np.asarray(cv2.LUT(sums.astype(np.uint16), self.coded), np.uint8)


def shaper_of(profile: bytes) -> Shaper | None:
    """The conversion that a matrix profile asks for; None for other profiles.

    Args:
        profile: An ICC profile that LittleCMS takes for RGB.
    """
    try:
        tags = dict(_tags(profile))
        curves = [_curve(tags[kind]) for kind in _CURVES]
        columns = [_xyz(tags[kind]) for kind in _COLORANTS]
    except (LookupError, struct.error):
        return None
    has_tables = any(kind.startswith((b"A2B", b"D2B")) for kind in tags)
    if has_tables or profile[_CONNECTION] != b"XYZ " or None in curves:
        return None
    known = tuple(curve for curve in curves if curve)
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    linear = np.stack([_fixed(curve, levels) for curve in known], axis=-1)
    to_srgb = np.linalg.solve(to_d50(SRGB_POINTS), np.array(columns).T)
    matrix = np.floor(to_srgb * ONE + 0.5)
    lowest, highest = np.minimum(matrix, 0).sum(1), np.maximum(matrix, 0).sum(1)
    is_held = lowest.min() > -_SHIFT and highest.max() + _SHIFT < WORDS - 1
    if not is_held or not ((linear >= 0) & (linear <= ONE)).all():
        return None
    rounding = np.full((3, 1), 0.5 + _SHIFT)
    return Shaper(known, linear[None], np.hstack([matrix / ONE, rounding]), _coded())


def to_d50(points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Linear RGB → XYZ under D50, (3, 3), by Bradford's adaptation.

    Args:
        points: x and y of red, green, blue and white.
    """
    xy = np.array(points, dtype=float)
    xyz = np.column_stack([xy, 1 - xy.sum(axis=1)]) / xy[:, 1:]
    primaries, white = xyz[:3].T, xyz[3]
    matrix = primaries * np.linalg.solve(primaries, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.solve(_BRADFORD, np.diag(cones) @ _BRADFORD @ matrix)
    return np.asarray(adapted)


def _tags(profile: bytes) -> list[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from(">I", profile, _TAG_TABLE)
    found = []
    for i in range(min(count, 100)):
        place = _TAG_TABLE + 4 + _TAG_BYTES * i
        kind, offset, length = struct.unpack_from(">4sII", profile, place)
        found.append((kind, profile[offset : offset + length]))
    return found


def _xyz(tag: bytes) -> list[float]:
    return [value / 65536 for value in struct.unpack_from(">3i", tag, 8)]


def _curve(tag: bytes) -> tuple[float, ...] | None:
    """Gamma, a, b, c, d of a curve; None for tables and rarer kinds."""
    if tag[:4] == b"curv" and tag[8:12] == b"\0\0\0\1":
        return (struct.unpack_from(">H", tag, 12)[0] / 256, 1.0, 0.0, 1.0, 0.0)
    kind = tag[8:10] if tag[:4] == b"para" else b""
    if kind == _GAMMA_ONLY:
        return (struct.unpack_from(">i", tag, 12)[0] / 65536, 1.0, 0.0, 1.0, 0.0)
    if kind == _PIECEWISE:
        return tuple(value / 65536 for value in struct.unpack_from(">5i", tag, 12))
    return None


def _fixed(
    curve: Sequence[float], levels: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """A curve's values of levels from 0 to 1, in 1.14 fixed point."""
    gamma, a, b, c, d = curve
    level = levels.astype(float)
    with np.errstate(all="ignore"):  # odd curves are told by their values
        raised = np.maximum(a * level + b, 0) ** gamma
        value = np.where(level >= d, raised, c * level).astype(np.float32)
        return np.asarray(np.floor(value.astype(float) * ONE + 0.5))


def _coded() -> NDArray[np.uint8]:
    """SRGB's levels of linear values in 1.14 fixed point, moved by `_SHIFT`."""
    gamma, a, b, c, d = SRGB_CURVE
    value = (np.arange(WORDS) - _SHIFT).clip(0, ONE).astype(float) / ONE
    value = value.astype(np.float32).astype(float)
    high = (value ** (1 / gamma) - b) / a
    curved = np.where(value >= (a * d + b) ** gamma, high, value / c)
    word = np.floor(curved.astype(np.float32).clip(0, 1).astype(float) * 65535 + 0.5)
    return ((word.astype(np.int64) * 65281 + 8388608) >> 24).astype(np.uint8)
