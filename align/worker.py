"""Alignment of one pair in a worker: paths in, record out, crops on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligner import align_pair
from dped_build.align.geometry import translation
from dped_build.align.pairing.by_name import Pair
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample
from dped_build.align.settings import AlignSettings
from dped_build.photos.encoding import encode
from dped_build.photos.header_limits import MAX_FILE_BYTES
from dped_build.photos.likeness import picture_hash
from dped_build.photos.orientation import reduced
from dped_build.photos.reading import printable, read_with_colours
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import NO_MEMORY, PhotoError, PhotoMemoryError
from dped_build.workspace.stage import sha256

JPEG_QUALITY = 95  # of crops
TOO_MUCH = f"{NO_MEMORY}; raise --max-memory, or lower --jobs"


@dataclass(frozen=True)
class PairFiles:
    """A pair to align, and where its crops go."""

    pair: Pair
    roots: Mapping[str, Path]  # of the photos of each camera
    settings: AlignSettings
    crops: tuple[Path, Path] | None


Photo = NDArray[np.uint8]


def align_files(task: PairFiles) -> Alignment:
    """Read, align and crop one pair; a photo that cannot be read is a record too."""
    return align_and_keep(task)[0]


@dataclass(frozen=True)
class PairWork:
    """What workers do with each pair: align it, or more while its photos are at hand.

    Attributes:
        run: Takes a pair's files, returns its record.
        bytes_per_pixel: What is written beside the crops, for each phone pixel.
        seconds_per_pixel: What it takes longer than aligning, for each phone pixel.
        memory: Times that of aligning.
    """

    run: Callable[[PairFiles], Alignment] = align_files
    bytes_per_pixel: float = 0.0
    seconds_per_pixel: float = 0.0
    memory: float = 1.0


def align_and_keep(task: PairFiles) -> tuple[Alignment, tuple[Photo, Photo] | None]:
    """As `align_files`; of a pair that is aligned also the phone and the DSLR photo."""
    pair, settings = task.pair, task.settings
    record = unaligned(pair)
    if pair.phone is None or pair.dslr is None:
        return record, None
    paths = [task.roots[camera] / photo for camera, photo in pair.photos()]
    try:
        phone_sum, dslr_sum = map(_digest, paths)
        record = replace(record, phone_sha256=phone_sum, dslr_sha256=dslr_sum)
        (phone, phone_color), (dslr, dslr_color) = (
            read_with_colours(
                path, color=settings.color, max_megapixels=settings.max_megapixels
            )
            for path in paths
        )
        phone = reduced(phone, settings.reduce_phone)
    except PhotoMemoryError as error:  # without sums it counts as unread
        record = replace(unaligned(pair), reason=error.reason, message=str(error))
        return record, None
    except PhotoError as error:
        return replace(record, reason=error.reason, message=str(error)), None
    try:
        alignment = replace(
            align_pair(phone, dslr, settings=settings, pair=pair.name),
            phone=record.phone,
            dslr=record.dslr,
            phone_sha256=record.phone_sha256,
            dslr_sha256=record.dslr_sha256,
            phone_color=str(phone_color),
            dslr_color=str(dslr_color),
            dslr_hash=picture_hash(dslr),
        )
        if alignment.aligned and task.crops:
            crops = crop_pair(phone, dslr, alignment)
            for path, crop in zip(task.crops, crops, strict=True):
                write_crop(path, crop)
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        message = f"{pair.name}: {TOO_MUCH}"
        return replace(record, reason="worker_lost", message=message), None
    return alignment, (phone, dslr) if alignment.aligned else None


def with_way_out(
    record: Alignment, companions: Mapping[tuple[str, str], str]
) -> Alignment:
    """The record of a photo that cannot be read, with the file that could replace it.

    `companions`: (camera, photo) → another file of the same shot.
    """
    if record.reason not in ("unreadable", "truncated") or not record.message:
        return record
    for camera, photo in (("phone", record.phone), ("dslr", record.dslr)):
        other = companions.get((camera, photo or ""))
        name = Path(photo or "").name
        if other and record.message.startswith(f"{printable(name)}: "):
            way = f"or move it away: {other} of the same shot is then read"
            return replace(record, message=f"{record.message}, {way}")
    return record


def crop_pair(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], alignment: Alignment
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both photos cut to the intersection, RGB uint8 of one size.

    The phone crop is the phone's own pixels; the DSLR crop is sampled once, onto them.

    Raises:
        ValueError: The pair is not aligned.
    """
    if alignment.phone_box is None:
        raise ValueError(f"pair {alignment.pair} has no intersection")
    left, top, width, height = alignment.phone_box
    to_dslr = alignment.matrix() @ translation(left, top)
    crop = phone[top : top + height, left : left + width]
    return crop, sample(dslr, to_dslr, (width, height))


def write_crop(path: Path, crop: NDArray[np.uint8]) -> None:
    """Write a crop as JPEG or PNG, by the suffix of `path`; whole or not at all."""
    quality = JPEG_QUALITY if path.suffix == ".jpg" else None
    write_atomic(path, encode(crop, quality=quality))


def _digest(path: Path) -> str | None:
    """A file's SHA-256; None for a pipe, which would block, and for what has no end."""
    try:
        short = path.is_file() and path.stat().st_size <= MAX_FILE_BYTES
        return sha256(path) if short else None
    except OSError as error:
        why = error.strerror or "read error"
        message = f"{path.name}: cannot be read ({why}); fix it and run again"
        raise PhotoError("unreadable", message) from error


def unaligned(pair: Pair) -> Alignment:
    """The record of a pair that failed before its photos were compared."""
    return Alignment(
        pair.name,
        "failed",
        reason=pair.reason,
        message=pair.message,
        phone=pair.phone.as_posix() if pair.phone else None,
        dslr=pair.dslr.as_posix() if pair.dslr else None,
    )


def is_of(record: Alignment, pair: Pair) -> bool:
    """Whether a record names the files of this very pair."""
    here = unaligned(pair)
    return (record.phone, record.dslr) == (here.phone, here.dslr)


def lost(pair: Pair) -> Alignment:
    """The record of a pair on which the worker process died."""
    message = (
        "the worker process died on it twice (out of memory?); lower --jobs or "
        "--max-megapixels and run again"
    )
    return replace(unaligned(pair), reason="worker_lost", message=message)
