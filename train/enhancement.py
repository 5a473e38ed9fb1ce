"""Run a trained generator over whole photos, in memory or from file to file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dped_build.align.errors import PhotoError, UsageError
from dped_build.align.photos import read_photo
from dped_build.align.settings import MAX_MEGAPIXELS
from dped_build.align.stage import write_atomic
from dped_build.train.devices import choose_device, enough_memory
from dped_build.train.layers import Chain
from dped_build.train.model_file import load_generator
from dped_build.train.pixels import png_bytes, to_pixels, to_unit
from dped_build.train.tiles import forward_in_strips

# What the CPU enhances whole. With the 64 channels of `dped`, a layer's output for 4
# megapixels takes 1 GB, and several are there at a time.
WHOLE_PIXELS = 4_000_000
AUTO_TILE = 1024  # pixels, for larger photos


@dataclass(frozen=True)
class EnhancedFiles:
    """What came of a list of photos."""

    written: list[Path]
    failed: dict[str, str]  # photo as named by the user → why, one line


def enhance(
    model: nn.Module,
    photo: NDArray[np.uint8],
    *,
    tile: int | None = None,
    device: str | torch.device = "cpu",
) -> NDArray[np.uint8]:
    """Enhance one photo of any size.

    Args:
        model: A generator, as `load_generator` returns it.
        photo: RGB uint8, (H, W, 3).
        tile: Bound the memory by working on about `tile` x `tile` pixels at a time;
            None: on the whole photo. The result is the same to one level of 255.
        device: Where to compute.

    Returns:
        The enhanced photo, RGB uint8, (H, W, 3).

    Raises:
        ValueError: Not an RGB uint8 photo.
        DpedBuildError: No such device, or too little memory on it.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"photo {photo.dtype} {photo.shape} is not uint8 (H, W, 3)")
    where = choose_device(str(device))
    model = model.to(where).eval()
    with enough_memory(
        f"{where} has too little memory for a photo of {photo.shape[1]} x "
        f"{photo.shape[0]} px: give a --tile, or a smaller one"
    ):
        if tile is not None:
            return forward_in_strips(
                cast("Chain", model), photo, tile=tile, device=where
            )
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(photo)).to(where)
            enhanced: NDArray[np.uint8] = to_pixels(model(to_unit(pixels[None])))[0]
            return enhanced


def enhance_files(
    model_path: str | Path,
    photos: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    tile: int | None = None,
    device: str = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> EnhancedFiles:
    """Enhance photos into `<stem>-enhanced.png`, beside each or all in `out`.

    A photo that cannot be read is recorded and the others go on.

    Args:
        model_path: A run folder or a `generator.pt`.
        photos: The photos' files.
        out: Folder for the results; None: each photo's own.
        tile: As `enhance` has it; None: chosen on a CPU, `AUTO_TILE` for photos of more
            than `WHOLE_PIXELS`.
        device: Where to compute: auto, cpu or cuda.
        max_megapixels: Photos of more are recorded as failed.

    Raises:
        DpedBuildError: The model cannot be read, or the device not be used.
        UsageError: Two photos would be written to one file.
    """
    targets = [enhanced_path(Path(photo), out=out) for photo in photos]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"two photos would become {target}: enhance them apart")
    model = load_generator(model_path)
    written, failed = [], {}
    for photo, target in zip(photos, targets, strict=True):
        try:
            pixels = read_photo(Path(photo), max_megapixels=max_megapixels)
        except PhotoError as error:
            failed[str(photo)] = str(error)
            continue
        chosen = tile or _choose_tile(pixels, choose_device(device))
        enhanced = enhance(model, pixels, tile=chosen, device=device)
        write_atomic(target, png_bytes(enhanced))
        written.append(target)
    return EnhancedFiles(written, failed)


def enhanced_path(photo: Path, *, out: str | Path | None) -> Path:
    """Where the enhanced photo goes."""
    return Path(out or photo.parent) / f"{photo.stem}-enhanced.png"


def _choose_tile(photo: NDArray[np.uint8], device: torch.device) -> int | None:
    """A full GPU says so, whereas a CPU starts to swap or the system ends the process.

    Strips go through files, which would cost a GPU more time than the network does.
    """
    large = photo.shape[0] * photo.shape[1] > WHOLE_PIXELS
    return AUTO_TILE if large and device.type == "cpu" else None
