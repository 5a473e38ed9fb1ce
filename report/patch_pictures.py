"""Write the pictures of patches and of training samples.

Pictures are named by number, never after a photo: a photo's name may hold anything.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from dped_build.align.records import Alignment
from dped_build.report.contact_sheet import Sheets, cut_window
from dped_build.report.drawing import patch_triple, png
from dped_build.report.pair_files import Photo, crop_files, read_reduced
from dped_build.report.record import ChosenPatch, PatchGroup, Sample, ShownPatch
from dped_build.report.tables import read_patch, read_window_masks
from dped_build.report.workspace_reader import Inputs, Run


def write_patches(inputs: Inputs, folder: Path, sheets: Sheets) -> list[PatchGroup]:
    """A picture phone | DSLR | difference for each patch whose crops can be read."""
    (folder / "patches").mkdir()
    records = {record.pair: record for record in inputs.pairs}
    shown, number = [], 0
    for group, chosen in sheets.items():
        patches = []
        for patch in chosen:
            pixels = _patch_pixels(inputs, records.get(patch.pair), patch)
            if pixels is None:
                continue
            number += 1
            name = f"patches/{number:02d}.png"
            triple = patch_triple(*pixels)
            (folder / name).write_bytes(png(triple))
            size = triple.shape[1], triple.shape[0]
            patches.append(ShownPatch(**asdict(patch), picture=name, picture_size=size))
        if patches:
            shown.append(PatchGroup(group, patches))
    return shown


def _patch_pixels(
    inputs: Inputs, record: Alignment | None, patch: ChosenPatch
) -> tuple[Photo, Photo, NDArray[np.bool_]] | None:
    """Both sides and the mask of a patch or a rejected window; None without crops."""
    if patch.file is not None:
        return read_patch(inputs.workspace, patch.file, patch.row)
    if record is None or inputs.patches is None or inputs.patches.windows is None:
        return None
    files = crop_files(inputs, record)
    if files is None:
        return None
    phone, dslr = (
        read_reduced(path, side, side)
        for path, side in zip(files.paths, files.sides, strict=True)
    )
    if phone is None or dslr is None:
        return None
    windows, size = inputs.patches.windows, inputs.patches.window_size
    valid = np.ones((size, size), np.bool_)
    if windows.partly_valid[patch.row]:
        rows = np.array([patch.row])
        valid = read_window_masks(inputs.workspace, rows, size)[0]
    sides = cut_window((phone, dslr), record, windows, patch.row, size=size)
    return *sides, valid


def copy_samples(
    runs: Sequence[Run], folder: Path, *, count: int
) -> list[list[Sample]]:
    """Copy the latest samples of each run."""
    (folder / "runs").mkdir()
    copies = []
    for number, run in enumerate(runs, start=1):
        names = []
        for index, sample in enumerate(run.samples[-count:], start=1):
            name = f"runs/{number:02d}-{index}{sample.suffix.lower()}"
            shutil.copyfile(sample, folder / name)
            names.append(Sample(name, sample.stem))
        copies.append(names)
    return copies
