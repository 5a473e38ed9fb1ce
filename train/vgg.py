"""The VGG features that the content loss compares, from a file of weights.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015: VGG-19, as in DPED, or VGG-16. Two kinds of files are in use,
each with its own preparation of the image: torchvision's, and MatConvNet's, which the
original code reads.
"""

import os
import pickle
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Container, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor, nn

from dped_build.train.torch_archive import is_sound_archive
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import can_redraw

URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
HASH_PREFIX = "dcbb9e9d"  # of the file's SHA-256
MATLAB_FILE = "imagenet-vgg-verydeep-19.mat"
VGG16_FILES = "vgg16-397923af.pth or imagenet-vgg-verydeep-16.mat"
WANTED = f"give {Path(URL).name} or {MATLAB_FILE}, or of VGG-16 {VGG16_FILES}"
LARGEST_MAT = 2**31  # bytes when unpacked; MatConvNet's file is a quarter of it
PIECE = 2**20  # bytes
PACKED = 15  # the type of a compressed element of a .mat file
CONVOLUTIONS = {"VGG-19": (2, 2, 4, 4, 4), "VGG-16": (2, 2, 3, 3, 3)}  # by stage
MOST_LAYERS = 36  # up to VGG-19's relu5_4; then come other convolutions

# Mean and deviation of the three channels, RGB in [0, 1].
TORCHVISION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MATCONVNET = (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)

Weights = list[tuple[Tensor, Tensor]]  # (outputs, inputs, 3, 3) and (outputs,)


class VGG(nn.Module):
    """VGG up to its last ReLU, with the preparation that its weights expect.

    Args:
        weights: Kernel and bias of each convolution.
        network: One of CONVOLUTIONS.
        scaling: Mean and deviation that the channels are freed of, RGB in [0, 1].
        ceil_mode: Whether pooling keeps an odd last row and column (TensorFlow's SAME).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        weights: Weights,
        *,
        network: str,
        scaling: tuple[tuple[float, ...], tuple[float, ...]],
        ceil_mode: bool,
    ) -> None:
        super().__init__()
        self.network = network
        mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in scaling)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.features = nn.Sequential()
        remaining = iter(weights)
        for stage, count in enumerate(CONVOLUTIONS[network]):
            if stage:
                self.features.append(nn.MaxPool2d(2, ceil_mode=ceil_mode))
            for _ in range(count):
                self.features.append(_convolution(*next(remaining)))
                self.features.append(nn.ReLU(inplace=True))

    def forward(self, images: Tensor) -> Tensor:
        """relu5_4 (VGG-16: relu5_3), (B, C, H / 16, W / 16), of (B, 3, H, W) RGB."""
        return cast("Tensor", self.features((images - self.mean) / self.deviation))


def load_vgg(path: Path) -> VGG:
    """Read weights into a frozen network, (B, 3, H, W) in [0, 1] to its last ReLU.

    Args:
        path: torchvision's state dict, whole or features only, or MatConvNet's .mat, of
            VGG-19 or VGG-16. A network of other widths will do.

    Raises:
        DpedBuildError: The file is missing, damaged or something else.
    """
    if not path.is_file():
        raise DpedBuildError(f"--vgg {path}: no such file")
    try:
        if path.suffix == ".mat":
            network, weights = _matconvnet_weights(path)
            vgg = VGG(weights, network=network, scaling=MATCONVNET, ceil_mode=True)
        else:
            network, weights = _torchvision_weights(path)
            vgg = VGG(weights, network=network, scaling=TORCHVISION, ceil_mode=False)
    except pickle.UnpicklingError as error:
        # Without torch's own text, which tells how to run such a file all the same.
        raise DpedBuildError(
            f"--vgg {path}: not VGG-19 or VGG-16 weights: damaged, or more than "
            f"weights; {WANTED}"
        ) from error
    except (
        *(OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError),
        *(TypeError, AttributeError, NotImplementedError, MemoryError, OverflowError),
        *(MatReadError, zlib.error, struct.error),
        AssertionError,  # torch's, of damaged files in its older format
    ) as error:
        raise DpedBuildError(
            f"--vgg {path}: not VGG-19 or VGG-16 weights, or damaged "
            f"({_first_line(error)}); {WANTED}"
        ) from error
    return vgg.eval().requires_grad_(False)


def find_vgg(path: Path | None = None) -> Path:
    """The given file, else torch's own of VGG-19, fetched where it is absent.

    Raises:
        DpedBuildError: No such file, or it cannot be fetched.
    """
    if path is not None:
        if not path.is_file():
            raise DpedBuildError(
                f"--vgg {path}: no such file; fetch {URL} or, of VGG-16, "
                f"{VGG16_FILES}; or leave the option out"
            )
        return path
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name
    if cached.is_file():
        return cached
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            URL, str(cached), hash_prefix=HASH_PREFIX, progress=can_redraw(sys.stderr)
        )
    except (OSError, HTTPException, RuntimeError) as error:
        raise DpedBuildError(
            f"no VGG-19 weights for the content loss ({_first_line(error)}): "
            f"fetch {URL} or {MATLAB_FILE}, or of VGG-16 {VGG16_FILES}, and name it "
            "with --vgg FILE, "
            "or train with --loss mse+texture, which needs none"
        ) from error
    return cached


def _convolution(kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    outputs, inputs, height, width = kernel.shape
    if (height, width) != (3, 3) or bias.shape != (outputs,):
        raise ValueError(f"a kernel of {tuple(kernel.shape)}")
    if kernel.untyped_storage().nbytes() < kernel.numel() * kernel.element_size():
        raise ValueError("a kernel that repeats its values")
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    convolution.load_state_dict({"weight": kernel, "bias": bias})
    return convolution


def _recognised(there: Container[int]) -> tuple[str, list[int]]:
    """The network whose convolutions are `there`, and where they stand.

    Raises:
        ValueError: It is none of CONVOLUTIONS.
    """
    for network in CONVOLUTIONS:
        positions = _positions(network)
        if all(position in there for position in positions):
            return network, positions
    raise ValueError("convolutions are missing, or stand elsewhere")


def _positions(network: str) -> list[int]:
    """Where the convolutions stand among all layers; both files count alike."""
    positions, position = [], 0
    for count in CONVOLUTIONS[network]:
        positions += [position + 2 * index for index in range(count)]
        position += 2 * count + 1  # every convolution has a ReLU, every stage a pooling
    return positions


def _torchvision_weights(path: Path) -> tuple[str, Weights]:
    if zipfile.is_zipfile(path) and not is_sound_archive(path):
        raise ValueError("an archive that does not hold what it states")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickles that are refused just after
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise TypeError("no state dict")
    prefix = "features." if "features.0.weight" in state else ""
    pairs = {
        position: (state[f"{prefix}{position}.weight"], state[bias])
        for position in range(MOST_LAYERS)
        if (bias := f"{prefix}{position}.bias") in state
    }
    network, positions = _recognised(pairs)
    return network, [pairs[position] for position in positions]


def _matconvnet_weights(path: Path) -> tuple[str, Weights]:
    _require_unpackable(path)
    layers = loadmat(path, variable_names=["layers"])["layers"].ravel()
    pairs = {
        position: layer["weights"].item().ravel()
        for position, layer in enumerate(layers[:MOST_LAYERS])
        if "weights" in (layer.dtype.names or ()) and layer["weights"].item().size
    }
    network, positions = _recognised(pairs)
    weights = []
    for position in positions:
        kernel, bias = pairs[position]
        # (width, height, inputs, outputs) as the original code understands it
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 1, 0), dtype=np.float32)
        bias = np.ascontiguousarray(bias.ravel(), dtype=np.float32)
        weights.append((torch.from_numpy(kernel), torch.from_numpy(bias)))
    return network, weights


def _require_unpackable(path: Path) -> None:
    """Refuse a file whose compressed elements unpack to more than any of use.

    Raises:
        ValueError: They do.
        zlib.error or struct.error: They are damaged.
    """
    left = LARGEST_MAT
    with path.open("rb") as file:
        order = ">" if file.read(128)[126:] == b"MI" else "<"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            if kind != PACKED:
                file.seek(size, os.SEEK_CUR)
                continue
            unpacking, end = zlib.decompressobj(), file.tell() + size
            while left >= 0 and (
                data := unpacking.unconsumed_tail or _piece(file, end)
            ):
                left -= len(unpacking.decompress(data, PIECE))
            if left < 0:
                raise ValueError("it unpacks to more than any weights")


def _piece(file: BinaryIO, end: int) -> bytes:
    return file.read(min(PIECE, end - file.tell()))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
