"""The learning curve on the validation photos, as the original code logs it.

PSNR and MS-SSIM per batch and unclipped (the training protocol), the generator's losses
by term, and how often the discriminator is right on a random mix.
"""

from collections import defaultdict

import numpy as np
import torch

from dped_build.train.batches import Batches
from dped_build.train.losses import completed
from dped_build.train.metrics import ms_ssim, psnr
from dped_build.train.step import (
    TrainingState,
    accuracy,
    draw_swaps,
    generator_losses,
    mixture,
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

    All of them are of what is trained on: where there are masks, of the valid pixels.

    The swaps come from a generator of their own: looking must not change the run.
    """
    random = np.random.default_rng([seed, state.iteration])
    totals: dict[str, float] = defaultdict(float)
    for phone, dslr, valid, *_ in batches.in_order(size=batch_size):
        enhanced = state.enhancer(phone)
        values = generator_losses(
            enhanced,
            dslr,
            names=weights,
            vgg=vgg,
            discriminator=state.discriminator,
            valid=valid,
        )
        values["loss"] = weighted_sum(values, weights)
        values["psnr"] = psnr(enhanced, dslr, per_batch=True, valid=valid)
        values["ms_ssim"] = ms_ssim(enhanced, dslr, per_batch=True, valid=valid)
        if state.discriminator is not None:
            is_real = draw_swaps(random, enhanced)
            real = completed(dslr, enhanced, valid)
            logits = state.discriminator(mixture(is_real, enhanced, real))
            values["discriminator_accuracy"] = accuracy(logits, is_real)
        for name, value in values.items():
            totals[name] += float(value) * len(phone)
    return {name: total / len(batches) for name, total in totals.items()}
