"""Image quality metrics (PSNR, SSIM, MS-SSIM), in the field's two protocols.

Images are (B, 3, H, W) RGB in [0, 1]; all arithmetic is float64. "Per image", (B,), is
the protocol of PIRM 2018 (Ignatov et al., "PIRM Challenge on Perceptual Image
Enhancement on Smartphones", ECCV Workshops 2018); "per batch", a scalar, that of the
original training code, which DPED's own tables use. Means over a data set are left to
the caller: of images, or of batches of 50.

`valid`, (B, 1, H, W) or (B, H, W), bool or 0 and 1, says which pixels count; the others
may hold anything. An image without any has NaN.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dped_build.train.pixels import planes

WINDOW = 11  # taps of the Gaussian window; smaller images get a smaller one
WINDOW_SIGMA = 1.5  # px, for the whole window
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
NO_SHARE = 1e-12  # of a window's or cell's pixels: it counts for nothing
ROUNDING = (
    1e-24  # mean squared difference that float64 arithmetic leaves of a perfect fit
)


def finite_or_none(value: float) -> float | None:
    """A figure as JSON, which has no infinity, can hold it."""
    return value if math.isfinite(value) else None


def psnr(
    a: Tensor, b: Tensor, *, per_batch: bool = False, valid: Tensor | None = None
) -> Tensor:
    """Peak signal-to-noise ratio, dB; infinite where there is no difference.

    Args:
        a: Images, (B, 3, H, W).
        b: Images of the same shape.
        per_batch: One value from the mean over the batch, nothing clipped, in place of
            (B,) values of the images clipped to [0, 1].
        valid: Which pixels count.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = _checked(a, b)
    if per_batch:
        return _decibels(_weighted((a - b).square(), valid, of_batch=True).mean())
    squared = (a.clamp(0, 1) - b.clamp(0, 1)).square()
    return _decibels(_weighted(squared, valid).mean(dim=(1, 2, 3)))


def color_fit_psnr(
    image: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """PSNR after the affine change of colour that fits the target best, (B,), dB.

    Least squares over each image's pixels finds the 3x4 matrix; what it is applied to
    and what comes out are clipped to [0, 1]. What remains is not a matter of the cast.

    Raises:
        ValueError: The shapes differ.
    """
    image, target = _checked(image, target)
    source = image.clamp(0, 1).flatten(2)  # (B, 3, N)
    wanted = target.clamp(0, 1).flatten(2)
    flat = None if valid is None else planes(valid, image).flatten(2)
    mean = _weighted(wanted, flat).mean(dim=2, keepdim=True)
    centred = source - _weighted(source, flat).mean(dim=2, keepdim=True)
    counted = _weighted(centred, flat)
    spread = counted @ centred.mT / source.shape[2]
    shared = (wanted - mean) @ counted.mT / source.shape[2]
    # A grey or flat image has no spread in some direction of colour space.
    matrix = shared @ torch.linalg.pinv(spread.nan_to_num(), atol=1e-12, hermitian=True)
    fitted = (matrix @ centred + mean).clamp(0, 1)
    error = _weighted((fitted - wanted).square(), flat).mean(dim=(1, 2))
    return _decibels(torch.where(error < ROUNDING, 0.0, error))


def ssim(a: Tensor, b: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Structural similarity, (B,): mean over pixels and channels, nothing clipped.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural
    Similarity", IEEE TIP 2004, on each colour channel. With `valid`, a window's moments
    are those of its valid pixels, and it counts by their share.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = _checked(a, b)
    mask = None if valid is None else planes(valid, a)
    similarity, _ = _similarity(a, b, mask)
    return similarity.mean(dim=1)


def ms_ssim(
    a: Tensor, b: Tensor, *, per_batch: bool = False, valid: Tensor | None = None
) -> Tensor:
    """Multi-scale structural similarity as the original code logs it; nothing clipped.

    Wang et al., "Multiscale Structural Similarity for Image Quality Assessment", 2003.
    The means over channels (and over the batch, if `per_batch`) come before the powers
    of the five scales. Images may be smaller than the window. A negative mean, whose
    powers do not exist, counts as 0. With `valid` as in `ssim`, at every scale; a pixel
    of a coarser scale is the mean of its valid ones and counts by their share.

    Returns:
        (B,) values, or with `per_batch` a scalar.

    Raises:
        ValueError: The shapes differ.
    """
    _, factors = ssim_and_factors(*_checked(a, b), valid=valid)
    return product_of_powers(factors.mean(dim=0) if per_batch else factors)


def ssim_and_factors(
    a: Tensor, b: Tensor, *, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """SSIM, (B,), and the factors of MS-SSIM before their powers, (B, 5); float64."""
    mask = None if valid is None else planes(valid, a)
    similarity, contrast = _similarity(a, b, mask)
    whole, factors = similarity.mean(dim=1), [contrast]
    for _ in SCALE_WEIGHTS[1:]:
        a, b, mask = _halved_both(a, b, mask)
        similarity, contrast = _similarity(a, b, mask)
        factors.append(contrast)
    factors[-1] = similarity
    return whole, torch.stack(factors).mean(dim=2).T


def product_of_powers(factors: Tensor) -> Tensor:
    """MS-SSIM, (…), from its factors, (…, 5)."""
    weights = factors.new_tensor(SCALE_WEIGHTS)
    return (factors.clamp(min=0) ** weights).prod(dim=-1)


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if not all(isinstance(x, Tensor) and x.is_floating_point() for x in (a, b)):
        raise ValueError("images must be float tensors (B, 3, H, W), from 0 to 1")
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"images {tuple(a.shape)} and {tuple(b.shape)} do not match")
    return a.double(), b.double()


def _decibels(error: Tensor) -> Tensor:
    return -10 * torch.log10(error)


def _weighted(
    values: Tensor, valid: Tensor | None, *, of_batch: bool = False
) -> Tensor:
    """Values whose mean over all pixels of an image, or batch, is that of the valid."""
    if valid is None:
        return values
    mask = planes(valid, values) if values.ndim == 4 else valid
    every = tuple(range(values.ndim))[0 if of_batch else 1 :]
    return values * mask / mask.mean(dim=every, keepdim=True)


def _similarity(a: Tensor, b: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure part, each its mean over pixels, (B, C)."""
    moments, shares = torch.cat([a, b, a * a, b * b, a * b]), None
    if mask is None:
        filtered = _windowed(moments)
    else:
        shares = _windowed(mask)
        filtered = _windowed(moments * mask.repeat(5, 1, 1, 1))
        filtered = filtered / shares.clamp(min=NO_SHARE).repeat(5, 1, 1, 1)
    mean_a, mean_b, square_a, square_b, product = filtered.chunk(5)
    means = mean_a * mean_b
    squares = mean_a.square() + mean_b.square()
    contrast = (2 * (product - means) + C2) / (square_a + square_b - squares + C2)
    similarity = contrast * (2 * means + C1) / (squares + C1)
    of_windows = [_weighted(values, shares) for values in (similarity, contrast)]
    return of_windows[0].mean(dim=(2, 3)), of_windows[1].mean(dim=(2, 3))


def _windowed(images: Tensor) -> Tensor:
    size = min(WINDOW, *images.shape[2:])
    return gaussian_means(images, size=size, sigma=WINDOW_SIGMA * size / WINDOW)


def gaussian_means(images: Tensor, *, size: int, sigma: float) -> Tensor:
    """Means under a Gaussian of `size` taps, (..., H, W), where all of it fits.

    By banded matrices, as torch's float64 convolutions are many times slower.
    """
    offsets = torch.arange(size, dtype=images.dtype, device=images.device)
    taps = torch.exp(-((offsets - (size - 1) / 2) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    down, right = (_band(taps, length) for length in images.shape[-2:])
    return down @ images @ right.mT


def _band(taps: Tensor, length: int) -> Tensor:
    """The matrix (length - taps + 1, length) that slides `taps` along an axis."""
    rows = length - len(taps) + 1
    padded = F.pad(taps, (0, rows))  # repeated, every row starts one column later
    return padded.repeat(rows)[: rows * length].view(rows, length)


def _halved_both(
    a: Tensor, b: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Both images and the mask, which counts in their means, to half."""
    if mask is None:
        return _halved(a), _halved(b), None
    shares = _halved(mask)
    least = shares.clamp(min=NO_SHARE)
    return _halved(a * mask) / least, _halved(b * mask) / least, shares


def _halved(images: Tensor) -> Tensor:
    """Every second 2x2 mean, (B, C, H, W) to half; an odd last row is repeated."""
    height, width = images.shape[2:]
    even = F.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
    return F.avg_pool2d(even, 2)
