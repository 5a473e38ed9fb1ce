"""One block of patch pairs → its piece on the disk; runs in workers."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.exchange.exported_folders import geometry_columns
from dped_build.exchange.import_blocks import BlockTask, Files, Refusal, refusal
from dped_build.patches.pieces import write_piece
from dped_build.patches.quality import (
    clipped_share,
    color_fit_psnr,
    lumas,
    normalised_cross_correlation,
    sharpness_ratio,
)
from dped_build.patches.records import ACCEPTED, Windows, empty_windows
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import PhotoError

Pixels = NDArray[np.uint8]


def make_block(task: BlockTask) -> list[Refusal]:
    """Read a block and write its piece; gives the pairs without a patch, in order."""
    block, kept, refused = task.block, [], []
    patches: list[tuple[Pixels, Pixels]] = []
    for number, files in enumerate(block.files):
        try:
            patches.append(_read_pair(files, task))
            kept.append(number)
        except PhotoError as error:
            refused.append(refusal(block, files, error.reason, str(error)))
    shape = (len(kept), task.size, task.size, 3)
    phone, dslr = (
        np.array([pair[side] for pair in patches], np.uint8).reshape(shape)
        for side in (0, 1)
    )
    windows = measure(phone, dslr)
    if block.geometry:
        stated = geometry_columns([block.geometry[number] for number in kept])
        windows = replace(windows, **stated)
    reasons = np.full(len(kept), ACCEPTED)
    write_piece(task.out, windows, reasons, phone, dslr)
    return refused


def measure(phone: Pixels, dslr: Pixels) -> Windows:
    """All that the pixels say of ready-made patches, (N, S, S, 3) each.

    The rest is identity, zero or NaN: nobody knows where they were cut.
    """
    phone_luma, dslr_luma = lumas(phone), lumas(dslr)
    measured = {
        "ncc": normalised_cross_correlation(phone_luma, dslr_luma),
        "sharpness_ratio": sharpness_ratio(phone_luma, dslr_luma),
        "color_fit_psnr": color_fit_psnr(phone, dslr),
        "clipped_phone": clipped_share(phone),
        "clipped_dslr": clipped_share(dslr),
    }
    columns: dict[str, Any] = {k: v.astype("f4") for k, v in measured.items()}
    identity = np.tile(np.eye(3), (len(phone), 1, 1))
    return replace(
        empty_windows(len(phone)),
        patch_to_phone=identity,
        patch_to_dslr=identity,
        **columns,
    )


def _read_pair(files: Files, task: BlockTask) -> tuple[Pixels, Pixels]:
    size, places, photos = task.size, task.block.places, []
    for path, place in zip(files, places, strict=True):
        try:
            photos.append(read_photo(path, color="keep"))
        except PhotoError as error:
            raise PhotoError(error.reason, f"{place}/{error}") from error
    phone, dslr = photos
    if not phone.shape[:2] == dslr.shape[:2] == (size, size):
        sizes = [f"{p.shape[1]}x{p.shape[0]} px" for p in photos]
        raise PhotoError(
            "other_size",
            f"{places[0]}/{files[0].name}: {sizes[0]}, its partner {sizes[1]}; "
            f"most are {size}x{size} px",
        )
    return phone, dslr
