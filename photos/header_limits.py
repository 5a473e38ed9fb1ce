"""Limits on photo headers and progressive scans, checked before decoding.

A photo whose header was overwritten, or made to do so, has readers follow it byte by
byte to the end of the file, gather metadata without end, or draw a picture of a few
kilobytes a thousand times. No camera writes such a file.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_BYTES = 2**32  # what a TIFF can address
MAX_HEADER_BYTES = 2**28  # with the layers that editors keep in a TIFF
MAX_JPEG_HEADER_BYTES = 2**24  # profiles, previews, notes; Pillow joins n in n²
MAX_HEADER_READS = 100_000  # each a segment, chunk or tag, or one stray byte
MAX_SCANS = 50  # of a progressive JPEG; encoders write about ten
_SCANNED_BYTES = 2**27  # in which scans are counted; longer ones are no bomb
MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
_START_OF_JPEG = b"\xff\xd8"
_STARTS = (b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


class HeaderFile(io.BufferedReader):
    """A photo file that gives out no more than a header until it is released.

    Attributes:
        cut: Whether the header goes on beyond the end of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`; OSError as `open`."""
        super().__init__(io.FileIO(path))
        start = self.peek(8)
        is_jpeg = start.startswith(_START_OF_JPEG)
        self._is_photo = start.startswith((_START_OF_JPEG, *_STARTS))
        self._limit = MAX_JPEG_HEADER_BYTES if is_jpeg else MAX_HEADER_BYTES
        self._released, self._bytes, self._reads = False, 0, 0
        self.cut = False

    def release(self) -> None:
        """From now on, as any file."""
        self._released = True

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes (OSError: the header has no end)."""
        if self._released:
            return super().read(size)
        endless = size is None or size < 0
        data = super().read(self._limit + 1 if endless else size)
        self.cut |= self._is_photo and not endless and len(data) < (size or 0)
        self._bytes, self._reads = self._bytes + len(data), self._reads + 1
        if self._bytes > self._limit or self._reads > MAX_HEADER_READS:
            raise OSError("a header without end")
        return data


def jpeg_scans(path: Path) -> int:
    """How many times a JPEG file goes over its picture."""
    with path.open("rb") as file:
        data = file.read(_SCANNED_BYTES)
    return sum(marker == START_OF_SCAN for marker, _, _ in jpeg_segments(data))


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of a JPEG's segments, up to its end."""
    place = 2
    while found := MARKER.search(data, place):
        marker, start = data[found.end() - 1], found.end()
        if marker == END_OF_IMAGE:
            return
        place = start + max(int.from_bytes(data[start : start + 2], "big"), 2)
        yield marker, start + 2, place
