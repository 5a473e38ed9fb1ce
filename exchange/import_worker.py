"""One block of patch pairs → its piece on the disk; runs in workers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.exchange.exported_folders import geometry_columns
from dped_build.exchange.import_blocks import BlockTask, Files, Refusal, refusal
from dped_build.patches.chunks import encoded
from dped_build.patches.masks import Masks, packed, whole_masks
from dped_build.patches.pieces import write_piece
from dped_build.patches.quality import quality_columns
from dped_build.patches.records import ACCEPTED, Windows, empty_windows
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import PhotoError

MIDDLE_GREY = 127  # of masks; brighter is valid
Pixels = NDArray[np.uint8]


def make_block(task: BlockTask) -> list[Refusal]:
    """Read a block and write its piece; gives the pairs without a patch, in order."""
    block, kept, refused = task.block, [], []
    patches: list[tuple[Pixels, Pixels]] = []
    valid = whole_masks(len(block.files), task.size)
    for number, files in enumerate(block.files):
        try:
            if block.masks:
                valid[number] = _read_mask(block.masks[number], task.size)
            patches.append(_read_pair(files, task))
            kept.append(number)
        except PhotoError as error:
            refused.append(refusal(block, files, error.reason, str(error)))
    shape = (len(kept), task.size, task.size, 3)
    phone, dslr = (
        np.array([pair[side] for pair in patches], np.uint8).reshape(shape)
        for side in (0, 1)
    )
    valid = valid[kept]
    windows = measure(phone, dslr, valid)
    if block.geometry:
        stated = geometry_columns([block.geometry[number] for number in kept])
        windows = replace(windows, **stated)
    reasons = np.full(len(kept), ACCEPTED)
    own, other = (encoded(side, task.compress) for side in (phone, dslr))
    write_piece(task.out, windows, reasons, packed(valid), own, other)
    return refused


def measure(phone: Pixels, dslr: Pixels, valid: Masks) -> Windows:
    """All that pixels and masks say of ready-made patches, (N, S, S, …) each.

    The rest is identity, zero or NaN: nobody knows where they were cut.
    """
    identity = np.tile(np.eye(3), (len(phone), 1, 1))
    return replace(
        empty_windows(len(phone)),
        patch_to_phone=identity,
        patch_to_dslr=identity,
        **quality_columns(phone, dslr, valid),
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


def _read_mask(path: Path, size: int) -> NDArray[np.bool_]:
    """A mask as `export` writes it, (S, S)."""
    picture = read_photo(path, color="keep")
    if picture.shape[:2] != (size, size):
        height, width = picture.shape[:2]
        raise PhotoError(
            "other_size",
            f"{path.parent.name}/{path.name}: a mask of {width}x{height} px, its "
            f"patches {size}x{size} px",
        )
    return np.asarray(picture[..., 0] > MIDDLE_GREY)
