"""Write the pictures of a report: pairs, patches and training samples.

Pictures are named by number or by what they show, never after a photo: a photo's name
may hold anything.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.records import Alignment
from dped_build.align.stage import link_file, read_sums, sha256
from dped_build.report.contact_sheet import cut_window
from dped_build.report.inputs import Inputs, Run
from dped_build.report.numbers import ReportSettings
from dped_build.report.pictures import (
    halves,
    jpeg,
    patch_triple,
    png,
    shrink,
    side_by_side,
)
from dped_build.report.tables import read_patch
from dped_build.report.tone import tone_difference

MAX_JOBS = 8
DRAWING = 1  # raised when the same crops would give other pictures
PARTS = ("thumb", "phone", "dslr")
END_OF_JPEG = b"\xff\xd9"
REDUCED = {  # decoding at a fraction of the size costs a fraction of the time
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
Photo = NDArray[np.uint8]
NO_PICTURE = {"picture": None, "picture_size": None}
NO_TONE = {"exposure_ev": None, "color_ev": None}


@dataclass(frozen=True)
class Places:
    """Where pictures of pairs are found and put.

    Attributes:
        built: The folder of the report in the making.
        scratch: Pictures of an interrupted run, kept until the report is published.
        earlier: The pictures of the report that this one replaces.
        known: SHA-256 of that report's files.
    """

    built: Path
    scratch: Path
    earlier: Path
    known: Mapping[str, str]


def write_pair_pictures(
    inputs: Inputs,
    places: Places,
    settings: ReportSettings,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """A thumbnail of both crops, and each crop, of every pair that has crops.

    What an earlier report or an interrupted run made of the same crops is taken over.

    Returns:
        Per record `picture` (what the file names begin with), `picture_size` (width and
        height), `exposure_ev`, `color_ev`; None where there are no crops.
    """
    for folder in (places.built / "pairs", places.scratch):
        folder.mkdir(parents=True, exist_ok=True)
    aligned = inputs.workspace / "aligned"
    sums = read_sums(aligned) if (aligned / "SHA256SUMS").is_file() else {}

    def write(record: Alignment) -> dict[str, Any]:
        return _write_pair(inputs, record, places, settings, sums)

    rows = []
    with ThreadPoolExecutor(jobs or min(MAX_JOBS, os.cpu_count() or 1)) as pool:
        for row in pool.map(write, inputs.pairs):
            rows.append(row)
            progress(len(rows), len(inputs.pairs))
    return rows


def _write_pair(
    inputs: Inputs,
    record: Alignment,
    places: Places,
    settings: ReportSettings,
    sums: Mapping[str, str],
) -> dict[str, Any]:
    crops = crop_paths(inputs, record)
    if crops is None or record.phone_box is None:
        return NO_PICTURE | NO_TONE
    key = _key(crops, settings, sums)
    names = {part: f"{key}-{part}.jpg" for part in PARTS}
    if not _taken_over(list(names.values()), places):
        side = max(record.phone_box[2:])
        photos = [read_crop(path, side, settings.picture_px) for path in crops]
        if photos[0] is None or photos[1] is None:
            return NO_PICTURE | NO_TONE
        thumbs = (
            shrink(photo, settings.thumb_px) for photo in photos if photo is not None
        )
        drawn = {"thumb": side_by_side(*thumbs), "phone": photos[0], "dslr": photos[1]}
        for part, name in names.items():
            made = places.scratch / f"{name}.{get_ident()}.tmp"
            made.write_bytes(jpeg(drawn[part]))
            made.replace(places.scratch / name)
            _put(places.scratch / name, places)
    thumb = _decode((places.built / "pairs" / names["thumb"]).read_bytes())
    tone = NO_TONE if thumb is None else tone_difference(*halves(thumb))
    return {"picture": f"pairs/{key}", "picture_size": _size(record, settings)} | tone


def _key(
    crops: tuple[Path, Path], settings: ReportSettings, sums: Mapping[str, str]
) -> str:
    """Names everything that a pair's pictures are made of."""
    content = [
        sums.get(f"{path.parent.name}/{path.name}") or sha256(path) for path in crops
    ]
    made_of = [DRAWING, settings.thumb_px, settings.picture_px, *content]
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:20]


def _size(record: Alignment, settings: ReportSettings) -> list[int] | None:
    """Width and height of a pair's pictures, px: `shrink`'s arithmetic."""
    if record.phone_box is None:
        return None
    width, height = record.phone_box[2:]
    scale = min(1.0, settings.picture_px / max(width, height))
    return [max(1, round(width * scale)), max(1, round(height * scale))]


def _taken_over(names: Sequence[str], places: Places) -> bool:
    """Whether all three pictures were there, whole, and are in the new report now."""
    for folder in (places.scratch, places.earlier):
        paths = [folder / name for name in names]
        if all(_is_whole(path, places) for path in paths):
            for path in paths:
                _put(path, places)
            return True
    return False


def _put(path: Path, places: Places) -> None:
    """Give a finished picture its name in the new report."""
    target = places.built / "pairs" / path.name
    if not target.exists():  # pairs with equal crops have the same pictures
        link_file(path, target)


def _is_whole(path: Path, places: Places) -> bool:
    if not path.is_file():
        return False
    if path.parent == places.scratch:  # not synced: a power cut may have emptied it
        return path.read_bytes().endswith(END_OF_JPEG)
    return places.known.get(f"pairs/{path.name}") == sha256(path)


def crop_paths(inputs: Inputs, record: Alignment) -> tuple[Path, Path] | None:
    """The files of both crops; None where one is absent."""
    if not record.aligned or Path(record.pair).name != record.pair:
        return None  # a name with a folder in it was never written by us
    paths = []
    for camera in ("phone_camera", "dslr_camera"):
        folder = inputs.workspace / "aligned" / str(inputs.alignment.get(camera))
        files = (folder / f"{record.pair}{suffix}" for suffix in (".jpg", ".png"))
        paths.append(next((path for path in files if path.is_file()), None))
    phone, dslr = paths
    return None if phone is None or dslr is None else (phone, dslr)


def read_crop(path: Path, full_side: int, side: int) -> Photo | None:
    """A crop reduced to `side` pixels, (h, w, 3) RGB, or None where it is unreadable.

    `full_side` is the longer side of the file's picture.
    """
    factor = max((f for f in REDUCED if full_side // f >= side), default=1)
    flags = REDUCED.get(factor, cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    photo = _decode(path.read_bytes(), flags)
    return None if photo is None else shrink(photo, side)


def _decode(encoded: bytes, flags: int = cv2.IMREAD_COLOR) -> Photo | None:
    if not encoded:
        return None
    photo = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    return None if photo is None else np.ascontiguousarray(photo[:, :, ::-1])


def write_patches(
    inputs: Inputs, folder: Path, groups: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A picture phone | DSLR | difference for each patch of the contact sheets.

    Returns:
        The groups with each patch's path within `folder` as `picture`, without those
        whose crops cannot be read.
    """
    (folder / "patches").mkdir()
    records = {record.pair: record for record in inputs.pairs}
    shown, number = [], 0
    for group in groups:
        patches = []
        for patch in group["patches"]:
            pixels = _patch_pixels(inputs, records.get(patch["pair"]), patch)
            if pixels is None:
                continue
            number += 1
            name = f"patches/{number:02d}.png"
            (folder / name).write_bytes(png(patch_triple(*pixels)))
            patches.append({**patch, "picture": name})
        if patches:
            shown.append({**group, "patches": patches})
    return shown


def _patch_pixels(
    inputs: Inputs, record: Alignment | None, patch: Mapping[str, Any]
) -> tuple[Photo, Photo] | None:
    """Both sides of a stored patch, or of a rejected window; None without its crops."""
    if patch["file"] is not None:
        return read_patch(inputs.workspace, patch["file"], patch["row"])
    if record is None or inputs.patches is None or inputs.patches.windows is None:
        return None
    paths = crop_paths(inputs, record)
    if paths is None or record.phone_box is None:
        return None
    side = max(record.phone_box[2:])
    phone, dslr = (read_crop(path, side, side) for path in paths)
    if phone is None or dslr is None:
        return None
    windows, size = inputs.patches.windows, inputs.patches.window_size
    return cut_window((phone, dslr), record, windows, patch["row"], size=size)


def copy_samples(runs: Sequence[Run], folder: Path, *, count: int) -> list[list[str]]:
    """Copy the latest samples of each run; returns their paths within `folder`."""
    (folder / "runs").mkdir()
    copies = []
    for number, run in enumerate(runs, start=1):
        names = []
        for index, sample in enumerate(run.samples[-count:], start=1):
            name = f"runs/{number:02d}-{index}{sample.suffix.lower()}"
            shutil.copyfile(sample, folder / name)
            names.append(name)
        copies.append(names)
    return copies
