"""Write the pictures of a report: pairs, windows, patches and training samples.

Pictures are named by number, never after a photo: a photo's name may hold anything.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.records import Alignment
from dped_build.report.inputs import Inputs, PatchSet, Run
from dped_build.report.numbers import ReportSettings
from dped_build.report.pictures import (
    jpeg,
    patch_triple,
    png,
    shrink,
    side_by_side,
    windows_overlay,
)
from dped_build.report.tables import Windows, read_patch

MAX_JOBS = 8
REDUCED = {  # decoding at a fraction of the size costs a fraction of the time
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def write_pair_pictures(
    inputs: Inputs, folder: Path, settings: ReportSettings, *, jobs: int | None = None
) -> list[dict[str, str | None]]:
    """Two pictures for each pair whose crops are there.

    Returns:
        Per record `picture` (both crops side by side) and `overlay` (the windows on the
        phone crop), paths within `folder`, None where there is none.
    """
    windows = None if inputs.patches is None else inputs.patches.windows
    rows = {} if windows is None else rows_of_pairs(windows)
    (folder / "pairs").mkdir()
    write = partial(_write_pair, inputs, folder, settings, rows)
    workers = jobs or min(MAX_JOBS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(write, range(len(inputs.pairs))))


def rows_of_pairs(windows: Windows) -> dict[str, NDArray[np.intp]]:
    """The rows of each pair's windows."""
    order = np.argsort(windows.pair, kind="stable")
    bounds = np.searchsorted(windows.pair[order], np.arange(len(windows.pairs) + 1))
    return {
        pair: order[bounds[index] : bounds[index + 1]]
        for index, pair in enumerate(windows.pairs)
    }


def _write_pair(
    inputs: Inputs,
    folder: Path,
    settings: ReportSettings,
    rows: dict[str, NDArray[np.intp]],
    index: int,
) -> dict[str, str | None]:
    record = inputs.pairs[index]
    crops = _read_crops(inputs, record, settings.overlay_px)
    if crops is None:
        return {"picture": None, "overlay": None}
    picture, overlay = (
        f"pairs/{index + 1:04d}.jpg",
        f"pairs/{index + 1:04d}-windows.jpg",
    )
    thumbs = (shrink(crop, settings.pair_px) for crop in crops)
    (folder / picture).write_bytes(jpeg(side_by_side(*thumbs)))
    if inputs.patches is None or record.pair not in rows:
        return {"picture": picture, "overlay": None}
    drawn = _overlay(inputs.patches, rows[record.pair], crops[0], record)
    (folder / overlay).write_bytes(jpeg(drawn))
    return {"picture": picture, "overlay": overlay}


def _overlay(
    patches: PatchSet,
    rows: NDArray[np.intp],
    phone: NDArray[np.uint8],
    record: Alignment,
) -> NDArray[np.uint8]:
    """The windows in `rows` on the phone crop, the accepted ones on top."""
    windows = patches.windows
    if windows is None or record.phone_box is None:
        return phone
    rows = rows[np.argsort(windows.accepted[rows], kind="stable")]
    return windows_overlay(
        phone,
        box=record.phone_box,
        xy=windows.xy[rows],
        reasons=[
            "accepted"
            if windows.accepted[row]
            else windows.reasons[windows.reason[row]]
            for row in rows
        ],
        size=patches.window_size,
    )


def _read_crops(
    inputs: Inputs, record: Alignment, side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """Both crops with a longer side of at most `side` pixels, (h, w, 3) RGB."""
    if not record.aligned or record.phone_box is None:
        return None
    crops = []
    for camera in ("phone_camera", "dslr_camera"):
        folder = inputs.workspace / "aligned" / str(inputs.alignment.get(camera))
        crop = read_crop(folder, record.pair, max(record.phone_box[2:]), side)
        if crop is None:
            return None
        crops.append(crop)
    return crops[0], crops[1]


def read_crop(
    folder: Path, pair: str, full_side: int, side: int
) -> NDArray[np.uint8] | None:
    """A crop reduced to `side` pixels, or None where it is absent or unreadable."""
    if Path(pair).name != pair:
        return None  # a name with a folder in it was never written by us
    for suffix in (".jpg", ".png"):
        path = folder / f"{pair}{suffix}"
        if path.is_file():
            factor = max((f for f in REDUCED if full_side // f >= side), default=1)
            flags = (
                REDUCED.get(factor, cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
            )
            encoded = np.frombuffer(path.read_bytes(), np.uint8)
            photo = cv2.imdecode(encoded, flags) if len(encoded) else None
            if photo is None:
                return None
            return shrink(np.ascontiguousarray(photo[:, :, ::-1]), side)
    return None


def write_patches(
    workspace: Path, folder: Path, groups: Sequence[dict[str, Any]]
) -> None:
    """A picture phone | DSLR | difference for each patch of the contact sheet.

    Adds its path within `folder` to each patch as `picture`.
    """
    (folder / "patches").mkdir()
    number = 0
    for group in groups:
        for patch in group["patches"]:
            number += 1
            patch["picture"] = f"patches/{number:02d}.png"
            triple = patch_triple(*read_patch(workspace, patch["file"], patch["row"]))
            (folder / patch["picture"]).write_bytes(png(triple))


def copy_samples(runs: Sequence[Run], folder: Path, *, count: int) -> list[list[str]]:
    """Copy the latest samples of each run; returns their paths within `folder`."""
    (folder / "runs").mkdir()
    copies = []
    for number, run in enumerate(runs, start=1):
        names = []
        for index, sample in enumerate(run.samples[-count:], start=1):
            name = f"runs/{number:02d}-{index}{sample.suffix.lower()}"
            (folder / name).write_bytes(sample.read_bytes())
            names.append(name)
        copies.append(names)
    return copies
