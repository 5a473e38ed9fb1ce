"""Conversion between uint8 pixels (H, W, 3) and float tensors (3, H, W) in [0, 1]."""

from io import BytesIO
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dped_build.photos.encoding import Picture

REC601 = (0.299, 0.587, 0.114)  # red, green, blue


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [0, 1]."""
    return pixels.permute(0, 3, 1, 2).float().div_(255).contiguous()


def planes(valid: Tensor, images: Tensor) -> Tensor:
    """A mask, (B, 1, H, W) or (B, H, W), as (B, 1, H, W) of the images' type."""
    whole = valid if valid.ndim == 4 else valid.unsqueeze(1)
    return whole.to(images.dtype)


def luma(images: Tensor) -> Tensor:
    """Rec. 601 luma, (B, H, W) float64, of (B, 3, H, W) clipped to [0, 1]."""
    weights = torch.tensor(REC601, dtype=torch.float64, device=images.device)
    values = images.double().clamp(0, 1).flatten(2)
    return (weights @ values).view(len(images), *images.shape[2:])


def to_levels(images: Tensor, *, bits: int) -> Picture:
    """As `to_pixels`, of 8 bits (uint8) or 16 (uint16)."""
    levels = images.clamp(0, 1).mul(2**bits - 1).round().permute(0, 2, 3, 1)
    kind = torch.uint8 if bits == 8 else torch.uint16
    return np.ascontiguousarray(levels.to(kind).cpu().numpy())


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Float (B, 3, H, W), clipped to [0, 1] and rounded, to uint8 (B, H, W, 3)."""
    return cast("NDArray[np.uint8]", to_levels(images, bits=8))


def png_bytes(photo: NDArray[np.uint8]) -> bytes:
    """An RGB photo, (H, W, 3), as a PNG file, by Pillow: training needs no OpenCV."""
    file = BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return file.getvalue()
