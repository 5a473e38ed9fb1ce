"""DNG files of known scenes, so that RAW photos can be tested with exact truth.

The camera's filters have the primaries of sRGB; what it lacks is the white balance.
"""

import struct

import numpy as np

BLACK, WHITE = 512, 15_000  # of the sensor
NEUTRAL = (0.5, 1.0, 0.625)  # what the sensor says of grey: white balance 2, 1, 1.6
XYZ_TO_SRGB = np.array(  # IEC 61966-2-1
    [
        [3.2406, -1.5372, -0.4986],
        [-0.9689, 1.8758, 0.0415],
        [0.0557, -0.2040, 1.0570],
    ]
)
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_FORMATS = {_BYTE: "B", _SHORT: "H", _LONG: "L", _RATIONAL: "L", _SRATIONAL: "l"}
_EXIF, _STRIPS = 34665, 273


def directory(entries, start, order="<"):
    """A TIFF directory that stands at `start`; entries: tag → (type, values)."""
    head, body = struct.pack(order + "H", len(entries)), b""
    end = start + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        if kind == _ASCII:
            data = values.encode() + b"\0"
            count = len(data)
        else:
            data = struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
            count = len(values) // 2 if kind in (_RATIONAL, _SRATIONAL) else len(values)
        head += struct.pack(order + "HHL", tag, kind, count)
        if len(data) <= 4:
            head += data.ljust(4, b"\0")
        else:
            head += struct.pack(order + "L", end + len(body))
            body += data + b"\0" * (len(data) % 2)
    return head + struct.pack(order + "L", 0) + body


def _ratios(values):
    return [part for value in values for part in (round(value * 10_000), 10_000)]


def mosaic(linear, neutral=NEUTRAL):
    """What the sensor records of linear sRGB (H, W, 3) in 0..1 through RGGB filters."""
    levels = BLACK + linear * np.asarray(neutral) * (WHITE - BLACK)
    values = np.rint(levels).astype(np.uint16)
    plane = values[..., 1].copy()
    plane[::2, ::2] = values[::2, ::2, 0]
    plane[1::2, 1::2] = values[1::2, 1::2, 2]
    return plane


def dng(plane, *, orientation=1, neutral=NEUTRAL, taken=None, size=None, order="<"):
    """The bytes of a DNG file.

    Args:
        plane: uint16 (H, W), Bayer mosaic RGGB.
        orientation: As EXIF has it.
        neutral: The camera's white balance; None: it states none.
        taken: (date and time, fraction of a second) as EXIF has them.
        size: Width and height that the header claims; those of the plane.
        order: "<" or ">".
    """
    height, width = plane.shape
    claimed = size or (width, height)
    data = plane.astype(order + "u2").tobytes()
    entries = {
        254: (_LONG, [0]),
        256: (_LONG, [claimed[0]]),
        257: (_LONG, [claimed[1]]),
        258: (_SHORT, [16]),
        259: (_SHORT, [1]),
        262: (_SHORT, [32803]),  # colour filter array
        271: (_ASCII, "Nobody"),
        272: (_ASCII, "Pinhole"),
        _STRIPS: (_LONG, [0]),
        274: (_SHORT, [orientation]),
        277: (_SHORT, [1]),
        278: (_LONG, [claimed[1]]),
        279: (_LONG, [len(data)]),
        284: (_SHORT, [1]),
        33421: (_SHORT, [2, 2]),
        33422: (_BYTE, [0, 1, 1, 2]),
        50706: (_BYTE, [1, 4, 0, 0]),
        50708: (_ASCII, "Nobody Pinhole"),
        50714: (_SHORT, [BLACK]),
        50717: (_LONG, [WHITE]),
        50721: (_SRATIONAL, _ratios(XYZ_TO_SRGB.ravel())),
        50778: (_SHORT, [21]),  # D65
    }
    if neutral is not None:
        entries[50728] = (_RATIONAL, _ratios(neutral))
    below = {}
    if taken is not None:
        below = {36867: (_ASCII, taken[0]), 37521: (_ASCII, taken[1])}
        entries[_EXIF] = (_LONG, [0])
    start = 8
    exif_at = start + len(directory(entries, start, order))
    exif = directory(below, exif_at, order) if below else b""
    if below:
        entries[_EXIF] = (_LONG, [exif_at])
    entries[_STRIPS] = (_LONG, [exif_at + len(exif)])
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "L", start)
    return head + directory(entries, start, order) + exif + data


def in_srgb(linear):
    """Linear sRGB in 0..1 as coded levels 0 to 255 (IEC 61966-2-1)."""
    curve = 1.055 * np.clip(linear, 0, 1) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, curve)


def colour_chart(seed=0, cells=(5, 7), cell=24, darkest=0.02, brightest=0.9):
    """Flat cells of linear sRGB, (H, W, 3): what a demosaic cannot get wrong."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(darkest, brightest, size=(*cells, 3))
    return np.repeat(np.repeat(colours, cell, axis=0), cell, axis=1)
