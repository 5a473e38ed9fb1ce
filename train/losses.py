"""Loss terms of the generator and the discriminator.

Images are (B, 3, H, W) RGB in [0, 1], outputs of a generator a little beyond; losses
are scalars without their weights. Sums and means are those of the original code, also
where they differ from section 3.1 of the paper (Ignatov et al., "DSLR-Quality Photos on
Mobile Devices with Deep Convolutional Networks", ICCV 2017).
"""

import functools
import math
from itertools import pairwise
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLUR_TAPS = 21
BLUR_SIGMAS = 3  # reach of the taps to either side, in the code's own units
MIN_PROBABILITY = 1e-10


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


def color_loss(enhanced: Tensor, target: Tensor) -> Tensor:
    """Half the squared difference of the blurred images, summed, per image (eq. 2)."""
    return blur(enhanced - target).square().sum() / (2 * len(enhanced))


def blur(images: Tensor) -> Tensor:
    """Blur (B, C, H, W) for the colour loss; zeros surround the image."""
    row = _taps(images.dtype, images.device)
    planes = images.flatten(0, 1).unsqueeze(1)
    planes = F.conv2d(planes, row, padding=(0, BLUR_TAPS // 2))
    planes = F.conv2d(planes, row.transpose(2, 3), padding=(BLUR_TAPS // 2, 0))
    return planes.view_as(images)


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
) -> Tensor:
    """Mean squared difference of the VGG-19 features (eq. 6).

    Args:
        enhanced: Images, (B, 3, H, W).
        target: Images of the same shape.
        vgg: What `train.vgg.load_vgg` returns.
        target_features: Those of the target, where they are known already.
    """
    if target_features is None:
        with torch.no_grad():
            target_features = vgg(target)
    return mse_loss(vgg(enhanced), target_features)


def mse_loss(enhanced: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, of images or of features that were kept."""
    return F.mse_loss(enhanced, target)


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
