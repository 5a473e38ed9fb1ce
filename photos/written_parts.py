"""Whether a PNG, TIFF or AVIF was written in full: decoders read on without a word."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dped_build.photos.heif_items import require_whole
from dped_build.photos.truncation import parts

_CHUNK = struct.Struct(">I4s")
_PNG_START, _PICTURE, _END = 8, b"IDAT", b"IEND"
_MAX_CHUNK_BYTES = 2**16
_COMPRESSION, _UNCOMPRESSED = 259, 1
_ZEROS = bytes(16)  # at the end of a strip; codes and their checksums end otherwise


def require_written(path: Path, kind: str | None, tags: Mapping[int, Any]) -> None:
    """Make sure that a PNG's, TIFF's or AVIF's picture is as it was written.

    Args:
        path: The photo.
        kind: Its format, as Pillow names it.
        tags: Of a TIFF.

    Raises:
        EOFError: Parts of it were never written.
        ValueError: A PNG's checksum is wrong.
    """
    with path.open("rb") as file:
        if kind == "PNG":
            _check_chunks(file)
        if kind == "AVIF":
            require_whole(file, pixels=0)  # AV1 has no least size
        if kind == "TIFF" and tags.get(_COMPRESSION, 1) != _UNCOMPRESSED:
            for start, count in parts(tags):
                file.seek(max(start, start + count - len(_ZEROS)))
                if count >= len(_ZEROS) and file.read(len(_ZEROS)) == _ZEROS:
                    raise EOFError("unexpected end of the data, zeros follow")


def _check_chunks(file: BinaryIO) -> None:
    wrong, kind = False, b""
    for kind, length in _chunks(file):
        if kind == _PICTURE:
            data, stated = file.read(length), file.read(4)
            found = zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")
            # Of a chunk that ends early Pillow knows whether it has all rows.
            wrong |= len(stated) == len(found) and stated != found
    if wrong and kind != _END:
        raise EOFError("unexpected end of the data")
    if wrong:
        raise ValueError("a checksum of its data is wrong")


def png_chunk(path: Path, wanted: bytes) -> bytes | None:
    """The content of a PNG's first chunk of a kind before its picture, or None."""
    with path.open("rb") as file:
        for kind, length in _chunks(file):
            if kind == wanted:
                return file.read(min(length, _MAX_CHUNK_BYTES))
            if kind == _PICTURE:
                return None
    return None


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and length of a PNG's chunks; the file stands at the content of each."""
    place = _PNG_START
    while True:
        file.seek(place)
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            return
        length, kind = _CHUNK.unpack(head)
        yield kind, length
        if kind == _END:
            return
        place += _CHUNK.size + length + 4
