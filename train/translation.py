"""The translation by at most a pixel that brings an image closest to its target.

Plain PSNR and SSIM punish a displacement of half a pixel that nobody sees, and so
reward blur over misplaced detail. Scores after alignment, beside the plain ones, say
how much of an error is place alone.

All arithmetic is float64. `valid`, (B, 1, H, W) or (B, H, W), says which pixels count;
the others may hold anything.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dped_build.train.metrics import gaussian_means
from dped_build.train.pixels import luma, planes

LIMIT = 1.0  # px, along each axis
STEPS = 3  # of Gauss-Newton; another one moves by less than 0.01 px
SEARCH_SIGMA = 1.0  # px of blur, so that a step reaches from one end to the other
REACH = 4  # px, of that blur: beside the image's edge, no pixel is compared
FILL_SIGMA = 2.0  # px
FILL_REACH = 6  # px
FAINT = 1e-3  # share of valid pixels around an invalid one that weighs as their mean
PEAK = 1e-9  # radians from a sinc's peak that are at it
FLAT = 1e-6  # share of the steepest direction's curvature: without texture, no step


def find_translation(
    image: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Where in the image the target's pixels are: (B, 2) x and y, px, within LIMIT.

    Least squares on luma, whatever the gain and offset between the two (Lucas & Kanade,
    IJCAI 1981, with these two eliminated). 0 along a direction without texture.

    Args:
        image: (B, 3, H, W) in [0, 1].
        target: The same shape.
        valid: Which pixels of both count.
    """
    margin = (slice(None), *(slice(REACH, -REACH),) * 2)
    weights = torch.ones_like(image[:, 0], dtype=torch.float64)
    if valid is not None:
        weights = planes(valid, image)[:, 0].double()
        image, target = (filled(side, valid) for side in (image, target))
    found, wanted = (_smooth(luma(side)) for side in (image, target))
    shift = torch.zeros(len(image), 2, dtype=torch.float64, device=image.device)
    for _ in range(STEPS):
        moved = translate(found[:, None], shift)[:, 0]
        down, right = torch.gradient(moved, dim=(1, 2))
        sides = [plane[margin] for plane in (moved, right, down, wanted, weights)]
        shift = (shift + _step(*sides)).clamp(-LIMIT, LIMIT)
    return shift


def translate(images: Tensor, shift: Tensor) -> Tensor:
    """(B, C, H, W) sampled `shift` further on, (B, 2) x and y, px; not clipped.

    By the sinc of an image that is mirrored at its edges: no frequency is weakened, so
    alignment does not gain by blurring noise.
    """
    right, down = (
        _sinc_matrices(offset, length)
        for offset, length in zip(shift.T, reversed(images.shape[2:]), strict=True)
    )
    return down[:, None] @ images.double() @ right[:, None].mT


def filled(images: Tensor, valid: Tensor) -> Tensor:
    """Invalid pixels replaced by a blur of the valid ones, far from them by their mean.

    Without an edge, as an edge would ring into the valid pixels where it is resampled.
    """
    images, mask = images.double(), planes(valid, images).double()
    seen, every = images * mask, (2, 3)
    mean = seen.sum(every, keepdim=True) / mask.sum(every, keepdim=True)
    around, share = (
        gaussian_means(
            F.pad(side, (FILL_REACH,) * 4), size=2 * FILL_REACH + 1, sigma=FILL_SIGMA
        )
        for side in (seen, mask)
    )
    return torch.where(mask > 0, images, (around + FAINT * mean) / (share + FAINT))


def _smooth(plane: Tensor) -> Tensor:
    mirrored = F.pad(plane, (REACH,) * 4, mode="reflect")
    return gaussian_means(mirrored, size=2 * REACH + 1, sigma=SEARCH_SIGMA)


def _step(
    moved: Tensor, right: Tensor, down: Tensor, wanted: Tensor, weights: Tensor
) -> Tensor:
    """A step of Gauss-Newton, (B, 2): wanted = gain (moved + step . gradient) + offset.

    Planes are (B, H, W).
    """
    sides = torch.stack([moved, right, down, wanted, torch.ones_like(moved)], dim=1)
    sums = (sides * weights[:, None]).flatten(2) @ sides.flatten(2).mT
    means = sums[:, :4, 4:] / sums[:, 4:, 4:]
    moments = sums[:, :4, :4] / sums[:, 4:, 4:] - means @ means.mT
    curvature, product = moments[:, :3, :3], moments[:, :3, 3:]
    inverse = torch.linalg.pinv(
        curvature.nan_to_num(), atol=FLAT**2, rtol=FLAT, hermitian=True
    )
    gain, *steps = (inverse @ product)[..., 0].unbind(dim=1)
    step = torch.stack(steps, dim=1) / gain[:, None]
    return torch.where(step.isfinite(), step, 0.0)


def _sinc_matrices(offset: Tensor, length: int) -> Tensor:
    """Matrices (B, length, length) that sample a mirrored row at n + offset, (B,)."""
    places = torch.arange(1 - length, 2 * length, device=offset.device)
    angle = (places + offset[:, None]) * (math.pi / (2 * length))
    level = 1 - 1 / (2 * length)
    near = angle.sin().abs() < PEAK  # of a period's start: the sinc is at its peak
    divisor = torch.where(near, 1.0, 2 * length * angle.sin())
    sinc = torch.where(near, level, ((2 * length - 1) * angle).sin() / divisor)
    rows = sinc.unfold(1, length, 1)  # row n starts n places later
    return rows[:, :length].flip(2) + rows[:, length : 2 * length]
