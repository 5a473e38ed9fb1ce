"""Five weights that stand for the mean over a pixel's width, with what interpolates."""

from functools import lru_cache

import numpy as np

from dped_build.align.geometry import FloatArray

CUBIC_A = -0.75  # the parameter of OpenCV's cubic kernel
_FREQUENCIES = np.arange(1, 65) / 128  # cycles per photo px, up to the Nyquist limit


@lru_cache(maxsize=256)
def area_taps(width: float, *, linear: bool) -> FloatArray:
    """Five weights after which interpolation gives the mean over `width` photo px.

    The mean meant is that of a cubic curve through the pixels. Weights and
    interpolation together come nearest to its frequency response: least squares over
    frequencies, weighted as a photo's amplitudes fall; a constant is kept exactly.
    """
    cubic = _cubic_response(_FREQUENCIES)
    read = np.sinc(_FREQUENCIES) ** 2 if linear else cubic
    wanted = np.sinc(width * _FREQUENCIES) * cubic
    pairs = 2 * np.cos(2 * np.pi * np.outer(_FREQUENCIES, (1, 2))) - 2
    weight = 1 / (_FREQUENCIES + _FREQUENCIES[3])
    near, far = np.linalg.lstsq(
        (weight * read)[:, None] * pairs, weight * (wanted - read), rcond=None
    )[0]
    return np.array([far, near, 1 - 2 * (near + far), near, far])


def _cubic_response(frequency: FloatArray) -> FloatArray:
    """Fourier transform of the cubic kernel (Keys 1981) at cycles per px above 0."""
    double, quadruple = np.sinc(2 * frequency), np.sinc(4 * frequency)
    plain = 3 * (np.sinc(frequency) ** 2 - double)
    tail = 2 * CUBIC_A * (3 * double**2 - 2 * double - quadruple)
    return np.asarray((plain + tail) / (np.pi * frequency) ** 2)
