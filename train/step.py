"""One iteration of the original training: a generator step, a discriminator step.

The order, the second batch for the discriminator and its random swaps follow
`train_model.py` of the original code (Ignatov et al., ICCV 2017).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dped_build.train import ranks
from dped_build.train.batches import Batches
from dped_build.train.devices import to_device
from dped_build.train.discriminator import Discriminator
from dped_build.train.layers import initialize
from dped_build.train.losses import (
    color_loss,
    completed,
    content_loss,
    discriminator_loss,
    mse_loss,
    texture_loss,
    total_variation_loss,
)
from dped_build.train.networks import build_generator
from dped_build.train.settings import TrainSettings

EPSILON = 1e-8
BETAS = (0.9, 0.999)
OF_PIXELS = {"color", "content", "mse"}  # terms that are means over valid pixels

# Runs a function, known by a name, of tensors; `replay` is another way than to call it.
Run = Callable[..., Any]


def directly(name: str, function: Callable[..., Any], *tensors: Tensor | None) -> Any:  # noqa: ANN401
    """What the function gives."""
    return function(*tensors)


@dataclass
class TrainingState:
    """Everything that changes while training."""

    generator: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator: nn.Module | None  # None where the loss has no texture
    discriminator_optimizer: torch.optim.Adam | None
    average: nn.Module | None  # of the generator's weights, where asked for
    random: np.random.Generator  # draws batches and swaps
    iteration: int = 0  # completed ones
    pretrained: int = 0  # steps of the discriminator before the first iteration
    sums: dict[str, Tensor] = field(default_factory=dict)  # since the last log, float64
    summed: int = 0  # iterations in `sums`
    best_psnr: float = -math.inf  # on the validation photos, dB
    run: Run = directly  # the parts of a step that only a GPU is busy with

    @property
    def enhancer(self) -> nn.Module:
        """What is judged and kept: the averaged generator, or the generator."""
        return self.average or self.generator


def new_state(
    settings: TrainSettings, device: torch.device, *, fused: bool = True
) -> TrainingState:
    """Networks with the seed's weights (the same on every device), nothing trained.

    `fused` optimisers go through all weights in one piece of code.
    """
    generator, average = (build_generator(settings.architecture()) for _ in "12")
    initialize(generator, seed=settings.seed)
    average.load_state_dict(generator.state_dict())
    discriminator = None
    if "texture" in settings.loss_weights():
        discriminator = Discriminator()
        initialize(discriminator, seed=settings.seed + 1)
        discriminator.to(device)
    rate = settings.learning_rate
    return TrainingState(
        generator=generator.to(device),
        generator_optimizer=_adam(generator, rate, fused=fused),
        discriminator=discriminator,
        discriminator_optimizer=(
            _adam(discriminator, rate, fused=fused) if discriminator else None
        ),
        average=average.to(device).requires_grad_(False) if settings.ema else None,
        random=np.random.default_rng(settings.seed),
    )


def train_step(
    state: TrainingState,
    batches: Batches,
    *,
    batch_size: int,
    weights: dict[str, float],
    vgg: nn.Module | None,
    clip: float = 0.0,
    decay: float = 0.0,
) -> None:
    """Advance both networks by one iteration and add its losses to `state.sums`.

    Args:
        state: Changed in place.
        batches: The training patches.
        batch_size: Pairs for each of the two steps, over all ranks.
        weights: Weight of every term of the generator's loss.
        vgg: The network of the content loss, where there is one.
        clip: Largest norm of a network's gradient; 0: any.
        decay: Of the averaged weights.
    """
    state.iteration += 1
    state.summed += 1

    batch = batches.draw(state.random, size=batch_size)
    gradients = partial(_generator_gradients, state, weights, vgg)
    _add(state, state.run("generator", gradients, *batch))
    descend(state.generator_optimizer, iteration=state.iteration, clip=clip)
    if state.average is not None:
        follow(state.average, state.generator, decay=decay, iteration=state.iteration)

    if state.discriminator is not None:
        phone, dslr, valid, *_ = batches.draw(state.random, size=batch_size)
        enhanced = state.run("fakes", partial(_fakes, state), phone)
        discriminator_step(state, enhanced, dslr, valid=valid, clip=clip)


@torch.no_grad()
def _fakes(state: TrainingState, phone: Tensor) -> Tensor:
    enhanced: Tensor = state.generator(phone)
    return enhanced


def _generator_gradients(
    state: TrainingState,
    weights: dict[str, float],
    vgg: nn.Module | None,
    phone: Tensor,
    dslr: Tensor,
    valid: Tensor | None,
    features: Tensor | None,
    weight: Tensor | None,
) -> dict[str, Tensor]:
    """The generator's losses of a batch, their gradient left with its parameters."""
    terms = generator_losses(
        state.generator(phone),
        dslr,
        names=weights,
        vgg=vgg,
        discriminator=state.discriminator,
        target_features=features,
        valid=valid,
    )
    if "texture" in terms:  # a sum over the batch, where all others are means
        terms["texture"] = terms["texture"] * ranks.count()
    if weight is not None:  # ranks are averaged as if all had as many valid pixels
        terms |= {name: terms[name] * weight for name in OF_PIXELS & set(terms)}
    loss = weighted_sum(terms, weights)
    find_gradients(state.generator_optimizer, loss)
    return {"loss": loss.detach(), **{n: term.detach() for n, term in terms.items()}}


def discriminator_step(
    state: TrainingState,
    fake: Tensor,
    real: Tensor,
    *,
    valid: Tensor | None = None,
    clip: float = 0.0,
) -> None:
    """Teach the discriminator on a random mix of two batches of (B, 3, S, S).

    Before the first iteration, the paper shows it the phone's patches as the fakes.
    """
    judge, optimizer = state.discriminator, state.discriminator_optimizer
    if judge is None or optimizer is None:
        return

    def gradients(
        is_real: Tensor, fake: Tensor, real: Tensor, valid: Tensor | None
    ) -> dict[str, Tensor]:
        logits = judge(mixture(is_real, fake, completed(real, fake, valid)))
        loss = discriminator_loss(logits, is_real) * ranks.count()  # a sum, too
        find_gradients(optimizer, loss)
        return {"discriminator_accuracy": accuracy(logits.detach(), is_real)}

    is_real = draw_swaps(state.random, fake, shares=ranks.count())
    _add(state, state.run("discriminator", gradients, is_real, fake, real, valid))
    descend(optimizer, iteration=state.pretrained + state.iteration, clip=clip)


def generator_losses(
    enhanced: Tensor,
    target: Tensor,
    *,
    names: dict[str, float],
    vgg: nn.Module | None,
    discriminator: nn.Module | None,
    target_features: Tensor | None = None,
    valid: Tensor | None = None,
) -> dict[str, Tensor]:
    """The named terms of the generator's loss, unweighted scalars.

    Where there are masks, all but `tv` count `valid` pixels only.

    Raises:
        ValueError: A term's network is missing.
    """
    terms = {}
    for name in names:
        if name == "color":
            terms[name] = color_loss(enhanced, target, valid=valid)
        elif name == "content" and vgg is not None:
            terms[name] = content_loss(
                enhanced, target, vgg, target_features=target_features, valid=valid
            )
        elif name == "texture" and discriminator is not None:
            judged = completed(enhanced, enhanced, valid)
            terms[name] = texture_loss(discriminator(judged))
        elif name == "tv":
            terms[name] = total_variation_loss(enhanced)
        elif name == "mse":
            terms[name] = mse_loss(enhanced, target, valid=valid)
        else:
            raise ValueError(f"loss term {name!r} is unknown or lacks its network")
    return terms


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """The generator's loss."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


def find_gradients(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    """Give the optimizer's own parameters their gradients.

    The other network's parameters, through which the loss may pass, get none.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=_parameters(optimizer))  # type: ignore[no-untyped-call]


def descend(optimizer: torch.optim.Adam, *, iteration: int, clip: float = 0.0) -> None:
    """One step of Adam in TensorFlow's form, along the gradients found.

    They are shortened to the norm `clip`, unless that is 0.

    TensorFlow adds epsilon before the second moment's bias is corrected, torch after
    (Kingma & Ba, end of section 2), so torch is given what amounts to the same. It
    changes with every iteration, so no step can be recorded once for all.
    """
    for group in optimizer.param_groups:
        group["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** iteration)
    parameters = _parameters(optimizer)
    ranks.average_gradients(parameters)
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()


@torch.no_grad()
def follow(
    average: nn.Module, generator: nn.Module, *, decay: float, iteration: int
) -> None:
    """Move averaged weights towards the generator's, in large steps at first."""
    decay = min(decay, (1 + iteration) / (10 + iteration))
    for mean, weight in zip(average.parameters(), generator.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)


def draw_swaps(
    random: np.random.Generator, batch: Tensor, *, shares: int = 1
) -> Tensor:
    """Which patches the discriminator sees as the DSLR's, (B,) bool: about half.

    `shares` is how many ranks have such a batch.
    """
    drawn = random.integers(2, size=len(batch) * shares) == 1
    return to_device(ranks.own_share(drawn) if shares > 1 else drawn, batch.device)


def mixture(is_real: Tensor, fake: Tensor, real: Tensor) -> Tensor:
    """What the discriminator sees: of each pair (3, S, S) the one or the other."""
    return torch.where(is_real.view(-1, 1, 1, 1), real, fake)


def accuracy(logits: Tensor, is_real: Tensor) -> Tensor:
    """Share of the (B, 2) logits, column 0 for real, that are right."""
    return ((logits.argmax(dim=1) == 0) == is_real).double().mean()


def is_finite(state: TrainingState) -> bool:
    """Whether no weight and no loss since the last log is NaN or infinite."""
    networks = [state.generator, state.discriminator]
    weights = [p for network in networks if network for p in network.parameters()]
    values: list[Tensor] = [*weights, *state.sums.values()]
    return all(bool(torch.isfinite(value).all()) for value in values)


def means(state: TrainingState) -> dict[str, float]:
    """Mean of every summed loss since the last log."""
    count = max(state.summed, 1)
    return {name: float(value) / count for name, value in state.sums.items()}


def _adam(module: nn.Module, rate: float, *, fused: bool) -> torch.optim.Adam:
    return torch.optim.Adam(
        module.parameters(), lr=rate, betas=BETAS, eps=EPSILON, fused=fused
    )


def _parameters(optimizer: torch.optim.Adam) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _add(state: TrainingState, values: dict[str, Tensor]) -> None:
    for name, value in values.items():  # on the device: reading them would wait for it
        so_far = state.sums.get(name, 0.0)
        state.sums[name] = so_far + value.detach().double()
