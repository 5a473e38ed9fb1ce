"""JPEG files: decoding of plain ones, what they lack, a limit on progressive scans."""

import re
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.header_limits import (
    END_OF_IMAGE,
    MARKER,
    MAX_JPEG_HEADER_BYTES,
    MAX_SCANS,
    START_OF_SCAN,
    jpeg_scans,
    jpeg_segments,
)

MAX_JPEG_DEPTH = 12  # bytes per pixel; no JPEG's pixels take more
_FRAMES = (0xC0, 0xC1, 0xC2)  # sequential and progressive
_FRAME_BYTES, _SCAN_BYTES, _COEFFICIENTS = 6, 6, 64
_STUFFED = 0xFF  # in coded data a zero stands behind it
_END = bytes((0xFF, END_OF_IMAGE))
_ZEROS = bytes(64)  # what was never written of a file whose length was set at first
_LAYOUTS = {"RGB": "RGB", "L": "RGB", "CMYK": "CMYK"}
# libjpeg's words; it goes on with grey or garbage.
_CUT = ("Premature end of JPEG file", "premature end of data segment")
_DAMAGED = re.compile(r"bad Huffman code|found marker 0x\w\w instead of RST")
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_STRAY_WITHIN = re.compile(r"(\d+) extraneous bytes before marker 0xd([0-7])")
_MAX_TRIES = 2**28  # bytes decoded in search of stray ones


def refuse_many_scans(path: Path, image: Image.Image) -> None:
    """Stop (ValueError) before a progressive JPEG is drawn a thousand times."""
    if image.info.get("progressive") and jpeg_scans(path) > MAX_SCANS:
        raise ValueError(f"more than {MAX_SCANS} scans")


def decode_plain_jpeg(path: Path, image: Image.Image) -> NDArray[np.uint8] | None:
    """RGB values of an RGB or grey JPEG as stored; None for Pillow to decode.

    A file that lacks nothing but its end marker is read.

    Raises:
        EOFError: Rows are missing.
        ValueError: Rows are damaged.
    """
    layout = _LAYOUTS.get(image.mode)
    if image.format not in ("JPEG", "MPO") or layout is None:
        return None
    largest = MAX_JPEG_HEADER_BYTES + MAX_JPEG_DEPTH * image.width * image.height
    if path.stat().st_size > largest:
        return None  # Pillow reads no more than it needs
    photo = _decoded(path.read_bytes(), layout)
    return photo if layout == "RGB" else None


def _decoded(data: bytes, layout: str) -> NDArray[np.uint8] | None:
    """The values of a whole JPEG; None where its flaw is none of pixels."""
    try:
        return _strictly(data, layout)
    except ValueError as error:
        words = str(error)
    scans, stray = _scans(data), _STRAY.search(words)
    if scans and _has_all_scans(data) and data[scans[-1][1] :][:2] != _END:
        return _mended(data, scans[-1], layout)
    if scans and stray:
        start, end = scans[-1]
        return _mended(data, (start, end - int(stray[1])), layout)
    if within := _STRAY_WITHIN.search(words):
        return _without_stray(data, int(within[1]), int(within[2]), layout)
    if any(data.find(_ZEROS, *scan) >= 0 for scan in scans):
        raise EOFError("unexpected end of the data, zeros follow")
    if _DAMAGED.search(words):
        raise ValueError(words)
    if any(word in words for word in _CUT):
        raise EOFError("unexpected end of the data")
    return None


def _mended(data: bytes, scan: tuple[int, int], layout: str) -> NDArray[np.uint8]:
    """Decode a JPEG of which the last scan's end marker is missing, or too late."""
    start, end = scan
    for _ in range(3):
        try:
            photo = _strictly(data[:end] + _END, layout)
        except ValueError as error:
            stray = _STRAY.search(str(error))
            if not stray:
                break
            end -= int(stray[1])
        else:  # coded data ends in ones; zeros there were never written
            written = start + len(data[start:end].rstrip(b"\0"))
            is_stuffed = end - written == 1 and data[written - 1] == _STUFFED
            if end == written or is_stuffed:
                return photo
            end = written
    raise EOFError("unexpected end of the data")


def _without_stray(
    data: bytes, stray: int, restart: int, layout: str
) -> NDArray[np.uint8]:
    """Decode a JPEG that has stray bytes before a restart marker, and no other flaw."""
    marker, place = bytes((0xFF, 0xD0 | restart)), 0
    for _ in range(max(_MAX_TRIES // len(data), 1)):
        place = data.find(marker, place + 1)
        if place < 0:
            break
        try:
            return _strictly(data[: max(place - stray, 0)] + data[place:], layout)
        except ValueError:
            continue
    raise ValueError("its coded data is damaged")


def _has_all_scans(data: bytes) -> bool:
    """Whether a JPEG's scans bring every coefficient to its last bit, by their headers.

    Whether the coded data of the last one is whole is another question.
    """
    seen, missing = False, set[tuple[int, int]]()  # of colour and coefficient
    for marker, start, end in jpeg_segments(data):
        body = data[start:end]
        if marker in _FRAMES and len(body) >= _FRAME_BYTES:
            seen = True
            colours = body[_FRAME_BYTES::3]
            missing = {(colour, n) for colour in colours for n in range(_COEFFICIENTS)}
        if marker == START_OF_SCAN and len(body) >= _SCAN_BYTES:
            colours, (first, last, bits) = body[1:-3:2], body[-3:]
            if bits & 15 == 0:
                missing -= {(c, n) for c in colours for n in range(first, last + 1)}
    return seen and not missing


def _strictly(data: bytes, layout: str) -> NDArray[np.uint8]:
    photo = simplejpeg.decode_jpeg(data, layout, strict=True)
    return np.asarray(photo, dtype=np.uint8)


def _scans(data: bytes) -> list[tuple[int, int]]:
    """Start and end of the coded data of every scan."""
    scans = []
    for marker, _, end in jpeg_segments(data):
        if marker == START_OF_SCAN:
            following = MARKER.search(data, end)
            scans.append((end, following.start() if following else len(data)))
    return scans
