"""The generator networks, as in the original code.

Images are (B, 3, H, W) RGB in [0, 1] of any size; outputs have the same size and are
not clipped.

DPED: Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional
Networks", ICCV 2017. Fast: de Stoutz et al., "Fast Perceptual Image Enhancement", ECCV
Workshops 2018. SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional
Networks", TPAMI 2016. Johnson: Johnson et al., "Perceptual Losses for Real-Time Style
Transfer and Super-Resolution", ECCV 2016. Where paper and published code differ, the
code is followed: it made the published results.
"""

from torch import nn

from dped_build.train.architecture import Architecture
from dped_build.train.layers import Chain, Convolution, Deconvolution, Layer, Squash


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
    """The DPED generator; 401,475 parameters by default.

    Takes and returns (B, 3, H, W) of any size; the output lies in [-0.08, 1.08].
    """

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

    Takes and returns (B, 3, H, W) of any size, odd ones too; the output lies in
    [-0.08, 1.08].

    One skip spans them all, first layer to second deconvolution: the paper
    mentions a second one, the code has none.
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


class Johnson(Chain):
    """The residual baseline of DPED's Table 2, at the size of its input throughout.

    It differs from `Generator` in what Johnson et al. describe for super-resolution:
    every layer but the last has a norm, and a block adds before no ReLU and after none.
    Where their network magnifies, two layers keep the size. 401,859 parameters.
    """

    def __init__(
        self, channels: int = 64, blocks: int = 4, kernel: int = 3, prelu: bool = False
    ) -> None:
        layers = [Layer(Convolution(3, channels, 9), norm=True, saves=True)]
        for block in range(blocks):
            first, second = (Convolution(channels, channels, kernel) for _ in "12")
            saves = block < blocks - 1
            layers += [
                Layer(first, norm=True),
                Layer(second, nn.Identity(), norm=True, adds=True, saves=saves),
            ]
        layers += [
            Layer(Convolution(channels, channels, kernel), norm=True) for _ in "12"
        ]
        layers.append(Layer(Convolution(channels, 3, 9), Squash()))
        super().__init__(layers, prelu=prelu)


class SRCNN(Chain):
    """The 9-1-5 baseline with 64 and 32 channels, on RGB and without squashing.

    Takes and returns (B, 3, H, W) of any size.
    """

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
    if architecture.model == "johnson":
        return Johnson(*sizes, prelu=prelu)
    return SRCNN()
