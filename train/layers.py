"""Layers of the networks, with TensorFlow's padding and norms.

A generator is a flat list of layers that `Chain.forward` runs in order, so that others
can go layer by layer. Features are (B, C, H, W).
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-3  # added to the variance
INITIAL_STD = 0.01
INITIAL_BIAS = 0.01


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of (B, C, H, W) per image and channel, (B, C, 1, 1)."""
    precise = features.to(torch.promote_types(features.dtype, torch.float32))
    mean = precise.mean(dim=(2, 3), keepdim=True)
    return mean, (precise - mean).square_().mean(dim=(2, 3), keepdim=True)


class InstanceNorm(nn.Module):
    """Zero mean and unit variance per image and channel, then scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, C, H, W) by its own moments."""
        single = features.shape[2] * features.shape[3] == 1  # which torch refuses
        if features.is_contiguous() and not single:
            # On a CPU twice as fast as F.instance_norm.
            channels = features.shape[1]
            normal = F.group_norm(features, channels, self.weight, self.bias, NORM_EPS)
            return normal.to(features.dtype)
        # Laid out channels last, torch's own norms copy it or lose half the digits.
        return self.normalize(features, *moments(features))

    def normalize(self, features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise (B, C, H, W) by the given moments, (B, C, 1, 1)."""
        scale = self.weight.view(-1, 1, 1) * torch.rsqrt(variance + NORM_EPS)
        shift = self.bias.view(-1, 1, 1) - mean * scale
        return torch.addcmul(shift, features.to(scale.dtype), scale).to(features.dtype)


class Convolution(nn.Conv2d):
    """Convolution with as many zeros as asked for at the two ends of each axis.

    Without a wish it pads as TensorFlow's SAME does for odd sizes. For even sizes that
    comes to the same, except that an odd kernel of stride 2 samples one pixel earlier.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: tuple[int, int] | None = None,
    ) -> None:
        before, after = padding or ((kernel - 1) // 2, kernel // 2)
        super().__init__(inputs, outputs, kernel, stride, padding=before)
        self.extra = after - before

    def forward(self, features: Tensor) -> Tensor:
        """(B, `inputs`, H, W) to (B, `outputs`, ceil(H / stride), ceil(W / stride))."""
        if self.extra:
            features = F.pad(features, (0, self.extra, 0, self.extra))
        return super().forward(features)


class Deconvolution(nn.ConvTranspose2d):
    """The transpose of a `Convolution` of stride 2, for an even larger size."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        padding = (kernel - 1) // 2
        super().__init__(inputs, outputs, kernel, 2, padding, kernel % 2)


class Squash(nn.Module):
    """Bring any value into the range of images and 0.08 beyond, as the code does."""

    def forward(self, features: Tensor) -> Tensor:
        """Map to (-0.08, 1.08)."""
        precise = features.to(torch.promote_types(features.dtype, torch.float32))
        return torch.tanh(precise) * 0.58 + 0.5


class Layer(nn.Module):
    """Convolution, instance norm and activation (ReLU unless given), in this order.

    A layer may save its output, and another may add what was saved last to its own.
    """

    def __init__(
        self,
        convolution: Convolution | Deconvolution,
        activation: nn.Module | None = None,
        *,
        norm: bool = False,
        adds: bool = False,
        saves: bool = False,
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = InstanceNorm(convolution.out_channels) if norm else nn.Identity()
        self.activation = activation or nn.ReLU(inplace=True)
        self.adds, self.saves = adds, saves
        self.grows = isinstance(convolution, Deconvolution)
        self.shrinks = not self.grows and convolution.stride[0] > 1

    def forward(self, features: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Run on (B, C, H, W); what grows is cut to `size`, (H, W)."""
        convolved = self.convolution(features)
        if size is not None:
            convolved = convolved[:, :, : size[0], : size[1]]
        return cast("Tensor", self.activation(self.norm(convolved)))


class Chain(nn.Module):
    """Layers run in order; with `prelu`, learned slopes take the place of ReLU."""

    def __init__(self, layers: Sequence[Layer], *, prelu: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            if prelu and isinstance(layer.activation, nn.ReLU):
                layer.activation = nn.PReLU(layer.convolution.out_channels)

    def forward(self, photos: Tensor) -> Tensor:
        """Enhance (B, 3, H, W) RGB in [0, 1]; the result is not clipped."""
        features = photos
        skips: list[Tensor] = []
        sizes: list[tuple[int, int]] = []
        for layer in cast("Iterable[Layer]", self.layers):
            if layer.shrinks:
                sizes.append((features.shape[2], features.shape[3]))
            features = layer(features, sizes.pop() if layer.grows else None)
            if layer.adds:
                features = features + skips.pop()
            if layer.saves:
                skips.append(features)
        return features


def initialize(module: nn.Module, *, seed: int) -> None:
    """Give all weights the original code's start: normal, none beyond two sigma."""
    random, bound = torch.Generator().manual_seed(seed), 2 * INITIAL_STD
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = torch.empty(part.weight.shape)  # on the CPU: the same everywhere
            nn.init.trunc_normal_(weight, 0, INITIAL_STD, -bound, bound, random)
            part.weight.data.copy_(weight)
            nn.init.constant_(cast("Tensor", part.bias), INITIAL_BIAS)
        elif isinstance(part, InstanceNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
