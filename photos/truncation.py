"""Whether an undecodable file is truncated, according to its directories."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from dped_build.photos.header_limits import HeaderFile
from dped_build.photos.heif_items import extents
from dped_build.photos.iso_boxes import BOX_HEADER_BYTES, boxes

MAX_DIRECTORIES = 32  # of one file; RAW files have up to eight
TIFF_STARTS = (b"II*\0", b"MM\0*")
BIG_TIFF_STARTS = (b"II+\0", b"MM\0+")
_PARTS = ((273, 279), (324, 325))  # offsets and lengths: strips, tiles
_SUB_DIRECTORIES = 330
_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
)


def lacks_end(path: Path) -> bool:
    """Whether a TIFF, WebP, HEIF or RAW file refers to data beyond its end."""
    try:
        length = path.stat().st_size
        with HeaderFile(path) as file:
            start = file.read(12)
            if start[:4] in (*TIFF_STARTS, *BIG_TIFF_STARTS):
                return any(lacks_parts(tags, length) for tags in directories(file))
            if start[:4] == b"RIFF":  # WebP
                return int.from_bytes(start[4:8], "little") + 8 > length
            if start[4:8] == b"ftyp":
                *others, last = boxes(file, 0, length)
                rest = length - last.end  # of a box whose header is cut, or beyond
                if not others or rest < 0 or 0 < rest < BOX_HEADER_BYTES:
                    return True
                return any(part.end > length for part in extents(file, length))
    except _ERRORS:  # nonsense says nothing about an end
        return False
    return False


def lacks_parts(tags: Mapping[int, Any], length: int) -> bool:
    """Whether a TIFF directory's strips or tiles lie beyond the end of its file."""
    return any(start + count > length for start, count in parts(tags))


def parts(tags: Mapping[int, Any]) -> Iterator[tuple[int, int]]:
    """Offset and length of a TIFF directory's strips and tiles."""
    for starts, counts in _PARTS:
        yield from zip(numbers(tags, starts), numbers(tags, counts), strict=False)


def numbers(tags: Mapping[int, Any], tag: int) -> tuple[int, ...]:
    """A TIFF tag's whole numbers; empty where it has none."""
    value = tags.get(tag, ())
    values = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in values if isinstance(number, int))


def directories(file: BinaryIO) -> Iterator[Directory]:
    """The directories of a TIFF file, including sub-directories."""
    file.seek(0)
    header = file.read(8)
    if header[:4] in BIG_TIFF_STARTS:
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
        todo += [tags.next, *numbers(tags, _SUB_DIRECTORIES)]
