"""The displacement field over a photo: a prediction of each window from its neighbours.

What one homography leaves over is lens distortion, smooth over the photo, and parallax,
smooth over neighbouring windows except at depth edges. So the field is a Gaussian
process (Rasmussen and Williams, 2006, chapters 2 and 5): what a homography and radial
distortion can change, any cubic polynomial of a smaller size, and a wide and a narrow
kernel, whose sizes the photo itself decides by its likelihood. Every
measurement enters with its full 2x2 covariance, so that a window crossed by one cable
says what it knows and no more. Wrong measurements lose weight as under Student's t.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.lens import LensTerms

WIDE, NARROW = 5.0, 1.3  # lengths of the kernels, in windows
WIDE_PX = (0.05, 0.3, 1.5)  # sizes tried, phone px
NARROW_PX = (0.03, 0.1, 0.3, 1.0, 3.0)
FIRST_PX = (0.3, 0.3)  # (wide, narrow) until the photo has decided
JITTER_PX = 0.05  # error of a measurement that its covariance does not know of
DEGREES_OF_FREEDOM = 4.0  # of Student's t
ROUNDS, CHOOSE_AFTER = 5, 3  # of reweighting; when the kernels are chosen
TILE, MARGIN = 10.0, 3.0  # windows; costs grow with the cube of a tile's windows
MAX_UNTILED = 256  # windows
MAX_ROUGHNESS_PX = 3.0  # more is a wrong measurement
LEAST_NOISE_PX2 = 0.05  # no single window says all about its surroundings
SMALL = 48  # rows of a matrix that is inverted as it is

Sizes = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """What the other windows say about each of N windows, phone px."""

    shift: FloatArray  # (N, 2)
    covariance: FloatArray  # (N, 2, 2) of that shift
    slope: FloatArray  # (N, 2, 2): change of the shift (row) along x, y (column)
    slope_variance: FloatArray  # (N, 2, 2) of those
    roughness: FloatArray  # (N,) size of the narrow kernel: parallax, depth edges


def neighbour_field(
    centres: FloatArray, shifts: FloatArray, covariances: FloatArray, *, spacing: float
) -> Field:
    """The field at every window from all *other* windows' measured shifts.

    Args:
        centres: Window centres (N, 2), phone px.
        shifts: Measured shifts (N, 2), phone px.
        covariances: Of the measurements, (N, 2, 2), phone px².
        spacing: Distance between neighbouring windows, px.
    """
    places = centres / spacing
    covariance, slope, variance = np.zeros((3, *covariances.shape))
    flat = np.zeros_like(shifts), np.zeros(len(shifts))
    field = Field(flat[0], covariance, slope, variance, flat[1])
    if not len(places):
        return field
    terms = LensTerms.of(places)
    for inner, around in _tiles(places):
        own = shifts[around], covariances[around]
        process = _Process(places[around], terms.rows(around), *own)
        found = process.left_out(spacing)
        kept = np.isin(around, inner)
        for one in fields(Field):
            getattr(field, one.name)[inner] = getattr(found, one.name)[kept]
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
        distance2 = ((places[inner, None] - places[around]) ** 2).sum(axis=-1)
        weights = np.exp(-0.5 * distance2) / (noise[around] + LEAST_NOISE_PX2)
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


class _Process:
    """A Gaussian process over the windows of one tile, positions in windows."""

    def __init__(
        self,
        places: FloatArray,
        terms: LensTerms,
        shifts: FloatArray,
        covariances: FloatArray,
    ) -> None:
        self.shifts = shifts
        self.noise = covariances + JITTER_PX**2 * np.eye(2)
        self.terms = terms
        self.flat = terms.value.reshape(2 * len(places), -1)
        self.base = self.flat @ self.flat.T
        self.offset = places[:, None] - places[None]  # (N, N, 2)
        distance2 = (self.offset**2).sum(axis=-1)
        self.wide = np.exp(-0.5 * distance2 / WIDE**2)
        self.narrow = np.exp(-0.5 * distance2 / NARROW**2)

    def left_out(self, spacing: float) -> Field:
        """The robust field at each window without its own measurement."""
        sizes, trust = FIRST_PX, np.ones(len(self.shifts))
        factor = self._factor(sizes, trust)
        for number in range(ROUNDS):
            found = self._leave_out(factor, trust)
            spread = found.covariance + self.noise
            column = found.rest[..., None]
            distance2 = (column * np.linalg.solve(spread, column)).sum(axis=(1, 2))
            trust = (DEGREES_OF_FREEDOM + 2) / (DEGREES_OF_FREEDOM + distance2)
            trust = np.minimum(trust, 1)
            if number + 1 == CHOOSE_AFTER:
                sizes, factor = self._likeliest(sizes, trust)
            else:
                factor = self._factor(sizes, trust)
        return self._field(sizes, self._leave_out(factor, trust), spacing)

    def _likeliest(self, sizes: Sizes, trust: FloatArray) -> tuple[Sizes, FloatArray]:
        """Kernel sizes (wide, narrow) that are likelier than those next to them.

        And their `_factor`. Each is tried smaller, then larger, as long as it helps.
        """
        best = self._factor(sizes, trust)
        known = {sizes: _cost(best)}
        for axis, tried in ((1, NARROW_PX), (0, WIDE_PX), (1, NARROW_PX)):
            for way in (tried[::-1], tried):
                for size in way[way.index(sizes[axis]) + 1 :]:
                    one = (size, sizes[1]) if axis == 0 else (sizes[0], size)
                    if one in known:
                        break
                    factor = self._factor(one, trust)
                    known[one] = _cost(factor)
                    if known[one] >= known[sizes]:
                        break
                    sizes, best = one, factor
        return sizes, best

    def _factor(self, sizes: Sizes, trust: FloatArray) -> FloatArray:
        """Cholesky factor (2N + 1, 2N + 1) of all measurements' covariance.

        x and y of a window come side by side. With the shifts as the covariance's last
        row, the factor's last row holds them whitened.
        """
        count = len(self.shifts)
        whole = np.zeros((2 * count + 1, 2 * count + 1))
        kernel = sizes[0] ** 2 * self.wide + sizes[1] ** 2 * self.narrow
        whole[:-1, :-1] = self.base
        whole[:-1:2, :-1:2] += kernel
        whole[1:-1:2, 1:-1:2] += kernel
        each = 2 * np.arange(count)
        noise = self.noise / trust[:, None, None]
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            whole[each + i, each + j] += noise[:, i, j]
        shifts = self.shifts.ravel()
        whole[-1, :-1] = whole[:-1, -1] = shifts
        whole[-1, -1] = shifts @ shifts / JITTER_PX**2 + 1
        return np.asarray(np.linalg.cholesky(whole))

    def _leave_out(self, factor: FloatArray, trust: FloatArray) -> "_LeftOut":
        """Leave-one-out predictions (equation 5.12 there)."""
        count = len(self.shifts)
        white = inverse_of_lower(factor[:-1, :-1])
        weights = (factor[-1, :-1] @ white).reshape(count, 2)
        columns = white.reshape(2 * count, count, 2)
        precision = np.empty((count, 2, 2))
        for i, j in ((0, 0), (0, 1), (1, 1)):
            both = np.einsum("ki,ki->i", columns[..., i], columns[..., j])
            precision[:, i, j] = precision[:, j, i] = both
        own = np.linalg.inv(precision)
        rest = (own @ weights[..., None])[..., 0]
        covariance = own - self.noise / trust[:, None, None]
        return _LeftOut(white, weights, own, rest, covariance)

    def _field(self, sizes: Sizes, left: "_LeftOut", spacing: float) -> Field:
        """The predictions with their slopes."""
        count = len(self.shifts)
        inverse = left.white.T @ left.white
        held = self.flat.T @ inverse  # (T, 2N)
        core = held @ self.flat
        held = held.reshape(-1, count, 2)
        inverse = inverse.reshape(count, 2, count, 2)
        steep = self.flat.T @ left.weights.ravel()
        slope, slope_variance = np.empty((2, count, 2, 2))
        for axis, along in enumerate((self.terms.along_x, self.terms.along_y)):
            # Covariance of a slope with all shifts: along @ flat.T, less this.
            bend, power = self._bend(sizes, axis)
            # Without window i the weights are those less what i itself adds.
            added = np.einsum("ipt,tiq->ipq", along, held)
            added -= np.einsum("ij,jpiq->ipq", bend, inverse)
            own = (added @ left.rest[..., None])[..., 0]
            slope[..., axis] = along @ steep - bend @ left.weights - own
            known = (added @ left.own * added).sum(axis=2)
            known -= (along @ core * along).sum(axis=2)
            for part in range(2):
                told = 2 * along[:, part] @ held[..., part]
                told -= bend @ inverse[:, part, :, part]
                known[:, part] += (told * bend).sum(axis=1)
            power = power + (along**2).sum(axis=2)
            slope_variance[..., axis] = np.maximum(power + known, 0)
        return Field(
            self.shifts - left.rest,
            left.covariance,
            slope / spacing,
            slope_variance / spacing**2,
            np.full(count, sizes[1]),
        )

    def _bend(self, sizes: Sizes, axis: int) -> tuple[FloatArray, float]:
        """Covariance (N, N) of the kernels' shifts and slopes; their own variance."""
        parts = (sizes[0] / WIDE) ** 2, (sizes[1] / NARROW) ** 2
        kernel = parts[0] * self.wide + parts[1] * self.narrow
        return self.offset[..., axis] * kernel, sum(parts)


@dataclass(frozen=True)
class _LeftOut:
    """N windows, each predicted from all others."""

    white: FloatArray  # (2N, 2N) inverse of the covariance's Cholesky factor
    weights: FloatArray  # (N, 2) inverse covariance times all shifts
    own: FloatArray  # (N, 2, 2) covariance of measured less predicted
    rest: FloatArray  # (N, 2) measured less predicted
    covariance: FloatArray  # (N, 2, 2) of the prediction


def _cost(factor: FloatArray) -> float:
    """Negative log likelihood of a `_Process`, without its constant."""
    white, scales = factor[-1, :-1], factor.diagonal()[:-1]
    return float(white @ white / 2 + np.log(scales).sum())


def inverse_of_lower(lower: FloatArray) -> FloatArray:
    """Inverse of a lower triangular matrix, four times as fast as that of any."""
    count = len(lower)
    if count <= SMALL:
        return np.linalg.inv(lower)
    half, found = count // 2, np.zeros_like(lower)
    first = inverse_of_lower(lower[:half, :half])
    second = inverse_of_lower(lower[half:, half:])
    found[:half, :half], found[half:, half:] = first, second
    found[half:, :half] = -(second @ lower[half:, :half]) @ first
    return found
