"""One aligned pair in a worker: photos in, two pictures with a mask out.

A pair's folder is named after everything that it was made from; its record is written
last: where it stands, the folder is finished and right.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import cv2
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from dped_build.align.records import Alignment, Box
from dped_build.exchange.encoded_pictures import PNG_LEVEL, mask_bytes
from dped_build.patches.exclusions import Exclusions
from dped_build.patches.frames import FrameMap, map_frame, sample_frame
from dped_build.patches.pieces import PieceFailure, read_pair
from dped_build.patches.settings import PatchSettings
from dped_build.photos.encoding import Picture, encode
from dped_build.photos.settings import PICTURE_BITS
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import NO_MEMORY, PhotoError
from dped_build.workspace.json_files import (
    Sha256,
    Share,
    converted,
    json_bytes,
    read_document,
)

PLACES = ("phone", "dslr", "valid")
RECORD = "record.json"


class FrameRecord(TypedDict):
    """What is known of a finished pair."""

    box: Annotated[Box, "Of the pictures, in the upright phone photo, px."]
    valid_share: Annotated[Share, "Share of valid pixels."]
    deep: Annotated[bool, "Whether the pair shows depth: masks are pixel by pixel."]
    sums: Annotated[
        dict[str, Annotated[Sha256, "SHA-256."]], Meta(min_length=3, max_length=3)
    ]


@dataclass(frozen=True)
class FrameTask:
    """One pair to export."""

    alignment: Alignment
    phone: Path
    dslr: Path
    photos: Mapping[str, Any]  # how they are read: as they were aligned
    settings: PatchSettings
    exclusions: Exclusions  # windows that are taken out by hand
    window: int  # their side, px
    bits: int  # of a colour
    out: Path


def make_frame(task: FrameTask) -> PieceFailure | FrameRecord:
    """Write the pictures of one pair; runs in a worker."""
    pair = task.alignment.pair
    try:
        phone, dslr = read_pair(task.alignment, task.phone, task.dslr, task.photos)
        found = map_frame(phone, dslr, task.alignment, settings=task.settings)
        _take_out(found, task)
        frame = sample_frame(dslr, found, bits=task.bits)
        del dslr  # tens of megabytes, while pictures are encoded
    except PhotoError as error:
        return PieceFailure(error.reason, str(error))
    except MemoryError:
        return PieceFailure("worker_lost", f"{pair}: {NO_MEMORY}; lower --jobs")
    except (np.linalg.LinAlgError, cv2.error) as error:
        # One pair that the numerics cannot hold costs itself, not the run.
        message = f"{pair}: cannot be measured ({' '.join(str(error).split())})"
        return PieceFailure("unmeasurable", message)
    sums = {}
    for place, data in _encoded(phone, frame, found, task.bits):
        write_atomic(task.out / f"{place}.png", data)
        sums[place] = hashlib.sha256(data).hexdigest()
    share = round(float(found.valid.mean()), 4)
    record = FrameRecord(box=found.box, valid_share=share, deep=found.deep, sums=sums)
    write_atomic(task.out / RECORD, json_bytes(record))
    return record


def finished_frame(folder: Path) -> FrameRecord | None:
    """The record of a pair that an interrupted run finished; None where it did not."""
    try:
        return converted(read_document(folder / RECORD), FrameRecord)
    except (OSError, ValueError):  # made again
        return None


def _take_out(found: FrameMap, task: FrameTask) -> None:
    """Mark as not valid the windows that were taken out by hand."""
    left, top = found.box[:2]
    for _, x, y in (entry for entry in task.exclusions if len(entry) > 1):
        first, last = int(x) - left, int(x) - left + task.window
        rows = slice(max(int(y) - top, 0), max(int(y) - top + task.window, 0))
        found.valid[rows, max(first, 0) : max(last, 0)] = False


def _encoded(
    phone: NDArray[np.uint8], frame: Picture, found: FrameMap, bits: int
) -> Iterator[tuple[str, bytes]]:
    """The place and the bytes of each file, one at a time."""
    left, top, width, height = found.box
    own: Picture = phone[top : top + height, left : left + width]
    if bits != PICTURE_BITS[0]:
        own = own.astype(np.uint16) * np.uint16(257)
    yield PLACES[0], encode(own, level=PNG_LEVEL)
    yield PLACES[1], encode(frame, level=PNG_LEVEL)
    yield PLACES[2], mask_bytes(found.valid)
