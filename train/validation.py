"""The learning curve on the validation photos, as the original code logs it.

PSNR and MS-SSIM per batch and unclipped (the training protocol), the generator's losses
by term, and how often the discriminator is right on a random mix.
"""

from collections import defaultdict

import numpy as np
import torch

from dped_build.train.batches import Batches
from dped_build.train.metrics import ms_ssim, psnr
from dped_build.train.step import (
    TrainingState,
    accuracy,
    draw_swaps,
    generator_losses,
    weighted_sum,
)


@torch.no_grad()
def validate(
    state: TrainingState,
    batches: Batches,
    *,
    batch_size: int,
    weights: dict[str, float],
    vgg: torch.nn.Module | None,
    seed: int,
) -> dict[str, float]:
    """Losses, PSNR and MS-SSIM, mean over all patches of their batch's value.

    The swaps come from a generator of their own: looking must not change the run.
    """
    random = np.random.default_rng([seed, state.iteration])
    totals: dict[str, float] = defaultdict(float)
    for phone, dslr in batches.in_order(size=batch_size):
        enhanced = state.enhancer(phone)
        values = generator_losses(
            enhanced,
            dslr,
            names=weights,
            vgg=vgg,
            discriminator=state.discriminator,
        )
        values["loss"] = weighted_sum(values, weights)
        values["psnr"] = psnr(enhanced, dslr, per_batch=True)
        values["ms_ssim"] = ms_ssim(enhanced, dslr, per_batch=True)
        if state.discriminator is not None:
            is_real = draw_swaps(random, enhanced)
            mix = torch.where(is_real.view(-1, 1, 1, 1), dslr, enhanced)
            logits = state.discriminator(mix)
            values["discriminator_accuracy"] = accuracy(logits, is_real)
        for name, value in values.items():
            totals[name] += float(value) * len(phone)
    return {name: total / len(batches) for name, total in totals.items()}
