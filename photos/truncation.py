"""Whether an undecodable file is truncated, according to its directories."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from dped_build.photos.header_limits import HeaderFile
from dped_build.photos.iso_boxes import boxes, brand

MAX_DIRECTORIES = 32  # of one file; RAW files have up to eight
TIFF_STARTS = (b"II*\0", b"MM\0*")
_BIG_TIFF_STARTS = (b"II+\0", b"MM\0+")
_PARTS = ((273, 279), (324, 325))  # offsets and lengths: strips, tiles
_SUB_DIRECTORIES = 330
_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error)


def lacks_end(path: Path) -> bool:
    """Whether a TIFF, WebP, HEIF or RAW file refers to data beyond its end."""
    try:
        length = path.stat().st_size
        with HeaderFile(path) as file:
            start = file.read(12)
            if start[:4] in (*TIFF_STARTS, *_BIG_TIFF_STARTS):
                return any(_lacks_parts(tags, length) for tags in _directories(file))
            if start[:4] == b"RIFF":  # WebP
                return int.from_bytes(start[4:8], "little") + 8 > length
            if brand(start):
                return any(box.end > length for box in boxes(file, 0, length))
    except _ERRORS:  # nonsense says nothing about an end
        return False
    return False


def _lacks_parts(tags: Mapping[int, Any], length: int) -> bool:
    """Whether a TIFF directory's strips or tiles lie beyond the end of its file."""
    return any(
        start + count > length
        for starts, counts in _PARTS
        for start, count in zip(
            _numbers(tags, starts), _numbers(tags, counts), strict=False
        )
    )


def _numbers(tags: Mapping[int, Any], tag: int) -> tuple[int, ...]:
    value = tags.get(tag, ())
    values = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in values if isinstance(number, int))


def _directories(file: BinaryIO) -> Iterator[Directory]:
    """The directories of a TIFF file, including sub-directories."""
    file.seek(0)
    header = file.read(8)
    if header[:4] in _BIG_TIFF_STARTS:
        header += file.read(8)
    first = Directory(header)
    todo, seen = [first.next], set[int]()
    while todo and len(seen) < MAX_DIRECTORIES:
        place = todo.pop()
        if not place or place in seen:
            continue
        seen.add(place)
        tags = Directory(header)
        file.seek(place)
        tags.load(file)
        yield tags
        todo += [tags.next, *_numbers(tags, _SUB_DIRECTORIES)]
