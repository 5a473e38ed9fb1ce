"""Whether the parts of a PNG or TIFF were written: decoders read on without a word."""

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dped_build.photos.truncation import parts

_CHUNK = struct.Struct(">I4s")
_PNG_START, _PICTURE, _END = 8, b"IDAT", b"IEND"
_COMPRESSION, _UNCOMPRESSED = 259, 1
_ZEROS = bytes(16)  # at the end of a strip; codes and their checksums end otherwise


def require_written(path: Path, kind: str | None, tags: Mapping[int, Any]) -> None:
    """Make sure that a PNG's or TIFF's picture is as it was written.

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
        if kind == "TIFF" and tags.get(_COMPRESSION, 1) != _UNCOMPRESSED:
            for start, count in parts(tags):
                file.seek(max(start, start + count - len(_ZEROS)))
                if count >= len(_ZEROS) and file.read(len(_ZEROS)) == _ZEROS:
                    raise EOFError("unexpected end of the data, zeros follow")


def _check_chunks(file: BinaryIO) -> None:
    file.seek(_PNG_START)
    wrong, kind = False, b""
    while kind != _END and len(head := file.read(_CHUNK.size)) == _CHUNK.size:
        length, kind = _CHUNK.unpack(head)
        if kind != _PICTURE:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        data, stated = file.read(length), file.read(4)
        short = len(stated) < 4  # Pillow knows whether it has all rows
        wrong |= not short and zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(
            stated, "big"
        )
    if wrong and kind != _END:
        raise EOFError("unexpected end of the data")
    if wrong:
        raise ValueError("a checksum of its data is wrong")
