"""When a photo was taken, and the EXIF data of RAW files.

RAW files keep it in four ways: as a TIFF file does (DNG, CR2, NEF, ARW, PEF); in a TIFF
file with a signature of its own (ORF, RW2); in boxes, a TIFF file each (CR3); and in
the JPEG picture that lies in a RAF file.
"""

import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image

from dped_build.photos.header_limits import HeaderFile
from dped_build.photos.iso_boxes import Box, boxes, brand
from dped_build.photos.raw_bytes import CR3_BRAND, OWN_STARTS, RAF_START
from dped_build.photos.truncation import TIFF_STARTS

_EXIF_IFD = 0x8769
_TAGS = {  # of the time, its fraction and its zone, in the order in which they count
    "original": (0x9003, 0x9291, 0x9011),
    "digitised": (0x9004, 0x9292, 0x9012),
    "modified": (0x0132, 0x9290, 0x9010),
}
_DATE = re.compile(  # digits of any script, as phones write their user's
    r"(\d{4})[:\-/._年] ?(\d{1,2})[:\-/._月] ?(\d{1,2})日?[ T:\-\0]+"
    r"(?P<before>[上下]午|오[전후])? ?(\d{1,2})[:.\-] ?(\d{1,2})"
    r"(?:[:.\-] ?(\d{1,2})(?!\d)(?:[.,](\d+))?)?"
    r"\s*(?P<behind>[ap]\.?\s?m\b\.?)?\s*(?P<zone>.*)",
    re.DOTALL | re.IGNORECASE,
)
_ZONE = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?(?!\d)")
_UTC = ("Z", "UTC", "GMT")
_MORNING, _AFTERNOON = ("上午", "오전", "a"), ("下午", "오후", "p")
_LEAP_SECOND = 60
_YEARS = range(1900, 2200)
_MAX_ZONE = timedelta(hours=14)
_RAF_JPEG = slice(84, 92)  # offset and length of it
_BLOCK_BYTES = 2**18  # what is read of a CR3 box or a RAF picture


@dataclass(frozen=True)
class Taken:
    """When a photo was taken by its EXIF data.

    Attributes:
        time: By the camera's clock, to the microsecond.
        tag: What says so: `original`, `digitised` or `modified`.
        zone: The clock's time minus UTC; None where it is not stated.
    """

    time: datetime
    tag: str
    zone: timedelta | None = None


def taken(exif: Image.Exif) -> Taken | None:
    """When a photo was taken; None if no tag holds a possible time.

    Raises:
        One of DECODE_ERRORS: The data is damaged.
    """
    exposure = exif.get_ifd(_EXIF_IFD)
    for name, (time, fraction, zone) in _TAGS.items():
        for tags in (exposure, exif):
            found = _time(tags.get(time), tags.get(fraction) or exposure.get(fraction))
            if found is not None:
                stated = _zone(tags.get(zone) or exposure.get(zone))
                return Taken(found[0], name, found[1] if stated is None else stated)
    return None


def _time(text: object, fraction: object) -> tuple[datetime, timedelta | None] | None:
    """A tag's time, and the zone if that is written behind it."""
    found = _DATE.match(_plain(text))
    if found is None:
        return None
    year, month, day, hour, minute = map(int, found.group(1, 2, 3, 5, 6))
    second = int(found[7] or 0)
    half = (found["before"] or found["behind"] or "").lower()
    if half.startswith(_MORNING) and hour == 12:
        hour = 0
    if half.startswith(_AFTERNOON) and hour < 12:
        hour += 12
    # Some phones count the hours of a day from 1 to 24: 24:04 is four past midnight.
    try:
        time = datetime(year, month, day, 0 if hour == 24 else hour, minute)
    except ValueError:  # zeros, blanks
        return None
    if second > _LEAP_SECOND or time.year not in _YEARS:
        return None
    digits = found[8] or _plain(fraction)
    if digits.isascii() and digits.isdigit():
        time += timedelta(microseconds=int(digits[:6].ljust(6, "0")))
    return time + timedelta(seconds=second), _zone(found["zone"])


def _zone(text: object) -> timedelta | None:
    told = _plain(text)
    if told in _UTC:
        return timedelta()
    found = _ZONE.match(told)
    if found is None:
        return None
    zone = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    if zone > _MAX_ZONE:
        return None
    return -zone if found[1] == "-" else zone


def _plain(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    with suppress(UnicodeError):  # EXIF knows ASCII alone, phones do not keep to it
        text = text.encode("latin-1").decode()
    return text.strip("\0 ")


def on_one_clock(shot: Sequence[Taken | None]) -> list[datetime | None]:
    """The times of a camera's photos as if nobody had set its clock to another zone.

    Where the stated zones differ, all times are told in the first photo's; one without
    a zone counts as taken in that of the photo before it.

    Args:
        shot: In order of the photos' names.
    """
    zones = [each.zone for each in shot if each and each.zone is not None]
    first = last = zones[0] if zones else timedelta()
    times = list[datetime | None]()
    for each in shot:
        if each and each.zone is not None:
            last = each.zone
        times.append(each.time - (last - first) if each else None)
    return times


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
