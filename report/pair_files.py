"""Which files show a pair, and reading them at a fraction of their size."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligned_folder import CAMERA_KEYS
from dped_build.align.records import Alignment
from dped_build.report.drawing import shrink
from dped_build.report.workspace_reader import Inputs
from dped_build.workspace.json_files import is_plain_name, is_plain_path
from dped_build.workspace.stage import sha256

Photo = NDArray[np.uint8]
REDUCED = {  # decoding at a fraction of the size costs a fraction of the time
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True)
class PairFiles:
    """Two files that show a pair."""

    paths: tuple[Path, Path]  # phone and DSLR
    sides: tuple[int, int]  # the longer side of each picture, px
    content: tuple[str, str]  # what names each file's content
    on_one_grid: bool  # whether equal pixels show the same: the crops, not the photos


def files_of_pair(inputs: Inputs, record: Alignment) -> PairFiles | None:
    """The crops; where there are none, the photos themselves; or None."""
    return crop_files(inputs, record) or photo_files(inputs, record)


def crop_files(inputs: Inputs, record: Alignment) -> PairFiles | None:
    """The files of both crops; None where one is absent."""
    if not record.aligned or record.phone_box is None or not is_plain_name(record.pair):
        return None
    found = []
    for camera in CAMERA_KEYS:
        name = str(inputs.alignment.get(camera))
        if not is_plain_name(name):
            return None
        folder = inputs.workspace / "aligned" / name
        files = (folder / f"{record.pair}{suffix}" for suffix in (".jpg", ".png"))
        found.append(next((path for path in files if path.is_file()), None))
    phone, dslr = found
    if phone is None or dslr is None:
        return None
    phone_sum, dslr_sum = (
        inputs.aligned_sums.get(f"{path.parent.name}/{path.name}") or sha256(path)
        for path in (phone, dslr)
    )
    side = max(record.phone_box[2:])
    return PairFiles((phone, dslr), (side, side), (phone_sum, dslr_sum), True)


def photo_files(inputs: Inputs, record: Alignment) -> PairFiles | None:
    """The two photos as they were taken; None where one is absent or unreadable."""
    if inputs.photo_roots is None or record.status == "failed":
        return None
    names, sizes = (record.phone, record.dslr), (record.phone_size, record.dslr_size)
    sums = (record.phone_sha256, record.dslr_sha256)
    if None in names or None in sizes or None in sums:
        return None
    phone, dslr = (
        root / str(name) for root, name in zip(inputs.photo_roots, names, strict=True)
    )
    if not all(is_plain_path(str(name)) for name in names):
        return None
    if not (phone.is_file() and dslr.is_file()):
        return None
    phone_side, dslr_side = (max(size or (1, 1)) for size in sizes)
    return PairFiles(
        (phone, dslr), (phone_side, dslr_side), (str(sums[0]), str(sums[1])), False
    )


def read_reduced(
    path: Path, full_side: int, side: int, *, content: str | None = None
) -> Photo | None:
    """A photo of at most `side` pixels, upright, (h, w, 3) RGB; None where unreadable.

    Colours as stored. `full_side` is the longer side of the picture in the file;
    `content` the SHA-256 that the file should have: another is not shown.
    """
    factor = max((f for f in REDUCED if full_side // f >= side), default=1)
    try:
        encoded = path.read_bytes()
    except OSError:
        return None
    if content is not None and hashlib.sha256(encoded).hexdigest() != content:
        return None
    photo = decoded(encoded, REDUCED.get(factor, cv2.IMREAD_COLOR))
    return None if photo is None else shrink(photo, side)


def decoded(encoded: bytes, flags: int = cv2.IMREAD_COLOR) -> Photo | None:
    """Encoded pixels as (h, w, 3) RGB, or None where they cannot be decoded."""
    if not encoded:
        return None
    photo = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    return None if photo is None else np.ascontiguousarray(photo[:, :, ::-1])
