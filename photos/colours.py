"""Which colour space a photo states, and by what.

An ICC profile counts most, but for PNG's cICP (PNG, 3rd edition, 4.3: cICP, iCCP, sRGB,
then gAMA and cHRM); then nclx of HEIF and AVIF; then what DSLRs write in EXIF in place
of a profile (DCF 2.0, 5.2: InteroperabilityIndex R03 is Adobe RGB).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dped_build.photos.heif_colours import (
    ADOBE_GAMMA,
    ADOBE_POINTS,
    UNSPECIFIED,
    Points,
    coded_name,
    coded_profile,
    is_plain_curve,
    made_profile,
)
from dped_build.photos.heif_items import colour_codes
from dped_build.photos.icc import is_usable, name_of
from dped_build.photos.matrix_profiles import SRGB_POINTS
from dped_build.photos.written_parts import png_chunk

_EXIF_IFD, _INTEROP_IFD, _COLOR_SPACE, _INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 1
_SRGB, _ADOBE = 1, 2  # ColorSpace; 2 is no part of the standard, but written
_DCF_ADOBE = "R03"
_SRGB_GAMMA, _GAMMA_SLACK, _POINT_SLACK = 1 / 2.2, 0.001, 0.002
_MIN_GAMMA, _MAX_GAMMA = 0.1, 10.0
_GREY_MODES = ("1", "L", "LA", "La")
_UNSTATED = "not stated"


@dataclass(frozen=True)
class Colours:
    """The colour space of a photo's stored values.

    Attributes:
        space: What it is called.
        by: What states it: ICC, nclx, EXIF, a PNG chunk.
        profile: An ICC profile to convert from; None where values are sRGB, or taken
            as sRGB.
        refusal: Why it cannot be converted, such as HDR.
    """

    space: str = "sRGB"
    by: str = _UNSTATED
    profile: bytes | None = None
    refusal: str | None = None

    def __str__(self) -> str:
        """As records and reports show it: `Display P3 (ICC)`."""
        return f"{self.space} ({self.by})"


def stated_colours(path: Path, image: Image.Image) -> Colours:
    """The colour space that a photo states.

    Args:
        path: The photo.
        image: The same, with its header read.

    Raises:
        One of DECODE_ERRORS: What states it is damaged.
    """
    if image.format == "RAW":
        return Colours(by="developed")
    coded = png_chunk(path, b"cICP") if image.format == "PNG" else None
    if coded is not None and len(coded) == 4:
        return _of_chunk(coded)
    profile: bytes | None = image.info.get("icc_profile")
    if profile and is_usable(profile, _kind(image.mode)):
        name = name_of(profile)
        return Colours(name, "ICC", None if name == "sRGB" else profile)
    if image.format == "PNG":
        return _of_chunks(image)
    codes = _container_codes(path, image)
    if codes[0] != UNSPECIFIED or not is_plain_curve(codes[1]):
        return _of_codes(*codes, by="nclx")
    return _of_exif(image)


def _container_codes(path: Path, image: Image.Image) -> tuple[int, int]:
    """A HEIF's or AVIF's codes of primaries and curve."""
    codes = None
    if nclx := image.info.get("nclx_profile"):
        codes = nclx["color_primaries"], nclx["transfer_characteristics"]
    if image.format == "AVIF":  # Pillow does not say
        with path.open("rb") as file:
            codes = colour_codes(file, path.stat().st_size)
    return codes or (UNSPECIFIED, UNSPECIFIED)


def _kind(mode: str) -> str:
    """Pillow's mode of the colours that are converted."""
    if mode in _GREY_MODES or mode.startswith("I;16"):
        return "L"
    return mode if mode in ("CMYK", "LAB") else "RGB"


def _of_chunk(coded: bytes) -> Colours:
    """By PNG's cICP: codes of primaries and curve, no matrix, full range."""
    primaries, curve, matrix, is_full = coded
    if matrix or not is_full:
        refusal = "colours of video cannot be converted; save it as sRGB"
        return Colours(coded_name(primaries, curve), "cICP", refusal=refusal)
    return _of_codes(primaries, curve, by="cICP")


def _of_codes(primaries: int, curve: int, *, by: str) -> Colours:
    space, refusal, profile = coded_name(primaries, curve), None, None
    try:
        profile = coded_profile(primaries, curve)
    except ValueError as error:
        refusal = str(error)
    return Colours(space, by, profile, refusal)


def _of_chunks(image: Image.Image) -> Colours:
    """By PNG's sRGB, or by gAMA and cHRM; nonsense in them is passed over."""
    info = image.info
    if "srgb" in info:
        return Colours(by="sRGB chunk")
    gamma, numbers = info.get("gamma"), info.get("chromaticity")
    if gamma is not None and not _MIN_GAMMA < gamma < _MAX_GAMMA:
        gamma = None
    points = _points(numbers) if numbers else None
    by = " and ".join(
        name for name, value in (("gAMA", gamma), ("cHRM", points)) if value is not None
    )
    if not by:
        return _of_exif(image) if "exif" in info else Colours()
    # These stand for sRGB's curve and primaries where its own chunk is not understood.
    curve = None if gamma is None or _is_near(gamma, _SRGB_GAMMA) else 1 / gamma
    is_srgb = points is None or np.abs(np.subtract(points, SRGB_POINTS)).max() < (
        _POINT_SLACK
    )
    if is_srgb and curve is None:
        return Colours(by=by)
    if gamma is not None and curve is None:
        curve = 1 / gamma
    told = "sRGB's curve" if curve is None else f"gamma {curve:.3g}"
    space = f"{'sRGB' if is_srgb else 'own'} primaries, {told}"
    try:
        made = made_profile(SRGB_POINTS if is_srgb else points or SRGB_POINTS, curve)
    except np.linalg.LinAlgError:  # points on a line
        return Colours()
    return Colours(space, by, made)


def _is_near(gamma: float, other: float) -> bool:
    return abs(gamma - other) < _GAMMA_SLACK


def _points(numbers: tuple[float, ...]) -> Points | None:
    """Red, green, blue and white of cHRM, which has white first; None: nonsense."""
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(pairs) != 4 or any(not (0 <= x <= 1 and 0 < y <= 1) for x, y in pairs):
        return None
    return (*pairs[1:], pairs[0])


def _of_exif(image: Image.Image) -> Colours:
    """By EXIF's ColorSpace and InteroperabilityIndex."""
    exif = image.getexif()
    stated = exif.get_ifd(_EXIF_IFD).get(_COLOR_SPACE)
    index = exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX)
    is_dcf = str(index).strip("\0 ") == _DCF_ADOBE
    if stated == _ADOBE or (is_dcf and stated != _SRGB):
        profile = made_profile(ADOBE_POINTS, ADOBE_GAMMA)
        return Colours("Adobe RGB (1998)", "EXIF", profile)
    return Colours(by="EXIF" if stated == _SRGB else _UNSTATED)
