"""Colour spaces by the codes of HEIF's `nclx` and PNG's `cICP`, as ICC profiles.

Codes of primaries and transfer curves: ITU-T H.273, tables 2 and 3.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import ImageCms

from dped_build.photos.matrix_profiles import SRGB_POINTS, to_d50

Points = tuple[tuple[float, float], ...]  # xy of red, green, blue and white

_D65 = (0.3127, 0.329)
_BT601_625 = ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), _D65)
_BT601_525 = ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), _D65)
PRIMARIES: dict[int, Points] = {
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.31, 0.316)),
    5: _BT601_625,
    6: _BT601_525,
    7: _BT601_525,
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), _D65),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.314, 0.351)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), _D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), _D65),
}
_NAMES = {5: "BT.601", 6: "BT.601", 7: "BT.601", 9: "BT.2020", 11: "DCI-P3"}
_NAMES |= {1: "sRGB", 2: "sRGB", 12: "Display P3"}
_SRGB_PRIMARIES, UNSPECIFIED = 1, 2
# sRGB itself, or curves that cameras mean to be shown as sRGB.
_CURVES = (1, UNSPECIFIED, 6, 13, 14, 15)
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}
ADOBE_POINTS: Points = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
ADOBE_GAMMA = 563 / 256  # Adobe RGB (1998), 4.3.4.2
_TAG_TABLE, _TAG_BYTES, _VALUES_AT = 128, 12, 8  # ICC.1:2022, 7.3 and 10.31
_PARAMETERS_AT = 12  # of a parametric curve, 10.18


def coded_profile(primaries: int, curve: int) -> bytes | None:
    """An ICC profile for a code of primaries and one of a curve; None for sRGB.

    Args:
        primaries: As in table 2.
        curve: As in table 3.

    Raises:
        ValueError: An HDR photo, which has no one look on an sRGB screen, or a code
            that is not known.
    """
    gamma = _GAMMAS.get(curve)
    if curve not in _CURVES and gamma is None:
        told = _HDR.get(curve, f"transfer curve {curve}")
        raise ValueError(
            f"{told} cannot be converted to sRGB; save it as a standard photo"
        )
    if primaries in (_SRGB_PRIMARIES, UNSPECIFIED):
        return None if gamma is None else made_profile(SRGB_POINTS, gamma)
    if primaries not in PRIMARIES:
        raise ValueError(f"primaries {primaries} are not known; save it as sRGB")
    return made_profile(PRIMARIES[primaries], gamma)


def is_plain_curve(curve: int) -> bool:
    """Whether a code's curve is sRGB's, or taken for it."""
    return curve in _CURVES


def coded_name(primaries: int, curve: int) -> str:
    """What the codes' colour space is called."""
    name = _NAMES.get(primaries, f"primaries {primaries}")
    if curve in _CURVES:
        return name
    gamma = f"gamma {_GAMMAS[curve]:g}" if curve in _GAMMAS else f"curve {curve}"
    return f"{name}, {_HDR.get(curve, gamma)}"


@lru_cache(maxsize=8)
def made_profile(points: Points, gamma: float | None = None) -> bytes:
    """The sRGB profile with other primaries, and with a power as its curve.

    Args:
        points: x and y of red, green, blue and white.
        gamma: The power from stored to linear values; None for sRGB's curve.

    Raises:
        ValueError: The points span no colours.
    """
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_d50(points).T, strict=True))
    (count,) = struct.unpack_from(">I", data, _TAG_TABLE)
    for i in range(count):
        place = _TAG_TABLE + 4 + _TAG_BYTES * i
        tag, offset = struct.unpack_from(">4sI", data, place)
        if tag in columns:
            _write(data, offset + _VALUES_AT, columns[tag])
        if tag in (b"rTRC", b"gTRC", b"bTRC") and gamma is not None:
            _write(data, offset + _PARAMETERS_AT, (gamma, 1, 0, 1, 0))
    return bytes(data)


def _write(data: bytearray, place: int, values: Sequence[float]) -> None:
    """Write numbers in ICC's 15.16 fixed point."""
    fixed = np.rint(np.asarray(values, dtype=float) * 65536).astype(int)
    struct.pack_into(f">{len(fixed)}i", data, place, *fixed.tolist())
