"""The box structure of HEIF and CR3 files (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 1000  # in one box; cameras write about twenty
BOX_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16


@dataclass(frozen=True)
class Box:
    """A box of a file; its content goes from byte `start` to byte `end`."""

    kind: bytes
    start: int
    end: int


def brand(start: bytes) -> bytes:
    """What kind of file these are the first 12 bytes of; b"" where it has no boxes."""
    return start[8:12] if start[4:8] == b"ftyp" else b""


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two bytes of a file, as far as they make sense."""
    for _ in range(MAX_BOXES):
        if start + BOX_HEADER_BYTES > end:
            return
        file.seek(start)
        header = file.read(_LONG_HEADER_BYTES)
        if len(header) < BOX_HEADER_BYTES:
            return
        length, content = int.from_bytes(header[:4], "big"), start + BOX_HEADER_BYTES
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
            content = start + _LONG_HEADER_BYTES
        stop = end if length == 0 else start + length
        if stop < content:
            return
        yield Box(header[4:8], content, stop)
        start = stop
