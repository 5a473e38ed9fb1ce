"""Settings of a training run, with their defaults."""

import dataclasses
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dped_build.train.architecture import Architecture
from dped_build.train.presets import PRESETS
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.field_kinds import require_kinds

LOSS_TERMS = ("color", "content", "texture", "mse")
MAX_SEED = 2**63 - 1
SWITCH = ("auto", "on", "off")
CHOICES = {
    "precision": ("auto", "fp32", "bf16"),
    "compile": SWITCH,
    "cache_features": SWITCH,
}
OF_PRESET: Any = (
    None  # stands in the signature; `__post_init__` puts the preset's value
)


@dataclass(frozen=True)
class TrainSettings:
    """How a generator is trained; complete after construction, preset included."""

    preset: str = "released"
    model: str = OF_PRESET  # dped, fast, johnson or srcnn
    channels: int = 0  # of the first layer; 0 here and below: as published
    blocks: int = 0  # residual blocks
    kernel: int = 0
    strided_kernel: int = 0  # of the fast generator
    prelu: bool = False
    loss: str = OF_PRESET  # sum of LOSS_TERMS, "color+content+texture"
    content_weight: float = OF_PRESET
    color_weight: float = OF_PRESET
    texture_weight: float = OF_PRESET
    tv_weight: float = OF_PRESET
    mse_weight: float = OF_PRESET
    masks: bool = False  # train on partly valid patches, too, by their masks
    iterations: int = OF_PRESET  # a generator and a discriminator step each
    batch_size: int = OF_PRESET  # patches
    learning_rate: float = OF_PRESET  # of both networks
    pretrain_discriminator: int = OF_PRESET  # steps on phone against DSLR, before all
    clip_gradient: float = 0.0  # largest norm of a network's gradient; 0: any
    ema: float = 0.0  # decay of the averaged generator that is kept; 0: none
    device: str = "auto"  # auto, cpu or cuda
    precision: str = "auto"  # of the networks: auto, fp32 or bf16; losses are fp32
    compile: str = "auto"  # auto, on or off; auto: on a GPU
    cache_features: str = "auto"  # auto, on or off: VGG features of the targets
    deterministic: bool = False  # algorithms that give the same on a GPU, too
    seed: int = 0  # weights, batches and the discriminator's swaps
    checkpoint_every: int = 1000  # iterations
    log_every: int = OF_PRESET  # iterations between two evaluations on `val`
    vgg: str | Path | None = None  # weights of VGG-19 or VGG-16; None: torch's cache

    def __post_init__(self) -> None:
        """Fill in the preset and reject invalid values."""
        if self.preset not in PRESETS:
            raise UsageError(f"--preset {self.preset}: choose {_or(PRESETS)}")
        preset = PRESETS[self.preset]
        for field in dataclasses.fields(preset):
            if getattr(self, field.name) is None:
                object.__setattr__(self, field.name, getattr(preset, field.name))
        require_kinds(self)
        object.__setattr__(self, "loss", _ordered(self.loss))
        for name in ("iterations", "batch_size", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be 1 or more")
        for field in dataclasses.fields(self):
            if field.type is float and not 0 <= getattr(self, field.name) < math.inf:
                raise UsageError(
                    f"--{field.name.replace('_', '-')} must be 0 or more, and finite"
                )
        if self.pretrain_discriminator < 0:
            raise UsageError("--pretrain-discriminator must be 0 or more")
        if self.learning_rate == 0:
            raise UsageError("--learning-rate must be above 0")
        if self.ema >= 1:
            raise UsageError("--ema must be below 1; 0.999 is common")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} {getattr(self, name)}: choose {_or(choices)}"
                )
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"--seed must be from 0 to {MAX_SEED}")
        require_device_name(self.device)
        try:
            self.architecture()
        except DpedBuildError as error:
            raise UsageError(str(error)) from error

    def architecture(self) -> Architecture:
        """The generator's architecture."""
        return Architecture(
            model=self.model,
            channels=self.channels,
            blocks=self.blocks,
            kernel=self.kernel,
            strided_kernel=self.strided_kernel,
            prelu=self.prelu,
        )

    def loss_weights(self) -> dict[str, float]:
        """Weight of every loss term in use, total variation included where it belongs.

        The papers add total variation wherever the colour or texture loss would
        otherwise reward noise: beside `color` and beside `texture`.
        """
        terms = self.loss.split("+")
        if "color" in terms or "texture" in terms:
            terms.append("tv")
        return {term: float(getattr(self, f"{term}_weight")) for term in terms}


def require_device_name(name: str) -> None:
    """Refuse what cannot be a device, without loading torch to ask it.

    Raises:
        UsageError: Neither auto nor cpu nor cuda, with or without a number.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"--device {name}: choose auto, cpu or cuda")


def _ordered(loss: str) -> str:
    """The sum in the order of LOSS_TERMS, so that equal sums are equal settings."""
    terms = [term.strip() for term in loss.split("+")]
    meant = re.findall(r"\w+", loss)  # parted by commas, say, or as shells do
    if len(meant) > len(terms) and set(meant) <= set(LOSS_TERMS):
        raise UsageError(f"--loss {loss}: join terms by +: {'+'.join(meant)}")
    for term in terms:
        near = get_close_matches(term, LOSS_TERMS, n=1)
        if near and term not in LOSS_TERMS:
            raise UsageError(f"--loss {loss}: {term}: did you mean {near[0]}?")
    if len(set(terms)) != len(terms) or not set(terms) <= set(LOSS_TERMS):
        raise UsageError(
            f"--loss {loss}: give each of {_or(LOSS_TERMS)} at most once, joined by +"
        )
    return "+".join(term for term in LOSS_TERMS if term in terms)


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
