"""Made-up images of which blur, place and noise are known exactly."""

import numpy as np
import torch

MARGIN = 30  # px around what is shown, so that no edge takes part
SOFTNESS = 0.6  # px, of the pictures


def pictures(count=8, size=100, seed=0, *, softness=SOFTNESS):
    """Coloured noise, (count, 3, H, W) with a margin, as a periodic plane."""
    side = size + 2 * MARGIN
    noise = np.random.default_rng(seed).normal(size=(count, 3, side, side))
    return 0.5 + 0.15 * filtered(noise, lambda x, y: gaussian(x, y, softness))


def filtered(images, response):
    """Images times `response(fx, fy)`, cycles/px, in the Fourier plane."""
    down, right = (np.fft.fftfreq(length) for length in images.shape[2:])
    spectrum = np.fft.fft2(images) * response(right, down[:, None])
    return np.fft.ifft2(spectrum).real


def gaussian(x, y, sigma):
    """What is left of each frequency by a blur, px."""
    return np.exp(-2 * (np.pi * sigma) ** 2 * (x**2 + y**2))


def blurred(images, sigma):
    """Through a Gaussian, px."""
    return filtered(images, lambda x, y: gaussian(x, y, sigma))


def displaced(images, x, y):
    """Images whose pixels come from (x, y) further on, px."""
    return filtered(images, lambda fx, fy: np.exp(2j * np.pi * (fx * x + fy * y)))


def shown(images):
    """What lies within the margin, float64 tensors."""
    inner = slice(MARGIN, -MARGIN)
    return torch.from_numpy(images[..., inner, inner].copy())
