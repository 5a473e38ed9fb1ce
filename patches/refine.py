"""Where each phone window lies in the DSLR photo, to a fraction of a pixel.

The DSLR luma, brought onto the phone's grid by the homography, is matched window by
window: a coarse search, then Gauss-Newton steps on an affine warp with gain and offset
projected out (Lucas and Kanade, 1981; Baker and Matthews, IJCV 2004), held by what the
neighbouring windows say (`field`). Gradients come from the DSLR: in the phone photo,
noise would count as texture and make the result look certain.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.field import Field, smooth_field

Image = NDArray[np.float32]

REDUCTION = 4  # of the coarse search
FINE_SIGMA, COARSE_SIGMA = 1.0, 8.0  # px; band kept: below noise, above vignetting
STEPS = 6  # Gauss-Newton steps at most
CONVERGED_PX = 0.01
MIN_COARSE_NCC = 0.5
COARSE_SIGMA_PX = 1.5  # error of a coarse match, phone px
PRIOR_FLOOR_PX = 0.2  # the field is never believed beyond this
LINEAR_PRIOR_PX = 0.2  # ... nor its slope, as displacement at the patch's border
CORRELATED_PIXELS = 50.0  # neighbouring residuals are not independent; makes sigma true
MIN_VARIANCE = 1e-6  # grey levels²; identical photos leave none
LOST_PX = 4.0  # a coarse match further from the field is taken for a wrong one


@dataclass(frozen=True)
class Refinement:
    """Placement of N windows: where patch px q lies on the phone's grid.

    aligned = centre + shift + (I + linear) (q - patch centre), all in phone px.
    """

    shift: FloatArray  # (N, 2)
    linear: FloatArray  # (N, 2, 2)
    sigma_px: FloatArray  # (N,) RMS displacement over the patch, one sigma


def band_pass(luma: Image) -> Image:
    """Luma without noise and without what vignetting and tone curves change."""
    fine = cv2.GaussianBlur(luma, (0, 0), FINE_SIGMA)
    return np.asarray(fine - cv2.GaussianBlur(luma, (0, 0), COARSE_SIGMA))


def refine_windows(
    phone: Image,
    dslr: Image,
    windows: NDArray[np.int32],
    *,
    size: int,
    max_shift: float,
) -> Refinement:
    """Place every window of the phone photo in the DSLR photo.

    Args:
        phone: Luma (H, W), grey levels.
        dslr: DSLR luma on the phone's grid by the homography, (H, W).
        windows: Top-left pixels (N, 2).
        size: Side of a window, px.
        max_shift: Range of the coarse search, phone px.

    Returns:
        The Refinement; a window without texture has an infinite `sigma_px`.
    """
    centres = windows + (size - 1) / 2
    found, ncc = coarse_search(phone, dslr, windows, size=size, max_shift=max_shift)
    sigmas = np.where(
        ncc > MIN_COARSE_NCC, COARSE_SIGMA_PX / np.maximum(ncc, 0.1), np.inf
    )
    field = smooth_field(centres, found, sigmas, spacing=size)
    lost = (np.linalg.norm(found - field.shift, axis=1) > LOST_PX) | np.isinf(sigmas)
    start = np.where(lost[:, None], field.shift, found)
    target, source = band_pass(phone), _with_gradients(band_pass(dslr))
    first = _fit_all(target, source, windows, start, field, size)
    field = smooth_field(centres, first.shift, first.sigma_px, spacing=size)
    lost = np.linalg.norm(first.shift - field.shift, axis=1) > 3 * field.spread + 1
    start = np.where(lost[:, None], field.shift, first.shift)
    return _fit_all(target, source, windows, start, field, size)


def coarse_search(
    phone: Image,
    dslr: Image,
    windows: NDArray[np.int32],
    *,
    size: int,
    max_shift: float,
) -> tuple[FloatArray, FloatArray]:
    """Shifts (N, 2) of the best NCC at a quarter of the size, and that NCC (N,)."""
    small = [
        band_pass(
            cv2.resize(
                luma,
                None,
                fx=1 / REDUCTION,
                fy=1 / REDUCTION,
                interpolation=cv2.INTER_AREA,
            )
        )
        for luma in (phone, dslr)
    ]
    side, radius = size // REDUCTION, int(np.ceil(max_shift / REDUCTION))
    padded = cv2.copyMakeBorder(small[1], *[radius] * 4, cv2.BORDER_CONSTANT, value=0)
    limits = np.array(small[0].shape[::-1]) - side
    shifts, scores = np.zeros((len(windows), 2)), np.zeros(len(windows))
    for i, corner in enumerate(np.clip(windows // REDUCTION, 0, limits)):
        x, y = corner
        template = small[0][y : y + side, x : x + side]
        area = padded[y : y + side + 2 * radius, x : x + side + 2 * radius]
        if template.std() < 0.1:
            continue  # OpenCV would call it a perfect match: opencv/opencv#5688
        table = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
        _, scores[i], _, peak = cv2.minMaxLoc(table)
        shifts[i] = (_subpixel(table, peak) - radius) * REDUCTION
    return shifts, scores


def _subpixel(table: Image, peak: tuple[int, int]) -> FloatArray:
    """Vertex of the parabolas through the peak of a score table."""
    place = np.array(peak, dtype=np.float64)
    for axis, (at, length) in enumerate(zip(peak, table.shape[::-1], strict=True)):
        if 0 < at < length - 1:
            line = table[peak[1]] if axis == 0 else table[:, peak[0]]
            before, top, after = (float(v) for v in line[at - 1 : at + 2])
            bend = before - 2 * top + after
            if bend < 0:
                place[axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return place


def _with_gradients(luma: Image) -> Image:
    """Luma and its x and y derivatives, (H, W, 3)."""
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    along_x = cv2.filter2D(luma, cv2.CV_32F, kernel)
    along_y = cv2.filter2D(luma, cv2.CV_32F, kernel.T)
    return np.dstack([luma, along_x, along_y])


def _fit_all(
    target: Image,
    source: Image,
    windows: NDArray[np.int32],
    start: FloatArray,
    field: Field,
    size: int,
) -> Refinement:
    count = len(windows)
    shift, linear = np.zeros((count, 2)), np.zeros((count, 2, 2))
    sigma = np.full(count, np.inf)
    half = size / 2
    grid = (np.arange(size) - (size - 1) / 2) / half
    u, v = (axis.ravel() for axis in np.meshgrid(grid, grid))
    for i, (x, y) in enumerate(windows):
        prior = np.concatenate([field.shift[i], (field.slope[i] * half).ravel()])
        loose = np.array(
            [max(field.spread[i], PRIOR_FLOOR_PX)] * 2 + [LINEAR_PRIOR_PX] * 4
        )
        first = np.concatenate([start[i], prior[2:]])
        window = target[y : y + size, x : x + size].ravel()
        place, sigma[i] = _fit(window, source, (x, y), first, prior, loose, size, u, v)
        shift[i], linear[i] = place[:2], place[2:].reshape(2, 2) / half
    return Refinement(shift, linear, sigma)


def _fit(
    window: Image,
    source: Image,
    corner: tuple[int, int],
    place: FloatArray,
    prior: FloatArray,
    loose: FloatArray,
    size: int,
    u: FloatArray,
    v: FloatArray,
) -> tuple[FloatArray, float]:
    half, middle = size / 2, (size - 1) / 2
    precision = np.diag(1 / loose**2)
    covariance = np.full((6, 6), np.inf)
    for _ in range(STEPS):
        linear = np.eye(2) + place[2:].reshape(2, 2) / half
        offset = np.array(corner) + middle + place[:2] - linear @ (middle, middle)
        warped = cv2.warpAffine(
            source,
            np.column_stack([linear, offset]),
            (size, size),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(-1, 3)
        value, dx, dy = warped.T
        design = np.stack(
            [dx, dy, dx * u, dx * v, dy * u, dy * v, value, np.ones_like(value)], 1
        )
        spread = value.std()
        if spread < 0.05:
            return prior, np.inf
        gain = ((value - value.mean()) * (window - window.mean())).mean() / spread**2
        if gain <= 0.02:
            return prior, np.inf
        rest = window - window.mean() - gain * (value - value.mean())
        scale = 1.4826 * np.median(np.abs(rest)) + 1e-3
        weights = 1 / (1 + (rest / (3 * scale)) ** 2)
        variance = float((weights * rest**2).sum() / weights.sum())
        noise = max(variance, MIN_VARIANCE) * CORRELATED_PIXELS
        design[:, :6] *= gain
        weighted = design * weights[:, None]
        normal = (design.T @ weighted).astype(np.float64) / noise
        normal[:6, :6] += precision
        right = (weighted.T @ rest).astype(np.float64) / noise
        right[:6] += precision @ (prior - place)
        covariance = np.linalg.inv(normal + 1e-9 * np.eye(8))
        step = (covariance @ right)[:6]
        place = place + step
        if np.abs(step).max() < CONVERGED_PX:
            break
    variances = np.diag(covariance)[:6]
    return place, float(np.sqrt(variances[:2].sum() + variances[2:].sum() / 3))
