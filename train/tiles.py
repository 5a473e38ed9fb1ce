"""Run a generator over a photo strip by strip, with the result of running it whole.

Instance norm needs the mean and variance over the whole photo, which no part of it
knows: normalising parts by their own is off by 7 grey levels of 255. So the photo goes
through the network layer by layer. Each layer reads strips of rows, with the few beyond
that its kernel reaches, and writes what its convolution gives; its norm and activation
follow once the moments of all strips are known. Between layers the features wait in
temporary files (in `TMPDIR`), so memory holds a few strips, whatever the photo's size.
"""

import tempfile
import weakref
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dped_build.align.errors import DpedBuildError, UsageError
from dped_build.train.layers import Chain, Deconvolution, InstanceNorm, Layer
from dped_build.train.pixels import to_pixels, to_unit

MIN_TILE = 16  # pixels
Size = tuple[int, int]  # height, width


class RowFile:
    """Features (C, H, W) in a temporary file, read and written in strips of rows."""

    def __init__(self, channels: int, size: Size, device: torch.device) -> None:
        """Make an empty file, gone with this object."""
        self.channels, self.size, self.device = channels, size, device
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def write(self, top: int, rows: Tensor) -> None:
        """Store (1, C, h, W) at the rows from `top` on."""
        data = rows[0].transpose(0, 1).contiguous().cpu().numpy().data.cast("B")
        self._file.seek(top * self.channels * self.size[1] * 4)
        while data:
            data = data[self._file.write(data) :]

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, C, bottom - top, W).

        Rows outside of the photo are 0, as the convolutions' padding is.
        """
        first, end = max(top, 0), min(bottom, self.size[0])
        rows = np.empty((end - first, self.channels, self.size[1]), dtype=np.float32)
        free = rows.data.cast("B")
        self._file.seek(first * self.channels * self.size[1] * 4)
        while free:
            free = free[self._file.readinto(free) :]
        inside = torch.from_numpy(rows).to(self.device).transpose(0, 1)[None]
        return F.pad(inside, (0, 0, first - top, bottom - end))


@torch.inference_mode()
def forward_in_strips(
    model: Chain, photo: NDArray[np.uint8], *, tile: int, device: torch.device
) -> NDArray[np.uint8]:
    """Enhance an RGB uint8 (H, W, 3) photo with little memory.

    Args:
        model: The generator, on `device`.
        photo: The photo.
        tile: A strip holds about `tile` squared pixels.
        device: Where to compute.

    Raises:
        UsageError: `tile` is too small.
        DpedBuildError: The disk for temporary files is full.
    """
    if tile < MIN_TILE:
        raise UsageError(f"--tile {tile}: give {MIN_TILE} or more pixels")
    try:
        return _forward(model, photo, pixels=tile**2, device=device)
    except OSError as error:
        raise DpedBuildError(
            f"temporary files for --tile in {tempfile.gettempdir()}: {error.strerror}; "
            "set TMPDIR to a folder with more space"
        ) from error


def _forward(
    model: Chain, photo: NDArray[np.uint8], *, pixels: int, device: torch.device
) -> NDArray[np.uint8]:
    """`Chain.forward` with every layer's features in a file."""
    features = RowFile(3, photo.shape[:2], device)
    for top, bottom in _strips(features.size, pixels):
        rows = torch.from_numpy(np.ascontiguousarray(photo[None, top:bottom]))
        features.write(top, to_unit(rows))
    skips: list[RowFile] = []
    sizes: list[Size] = []
    for layer in cast("list[Layer]", model.layers):
        if layer.shrinks:
            sizes.append(features.size)
        size = sizes.pop() if layer.grows else _shrunk(features.size, layer)
        added = skips.pop() if layer.adds else None
        features = _run_layer(layer, features, added, size=size, pixels=pixels)
        if layer.saves:
            skips.append(features)
    enhanced = np.empty_like(photo)
    for top, bottom in _strips(features.size, pixels):
        enhanced[top:bottom] = to_pixels(features.read(top, bottom))[0]
    return enhanced


def _run_layer(
    layer: Layer, features: RowFile, added: RowFile | None, *, size: Size, pixels: int
) -> RowFile:
    """Convolution with moments over all strips, then norm, activation and sum."""
    channels = layer.convolution.out_channels
    convolved = RowFile(channels, size, features.device)
    total = squares = torch.zeros((), dtype=torch.float64)
    for top, bottom in _strips(size, pixels):
        rows = _convolve(layer, features, top, bottom, width=size[1])
        convolved.write(top, rows)
        variance, mean = torch.var_mean(rows, dim=(2, 3), correction=0, keepdim=True)
        share = (bottom - top) / size[0]
        total = total + share * mean.double()
        squares = squares + share * (variance.double() + mean.double().square())
    mean, variance = total.float(), (squares - total.square()).clamp(min=0).float()

    for top, bottom in _strips(size, pixels):
        rows = convolved.read(top, bottom)
        if isinstance(layer.norm, InstanceNorm):
            rows = layer.norm.normalize(rows, mean, variance)
        rows = layer.activation(rows)
        if added is not None:
            rows = rows + added.read(top, bottom)
        convolved.write(top, rows)
    return convolved


def _convolve(
    layer: Layer, features: RowFile, top: int, bottom: int, *, width: int
) -> Tensor:
    """Rows `top` to `bottom` of a layer's convolution, (1, C, bottom - top, W)."""
    convolution = layer.convolution
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    before = cast("Size", convolution.padding)[0]
    weight, bias = convolution.weight, convolution.bias
    if isinstance(convolution, Deconvolution):
        # Row i of the features adds to the rows from `stride * i - before` on.
        first = max(-((kernel - 1 - before - top) // stride), 0)
        end = min((bottom - 1 + before) // stride + 1, features.size[0])
        rows = features.read(first, end)
        spread = F.conv_transpose2d(
            rows, weight, bias, stride, (0, before), (0, kernel % stride)
        )
        begin = top - (stride * first - before)
        return spread[:, :, begin : begin + bottom - top, :width]
    first = top * stride - before
    rows = features.read(first, (bottom - 1) * stride - before + kernel)
    rows = F.pad(rows, (before, before + convolution.extra))
    return F.conv2d(rows, weight, bias, stride)


def _shrunk(size: Size, layer: Layer) -> Size:
    stride = layer.convolution.stride[0]
    return -(-size[0] // stride), -(-size[1] // stride)


def _strips(size: Size, pixels: int) -> Iterator[tuple[int, int]]:
    """Rows from and to of strips of about so many pixels."""
    rows = max(pixels // size[1], 1)
    for top in range(0, size[0], rows):
        yield top, min(top + rows, size[0])
