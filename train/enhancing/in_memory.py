"""Run a trained generator over a photo in memory; needs no decoder of photos."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dped_build.photos.arrays import require_photos
from dped_build.photos.encoding import Picture
from dped_build.train.devices import choose_device, enough_memory, full_float32
from dped_build.train.enhancing.strips import forward_in_strips
from dped_build.train.layers import Chain
from dped_build.train.pixels import to_levels, to_unit


def enhance(
    model: nn.Module,
    photo: NDArray[np.uint8],
    *,
    tile: int | None = None,
    device: str | torch.device = "cpu",
    bits: int = 8,
) -> Picture:
    """Enhance one photo of any size.

    Args:
        model: A generator, as `load_generator` returns it.
        photo: RGB uint8, (H, W, 3).
        tile: Bound the memory by working on about `tile` x `tile` pixels at a time;
            None: on the whole photo. The result is the same to one level of 255.
        device: Where to compute.
        bits: 16 keeps the network's precision between 8-bit levels.

    Returns:
        The enhanced photo, RGB uint8, or uint16 for 16 bits, (H, W, 3).

    Raises:
        ValueError: Not an RGB uint8 photo, or bits other than 8 and 16.
        DpedBuildError: No such device, or too little memory on it.
    """
    require_photos(photo=photo)
    if not isinstance(model, nn.Module):
        raise ValueError("model must be a network: load_generator(path) returns one")
    if bits not in (8, 16):
        raise ValueError(f"bits={bits}: 8 or 16")
    where = choose_device(str(device))
    model = model.to(where).eval()
    full = (
        f"{where} has too little memory for a photo of {photo.shape[1]} x "
        f"{photo.shape[0]} px: give a --tile, or a smaller one"
    )
    with enough_memory(full), full_float32():
        # On a CPU strips are also faster than the whole photo.
        if isinstance(model, Chain) and (tile is not None or where.type == "cpu"):
            return forward_in_strips(model, photo, tile=tile, device=where, bits=bits)
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(photo)).to(where)
            enhanced: Picture = to_levels(model(to_unit(pixels[None])), bits=bits)[0]
            return enhanced
