"""One iteration of the original training: a generator step, a discriminator step.

The order, the second batch for the discriminator and its random swaps follow
`train_model.py` of the original code (Ignatov et al., ICCV 2017).
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from dped_build.train.batches import Batches
from dped_build.train.discriminator import Discriminator
from dped_build.train.layers import initialize
from dped_build.train.losses import (
    color_loss,
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


@dataclass
class TrainingState:
    """Everything that changes while training."""

    generator: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator: nn.Module | None  # None where the loss has no texture
    discriminator_optimizer: torch.optim.Adam | None
    random: np.random.Generator  # draws batches and swaps
    iteration: int = 0  # completed ones
    sums: dict[str, Tensor] = field(default_factory=dict)  # since the last log, float64
    summed: int = 0  # iterations in `sums`
    best_psnr: float = -math.inf  # on the validation photos, dB


def new_state(settings: TrainSettings, device: torch.device) -> TrainingState:
    """Networks with the seed's weights (the same on every device), nothing trained."""
    generator = build_generator(settings.architecture())
    initialize(generator, seed=settings.seed)
    generator.to(device)
    discriminator = None
    if "texture" in settings.loss_weights():
        discriminator = Discriminator()
        initialize(discriminator, seed=settings.seed + 1)
        discriminator.to(device)
    rate = settings.learning_rate
    return TrainingState(
        generator=generator,
        generator_optimizer=_adam(generator, rate),
        discriminator=discriminator,
        discriminator_optimizer=_adam(discriminator, rate) if discriminator else None,
        random=np.random.default_rng(settings.seed),
    )


def train_step(
    state: TrainingState,
    batches: Batches,
    *,
    batch_size: int,
    weights: dict[str, float],
    vgg: nn.Module | None,
) -> None:
    """Advance both networks by one iteration and add its losses to `state.sums`.

    Args:
        state: Changed in place.
        batches: The training patches.
        batch_size: Pairs for each of the two steps.
        weights: Weight of every term of the generator's loss.
        vgg: The network of the content loss, where there is one.
    """
    state.iteration += 1
    state.summed += 1

    phone, dslr = batches.draw(state.random, size=batch_size)
    terms = generator_losses(
        state.generator(phone),
        dslr,
        names=weights,
        vgg=vgg,
        discriminator=state.discriminator,
    )
    loss = weighted_sum(terms, weights)
    descend(state.generator_optimizer, loss, iteration=state.iteration)
    _add(state, {"loss": loss, **terms})

    if state.discriminator is None or state.discriminator_optimizer is None:
        return
    phone, dslr = batches.draw(state.random, size=batch_size)
    with torch.no_grad():
        enhanced = state.generator(phone)
    is_real = draw_swaps(state.random, enhanced)
    logits = state.discriminator(torch.where(is_real.view(-1, 1, 1, 1), dslr, enhanced))
    descend(
        state.discriminator_optimizer,
        discriminator_loss(logits, is_real),
        iteration=state.iteration,
    )
    _add(state, {"discriminator_accuracy": accuracy(logits, is_real)})


def generator_losses(
    enhanced: Tensor,
    target: Tensor,
    *,
    names: dict[str, float],
    vgg: nn.Module | None,
    discriminator: nn.Module | None,
) -> dict[str, Tensor]:
    """The named terms of the generator's loss, unweighted scalars.

    Raises:
        ValueError: A term's network is missing.
    """
    terms = {}
    for name in names:
        if name == "color":
            terms[name] = color_loss(enhanced, target)
        elif name == "content" and vgg is not None:
            terms[name] = content_loss(enhanced, target, vgg)
        elif name == "texture" and discriminator is not None:
            terms[name] = texture_loss(discriminator(enhanced))
        elif name == "tv":
            terms[name] = total_variation_loss(enhanced)
        elif name == "mse":
            terms[name] = mse_loss(enhanced, target)
        else:
            raise ValueError(f"loss term {name!r} is unknown or lacks its network")
    return terms


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """The generator's loss."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


def descend(optimizer: torch.optim.Adam, loss: Tensor, *, iteration: int) -> None:
    """One step of Adam in TensorFlow's form, on the optimizer's own parameters.

    TensorFlow adds epsilon before the second moment's bias is corrected, torch after
    (Kingma & Ba, end of section 2), so torch is given what amounts to the same. The
    other network's parameters, through which the loss may pass, get no gradient.
    """
    for group in optimizer.param_groups:
        group["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** iteration)
    optimizer.zero_grad(set_to_none=True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
    optimizer.step()


def draw_swaps(random: np.random.Generator, batch: Tensor) -> Tensor:
    """Which patches the discriminator sees as the DSLR's, (B,) bool: about half."""
    swaps = random.integers(2, size=len(batch)) == 1
    return torch.from_numpy(swaps).to(batch.device)


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


def _adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=rate, betas=BETAS, eps=EPSILON)


def _add(state: TrainingState, values: dict[str, Tensor]) -> None:
    for name, value in values.items():  # on the device: reading them would wait for it
        so_far = state.sums.get(name, 0.0)
        state.sums[name] = so_far + value.detach().double()
