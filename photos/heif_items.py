"""Where a HEIF file keeps its pictures (ISO/IEC 14496-12, 8.11.3 and 8.11.6)."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dped_build.photos.iso_boxes import Box, boxes

HEVC, AV1 = (b"hvc1", b"hev1"), (b"av01",)  # items that hold pixels
MIN_BYTES_PER_PIXEL = 1 / 500  # cameras write 0.02 and more, of a white wall
_ONES = b"\xff" * 16  # erased memory; coded data does not end so
_ZEROS = bytes(8)  # HEVC's units never hold three in a row (ITU-T H.265, 7.4.2)
_MAX_META_BYTES, _MAX_PARTS = 2**24, 100_000  # phones list about sixty
_IN_FILE = 0  # the way of construction


@dataclass(frozen=True)
class Extent:
    """A part of an item: bytes `start` to `end` of the file."""

    item: int
    start: int
    end: int


def find_box(file: BinaryIO, length: int, *way: bytes) -> Box | None:
    """The first box at the end of a way of kinds, such as `meta`, `iloc`."""
    place: Box | None = Box(b"", 0, length)
    for kind in way:
        if place is None:
            return None
        start = place.start + 4 * (place.kind == b"meta")  # behind version and flags
        inside = boxes(file, start, min(place.end, length))
        place = next((box for box in inside if box.kind == kind), None)
    return place


def extents(file: BinaryIO, length: int) -> list[Extent]:
    """The parts of a file's items that lie in the file itself, in order of listing."""
    box = find_box(file, length, b"meta", b"iloc")
    if box is None:
        return []
    file.seek(box.start)
    return list(
        _listed(io.BytesIO(file.read(min(box.end - box.start, _MAX_META_BYTES))))
    )


def _number(table: BinaryIO, size: int) -> int:
    data = table.read(size)
    if len(data) < size:
        raise EOFError("unexpected end of the list of items")
    return int.from_bytes(data, "big")


def _listed(table: BinaryIO) -> Iterator[Extent]:
    def number(size: int) -> int:
        return _number(table, size)

    version = number(1)
    number(3)  # flags
    sizes = number(2)
    of_offset, of_length, of_base, of_index = (sizes >> s & 15 for s in (12, 8, 4, 0))
    wide, parts = 2 if version < 2 else 4, 0
    for _ in range(number(wide)):
        item, way = number(wide), number(2) & 15 if version else _IN_FILE
        elsewhere = number(2)  # in another file
        base, count = number(of_base), number(2)
        parts += count
        if parts > _MAX_PARTS:
            raise ValueError("a list of items without end")
        for _ in range(count):
            number(of_index if version else 0)
            start = base + number(of_offset)
            found = Extent(item, start, start + number(of_length))
            if way == _IN_FILE and not elsewhere:
                yield found


def items_of(file: BinaryIO, length: int, kinds: tuple[bytes, ...]) -> set[int]:
    """The numbers of a file's items of some kinds."""
    box = find_box(file, length, b"meta", b"iinf")
    if box is None:
        return set()
    file.seek(box.start)
    start = box.start + (6 if file.read(1) == b"\0" else 8)
    found = set[int]()
    for entry in boxes(file, start, box.end):
        file.seek(entry.start)
        data = file.read(14)
        wide = 2 if data[:1] == b"\2" else 4
        if data[6 + wide : 10 + wide] in kinds:
            found.add(int.from_bytes(data[4 : 4 + wide], "big"))
    return found


def colour_codes(file: BinaryIO, length: int) -> tuple[int, int] | None:
    """The primary item's codes of primaries and curve, where its `colr` states them.

    ISO/IEC 23008-12, 9.3, says whose a property is; ISO/IEC 14496-12, 12.1.5, `colr`.
    """
    primary = find_box(file, length, b"meta", b"pitm")
    owned = find_box(file, length, b"meta", b"iprp", b"ipma")
    held = find_box(file, length, b"meta", b"iprp", b"ipco")
    if primary is None or owned is None or held is None:
        return None
    file.seek(primary.start)
    wide = 4 if file.read(4)[0] else 2
    item = int.from_bytes(file.read(wide), "big")
    file.seek(owned.start)
    table = io.BytesIO(file.read(min(owned.end - owned.start, _MAX_PARTS)))
    properties = list(boxes(file, held.start, held.end))
    for index in _associated(table, item):
        if 0 < index <= len(properties) and properties[index - 1].kind == b"colr":
            file.seek(properties[index - 1].start)
            kind, codes = file.read(4), file.read(4)
            if kind == b"nclx" and len(codes) == 4:
                return int.from_bytes(codes[:2], "big"), int.from_bytes(
                    codes[2:], "big"
                )
    return None


def _associated(table: BinaryIO, wanted: int) -> Iterator[int]:
    """Numbers, from 1, of an item's properties, from the content of `ipma`."""

    def number(size: int) -> int:
        return _number(table, size)

    version, flags = number(1), number(3)
    for _ in range(number(4)):
        item = number(4 if version else 2)
        for _ in range(number(1)):
            index = number(2) & 0x7FFF if flags & 1 else number(1) & 0x7F
            if item == wanted:
                yield index


def require_whole(file: BinaryIO, pixels: int) -> None:
    """Make sure that a file holds what its items and its size need.

    libheif leaves tiles out that it cannot decode, without a word.

    Args:
        file: A HEIF or AVIF file.
        pixels: Of its photo.

    Raises:
        EOFError: It ends early, or parts of it were never written.
    """
    length = file.seek(0, io.SEEK_END)
    if any(box.end > length for box in boxes(file, 0, length)):
        raise EOFError("unexpected end of the file")
    hevc, av1 = (items_of(file, length, kinds) for kinds in (HEVC, AV1))
    held = 0
    for part in extents(file, length):
        if part.end > length:
            raise EOFError("unexpected end of the file")
        if part.item not in hevc | av1:
            continue
        file.seek(part.start)
        data = file.read(part.end - part.start)
        held += len(data)
        has_hole = part.item in hevc and _ZEROS in data
        # The last bits are a 1 and few zeros.
        if has_hole or data.endswith((_ZEROS[:2], _ONES)):
            raise EOFError("unexpected end of the data, the rest was never written")
    if hevc and held < pixels * MIN_BYTES_PER_PIXEL:
        raise EOFError(f"unexpected end of the data: {held} bytes")
