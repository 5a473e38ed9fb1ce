"""The displacement field over a photo: a prediction of each window from its neighbours.

What one homography leaves over is lens distortion, smooth over the photo, and parallax,
smooth over neighbouring windows except at depth edges. So the field is a Gaussian
process (Rasmussen and Williams, 2006, chapters 2 and 5): what a homography and radial
distortion can change, any cubic polynomial of a smaller size, and a wide and a narrow
kernel, whose sizes the photo itself decides by its likelihood (`process`). A window
crossed by one cable says what it knows and no more. Wrong measurements lose weight as
under Student's t.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.lens import LensTerms
from dped_build.patches.refinement.process import FIRST_PX, Process

TILE, MARGIN = 10.0, 3.0  # windows; costs grow with the cube of a tile's windows
MAX_UNTILED = 256  # windows
MAX_ROUGHNESS_PX = 3.0  # more is a wrong measurement
LEAST_NOISE_PX2 = 0.05  # no single window says all about its surroundings


@dataclass(frozen=True)
class Field:
    """What the other windows say about each of N windows, phone px."""

    shift: FloatArray  # (N, 2)
    covariance: FloatArray  # (N, 2, 2) of that shift
    slope: FloatArray  # (N, 2, 2): change of the shift (row) along x, y (column)
    slope_variance: FloatArray  # (N, 2, 2) of those
    kernels: FloatArray  # (N, 2) sizes of the wide and the narrow kernel

    @property
    def roughness(self) -> FloatArray:
        """The narrow kernel's size (N,), px: parallax, depth edges."""
        return self.kernels[:, 1]


def neighbour_field(
    centres: FloatArray,
    shifts: FloatArray,
    covariances: FloatArray,
    *,
    spacing: float,
    before: Field | None = None,
    choose: bool = True,
) -> Field:
    """The field at every window from all *other* windows' measured shifts.

    Args:
        centres: Window centres (N, 2), phone px.
        shifts: Measured shifts (N, 2), phone px.
        covariances: Of the measurements, (N, 2, 2), phone px².
        spacing: Distance between neighbouring windows, px.
        before: Of almost the same measurements, whose kernels are tried first.
        choose: Kernels by their likelihood; coarse measurements hardly tell them apart.
    """
    places = centres / spacing
    covariance, slope, variance = np.zeros((3, *covariances.shape))
    kernels = np.tile(FIRST_PX, (len(shifts), 1))
    if before is not None:
        kernels[:] = before.kernels
    field = Field(np.zeros_like(shifts), covariance, slope, variance, kernels)
    if not len(places):
        return field
    terms = LensTerms.of(places)
    for inner, around in _tiles(places):
        own = shifts[around], covariances[around]
        wide, narrow = kernels[inner[0]].tolist()
        process = Process(places[around], terms.rows(around), *own)
        found = process.left_out((wide, narrow), choose=choose)
        kept = np.isin(around, inner)
        field.shift[inner] = shifts[inner] - found.rest[kept]
        field.covariance[inner] = found.covariance[kept]
        field.slope[inner] = found.slope[kept] / spacing
        field.slope_variance[inner] = found.slope_variance[kept] / spacing**2
        field.kernels[inner] = found.kernels
    return field


def local_roughness(
    places: FloatArray, rest: FloatArray, covariances: FloatArray
) -> FloatArray:
    """RMS of what the field leaves over around each window, noise taken out, (N,) px.

    Args:
        places: Window centres (N, 2), in windows.
        rest: Measured shifts less the field's, (N, 2).
        covariances: Of the measurements, (N, 2, 2).
    """
    noise = np.trace(covariances, axis1=1, axis2=2)
    excess = np.clip((rest**2).sum(axis=1) - noise, 0, MAX_ROUGHNESS_PX**2)
    found = np.zeros(len(places))
    for inner, around in _tiles(places):
        x, y = places[inner].T[..., None] - places[around].T[:, None]
        weights = np.exp(-0.5 * (x**2 + y**2)) / (noise[around] + LEAST_NOISE_PX2)
        found[inner] = (weights @ excess[around]) / weights.sum(axis=1)
    return np.sqrt(found)


def _tiles(
    places: FloatArray,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Windows to answer for, and windows to ask: (n,), (m,) ascending indices."""
    everything = np.arange(len(places))
    if len(places) <= MAX_UNTILED:
        if len(places):
            yield everything, everything
        return
    first, extent = places.min(axis=0), np.ptp(places, axis=0) + 1
    counts = np.ceil(extent / TILE)
    tile = np.minimum((places - first) // (extent / counts), counts - 1)
    for number in np.unique(tile, axis=0):
        low = first + number * extent / counts
        high = low + extent / counts
        near = (places > low - MARGIN) & (places < high + MARGIN)
        inner = np.flatnonzero((tile == number).all(axis=1))
        yield inner, np.union1d(np.flatnonzero(near.all(axis=1)), inner)
