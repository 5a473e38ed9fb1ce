"""Loss terms of the generator and the discriminator.

Images are (B, 3, H, W) RGB in [0, 1], outputs of a generator a little beyond; losses
are scalars without their weights. Sums and means are those of the original code, also
where they differ from section 3.1 of the paper (Ignatov et al., "DSLR-Quality Photos on
Mobile Devices with Deep Convolutional Networks", ICCV 2017).

`valid`, (B, 1, H, W) or (B, H, W), bool or 0 and 1, says which pixels count. Of the
others neither image has any effect, on a loss or on its gradient; of a target, they may
hold anything. What is left out is made up for, so that a loss is as large as if the
valid pixels stood for all; with a mask of ones it is the same, bit for bit.
"""

import functools
import math
from itertools import pairwise
from statistics import NormalDist
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dped_build.train.pixels import planes

BLUR_TAPS = 21
BLUR_SIGMAS = 3  # reach of the taps to either side, in the code's own units
MIN_PROBABILITY = 1e-10
LEAST = 1e-6  # what a mask without any valid pixel is divided by


def blur_kernel() -> tuple[float, ...]:
    """Taps of the colour loss's blur along one axis, 21 that sum to 1.

    The code takes the root of the product of two binned Gaussians, which widens them:
    sigma is 4.7 px, where equation 4 of the paper says 1.7 px.
    """
    reach = BLUR_SIGMAS + (2 * BLUR_SIGMAS + 1) / BLUR_TAPS / 2
    step = 2 * reach / BLUR_TAPS
    below = [NormalDist().cdf(step * tap - reach) for tap in range(BLUR_TAPS + 1)]
    roots = [math.sqrt(high - low) for low, high in pairwise(below)]
    return tuple(root / sum(roots) for root in roots)


BLUR_KERNEL = blur_kernel()


def color_loss(
    enhanced: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Half the squared difference of the blurred images, summed, per image (eq. 2).

    With `valid`, the blur is a mean over valid pixels alone (normalised convolution,
    Knutsson & Westin, CVPR 1993), and only theirs are summed.
    """
    if enhanced.shape != target.shape:
        told = f"{tuple(enhanced.shape)} and {tuple(target.shape)}"
        raise ValueError(f"images {told} do not match")
    if valid is None:
        difference = blur(enhanced - target)
    else:
        mask = planes(valid, enhanced)
        missed = blur(torch.ones_like(mask)) / blur(mask).clamp(min=LEAST)
        difference = blur((enhanced - target) * mask) * missed * _root_weights(mask)
    return difference.square().sum() / (2 * len(enhanced))


def blur(images: Tensor) -> Tensor:
    """Blur (B, C, H, W) for the colour loss; zeros surround the image."""
    row = _taps(images.dtype, images.device)
    single = images.flatten(0, 1).unsqueeze(1)
    single = F.conv2d(single, row, padding=(0, BLUR_TAPS // 2))
    single = F.conv2d(single, row.transpose(2, 3), padding=(BLUR_TAPS // 2, 0))
    return single.view_as(images)


@functools.cache  # copying them to a GPU each time would wait for it
def _taps(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # or no gradient could ever pass them
        return torch.tensor(BLUR_KERNEL, dtype=dtype, device=device).view(1, 1, 1, -1)


def content_loss(
    enhanced: Tensor,
    target: Tensor,
    vgg: nn.Module,
    *,
    target_features: Tensor | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Mean squared difference of the VGG features (eq. 6).

    With `valid`, both images are painted over where they are not, as features look far
    around, and each feature counts by the share of its cell that is valid.

    Args:
        enhanced: Images, (B, 3, H, W).
        target: Images of the same shape.
        vgg: What `train.vgg.load_vgg` returns.
        target_features: Those of the target (`content_features`), where they are known.
        valid: Which pixels count.
    """
    if target_features is None:
        target_features = content_features(target, vgg, valid=valid)
    if valid is None:
        return mse_loss(vgg(enhanced), target_features)
    features = vgg(_painted_over(enhanced, valid, like=target))
    mask = planes(valid, enhanced)
    cells = F.adaptive_avg_pool2d(mask, features.shape[2:])
    return mse_loss(features, target_features, valid=cells)


@torch.no_grad()
def content_features(
    target: Tensor, vgg: nn.Module, *, valid: Tensor | None = None
) -> Tensor:
    """The features of (B, 3, H, W) targets that `content_loss` compares."""
    if valid is not None:
        target = _painted_over(target, valid, like=target)
    return cast("Tensor", vgg(target))


def _painted_over(images: Tensor, valid: Tensor, *, like: Tensor) -> Tensor:
    """Images in their valid pixels, elsewhere the mean colour of those of `like`."""
    mask = planes(valid, like)
    count = mask.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    color = (like * mask).sum(dim=(2, 3), keepdim=True) / count
    return torch.where(mask > 0, images, color)


def mse_loss(
    enhanced: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Mean squared difference, of images or of features that were kept.

    A `valid` between 0 and 1 is the weight of a pixel.
    """
    if valid is not None:
        weights = _root_weights(planes(valid, enhanced))
        enhanced, target = enhanced * weights, target * weights
    return F.mse_loss(enhanced, target)


def completed(target: Tensor, enhanced: Tensor, valid: Tensor | None) -> Tensor:
    """The target, the enhanced image where it is not valid: no seam betrays a mask.

    This is what the discriminator sees of a DSLR's patch. Of an enhanced one, it sees
    `completed(enhanced, enhanced, valid)`: the same values, which teach the generator
    by their valid pixels only.
    """
    if valid is None:
        return target
    return torch.where(planes(valid, target) > 0, target, enhanced.detach())


def _root_weights(mask: Tensor) -> Tensor:
    """Weights, (B, 1, H, W), whose squares are as the mask and 1 in their mean.

    The mean is the batch's: all its valid pixels weigh the same.
    """
    count = torch.ones_like(mask).sum()  # not divided by a number: 1 must come out as 1
    return (mask * (count / mask.sum().clamp(min=LEAST))).sqrt()


def texture_loss(logits: Tensor) -> Tensor:
    """Log-probability of "enhanced", by the discriminator, summed over the batch.

    As in the code, the generator lowers it, with hardly a gradient where the
    discriminator is sure; eq. 5 would raise the log-probability of "DSLR" instead.

    Args:
        logits: The discriminator's for enhanced patches, (B, 2).
    """
    return -discriminator_loss(logits, logits.new_zeros(len(logits)))


def discriminator_loss(logits: Tensor, is_real: Tensor) -> Tensor:
    """Cross-entropy of the discriminator, summed over the batch.

    Args:
        logits: (B, 2), column 0 for "DSLR".
        is_real: Whether each patch is the DSLR's, (B,), bool or 0 to 1.
    """
    probabilities = logits.float().softmax(dim=1).clamp(MIN_PROBABILITY, 1)
    real = is_real.to(probabilities)
    return -(torch.stack([real, 1 - real], dim=1) * probabilities.log()).sum()


def total_variation_loss(enhanced: Tensor) -> Tensor:
    """Mean squared step down plus mean squared step right (eq. 7, there unsquared)."""
    down = enhanced[:, :, 1:] - enhanced[:, :, :-1]
    right = enhanced[:, :, :, 1:] - enhanced[:, :, :, :-1]
    return down.square().mean() + right.square().mean()
