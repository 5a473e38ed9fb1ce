"""The photo enhancers and their discriminator, as the original code builds them.

A generator is a flat list of layers that `Chain.forward` runs in order, so that others
can go layer by layer. Images are (B, 3, H, W) RGB in [0, 1] of any size; outputs have
the same size and are not clipped.

DPED: Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional
Networks", ICCV 2017. Fast: de Stoutz et al., "Fast Perceptual Image Enhancement", ECCV
Workshops 2018. SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional
Networks", TPAMI 2016. Where paper and published code differ, the code is followed: it
made the published results.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dped_build.align.errors import DpedBuildError

NORM_EPS = 1e-3  # added to the variance
LEAK = 0.2
LUMA = (0.2989, 0.5870, 0.1140)
INITIAL_STD = 0.01
INITIAL_BIAS = 0.01
PATCH = 100  # px, the side of the patches that the discriminator reads
# channels, kernel, stride
DISCRIMINATOR_LAYERS = (48, 11, 4), (128, 5, 2), (192, 3, 1), (192, 3, 1), (128, 3, 2)

# What 0 stands for in an `Architecture`; what a model has no use for stays 0.
OWN_SIZES = {
    "dped": {"channels": 64, "blocks": 4, "kernel": 3, "strided_kernel": 0},
    "fast": {"channels": 16, "blocks": 2, "kernel": 3, "strided_kernel": 4},
    "srcnn": {"channels": 0, "blocks": 0, "kernel": 0, "strided_kernel": 0},
}


@dataclass(frozen=True)
class Architecture:
    """The little that builds a generator; sizes of 0 become the model's own.

    Raises:
        DpedBuildError: The model is unknown, or has no use for a size that is given.
    """

    model: str = "dped"  # dped, fast or srcnn
    channels: int = 0  # of the first layer; fast doubles them at half and quarter size
    blocks: int = 0  # residual blocks
    kernel: int = 0  # side of all kernels but the first, the last and the strided ones
    strided_kernel: int = 0  # side of the fast generator's strided kernels
    prelu: bool = False  # learned slopes in place of ReLU

    def __post_init__(self) -> None:
        """Fill in the model's own sizes."""
        if self.model not in OWN_SIZES:
            known = ", ".join(OWN_SIZES)
            raise DpedBuildError(f"unknown model {self.model!r}; choose from {known}")
        for name, own in OWN_SIZES[self.model].items():
            size = getattr(self, name)
            option = name.replace("_", "-")
            if size < 0:
                raise DpedBuildError(f"--{option} must be 1 or more, not {size}")
            if size and not own:
                raise DpedBuildError(
                    f"model {self.model} has no --{option}; leave the option out"
                )
            object.__setattr__(self, name, size or own)
        if self.prelu and self.model == "srcnn":
            raise DpedBuildError("model srcnn has no --prelu; leave the option out")

    def to_dict(self) -> dict[str, str | int | bool]:
        """As JSON and checkpoints store it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> "Architecture":
        """Read back what `to_dict` made; absent keys take their defaults.

        Raises:
            DpedBuildError: A key is unknown or a value has the wrong type.
        """
        expected = {field.name: field.type for field in fields(cls)}
        for name, value in stored.items():
            if expected.get(name) is not type(value):
                raise DpedBuildError(
                    f"not an architecture of this version: {name} = {value!r}; "
                    "use a newer dped-build or a model file that it wrote"
                )
        return cls(**stored)  # type: ignore[arg-type]


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
        if features.is_contiguous():  # twice as fast as F.instance_norm on a CPU
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
        return torch.tanh(features) * 0.58 + 0.5


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


def _residual_blocks(channels: int, blocks: int, kernel: int) -> list[Layer]:
    """Blocks that add, after their last ReLU, what the layer before them saved."""
    layers = []
    for block in range(blocks):
        first, second = (Convolution(channels, channels, kernel) for _ in range(2))
        saves = block < blocks - 1  # for the next block
        layers += [
            Layer(first, norm=True),
            Layer(second, norm=True, adds=True, saves=saves),
        ]
    return layers


class Generator(Chain):
    """The DPED generator; 401,475 parameters by default."""

    def __init__(
        self, channels: int = 64, blocks: int = 4, kernel: int = 3, prelu: bool = False
    ) -> None:
        layers = [
            Layer(Convolution(3, channels, 9), saves=True),
            *_residual_blocks(channels, blocks, kernel),
            Layer(Convolution(channels, channels, kernel)),
            Layer(Convolution(channels, channels, kernel)),
            Layer(Convolution(channels, 3, 9), Squash()),
        ]
        super().__init__(layers, prelu=prelu)


class FastGenerator(Chain):
    """Residual blocks at quarter size; 243,011 parameters by default.

    One skip spans them all, first layer to second deconvolution: the paper's text tells
    of a second one, the code has none.
    """

    def __init__(
        self,
        channels: int = 16,
        blocks: int = 2,
        kernel: int = 3,
        strided_kernel: int = 4,
        prelu: bool = False,
    ) -> None:
        full, half, quarter = channels, 2 * channels, 4 * channels
        shrink = Convolution(half, quarter, strided_kernel, stride=2)
        layers = [
            Layer(Convolution(3, full, 9), saves=True),
            Layer(Convolution(full, half, strided_kernel, stride=2), norm=True),
            Layer(shrink, norm=True, saves=True),
            *_residual_blocks(quarter, blocks, kernel),
            Layer(Deconvolution(quarter, half, strided_kernel), norm=True),
            Layer(Deconvolution(half, full, strided_kernel), norm=True, adds=True),
            Layer(Convolution(full, full, kernel)),
            Layer(Convolution(full, full, kernel)),
            Layer(Convolution(full, 3, 9), Squash()),
        ]
        super().__init__(layers, prelu=prelu)


class SRCNN(Chain):
    """The 9-1-5 baseline with 64 and 32 channels, on RGB and without squashing."""

    def __init__(self) -> None:
        first, second = Layer(Convolution(3, 64, 9)), Layer(Convolution(64, 32, 1))
        super().__init__([first, second, Layer(Convolution(32, 3, 5), nn.Identity())])


def build_generator(architecture: Architecture) -> Chain:
    """Build the generator described, with torch's default weights."""
    sizes = architecture.channels, architecture.blocks, architecture.kernel
    prelu = architecture.prelu
    if architecture.model == "dped":
        return Generator(*sizes, prelu=prelu)
    if architecture.model == "fast":
        return FastGenerator(*sizes, architecture.strided_kernel, prelu=prelu)
    return SRCNN()


class Discriminator(nn.Module):
    """Tell DSLR patches from enhanced ones by their luma; 7,361,122 parameters."""

    luma: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("luma", torch.tensor(LUMA).view(3, 1, 1), persistent=False)
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        inputs, size = 1, PATCH
        for outputs, kernel, stride in DISCRIMINATOR_LAYERS:
            smaller = -(-size // stride)
            zeros = (smaller - 1) * stride + kernel - size  # TensorFlow's SAME
            padding = zeros // 2, zeros - zeros // 2
            self.convolutions.append(
                Convolution(inputs, outputs, kernel, stride=stride, padding=padding)
            )
            self.norms.append(InstanceNorm(outputs) if inputs > 1 else nn.Identity())
            inputs, size = outputs, smaller
        self.hidden = nn.Linear(inputs * size**2, 1024)
        self.logits = nn.Linear(1024, 2)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits (B, 2) of (B, 3, 100, 100) RGB in [0, 1]; column 0 is "DSLR"."""
        if patches.shape[1:] != (3, PATCH, PATCH):
            raise ValueError(f"patches {tuple(patches.shape)} are not (B, 3, 100, 100)")
        features = (patches * self.luma).sum(dim=1, keepdim=True)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = norm(F.leaky_relu(convolution(features), LEAK))
        flat = features.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels
        return cast("Tensor", self.logits(F.leaky_relu(self.hidden(flat), LEAK)))


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
