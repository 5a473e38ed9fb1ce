"""A Gaussian process over windows: each predicted from all others.

Rasmussen and Williams (2006), chapters 2 and 5. x and y have the same kernels, and most
windows know both about as well. So the covariance of all shifts is that of one
coordinate, twice, and by Woodbury's formula a few columns that tie x and y: what lenses
do to both, and the windows that know one direction only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.refinement.lens import LensTerms

WIDE, NARROW = 5.0, 1.3  # lengths of the kernels, in windows
WIDE_PX = (0.05, 0.3, 1.5)  # sizes tried, phone px
NARROW_PX = (0.03, 0.1, 0.3, 1.0, 3.0)
FIRST_PX = (0.3, 0.3)  # (wide, narrow) until the photo has decided
JITTER_PX = 0.05  # error of a measurement that its covariance does not know of
ONE_WAY = 2.0  # times the error across, from which on one direction is known only
DEGREES_OF_FREEDOM = 4.0  # of Student's t
ROUNDS, SETTLED = 3, 0.03  # of reweighting at most; RMS change of weights that ends it
SMALL = 32  # rows of a matrix that is inverted as it is

Sizes = tuple[float, float]  # of the wide and the narrow kernel, phone px


@dataclass(frozen=True)
class LeftOut:
    """N windows, each predicted from all others; px, and px a window."""

    rest: FloatArray  # (N, 2) measured less predicted
    covariance: FloatArray  # (N, 2, 2) of the prediction
    slope: FloatArray  # (N, 2, 2): change of the prediction (row) along x, y (column)
    slope_variance: FloatArray  # (N, 2, 2) of those
    kernels: Sizes


class Process:
    """A Gaussian process over the windows of one tile, positions in windows."""

    def __init__(
        self,
        places: FloatArray,
        terms: LensTerms,
        shifts: FloatArray,
        covariances: FloatArray,
    ) -> None:
        count = len(places)
        self.shifts, self.terms = shifts, terms
        self.noise = _Noise(covariances + JITTER_PX**2 * np.eye(2))
        self.flat = terms.shared[:, 0].reshape(2 * count, -1)
        one_way = np.eye(count)[:, self.noise.line]
        lens = terms.shared[:, 0].reshape(count, -1)
        self.columns = np.concatenate([lens, shifts, one_way], axis=1)
        self.smooth = terms.each[:, 0] @ terms.each[:, 0].T
        x, y = places.T
        self.offset = x[:, None] - x, y[:, None] - y
        distance2 = self.offset[0] ** 2 + self.offset[1] ** 2
        self.wide = np.exp(-0.5 / WIDE**2 * distance2)
        self.narrow = np.exp(-0.5 / NARROW**2 * distance2)

    def left_out(self, sizes: Sizes, *, choose: bool) -> LeftOut:
        """The robust prediction of each window without its own measurement.

        Kernels have these sizes, or are chosen from there.
        """
        told, trust = self._settled(sizes, np.ones(len(self.shifts)))
        chosen = self._likeliest(sizes, trust) if choose else sizes
        if chosen != sizes:
            told, trust = self._settled(chosen, trust)
        slope, variance = self._slopes(chosen, told)
        return LeftOut(told.rest, told.covariance, slope, variance, chosen)

    def _settled(self, sizes: Sizes, trust: FloatArray) -> tuple["_Told", FloatArray]:
        """Predictions from measurements with weights that fit them, and the weights."""
        for _ in range(ROUNDS):
            told = self._leave_out(sizes, trust)
            before, trust = trust, _trust(told.rest, told.covariance + self.noise.whole)
            if np.sqrt(np.mean((trust - before) ** 2)) < SETTLED:
                break
        return told, trust

    def _likeliest(self, sizes: Sizes, trust: FloatArray) -> Sizes:
        """Kernel sizes (wide, narrow) that are likelier than those next to them.

        Each is tried smaller, then larger, as long as it helps.
        """
        known = {sizes: self._cost(sizes, trust)}
        for axis, tried in ((1, NARROW_PX), (0, WIDE_PX), (1, NARROW_PX)):
            for way in (tried[::-1], tried):
                for size in way[way.index(sizes[axis]) + 1 :]:
                    one = (size, sizes[1]) if axis == 0 else (sizes[0], size)
                    if one in known:
                        break
                    known[one] = self._cost(one, trust)
                    if known[one] >= known[sizes]:
                        break
                    sizes = one
        return sizes

    def _cost(self, sizes: Sizes, trust: FloatArray) -> float:
        """Negative log likelihood of the shifts, without its constant.

        Columns beside a covariance are whitened as rows below its Cholesky factor.
        """
        count, terms = len(self.shifts), self.flat.shape[1]
        beside = self.columns.T
        whole = np.zeros((count + len(beside),) * 2)
        whole[:count, :count] = self._one_coordinate(sizes, trust)
        whole[count:, :count] = beside
        most = (beside**2 @ (trust / self.noise.even)).sum()  # leaves it positive
        whole.flat[count * (len(whole) + 1) :: len(whole) + 1] = most + 1
        factor = np.linalg.cholesky(whole)
        white = factor[count:, :count]
        way = self.noise.way(trust)
        tied = np.empty((terms + len(way) + 1, 2, count))
        tied[:terms] = white[: 2 * terms].reshape(2, terms, count).swapaxes(0, 1)
        tied[terms:-1] = way[..., None] * white[2 * terms + 2 :, None]
        tied[-1] = white[2 * terms : 2 * terms + 2]
        flat = tied.reshape(len(tied), -1)
        *scales, last = np.linalg.cholesky(_more(flat @ flat.T)).diagonal()
        both = 2 * np.log(factor.diagonal()[:count]).sum()
        return float(both + np.log(scales).sum() + last**2 / 2)

    def _one_coordinate(self, sizes: Sizes, trust: FloatArray) -> FloatArray:
        """Covariance (N, N) of x or y without what ties them."""
        kernel: FloatArray = sizes[0] ** 2 * self.wide
        kernel += sizes[1] ** 2 * self.narrow
        kernel += self.smooth
        kernel.flat[:: len(kernel) + 1] += self.noise.even / trust
        return kernel

    def _leave_out(self, sizes: Sizes, trust: FloatArray) -> "_Told":
        """Leave-one-out predictions (equation 5.12 there)."""
        count, terms = len(self.shifts), self.flat.shape[1]
        white = inverse_of_lower(np.linalg.cholesky(self._one_coordinate(sizes, trust)))
        line, way = self.noise.line, self.noise.way(trust)
        beside = white.T @ (white @ self.columns[:, : 2 * terms + 2])
        held = np.empty((count, 2, terms + len(line)))
        held[..., :terms] = beside[:, : 2 * terms].reshape(count, 2, terms)
        told = white.T @ white[:, line]
        np.multiply(told[:, None], way.T, out=held[..., terms:])
        lens = self.flat.T @ held.reshape(2 * count, -1)
        one_way = np.einsum("rp,rpk->rk", way, held[line])
        core = np.linalg.cholesky(_more(np.concatenate([lens, one_way])))
        flat = held.reshape(2 * count, -1) @ inverse_of_lower(core).T
        taken = flat.reshape(held.shape)
        weights = beside[:, 2 * terms :] - taken @ (self.shifts.ravel() @ flat)
        precision = (white**2).sum(axis=0)[:, None, None] * np.eye(2)
        precision -= taken @ taken.swapaxes(1, 2)
        own = np.linalg.inv(precision)
        rest = (own @ weights[..., None])[..., 0]
        covariance = own - self.noise.used / trust[:, None, None]
        return _Told(white, held, taken, weights, own, rest, covariance)

    def _slopes(self, sizes: Sizes, told: "_Told") -> tuple[FloatArray, FloatArray]:
        """Slopes of the predictions and their variances, (N, 2, 2) each."""
        count, terms = len(self.shifts), self.flat.shape[1]
        taken = told.taken.reshape(2 * count, -1)
        held = told.held[..., :terms] - told.taken @ (taken.T @ self.flat)
        core = held.reshape(2 * count, -1).T @ self.flat
        steep = told.weights.ravel() @ self.flat
        slope, variance = np.empty((2, count, 2, 2))
        for axis, along in enumerate(self.terms.shared[:, 1:].swapaxes(0, 1)):
            # Covariance of a slope with all shifts: along @ flat.T, less this.
            bend, power = self._bend(sizes, axis)
            white = told.white @ bend.T
            bent = (bend @ told.taken.reshape(count, -1)).reshape(told.taken.shape)
            # Without window i the weights are those less what i itself adds.
            added = along @ held.swapaxes(1, 2) + bent @ told.taken.swapaxes(1, 2)
            added -= (white * told.white).sum(axis=0)[:, None, None] * np.eye(2)
            own = (added @ told.rest[..., None])[..., 0]
            slope[..., axis] = along @ steep - bend @ told.weights - own
            known = (added @ told.own * added).sum(axis=2) + (bent**2).sum(axis=2)
            known -= (along @ core * along).sum(axis=2)
            known -= (white**2).sum(axis=0)[:, None]
            told_by_lens = (bend @ held.reshape(count, -1)).reshape(held.shape)
            known += 2 * (along * told_by_lens).sum(axis=2)
            known += power[:, None] + (along**2).sum(axis=2)
            variance[..., axis] = np.maximum(known, 0)
        return slope, variance

    def _bend(self, sizes: Sizes, axis: int) -> tuple[FloatArray, FloatArray]:
        """Covariance (N, N) of one coordinate's slopes and shifts; the slopes' own."""
        parts = (sizes[0] / WIDE) ** 2, (sizes[1] / NARROW) ** 2
        kernel = parts[0] * self.wide + parts[1] * self.narrow
        each = self.terms.each
        bend = self.offset[axis] * kernel - each[:, 1 + axis] @ each[:, 0].T
        return bend, sum(parts) + (each[:, 1 + axis] ** 2).sum(axis=1)


class _Noise:
    """Of N measurements: the same along x and y, and more along one way for some."""

    def __init__(self, covariance: FloatArray) -> None:
        self.whole = covariance  # (N, 2, 2) as stated
        xx, yy, xy = covariance[:, (0, 1, 0), (0, 1, 1)].T
        mean, half = (xx + yy) / 2, (xx - yy) / 2
        radius = np.hypot(half, xy)
        least = mean - radius
        one_way = mean + radius > ONE_WAY**2 * least
        self.even = np.where(one_way, least, mean)  # (N,)
        self.line: NDArray[np.intp] = np.flatnonzero(one_way)  # (R,)
        angle = np.arctan2(xy, half)[self.line] / 2
        length = np.sqrt(2 * radius[self.line])
        self._way = (length * [np.cos(angle), np.sin(angle)]).T
        self.used = self.even[:, None, None] * np.eye(2)
        self.used[self.line] += self._way[:, :, None] * self._way[:, None]

    def way(self, trust: FloatArray) -> FloatArray:
        """By how much more those `line` are unsure, and which way, (R, 2)."""
        return np.asarray(self._way / np.sqrt(trust[self.line])[:, None])


@dataclass(frozen=True)
class _Told:
    """N windows, each predicted from all others; K columns tie x and y."""

    white: FloatArray  # (N, N): whitens one coordinate
    held: FloatArray  # (N, 2, K): the inverse of its covariance times the columns
    taken: FloatArray  # (N, 2, K): its square is what ties take from that
    weights: FloatArray  # (N, 2) inverse covariance times all shifts
    own: FloatArray  # (N, 2, 2) covariance of measured less predicted
    rest: FloatArray  # (N, 2) measured less predicted
    covariance: FloatArray  # (N, 2, 2) of the prediction


def _more(core: FloatArray) -> FloatArray:
    """`core` and the identity, in place."""
    core.flat[:: len(core) + 1] += 1
    return core


def _trust(rest: FloatArray, spread: FloatArray) -> FloatArray:
    """Weights (N,) of measurements so far from their predictions (N, 2)."""
    column = rest[..., None]
    distance2 = (column * np.linalg.solve(spread, column)).sum(axis=(1, 2))
    trust = (DEGREES_OF_FREEDOM + 2) / (DEGREES_OF_FREEDOM + distance2)
    return np.asarray(np.minimum(trust, 1))


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
