"""One block of patch pairs → its piece on the disk; runs in workers."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.exchange.exported_folders import geometry_columns
from dped_build.exchange.import_blocks import Block, BlockTask, Refusal, refusal
from dped_build.patches.pieces import Piece, write_piece
from dped_build.patches.quality import (
    clipped_share,
    color_fit_psnr,
    lumas,
    normalised_cross_correlation,
    sharpness_ratio,
)
from dped_build.patches.records import ACCEPTED, Windows, empty_windows
from dped_build.photos.reading import read_photo
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import PhotoError
from dped_build.workspace.json_files import json_bytes

Pixels = NDArray[np.uint8]


def make_block(task: BlockTask) -> int:
    """Read a block and write its piece, whatever single files are like.

    Returns:
        How many pairs were looked at.
    """
    block = task.block
    kept: list[tuple[Pixels, Pixels]] = []
    geometry: list[bytes] = []
    refused: list[Refusal] = []
    for number, files in enumerate(block.files):
        try:
            kept.append(_read_pair(files, block))
            geometry += block.geometry[number : number + 1]
        except PhotoError as error:
            refused.append(refusal(block, files, error.reason, str(error)))
    shape = (len(kept), block.size, block.size, 3)
    phone, dslr = (
        np.array([pair[side] for pair in kept], np.uint8).reshape(shape)
        for side in (0, 1)
    )
    if refused:
        lines = [asdict(line) for line in refused]
        write_atomic(task.out.with_suffix(".json"), json_bytes(lines))
    windows = measure(phone, dslr)
    if geometry:
        windows = replace(windows, **geometry_columns(geometry))
    reasons = np.full(len(kept), ACCEPTED)
    write_piece(task.out, Piece(windows, reasons, phone, dslr))
    return len(block.files)


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


def _read_pair(files: tuple[Path, Path], block: Block) -> tuple[Pixels, Pixels]:
    size, photos = block.size, []
    for path, place in zip(files, block.places, strict=True):
        try:
            photos.append(read_photo(path, color="keep"))
        except PhotoError as error:
            raise PhotoError(error.reason, f"{place}/{error}") from error
    phone, dslr = photos
    if not phone.shape[:2] == dslr.shape[:2] == (size, size):
        told = [f"{p.shape[1]}x{p.shape[0]} px" for p in photos]
        raise PhotoError(
            "other_size",
            f"{block.places[0]}/{files[0].name}: {told[0]}, its partner {told[1]}; "
            f"most are {size}x{size} px",
        )
    return phone, dslr
