"""Metadata of enhanced photos: an allow-list of EXIF tags, and sRGB.

EXIF is a TIFF file without pixels: a directory about the photo that names others about
the exposure and the position (CIPA DC-008). Pillow reads and writes single directories;
types, byte order and text stay as the camera wrote them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from PIL import ImageCms, TiffTags
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Directory

from dped_build.photos.pillow_settings import no_warnings
from dped_build.photos.reading import DECODE_ERRORS
from dped_build.workspace.stage import created_with

MAX_EXIF_BYTES = 65_527  # what a JPEG segment holds
MAX_KEPT_BYTES = 1_000  # of one value; no viewer needs a longer one
HEADER_BYTES = 8
EXIF_ERRORS = (*DECODE_ERRORS, ArithmeticError, AssertionError)  # of damaged values
PROFILE_DATE = bytes.fromhex("07d0 0001 0001 0000 0000 0000")  # instead of today
_SRGB, _DEFAULT_VERSION = 1, b"0232"

PHOTO_TAGS = frozenset(
    {Base.Make, Base.Model, Base.DateTime}
    | {Base.XResolution, Base.YResolution, Base.ResolutionUnit}
)
# The rest of what EXIF states about a photo; everything else is file layout.
PERSONAL_TAGS = frozenset(
    {Base.ImageDescription, Base.Artist, Base.Copyright, Base.HostComputer}
    | {Base.Rating, Base.RatingPercent, Base.XPTitle, Base.XPComment}
    | {Base.XPAuthor, Base.XPKeywords, Base.XPSubject}
)
EXPOSURE_TAGS = frozenset(
    {Base.ExifVersion, Base.DateTimeOriginal, Base.DateTimeDigitized}
    | {Base.OffsetTime, Base.OffsetTimeOriginal, Base.OffsetTimeDigitized}
    | {Base.SubsecTime, Base.SubsecTimeOriginal, Base.SubsecTimeDigitized}
    | {Base.ExposureTime, Base.FNumber, Base.ExposureProgram, Base.ExposureMode}
    | {Base.ShutterSpeedValue, Base.ApertureValue, Base.MaxApertureValue}
    | {Base.BrightnessValue, Base.ExposureBiasValue, Base.GainControl}
    | {Base.ISOSpeedRatings, Base.SensitivityType, Base.ISOSpeed}
    | {Base.StandardOutputSensitivity, Base.RecommendedExposureIndex}
    | {Base.MeteringMode, Base.LightSource, Base.Flash, Base.WhiteBalance}
    | {Base.FocalLength, Base.FocalLengthIn35mmFilm, Base.DigitalZoomRatio}
    | {Base.SubjectDistance, Base.SubjectDistanceRange, Base.SceneCaptureType}
    | {Base.LensSpecification, Base.LensMake, Base.LensModel}
)
# Rewritten; interoperability and gamma describe the colours before sRGB.
_RESTATED = frozenset(
    {Base.ColorSpace, Base.ExifImageWidth, Base.ExifImageHeight}
    | {Base.ExifInteroperabilityOffset, Base.Gamma}
)


@dataclass(frozen=True)
class SourceExif:
    """The EXIF directories of a photo; its thumbnail's is never read."""

    header: bytes
    photo: Directory
    exposure: Directory
    position: Directory


def parse_exif(stream: BinaryIO) -> SourceExif:
    """Read the directories of an EXIF block or a TIFF file.

    Pillow warns of values that it cannot read and leaves them out.

    Raises:
        One of EXIF_ERRORS: It is not EXIF at all.
    """
    header = stream.read(HEADER_BYTES)
    photo = Directory(header)
    stream.seek(photo.next)
    photo.load(stream)
    below = (_subdirectory(stream, photo, tag, header) for tag in _SUBDIRECTORIES)
    return SourceExif(header, photo, *below)


_SUBDIRECTORIES = (IFD.Exif, IFD.GPSInfo)


def _subdirectory(
    stream: BinaryIO, photo: Directory, tag: int, header: bytes
) -> Directory:
    directory = Directory(header, group=tag)
    if isinstance(offset := photo.get(tag), int):
        stream.seek(offset)
        directory.load(stream)
    return directory


def picture_exif(
    source: SourceExif | None, *, size: tuple[int, int], keep_all: bool = False
) -> bytes:
    """EXIF data for an enhanced photo: a TIFF header and its directories.

    It states an upright sRGB picture of `size` made by this program, never a thumbnail.
    Values that cannot be written are left out, as are the longest where a JPEG could
    not hold them all. `keep_all`: also positions, names, serial numbers, notes.
    """
    little_endian = b"II*\0" + HEADER_BYTES.to_bytes(4, "little")
    if source is None:
        empty = Directory(little_endian)
        source = SourceExif(little_endian, empty, empty, empty)
    limit = MAX_EXIF_BYTES if keep_all else MAX_KEPT_BYTES
    with no_warnings():  # of values with more parts than they should
        while True:
            data = _written(source, size, keep_all=keep_all, limit=limit)
            if len(data) <= MAX_EXIF_BYTES:
                return data
            limit //= 2


def _written(
    source: SourceExif, size: tuple[int, int], *, keep_all: bool, limit: int
) -> bytes:
    photo_tags = PHOTO_TAGS | PERSONAL_TAGS if keep_all else PHOTO_TAGS
    exposure_tags = set(source.exposure) - _RESTATED if keep_all else EXPOSURE_TAGS
    photo = _copied(source.photo, photo_tags, source.header, limit)
    photo[Base.Orientation] = 1
    photo[Base.Software] = created_with()
    exposure = _copied(source.exposure, exposure_tags, source.header, limit)
    exposure[Base.ColorSpace] = _SRGB
    exposure[Base.ExifImageWidth], exposure[Base.ExifImageHeight] = size
    if Base.ExifVersion not in exposure:
        exposure.tagtype[Base.ExifVersion] = TiffTags.UNDEFINED
        exposure[Base.ExifVersion] = _DEFAULT_VERSION
    below: dict[int, Directory] = {IFD.Exif: exposure}
    if keep_all and source.position:
        tags = set(source.position)
        below[IFD.GPSInfo] = _copied(source.position, tags, source.header, limit)
    return _joined(source.header, photo, below)


def _copied(
    source: Directory, tags: Collection[int], header: bytes, limit: int
) -> Directory:
    """Those of the `tags` that are there and take at most `limit` bytes."""
    kept = Directory(header, group=source.group)
    for tag in sorted(tags):
        if tag not in source:
            continue
        alone = Directory(header, group=source.group)
        try:
            value = source[tag]
            if isinstance(value, str):  # which Pillow would write as ASCII
                value = value.encode("latin-1")
                if tag != Base.Copyright:  # two texts; elsewhere the rest is garbage
                    value = value.partition(b"\0")[0]
            for directory in (alone, kept):
                directory.tagtype[tag] = source.tagtype[tag]
                directory[tag] = value
            writable = len(alone.tobytes()) <= limit
        except EXIF_ERRORS:
            writable = False
        if not writable:
            kept.pop(tag, None)
    return kept


def _joined(header: bytes, photo: Directory, below: dict[int, Directory]) -> bytes:
    """The directories one after another, each behind what names it."""
    photo.update(dict.fromkeys(below, 0))
    end = HEADER_BYTES + len(photo.tobytes(HEADER_BYTES))
    blocks = []
    for tag, directory in below.items():
        photo[tag] = end
        blocks.append(directory.tobytes(end))
        end += len(blocks[-1])
    first = HEADER_BYTES.to_bytes(4, "little" if header.startswith(b"II") else "big")
    return b"".join((header[:4], first, photo.tobytes(HEADER_BYTES), *blocks))


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, always the same bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + PROFILE_DATE + profile[36:]  # ICC.1:2022, 7.2.8
