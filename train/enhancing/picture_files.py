"""Read a photo's EXIF data; write enhanced pictures that state their colours."""

import errno
import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dped_build.photos.encoding import Picture, encode
from dped_build.photos.reading import open_photo
from dped_build.photos.written_metadata import (
    EXIF_ERRORS,
    SourceExif,
    parse_exif,
    picture_exif,
    srgb_profile,
)
from dped_build.train.enhancing.enhance_settings import EnhanceSettings
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError, PhotoError

MAX_READ_BYTES = 4_000_000  # of metadata; real photos have some 100 kB
_EXIF_PREFIX = b"Exif\0\0"


class _LimitedFile(io.FileIO):
    """A file of which no more than `MAX_READ_BYTES` is read."""

    left = MAX_READ_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes of what may still be read."""
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        data = super().read(wanted) or b""
        self.left -= len(data)
        return data


def read_exif(path: Path) -> tuple[SourceExif | None, str | None]:
    """A photo's EXIF data, and what is wrong with it: one line, or None.

    Damaged data never raises: what can be read of it is returned.
    """
    exif = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with (
                open_photo(path, max_megapixels=float("inf")) as image,
                _exif_stream(path, image) as stream,
            ):
                if stream.seek(0, io.SEEK_END):
                    stream.seek(0)
                    exif = parse_exif(stream)
        except (PhotoError, *EXIF_ERRORS):
            return None, f"{path.name}: its EXIF data is damaged and was left out"
    part = f"{path.name}: a part of its EXIF data is damaged and was left out"
    return exif, part if caught else None


def _exif_stream(path: Path, image: Image.Image) -> BinaryIO:
    if image.format == "TIFF":
        return _LimitedFile(path)
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # it may stand behind the pixels
    data: bytes = image.info.get("exif", b"")
    return io.BytesIO(data.removeprefix(_EXIF_PREFIX)[:MAX_READ_BYTES])


def check_writable(folders: Iterable[Path]) -> None:
    """Before the work: each folder takes files, or can be made.

    Raises:
        DpedBuildError: One does not.
    """
    for folder in sorted(folders):
        there = _nearest(folder)
        if not there.is_dir() or not os.access(there, os.W_OK):
            why = "no permission to write" if there.is_dir() else "not a folder"
            raise DpedBuildError(f"{there}: {why}; name another folder with --out")


def is_name_too_long(target: Path) -> bool:
    """Whether the disk knows no names as long as this file's."""
    try:
        (_nearest(target.parent) / target.name).lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _nearest(folder: Path) -> Path:
    """The folder, or what exists of the way to it."""
    return next(p for p in (folder, *folder.absolute().parents) if p.exists())


def write_picture(
    target: Path,
    picture: Picture,
    *,
    source: SourceExif | None,
    settings: EnhanceSettings,
) -> None:
    """Write an enhanced photo, whole or not at all.

    Args:
        target: The file, replaced where it exists.
        picture: RGB, (H, W, 3), of as many bits as the settings say.
        source: The photo's EXIF data; None: it has none.
        settings: Format, JPEG quality and how much of the EXIF data is kept.

    Raises:
        DpedBuildError: It cannot be written.
    """
    size = (picture.shape[1], picture.shape[0])
    exif = picture_exif(source, size=size, keep_all=settings.keep_metadata)
    write_atomic(target, picture_bytes(picture, exif=exif, settings=settings))


def picture_bytes(picture: Picture, *, exif: bytes, settings: EnhanceSettings) -> bytes:
    """The content of a PNG or JPEG file with an sRGB profile and EXIF data."""
    quality = settings.quality if settings.format == "jpg" else None
    return encode(picture, quality=quality, exif=exif, icc=srgb_profile())
