"""How much of the target's fine detail an image has.

`coherent_transfer` asks what arrives in phase, at a spatial frequency: blur and
displacement lower it, noise does not raise it. `sharpness_ratio` asks for the amount of
detail alone: noise and detail in the wrong place count.

Images are (B, 3, H, W) RGB in [0, 1], of which Rec. 601 luma counts; all arithmetic is
float64. `valid`, (B, 1, H, W) or (B, H, W), says which pixels count; the others may
hold anything.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dped_build.train.metrics import gaussian_means
from dped_build.train.pixels import luma, planes

WINDOW = 32  # px; smaller images are one window
FREQUENCIES = (0.15, 0.25, 0.4)  # cycles/px
RING = 0.05  # cycles/px, to both sides of a frequency
DETAIL_SIGMA = 1.5  # px; this and the next as in patches.quality
DETAIL_REACH = 6  # px
ROUNDING = 1e-9  # deviation that float64 arithmetic may leave of a constant image


def coherent_transfer(
    image: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Share of the target's detail that the image has, in phase, at FREQUENCIES.

    Re sum(conj(T) E) / sum(|T|^2), summed over the windows of all images and the
    frequencies within RING of the stated one: 1 for the target itself, the MTF of a
    blur, the mean of cos(2 pi f d) over directions for a displacement by d px. Noise of
    its own changes nothing but the spread; a gain counts.

    Returns:
        (3,), NaN where no window is valid or the target has nothing at that frequency.
    """
    return transfer_of(transfer_sums(image, target, valid=valid))


def transfer_of(sums: Tensor) -> Tensor:
    """Transfer, (3,), from the rows of `transfer_sums`, (N, 6)."""
    shared, power = sums.sum(dim=0).chunk(2)
    return _quotient(shared, power)


def transfer_sums(
    image: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Each image's sums of `coherent_transfer`: Re(conj(T) E), then |T|^2; (B, 6).

    Windows of WINDOW px overlap by half and stand in the middle of the image. Each is
    freed of its mean and tapered (Hann). Where pixels are not valid, only windows
    without any such pixel count: the outline of a mask would put coarse structure into
    the fine frequencies.
    """
    side = min(WINDOW, *image.shape[2:])
    taper = torch.hann_window(side + 2, periodic=False, dtype=torch.float64)[1:-1]
    taper = (taper[:, None] * taper).to(image.device)
    spectra = []
    for one in (image, target):
        windows = _windows(luma(one), side)
        mean = (windows * taper).sum(dim=(-2, -1), keepdim=True) / taper.sum()
        spectra.append(torch.fft.rfft2((windows - mean) * taper))
    found, wanted = spectra
    shared = (wanted.conj() * found).real, wanted.real.square() + wanted.imag.square()
    sums = torch.stack(shared, dim=1)  # (B, 2, windows, side, side // 2 + 1)
    if valid is not None:
        whole = _windows(planes(valid, image)[:, 0], side).amin(dim=(-2, -1)) > 0
        sums = sums * whole[:, None, :, None, None]
    rings = _rings(side).to(sums)
    return torch.einsum("bkwyx,fyx->bkf", sums, rings).flatten(1)


def sharpness_ratio(
    image: Tensor, target: Tensor, *, valid: Tensor | None = None
) -> Tensor:
    """Fine detail of the image over the target's, each relative to its contrast; (B,).

    Detail is the deviation of what a Gaussian of DETAIL_SIGMA takes away, contrast that
    of the luma: the ratio of `patches.quality`, without its rounding to grey levels.
    NaN where one of the two is constant. Detail counts where all pixels that it depends
    on are valid.
    """
    mask = None if valid is None else planes(valid, image)[:, 0].double()
    return _quotient(_detail(luma(image), mask), _detail(luma(target), mask))


def _windows(of_images: Tensor, side: int) -> Tensor:
    """Windows of (B, H, W) that overlap by half, (B, windows, side, side)."""
    step = max(side // 2, 1)
    top, left = ((length - side) % step // 2 for length in of_images.shape[1:])
    windows = of_images[:, top:, left:].unfold(1, side, step).unfold(2, side, step)
    return windows.flatten(1, 2)


def _rings(side: int) -> Tensor:
    """How often each bin of `rfft2` counts in each ring, (3, side, side // 2 + 1)."""
    down = torch.fft.fftfreq(side, dtype=torch.float64)
    right = torch.fft.rfftfreq(side, dtype=torch.float64)
    distance = torch.hypot(down[:, None], right)
    mirrored = (right > 0) & (right < 0.5)  # in the half that `rfft2` leaves out
    times = torch.where(mirrored, 2.0, 1.0)
    near = [(distance - frequency).abs() <= RING for frequency in FREQUENCIES]
    return torch.stack(near) * times


def _detail(plane: Tensor, mask: Tensor | None) -> Tensor:
    """Deviation of the fine part over that of the whole, (B,)."""
    reach = min(DETAIL_REACH, *(length - 1 for length in plane.shape[1:]))
    side, within = 2 * reach + 1, mask
    mirrored = F.pad(plane, (reach,) * 4, mode="reflect")
    fine = plane - gaussian_means(mirrored, size=side, sigma=DETAIL_SIGMA)
    if mask is not None:
        within = 1 - mask
        for kernel, padding in (((side, 1), (reach, 0)), ((1, side), (0, reach))):
            within = F.max_pool2d(within, kernel, stride=1, padding=padding)
        within = 1 - within
    return _quotient(_deviation(fine, within), _deviation(plane, mask))


def _deviation(plane: Tensor, mask: Tensor | None) -> Tensor:
    """Standard deviation of (B, H, W) over the pixels that count, (B,)."""
    if mask is None:
        return plane.std(dim=(1, 2), correction=0)
    pixels = mask.sum(dim=(1, 2), keepdim=True)
    mean = (plane * mask).sum(dim=(1, 2), keepdim=True) / pixels
    squares = (plane - mean).square() * mask
    return (squares.sum(dim=(1, 2)) / pixels[:, 0, 0]).sqrt()


def _quotient(value: Tensor, by: Tensor) -> Tensor:
    return torch.where(by > ROUNDING, value / by, torch.nan)
