"""HEIF's `nclx` colour information as an ICC profile.

Codes of primaries and transfer curves: ITU-T H.273, tables 2 and 3.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import ImageCms

_SRGB_PRIMARIES, _UNSPECIFIED = 1, 2
# sRGB itself, or curves that cameras mean to be shown as sRGB.
_CURVES = (1, _UNSPECIFIED, 6, 13, 14, 15)
_HDR = {16: "PQ", 18: "HLG"}
_D50 = (0.9642, 1.0, 0.8249)  # of ICC profiles
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_TAG_TABLE, _TAG_BYTES, _XYZ_AT = 128, 12, 8  # ICC.1:2022, 7.3 and 10.31


def profile_of(nclx: Mapping[str, Any]) -> bytes | None:
    """An ICC profile for an `nclx` record as pillow-heif reads it; None for sRGB.

    Raises:
        ValueError: An HDR photo, which has no one look on an sRGB screen.
    """
    curve = nclx["transfer_characteristics"]
    if curve not in _CURVES:
        told = _HDR.get(curve, f"transfer curve {curve}")
        raise ValueError(
            f"{told} cannot be converted to sRGB; save it as a standard photo"
        )
    if nclx["color_primaries"] in (_SRGB_PRIMARIES, _UNSPECIFIED):
        return None
    names = ("red", "green", "blue", "white")
    points = [
        (nclx[f"color_primary_{n}_x"], nclx[f"color_primary_{n}_y"]) for n in names
    ]
    return _profile(tuple(points))


@lru_cache(maxsize=8)
def _profile(points: Sequence[tuple[float, float]]) -> bytes:
    """The sRGB profile with other primaries: xy of red, green, blue and white."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), _to_d50(points).T, strict=True))
    (count,) = struct.unpack_from(">I", data, _TAG_TABLE)
    for i in range(count):
        place = _TAG_TABLE + 4 + _TAG_BYTES * i
        tag, offset = struct.unpack_from(">4sI", data, place)
        if tag in columns:
            fixed = np.rint(columns[tag] * 65536).astype(int)
            struct.pack_into(">3i", data, offset + _XYZ_AT, *fixed.tolist())
    return bytes(data)


def _to_d50(points: Sequence[tuple[float, float]]) -> np.ndarray[Any, Any]:
    """Linear RGB → XYZ under D50, (3, 3), by Bradford's adaptation."""
    xy = np.array(points, dtype=float)
    xyz = np.column_stack([xy, 1 - xy.sum(axis=1)]) / xy[:, 1:]
    primaries, white = xyz[:3].T, xyz[3]
    matrix = primaries * np.linalg.solve(primaries, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.solve(_BRADFORD, np.diag(cones) @ _BRADFORD @ matrix)
    return np.asarray(adapted)
