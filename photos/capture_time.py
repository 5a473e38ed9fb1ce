"""When a photo was taken, and the EXIF data of RAW files.

RAW files keep it in four ways: as a TIFF file does (DNG, CR2, NEF, ARW, PEF); in a TIFF
file with a signature of its own (ORF, RW2); in boxes, a TIFF file each (CR3); and in
the JPEG picture that lies in a RAF file.
"""

import io
from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image

from dped_build.photos.header_limits import HeaderFile
from dped_build.photos.iso_boxes import Box, boxes, brand
from dped_build.photos.raw_bytes import CR3_BRAND, OWN_STARTS, RAF_START
from dped_build.photos.truncation import TIFF_STARTS

_EXIF_IFD = 0x8769
# Tags of the time and of its fraction; where it was taken, else when it was changed.
_ORIGINAL, _CHANGED = (0x9003, 0x9291), (0x0132, 0x9290)
_RAF_JPEG = slice(84, 92)  # offset and length of it
_BLOCK_BYTES = 2**18  # what is read of a CR3 box or a RAF picture


def taken_at(exif: Image.Exif) -> datetime | None:
    """When a photo was taken by its EXIF data, to the microsecond; None if unknown.

    Raises:
        One of DECODE_ERRORS: The data is damaged.
    """
    exposure = exif.get_ifd(_EXIF_IFD)
    for tags, (time, fraction) in ((exposure, _ORIGINAL), (exif, _ORIGINAL)):
        if tags.get(time):
            return _time(tags.get(time), tags.get(fraction))
    return _time(exif.get(_CHANGED[0], ""), exposure.get(_CHANGED[1]))


def _time(text: object, fraction: object) -> datetime:
    seconds = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    digits = str(fraction or "").strip("\0 ")
    if not (digits.isascii() and digits.isdigit()):
        return seconds
    return seconds + timedelta(microseconds=int(digits[:6].ljust(6, "0")))


def raw_exif(path: Path) -> Image.Exif:
    """The EXIF data of a RAW file; empty where it keeps it in an unknown way.

    Raises:
        One of DECODE_ERRORS: The data is damaged.
    """
    exif = Image.Exif()
    with HeaderFile(path) as file:
        start = file.peek(92)[:92]
        if start[:4] in TIFF_STARTS:
            exif.load_from_fp(file)
            exif.get_ifd(_EXIF_IFD)  # while the file is open
        elif start[:4] in OWN_STARTS:
            data = file.read(_BLOCK_BYTES)
            exif.load_from_fp(io.BytesIO(OWN_STARTS[start[:4]] + data[4:]))
        elif brand(start) == CR3_BRAND:
            exif.load_from_fp(io.BytesIO(_cr3_exposure(file, path.stat().st_size)))
        elif start.startswith(RAF_START):
            place = start[_RAF_JPEG]
            file.seek(int.from_bytes(place[:4], "big"))
            length = min(int.from_bytes(place[4:], "big"), _BLOCK_BYTES)
            with Image.open(io.BytesIO(file.read(length)), formats=("JPEG",)) as image:
                exif = image.getexif()
    return exif


def _cr3_exposure(file: HeaderFile, length: int) -> bytes:
    """The TIFF file in a CR3 file that holds the tags of the exposure."""
    box, way = Box(b"", 0, length), (b"moov", b"uuid", b"CMT2")
    for kind in way:
        start = box.start + (16 if box.kind == b"uuid" else 0)  # behind its name
        box = next(b for b in boxes(file, start, box.end) if b.kind == kind)
    file.seek(box.start)
    return file.read(min(box.end - box.start, _BLOCK_BYTES))
