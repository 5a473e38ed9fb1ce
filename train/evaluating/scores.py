"""Scores of each patch, and their means over a set of patches.

| figure | values | mean over |
|---|---|---|
| `psnr_training`, `ms_ssim_batch` | unclipped | batches of 50, as in DPED |
| `psnr_pirm`, `psnr_color_fit`, `ssim` | clipped to [0, 1] | patches |
| `ms_ssim_image` | unclipped | patches |
| `psnr_aligned`, `ssim_aligned` | clipped, translated by at most 1 px | patches |
| `sharpness_ratio` | clipped | median of the patches |
| `transfer_015`, `_025`, `_040` | clipped | ratio of the patches' sums |

Where patches have masks, all of them are over valid pixels. A batch's figures follow
from parts of its patches' own: the squared error, the similarity and contrast of every
scale. So a patch is measured once, whatever sets it belongs to.
"""

from itertools import repeat

import torch
from torch import Tensor

from dped_build.train.detail import sharpness_ratio, transfer_of, transfer_sums
from dped_build.train.metrics import (
    color_fit_psnr,
    finite_or_none,
    product_of_powers,
    psnr,
    ssim,
    ssim_and_factors,
)
from dped_build.train.translation import filled, find_translation, translate

BATCH = 50  # patches, as in the published tables
CHUNK = 10  # patches measured at once: few enough for a processor's cache
FIGURES = (
    "psnr_training",
    "psnr_pirm",
    "psnr_color_fit",
    "ssim",
    "ms_ssim_batch",
    "ms_ssim_image",
    "psnr_aligned",
    "ssim_aligned",
    "sharpness_ratio",
    "transfer_015",
    "transfer_025",
    "transfer_040",
)


def measure(images: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Hold every image against its target.

    Args:
        images: (B, 3, H, W), in [0, 1] or a little beyond.
        target: The same shape, in [0, 1].
        valid: The pixels that count, bool (B, 1, H, W); None: all.

    Returns:
        (B, 19) float64 on the CPU: squared error, mean over all pixels, 0 where they
        are not valid; PSNR, PSNR after a colour fit, SSIM, the five factors of MS-SSIM
        before their powers, and the share of valid pixels; PSNR and SSIM after
        alignment, the ratio of sharpness, and the six sums of the coherent transfer.
    """
    sides = (torch.split(side, CHUNK) for side in (images, target))
    masks = repeat(None) if valid is None else torch.split(valid, CHUNK)
    chunks = zip(*sides, masks, strict=False)
    return torch.cat([_parts(*chunk) for chunk in chunks]).cpu()


def summarize(measured: Tensor) -> dict[str, float | None]:
    """The FIGURES of a set of patches, None where infinite (equal patches).

    None, too, where there is no detail, or no room between the masks, to measure it.

    Args:
        measured: Rows of `measure`, (N, 19); batches are taken in their order, and the
            last, which may be short, counts by its size.
    """
    batches = torch.split(measured, BATCH)
    shares = measured.new_tensor([len(batch) / len(measured) for batch in batches])
    means = torch.stack([batch.mean(dim=0) for batch in batches])
    values = {
        "psnr_training": -10 * torch.log10(means[:, 0] / means[:, 9]) @ shares,
        "psnr_pirm": measured[:, 1].mean(),
        "psnr_color_fit": measured[:, 2].mean(),
        "ssim": measured[:, 3].mean(),
        "ms_ssim_batch": product_of_powers(means[:, 4:9]) @ shares,
        "ms_ssim_image": product_of_powers(measured[:, 4:9]).mean(),
        "psnr_aligned": measured[:, 10].mean(),
        "ssim_aligned": measured[:, 11].mean(),
        "sharpness_ratio": measured[:, 12].nanquantile(0.5),
    }
    values |= zip(FIGURES[-3:], transfer_of(measured[:, 13:]), strict=True)
    return {name: finite_or_none(float(values[name])) for name in FIGURES}


def _parts(images: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
    images, target = images.double(), target.double()
    clipped = images.clamp(0, 1)
    squared, share = (images - target).square(), images.new_ones(len(images))
    if valid is not None:
        squared, share = squared * valid, valid.to(images).mean(dim=(1, 2, 3))
    own = [
        squared.mean(dim=(1, 2, 3)),
        psnr(clipped, target, valid=valid),
        color_fit_psnr(clipped, target, valid=valid),
    ]
    similarity, factors = ssim_and_factors(images, target, valid=valid)
    if not torch.equal(clipped, images):
        similarity = ssim(clipped, target, valid=valid)
    measured = torch.column_stack([*own, similarity, factors, share])
    aligned = _aligned(clipped, target, valid, measured[:, [1, 3]])
    ratio = sharpness_ratio(clipped, target, valid=valid)
    sums = transfer_sums(clipped, target, valid=valid)
    return torch.column_stack([measured, aligned, ratio, sums])


def _aligned(
    image: Tensor, target: Tensor, valid: Tensor | None, plain: Tensor
) -> Tensor:
    """PSNR and SSIM, (B, 2), at the best translation, or as they are if not better."""
    shift = find_translation(image, target, valid=valid)
    seen = image if valid is None else filled(image, valid)
    moved = translate(seen, shift).clamp(0, 1)
    scores = [measure(moved, target, valid=valid) for measure in (psnr, ssim)]
    after = torch.stack(scores, dim=1)
    return torch.where(after[:, :1] > plain[:, :1], after, plain)
