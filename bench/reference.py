"""What the original TensorFlow code gave when it ran, read back from where it is kept.

`data` is the folder that holds `oracle/` (its outputs, with what it was given) and
`dped/` (real patches, released checkpoints). Images become (B, 3, H, W) in [0, 1].
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dped_build.exchange.tensorflow_checkpoint import (
    discriminator_state,
    generator_state,
    read_generator,
)
from dped_build.train import TrainSettings
from dped_build.train.batches import Batch
from dped_build.train.discriminator import Discriminator
from dped_build.train.networks import build_generator
from dped_build.train.step import TrainingState, new_state, train_step
from dped_build.train.vgg import load_vgg

LOSS_BATCHES = ("random", "patches", "out_of_range")
CAMERAS = ("iphone", "canon")
START = 0.01  # sigma of the weights before training, and every bias

Variables = Mapping[str, NDArray[np.float32]]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8, (H, W, 3)."""
    return np.asarray(cv2.imread(str(path))[:, :, ::-1])


def to_images(pixels: NDArray[Any]) -> Tensor:
    """(B, H, W, 3), uint8 or float in [0, 1], as the networks read it."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    return images / 255 if pixels.dtype == np.uint8 else images


def real_patches(data: Path, camera: str, indices: Iterable[int]) -> Tensor:
    """Real DPED patches by number, (B, 3, 100, 100)."""
    folder = data / "dped" / "patches" / camera
    return to_images(np.stack([read_rgb(folder / f"{i}.jpg") for i in indices]))


def released_generator(data: Path, name: str) -> nn.Module:
    """The generator of a released checkpoint."""
    architecture, state = read_generator(data / "dped" / "models_orig" / name)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    return generator


def loss_batch(data: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """One of LOSS_BATCHES: `enhanced`, `target`, `blur`; and the original's values."""
    folder = data / "oracle" / "losses"
    arrays = np.load(folder / f"{name}.npz")
    images = {key: to_images(arrays[key]) for key in arrays}
    return images, json.loads((folder / "losses.json").read_text())[name]


def thin_vgg(data: Path) -> nn.Module:
    """The VGG-19 of an eighth of the width that the reference values were made with."""
    return load_vgg(data / "oracle" / "losses" / "vgg19_thin8_random.mat")


def step_log(data: Path) -> dict[str, Any]:
    """The log of six iterations of the original training."""
    path = data / "oracle" / "train_step" / "trainstep_thin.json"
    log: dict[str, Any] = json.loads(path.read_text())
    return log


def step_weights(data: Path, which: str) -> dict[str, Tensor]:
    """The generator's `gen_init` or `gen_final` weights, or its `grads_gen_step0`."""
    folder = data / "oracle" / "train_step"
    return generator_state(dict(np.load(folder / f"trainstep_thin_{which}.npz")))[1]


def first_discriminator(data: Path, generator_variables: Variables) -> nn.Module:
    """The discriminator that the reference step started from, drawn again."""
    shapes = np.load(data / "oracle" / "discriminator" / "disc_weights.npz")
    random = np.random.RandomState(3)  # as the reference drew

    def kernel(shape: tuple[int, ...]) -> NDArray[np.float64]:
        values = random.randn(*shape)
        while (beyond := np.abs(values) > 2).any():
            values[beyond] = random.randn(beyond.sum())
        return np.asarray(values * START)

    for value in generator_variables.values():
        if value.ndim > 1:
            kernel(value.shape)  # the generator's were drawn first
    variables = {}
    for number, (name, value) in enumerate(shapes.items()):
        in_norm_layer = (number - 2) % 4 if 2 <= number < 18 else 0
        start = {2: 0.0, 3: 1.0}.get(in_norm_layer, START)  # shift, scale, bias
        drawn = value.ndim > 1
        variables[name] = kernel(value.shape) if drawn else np.full(value.shape, start)
    discriminator = Discriminator()
    discriminator.load_state_dict(discriminator_state(variables))
    return discriminator


def first_state(data: Path) -> TrainingState:
    """Both networks as they were before the first of the six iterations."""
    folder = data / "oracle" / "train_step"
    variables = dict(np.load(folder / "trainstep_thin_gen_init.npz"))
    state = new_state(TrainSettings(), torch.device("cpu"))
    state.generator.load_state_dict(generator_state(variables)[1])
    first = first_discriminator(data, variables)
    if state.discriminator is not None:
        state.discriminator.load_state_dict(first.state_dict())
    return state


def replay(data: Path, state: TrainingState) -> Iterator[dict[str, Any]]:
    """Repeat the six iterations on the original's batches and swaps.

    Yields the original's log of each after `state` has gone through it; `state.sums`
    then holds our values.
    """
    log, vgg = step_log(data), thin_vgg(data)
    for step in log["steps"]:
        batches: Any = _Scripted(_batches(data, step))
        state.random, state.sums = _Scripted(iter([np.array(step["swaps"])])), {}
        train_step(state, batches, batch_size=4, weights=log["weights"], vgg=vgg)
        yield step


class _Scripted:
    """Stands for the batches and for the random numbers: gives what it was told."""

    def __init__(self, answers: Iterator[Any]) -> None:
        self.answers = answers

    def draw(self, random: object, *, size: int) -> Any:  # noqa: ANN401
        """In place of a random batch."""
        return next(self.answers)

    def integers(self, high: int, *, size: int) -> Any:  # noqa: ANN401
        """In place of random swaps."""
        return next(self.answers)


def _batches(data: Path, step: Mapping[str, Any]) -> Iterator[Batch]:
    """The generator's batch of an iteration, then the discriminator's."""
    for indices in (step["idx_gen"], step["idx_disc"]):
        phone, dslr = (real_patches(data, camera, indices) for camera in CAMERAS)
        yield Batch(phone, dslr)
