"""Whether a RAW file holds the bytes that its photo needs, maker by maker.

LibRaw develops a file that ends early without a word in most formats.
"""

import io
import struct
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from dped_build.photos.iso_boxes import boxes, brand
from dped_build.photos.truncation import (
    BIG_TIFF_STARTS,
    TIFF_STARTS,
    directories,
    lacks_parts,
    numbers,
)

OWN_STARTS = {  # TIFF files with signatures of their makers
    b"IIRO": b"II*\0",
    b"IIRS": b"II*\0",
    b"MMOR": b"MM\0*",
    b"IIU\0": b"II*\0",
}
RAF_START, RAF_PARTS = b"FUJIFILMCCD-RAW", (84, 92, 100)  # offset, length: big-endian
_PANASONIC = b"IIU\0"
CR3_BRAND = b"crx "
_CR2, _CR2_AT = b"CR", slice(8, 10)  # in a TIFF file
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _STRIP_OFFSETS = 322, 323, 324, 273
_REDUCED, _PLANAR, _DNG_VERSION = 254, 284, 50706
_RW2_WIDTH, _RW2_HEIGHT, _RW2_FORMAT, _RW2_OFFSET = 2, 3, 45, 280
_RW2_PACKED = range(8)  # formats of at least 16 bytes per 14 px; later ones vary
_START_BYTES, _HEAD_BYTES = 108, 2**20
_UNCOMPRESSED, _SEPARATE = 1, 2
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
)


def is_raw(file: BinaryIO, start: bytes) -> bool:
    """Whether a file is RAW by its content, where that can be told.

    Other readers would take the preview of a DNG called .tif for the photo.

    Args:
        file: The file; read from anywhere.
        start: Its first 16 bytes.
    """
    if start[:4] in OWN_STARTS or start.startswith(RAF_START):
        return True
    if start[:4] not in TIFF_STARTS:
        return brand(start) == CR3_BRAND
    if start[_CR2_AT] == _CR2:
        return True
    try:
        return any(_DNG_VERSION in tags for tags in islice(directories(file), 1))
    except _DAMAGED:
        return False


def require_whole(path: Path) -> None:
    """Make sure that a RAW file reaches as far as it says its photo does.

    Raises:
        EOFError: It does not.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            short = _is_short(file, length)
        except _DAMAGED:  # nonsense says nothing about an end; LibRaw will
            return
    if short:
        raise EOFError("unexpected end of the file")


def _is_short(file: BinaryIO, length: int) -> bool:
    start = file.read(_START_BYTES)
    if start[:4] in (*TIFF_STARTS, *BIG_TIFF_STARTS):
        found = list(directories(file))
        is_dng = any(_DNG_VERSION in tags for tags in found)
        return any(_is_short_picture(tags, length, is_dng=is_dng) for tags in found)
    if start[:4] in OWN_STARTS:
        file.seek(0)
        tree = io.BytesIO(OWN_STARTS[start[:4]] + file.read(_HEAD_BYTES)[4:])
        if start[:4] == _PANASONIC:
            return _lacks_panasonic(next(directories(tree)), length)
        return any(lacks_parts(tags, length) for tags in directories(tree))
    if brand(start):
        return any(box.end > length for box in boxes(file, 0, length))
    if start.startswith(RAF_START):
        parts = (start[place : place + 8] for place in RAF_PARTS)
        return any(
            int.from_bytes(part[:4], "big") + int.from_bytes(part[4:], "big") > length
            for part in parts
        )
    return False


def _is_short_picture(tags: Mapping[int, Any], length: int, *, is_dng: bool) -> bool:
    """Whether a TIFF directory's picture, no preview, goes beyond the file's end."""
    if _one(tags, _REDUCED) & 1:
        return False
    return lacks_parts(tags, length) or (is_dng and _lacks_dng(tags, length))


def _lacks_dng(tags: Mapping[int, Any], length: int) -> bool:
    """Whether a DNG's picture has too few tiles, or too few bytes uncompressed."""
    width, height, samples = (_one(tags, t) for t in (_WIDTH, _HEIGHT, _SAMPLES))
    tile = _one(tags, _TILE_WIDTH), _one(tags, _TILE_HEIGHT)
    if all(tile):
        planes = samples if _one(tags, _PLANAR) == _SEPARATE else 1
        needed = -(-width // tile[0]) * -(-height // tile[1]) * planes
        return len(numbers(tags, _TILE_OFFSETS)) < needed
    starts = numbers(tags, _STRIP_OFFSETS)
    if _one(tags, _COMPRESSION) != _UNCOMPRESSED or not starts:
        return False
    bits = width * height * max(samples, 1) * max(numbers(tags, _BITS), default=0)
    return min(starts) + bits // 8 > length


def _lacks_panasonic(tags: Mapping[int, Any], length: int) -> bool:
    """Whether an RW2 file is too short for its pixels; its own count is of no use."""
    if _one(tags, _RW2_FORMAT) not in _RW2_PACKED:
        return False
    pixels = _one(tags, _RW2_WIDTH) * _one(tags, _RW2_HEIGHT)
    start = _one(tags, _RW2_OFFSET) or _one(tags, _STRIP_OFFSETS)
    return start + pixels * 8 // 7 > length


def _one(tags: Mapping[int, Any], tag: int) -> int:
    return next(iter(numbers(tags, tag)), 0)
