"""Inference on one whole photo, layer by layer, in strips of rows.

Threads take strips: each reads the rows that the layer's kernel reaches, convolves them
and puts the result into a store, all of which stays in its core's cache. An instance
norm needs the mean and variance over the whole photo, so it is applied, with what
follows it, whenever the store is read.

Rows are (1, C, h, W), channels last in memory: there convolutions are fastest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from dped_build.train.enhancing.row_store import Room, Size, Store
from dped_build.train.layers import (
    Chain,
    Convolution,
    Deconvolution,
    InstanceNorm,
    Layer,
    moments,
)

AT_ONCE = 16  # output channels that a CPU computes together, needed or not
Strip = tuple[int, int]  # its first row, and the one after its last


class Source(Protocol):
    """Where rows come from: a photo, or a layer's features."""

    @property
    def size(self) -> Size:
        """Height and width."""

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, C, bottom - top, W)."""


class Map(Protocol):
    """`Executor.map`, or `map`, of a function without results."""

    def __call__(
        self, function: Callable[[int], None], places: Iterable[int], /
    ) -> Iterable[None]:
        """Done with all, in any order, when the last is had."""


@dataclass(frozen=True)
class Features:
    """A layer's output; the store holds what the norm, if there is one, waits for."""

    store: Store
    layer: Layer
    mean: Tensor | None = None  # (1, C, 1, 1) as the variance; None: nothing waits
    variance: Tensor | None = None
    added: Source | None = None

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.store.size

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, C, bottom - top, W)."""
        rows = self.store.read(top, bottom)
        if self.mean is None or self.variance is None:
            return rows
        norm = cast("InstanceNorm", self.layer.norm)
        rows = norm.normalize(rows.to(self.mean.device), self.mean, self.variance)
        return _finish(self.layer, rows, top, self.added)


def forward(
    model: Chain, photo: Source, *, room: Room, pixels: int, spread: Map
) -> Source:
    """Enhance a photo as `Chain.forward` does, in strips and without gradients.

    Args:
        model: The generator.
        photo: (1, 3, H, W) RGB in [0, 1].
        room: Where features wait.
        pixels: In a strip, about.
        spread: Runs the strips of a layer.

    Returns:
        The enhanced photo, not clipped.
    """
    features = photo
    skips: list[Source] = []
    sizes: list[Size] = []
    for layer in cast("Iterable[Layer]", model.layers):
        if layer.shrinks:
            sizes.append(features.size)
        size = sizes.pop() if layer.grows else _shrunk(features.size, layer)
        store = room.store(layer.convolution.out_channels, size)
        added = skips.pop() if layer.adds else None
        features = _run(layer, features, store, added, pixels=pixels, spread=spread)
        if layer.saves:
            skips.append(features)
    return features


def cut(size: Size, pixels: int) -> Iterator[Strip]:
    """Strips of about so many pixels, from top to bottom."""
    rows = max(pixels // size[1], 1)
    for top in range(0, size[0], rows):
        yield top, min(top + rows, size[0])


def _shrunk(size: Size, layer: Layer) -> Size:
    stride = layer.convolution.stride[0]
    return -(-size[0] // stride), -(-size[1] // stride)


def _run(
    layer: Layer,
    source: Source,
    store: Store,
    added: Source | None,
    *,
    pixels: int,
    spread: Map,
) -> Features:
    """One layer, every strip."""
    convolve = _convolution(layer, source, store.size)
    strips = list(cut(store.size, pixels))
    norm = isinstance(layer.norm, InstanceNorm)
    # Made before: small results left between large ones would keep freed memory apart.
    channels = layer.convolution.out_channels
    found = torch.empty(len(strips), 2, 1, channels, 1, 1) if norm else None

    def begin(place: int) -> None:
        top, bottom = strips[place]
        rows = convolve(top, bottom)
        if found is None:
            store.write(top, _finish(layer, rows, top, added))
            return
        store.write(top, rows)
        for kind, moment in enumerate(moments(rows)):
            found[place, kind] = moment

    list(spread(begin, range(len(strips))))
    if found is None:
        return Features(store, layer)
    mean, variance = _combine(found.to(layer.convolution.weight.device), strips)
    features = Features(store, layer, mean, variance, added)
    if added is None:
        return features

    def settle(place: int) -> None:
        top, bottom = strips[place]
        store.write(top, features.read(top, bottom))

    list(
        spread(settle, range(len(strips)))
    )  # else the store of what is added could not be freed
    return Features(store, layer)


def _combine(found: Tensor, strips: Sequence[Strip]) -> tuple[Tensor, Tensor]:
    """Mean and variance of all strips, (1, C, 1, 1), from theirs, (N, 2, 1, C, 1, 1).

    In float64, so that no digits are lost where the mean is large.
    """
    rows = torch.tensor([bottom - top for top, bottom in strips], dtype=torch.float64)
    shares = (rows / rows.sum()).to(found.device).view(-1, 1, 1, 1, 1)
    means, variances = found.double().unbind(dim=1)
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean).square())).sum(0)
    return mean.float(), variance.float()


def _finish(layer: Layer, rows: Tensor, top: int, added: Source | None) -> Tensor:
    """Activation, then the sum with what was saved."""
    finished = cast("Tensor", layer.activation(rows))
    if added is None:
        return finished
    return finished + added.read(top, top + rows.shape[2]).to(rows.device)


def _convolution(
    layer: Layer, source: Source, size: Size
) -> Callable[[int, int], Tensor]:
    """What makes the rows of `size` from `top` to `bottom`, without norm."""
    convolution = layer.convolution
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    before = cast("Size", convolution.padding)[0]
    weight, bias = convolution.weight, convolution.bias
    if isinstance(convolution, Deconvolution):

        def spread(top: int, bottom: int) -> Tensor:
            # Row i of the source adds to the rows from `stride * i - before` on.
            end = min((bottom - 1 + before) // stride + 1, source.size[0])
            first = max(-((kernel - 1 - before - top) // stride), 0)
            first = min(first, (top + before) // stride)  # a kernel may reach no row
            rows = source.read(first, end).to(weight.device)
            wide = F.conv_transpose2d(
                rows, weight, bias, stride, (0, before), kernel % stride
            )
            above = top - (stride * first - before)
            return wide[:, :, above : above + bottom - top, : size[1]]

        return spread
    across = _across(convolution)

    def gather(top: int, bottom: int) -> Tensor:
        first = top * stride - before
        end = (bottom - 1) * stride - before + kernel
        inside = max(first, 0), min(end, source.size[0])
        rows = source.read(*inside).to(weight.device)
        outside = inside[0] - first, end - inside[1]
        return across(F.pad(rows, (0, 0, *outside)) if any(outside) else rows)

    return gather


def _across(convolution: Convolution) -> Callable[[Tensor], Tensor]:
    """A convolution that pads at the left and right only.

    Where few outputs would leave most of a CPU's vectors empty, it is done in two: a
    kernel one column wide gives each column's part of the sum as an output of its own,
    and one of a single row, of ones and zeros, shifts the parts and sums them.
    """
    weight, bias = convolution.weight, convolution.bias
    stride, extra = convolution.stride[0], convolution.extra
    beside = 0, cast("Size", convolution.padding)[1]
    if weight.device.type != "cpu" or stride > 1 or not _worth_splitting(weight):
        return lambda rows: F.conv2d(
            F.pad(rows, (0, extra)) if extra else rows, weight, bias, stride, beside
        )
    outputs, inputs, height, width = weight.shape
    parts = weight.permute(3, 0, 1, 2).reshape(-1, inputs, height, 1)
    sums = torch.einsum("po,xq->pxoq", torch.eye(outputs), torch.eye(width))
    sums = sums.reshape(outputs, -1, 1, width)
    return lambda rows: F.conv2d(
        F.pad(F.conv2d(rows, parts), (0, extra)), sums, bias, 1, beside
    )


def _worth_splitting(weight: Tensor) -> bool:
    outputs, inputs, height, width = weight.shape
    whole = height * width * inputs * _computed(outputs)
    parts = height * inputs * _computed(width * outputs)
    sums = width * width * outputs * _computed(outputs)
    return parts + sums < whole


def _computed(outputs: int) -> int:
    return -(-outputs // AT_ONCE) * AT_ONCE
