"""The original training step as one writes it in torch today, to be held beside ours.

Eager float32, torch's own layers, norms and optimiser with their defaults; patches wait
in main memory as uint8 and become floats batch by batch; VGG-19 reads every output and
every target. It computes what `train_model.py` of the original code does (Ignatov et
al., ICCV 2017), and never waits to read a loss. Images are (B, 3, 100, 100) in [0, 1].
Below it: its arithmetic, and patches and VGG weights made up for benchmarks.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dped_build.train.vgg import CONVOLUTIONS, MATCONVNET, VGG

Pixels = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SIDE = 100  # px
PHOTO = 50  # patches that stand for a photo's
TARGET = "VGG of the target"  # the part that kept features save
VGG_WIDTHS = (1, 2, 4, 8, 8)  # times the first
TAPS, REACH = 21, 3 + 1 / 6  # of the blur, and to either side in its own units


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, eps=1e-3, affine=True)


class _Skip(nn.Sequential):
    """Layers whose input is added to their output."""

    def forward(self, features: Tensor) -> Tensor:
        return features + super().forward(features)


class _Squashed(nn.Sequential):
    """Layers whose output is brought into the range of images."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(super().forward(features)) * 0.58 + 0.5


def _block(channels: int) -> _Skip:
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [_conv(channels, channels, 3), _norm(channels), nn.ReLU()]
    return _Skip(*layers)


def _tail(channels: int) -> list[nn.Module]:
    first, second = (_conv(channels, channels, 3) for _ in range(2))
    return [first, nn.ReLU(), second, nn.ReLU(), _conv(channels, 3, 9)]


def dped() -> nn.Module:
    """The DPED generator."""
    blocks = [_block(64) for _ in range(4)]
    return _Squashed(_conv(3, 64, 9), nn.ReLU(), *blocks, *_tail(64))


def fast() -> nn.Module:
    """The fast generator."""
    inner: list[nn.Module] = []
    for inputs, outputs in ((16, 32), (32, 64)):
        inner += [_conv(inputs, outputs, 4, 2), _norm(outputs), nn.ReLU()]
    inner += [_block(64), _block(64)]
    for inputs, outputs in ((64, 32), (32, 16)):
        grow = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        inner += [grow, _norm(outputs), nn.ReLU()]
    return _Squashed(_conv(3, 16, 9), nn.ReLU(), _Skip(*inner), *_tail(16))


GENERATORS = {"dped": dped, "fast": fast}


def discriminator() -> nn.Module:
    """Probability of "DSLR" and of "enhanced", (B, 2), from the luma."""
    layers = [nn.ZeroPad2d((3, 4, 3, 4)), nn.Conv2d(1, 48, 11, 4), nn.LeakyReLU(0.2)]
    for inputs, outputs, kernel, stride in (
        *((48, 128, 5, 2), (128, 192, 3, 1)),
        *((192, 192, 3, 1), (192, 128, 3, 2)),
    ):
        convolution = _conv(inputs, outputs, kernel, stride)
        layers += [convolution, nn.LeakyReLU(0.2), _norm(outputs)]
    hidden = nn.Linear(128 * 7 * 7, 1024)
    last = [nn.Flatten(), hidden, nn.LeakyReLU(0.2), nn.Linear(1024, 2), nn.Softmax(1)]
    return nn.Sequential(*layers, *last)


class PlainTraining:
    """Both networks, their optimisers and the patches in main memory.

    Args:
        model: dped or fast.
        pixels: The phone's and the DSLR's patches, uint8 (N, 100, 100, 3) each.
        weights: Weight of every term of the generator's loss.
        vgg: (B, 3, 100, 100) to features.
        device: Where it trains.
        batch_size: Pairs for each of the two steps.
        seed: Draws batches and swaps.
        tf32: Let a GPU round what convolutions multiply, as torch does unasked.
    """

    def __init__(
        self,
        model: str,
        pixels: Pixels,
        *,
        weights: dict[str, float],
        vgg: nn.Module | None,
        device: torch.device,
        batch_size: int = 50,
        seed: int = 0,
        tf32: bool = True,
    ) -> None:
        self.generator = GENERATORS[model]().to(device)
        self.discriminator = discriminator().to(device)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=5e-4)
            for network in (self.generator, self.discriminator)
        ]
        for part in (*self.generator.modules(), *self.discriminator.modules()):
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.01, a=-0.02, b=0.02)
                nn.init.constant_(part.bias, 0.01)
        edges = torch.linspace(-REACH, REACH, TAPS + 1, dtype=torch.float64)
        taps = torch.special.ndtr(edges).diff().sqrt()
        square = torch.outer(taps / taps.sum(), taps / taps.sum()).float()
        self.blur_weight = square.expand(3, 1, TAPS, TAPS).contiguous().to(device)
        self.luma = torch.tensor([0.2989, 0.5870, 0.1140], device=device).view(3, 1, 1)
        self.pixels, self.weights, self.vgg = pixels, weights, vgg
        self.device, self.batch_size = device, batch_size
        self.random, self.tf32 = np.random.default_rng(seed), tf32

    def step(self) -> dict[str, Tensor]:
        """One iteration: a generator step, a discriminator step; its losses."""
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = self.tf32
        phone, dslr = self._batch()
        terms = self._terms(self.generator(phone), dslr)
        loss = torch.stack([self.weights[name] * terms[name] for name in terms]).sum()
        self._descend(0, loss)
        losses = {"loss": loss, **terms}
        if "texture" in self.weights:
            phone, dslr = self._batch()
            with torch.no_grad():
                enhanced = self.generator(phone)
            swaps = self.random.integers(2, size=self.batch_size)
            real = torch.from_numpy(swaps).float().to(self.device)
            mixed = real.view(-1, 1, 1, 1) * dslr
            mixed = mixed + (1 - real).view(-1, 1, 1, 1) * enhanced
            losses["discriminator"] = self._cross_entropy(mixed, real)
            self._descend(1, losses["discriminator"])
        torch.backends.cudnn.allow_tf32 = before
        return {name: value.detach() for name, value in losses.items()}

    def _batch(self) -> tuple[Tensor, Tensor]:
        rows = self.random.integers(len(self.pixels[0]), size=self.batch_size)
        floats = [
            torch.from_numpy(side[rows]).permute(0, 3, 1, 2).float().div(255)
            for side in self.pixels
        ]
        phone, dslr = (side.contiguous().to(self.device) for side in floats)
        return phone, dslr

    def _terms(self, enhanced: Tensor, target: Tensor) -> dict[str, Tensor]:
        terms = {}
        if "color" in self.weights:
            difference = self._blur(enhanced) - self._blur(target)
            terms["color"] = difference.square().sum() / (2 * self.batch_size)
        if "content" in self.weights and self.vgg is not None:
            terms["content"] = F.mse_loss(self.vgg(enhanced), self.vgg(target))
        if "texture" in self.weights:
            all_fake = torch.zeros(self.batch_size, device=self.device)
            terms["texture"] = -self._cross_entropy(enhanced, all_fake)
        if "mse" in self.weights:
            terms["mse"] = F.mse_loss(enhanced, target)
        if "tv" in self.weights:
            down = enhanced[:, :, 1:] - enhanced[:, :, :-1]
            right = enhanced[:, :, :, 1:] - enhanced[:, :, :, :-1]
            terms["tv"] = down.square().mean() + right.square().mean()
        return terms

    def _blur(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.blur_weight, padding=TAPS // 2, groups=3)

    def _cross_entropy(self, images: Tensor, real: Tensor) -> Tensor:
        luma = (images * self.luma).sum(dim=1, keepdim=True)
        logs = self.discriminator(luma).clamp(1e-10, 1).log()
        return -(torch.stack([real, 1 - real], dim=1) * logs).sum()

    def _descend(self, which: int, loss: Tensor) -> None:
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()


def arithmetic(
    model: str, *, weights: dict[str, float], vgg: nn.Module | None, batch_size: int
) -> dict[str, int]:
    """FLOP of the parts of one iteration, two per multiplication and addition.

    Counted from the shapes of convolutions and matrix products, there and back.
    """
    with torch.device("meta"):  # shapes without values
        generator, judge = GENERATORS[model](), discriminator()
        patches = torch.empty(batch_size, 3, SIDE, SIDE)
        learned = torch.empty_like(patches, requires_grad=True)
    parts = {"generator": _flop(generator, patches, [*generator.parameters()])}
    if vgg is not None:
        vgg = deepcopy(vgg).to("meta")
        parts["VGG of the output"] = _flop(vgg, learned, [learned])
        parts[TARGET] = _flop(vgg, patches, [])
    if "texture" in weights:
        parts["generator for the discriminator"] = _flop(generator, patches, [])
        through, own = learned[:, :1], [*judge.parameters()]
        parts["discriminator"] = _flop(judge, through, [through])
        parts["discriminator"] += _flop(judge, patches[:, :1], own)
    return parts


def traffic(
    model: str, *, weights: dict[str, float], vgg: nn.Module | None, batch_size: int
) -> int:
    """Bytes that one iteration moves at the least, its kept features aside.

    Counted are the outputs of convolutions and matrix products in bf16, each written
    and read once; where a gradient passes, read again, and its gradient likewise.
    """
    with torch.device("meta"):
        generator, judge = GENERATORS[model](), discriminator()
        patches = torch.empty(batch_size, 3, SIDE, SIDE)
    forth, there_and_back = 2, 5
    values = there_and_back * _outputs(generator, patches)
    if vgg is not None:
        values += there_and_back * _outputs(deepcopy(vgg).to("meta"), patches)
    if "texture" in weights:
        values += forth * _outputs(generator, patches)
        values += 2 * there_and_back * _outputs(judge, patches[:, :1])
    return 2 * values


def _outputs(network: nn.Module, images: Tensor) -> int:
    """Values that its convolutions and matrix products give."""
    sizes: list[int] = []
    kinds = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
    for part in network.modules():
        if isinstance(part, kinds):
            part.register_forward_hook(lambda m, i, out: sizes.append(out.numel()))
    network(images)
    return sum(sizes)


def _flop(network: nn.Module, images: Tensor, inputs: list[Tensor]) -> int:
    """FLOP of a pass through a network, and of the way back to `inputs`."""
    with FlopCounterMode(display=False) as counter:
        found = network(images * 1)  # the counter fails on a leaf that needs a gradient
        if inputs:
            torch.autograd.grad(found.sum(), inputs)
    return counter.get_total_flops()


def random_vgg(width: int) -> nn.Module:
    """VGG-19 with weights that keep the signal's size; 64 is the published width."""
    random, inputs, weights = torch.Generator().manual_seed(0), 3, []
    network = "VGG-19"
    for times, count in zip(VGG_WIDTHS, CONVOLUTIONS[network], strict=True):
        for _ in range(count):
            kernel = torch.empty(width * times, inputs, 3, 3)
            nn.init.kaiming_normal_(kernel, nonlinearity="relu", generator=random)
            weights.append((kernel, torch.zeros(len(kernel))))
            inputs = len(kernel)
    vgg = VGG(weights, network=network, scaling=MATCONVNET, ceil_mode=True)
    return vgg.eval().requires_grad_(False)


def write_shard(folder: Path, *, count: int) -> Pixels:
    """One shard of smooth noise, the DSLR's patches a toned copy; its pixels."""
    random = np.random.default_rng(0)
    noise = random.integers(256, size=(count, SIDE, SIDE, 3), dtype=np.uint8)
    smooth = ImageFilter.GaussianBlur(3)
    phone = np.stack([Image.fromarray(patch).filter(smooth) for patch in noise])
    dslr = 20 + phone // 5 * 4
    store_patches(folder, (phone, dslr), split="train")
    return phone, dslr


def store_patches(folder: Path, pixels: Pixels, *, split: str) -> None:
    """Both sides of a split as one shard."""
    photo = np.arange(len(pixels[0])) // PHOTO
    names = [f"{number:04}" for number in range(photo[-1] + 1)]
    columns: dict[str, Any] = {
        "phone": pixels[0],
        "dslr": pixels[1],
        "photos": np.array(names, dtype=h5py.string_dtype()),
        "photo": photo.astype(np.int32),
        "window_xy": np.zeros((len(photo), 2), np.int32),
    }
    with h5py.File(folder / f"{split}-00000.h5", "w") as shard:
        shard.attrs.update(
            {"format": "dped-build/patches", "version": 1, "split": split}
        )
        for name, values in columns.items():
            shard[name] = values
