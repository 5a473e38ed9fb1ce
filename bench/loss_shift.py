"""How the colour loss and the MSE grow as an image moves: figure 6 of the DPED paper.

    python bench/loss_shift.py                          # pictures of scikit-image
    python bench/loss_shift.py --pictures ~/photos
    python bench/loss_shift.py data/patches --out shift.png

Pairs (X, Y), Y being X shifted by n px in a random direction; mean over many patches.
Both losses are per pixel and channel, so their ratio needs no further scale; the plot
also shows each relative to its own value at the largest shift. The colour loss is drawn
with the blur that the original code makes (sigma 4.7 px) and with that of equation 4
read as it stands (sigma 1.7 px). Sub-pixel shifts use Lanczos interpolation.

Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional
Networks", ICCV 2017, section 3.1.1. Prints Markdown and writes the plot.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pictures import list_pictures
from tables import NO_VALUE, table
from torch import Tensor

from dped_build.patches.dataset import PatchDataset
from dped_build.photos.reading import read_photo
from dped_build.train.losses import blur
from dped_build.train.pixels import to_unit
from dped_build.workspace.errors import DpedBuildError

SIZE = 100  # of a patch, px
MARGIN = 4  # around what moves, px: reach of the interpolation
BATCH = 50  # patches
LEAST = 32  # px that must remain of a patch
PAPER_SCALE, PAPER_VARIANCE, PAPER_TAPS = 0.053, 3.0, 21  # equation 4
LOSSES = ("MSE", "colour loss, code", "colour loss, eq. 4")
COLORS = ("#c9506b", "#2a7fb8", "#0f9d80")
RATIO_TICKS = (1, 2, 5, 10, 20, 50, 100)
INSENSITIVE_PX, NEAR_PX = 2, (3, 5)  # the shifts that the paper speaks of

Pictures = NDArray[np.uint8]  # (N, S, S, 3)


@dataclass(frozen=True)
class Curves:
    """Mean losses, per pixel and channel of values in [0, 1]."""

    shift_px: NDArray[np.float64]  # (K,), ascending
    values: NDArray[np.float64]  # (K, 3), in the order of LOSSES
    patches: int

    def ratio(self, loss: int) -> NDArray[np.float64]:
        """MSE over a colour loss, (K,); NaN without a shift."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.values[:, 0] / self.values[:, loss])

    def relative(self) -> NDArray[np.float64]:
        """Each loss over its own value at the largest shift, (K, 3)."""
        return np.asarray(self.values / self.values[-1])


def measure(patches: Pictures, shifts_px: NDArray[np.float64], *, seed: int) -> Curves:
    """Mean losses of the patches' middles against themselves, shifted.

    Args:
        patches: RGB; the largest shift and MARGIN are cut off on every side.
        shifts_px: Lengths of the shifts, ascending.
        seed: Of the patches' directions.
    """
    rng = np.random.default_rng(seed)
    edge = int(np.ceil(shifts_px[-1])) + MARGIN
    totals = np.zeros((len(shifts_px), len(LOSSES)))
    for start in range(0, len(patches), BATCH):
        part = patches[start : start + BATCH]
        middle = to_unit(torch.from_numpy(_cut(part, edge)))
        angles = rng.uniform(0, 2 * np.pi, len(part))
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for number, length in enumerate(shifts_px):
            moves = zip(part, length * directions, strict=True)
            moved = np.stack([shifted(patch, move) for patch, move in moves])
            difference = to_unit(torch.from_numpy(_cut(moved, edge))) - middle
            totals[number] += len(part) * _losses(difference)
    return Curves(shifts_px, totals / len(patches), len(patches))


def shifted(picture: Pictures, move_px: NDArray[np.float64]) -> Pictures:
    """A picture (H, W, 3) whose content has moved by (x, y) px."""
    matrix = np.array([[1, 0, move_px[0]], [0, 1, move_px[1]]])
    moved = cv2.warpAffine(
        picture,
        matrix,
        (picture.shape[1], picture.shape[0]),
        flags=cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(moved, dtype=np.uint8)


def paper_blur(images: Tensor) -> Tensor:
    """Blur (B, C, H, W) by equation 4 as it stands; zeros surround the image."""
    places = torch.arange(PAPER_TAPS, dtype=images.dtype) - PAPER_TAPS // 2
    row = PAPER_SCALE**0.5 * torch.exp(-(places**2) / (2 * PAPER_VARIANCE))
    planes = images.flatten(0, 1).unsqueeze(1)
    half = PAPER_TAPS // 2
    planes = F.conv2d(planes, row.view(1, 1, 1, -1), padding=(0, half))
    planes = F.conv2d(planes, row.view(1, 1, -1, 1), padding=(half, 0))
    return planes.view_as(images)


def _losses(difference: Tensor) -> NDArray[np.float64]:
    parts = difference, blur(difference), paper_blur(difference)
    return np.array([float(part.double().square().mean()) for part in parts])


def _cut(patches: Pictures, edge: int) -> Pictures:
    return np.ascontiguousarray(patches[:, edge:-edge, edge:-edge])


def patches_of_pictures(
    folder: Path | None, *, count: int, largest_px: float, seed: int
) -> Pictures:
    """Patches at random places of photographs, each as often, with room to move.

    Raises:
        DpedBuildError: No photograph, or none large enough.
    """
    side = SIZE + 2 * (int(np.ceil(largest_px)) + MARGIN)
    paths = list_pictures(folder)
    pictures = [read_photo(path) for path in paths]
    pictures = [one for one in pictures if min(one.shape[:2]) > side]
    if not pictures:
        raise DpedBuildError(f"no photograph of more than {side} px: name others")
    rng = np.random.default_rng(seed)
    patches = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        y, x = (int(rng.integers(length - side)) for length in picture.shape[:2])
        patches.append(picture[y : y + side, x : x + side])
    return np.stack(patches)


def patches_of_folder(
    folder: Path, *, count: int, largest_px: float, seed: int
) -> Pictures:
    """The DSLR's patches of a `patches` folder, at most `count`, drawn at random.

    Raises:
        DpedBuildError: No patches for training, or too small ones.
    """
    patches = PatchDataset(folder, "train")
    left = patches.patch_size - 2 * (int(np.ceil(largest_px)) + MARGIN)
    if left < LEAST:
        raise DpedBuildError(
            f"patches of {patches.patch_size} px leave {left} px: lower --largest"
        )
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(patches))[:count]
    return np.stack([patches[int(row)][1] for row in sorted(rows)])


def report(curves: Curves) -> Iterator[str]:
    """The table, and what becomes of the paper's two statements."""
    yield f"{curves.patches} patches; losses per pixel and channel, values in [0, 1]\n"
    names = [*LOSSES, *(f"MSE / {n}" for n in LOSSES[1:])]
    rows = []
    for number, shift in enumerate(curves.shift_px):
        ratios = [curves.ratio(loss)[number] for loss in (1, 2)]
        values = [f"{value:.2e}" for value in curves.values[number]]
        told = [f"{ratio:.1f}" if np.isfinite(ratio) else NO_VALUE for ratio in ratios]
        rows.append([f"{shift:g}", *values, *told])
    yield table(["shift, px", *names], rows)
    yield ""
    here = curves.shift_px == INSENSITIVE_PX
    near = (curves.shift_px >= NEAR_PX[0]) & (curves.shift_px <= NEAR_PX[1])
    for loss, name in enumerate(LOSSES):
        told = [
            f"at {INSENSITIVE_PX} px {part:.0%} of its value at "
            f"{curves.shift_px[-1]:g} px"
            for part in curves.relative()[here, loss]
        ]
        if loss and near.any():
            ratios = curves.ratio(loss)[near]
            told.append(
                f"between {NEAR_PX[0]} and {NEAR_PX[1]} px the MSE is "
                f"{ratios.min():.1f} to {ratios.max():.1f} times as large"
            )
        yield f"- {name}: {'; '.join(told)}"


def draw(curves: Curves, path: Path) -> None:
    """Write the plot: the losses, each to its own scale, and their ratio."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for loss, (name, color) in enumerate(zip(LOSSES, COLORS, strict=True)):
        left.plot(curves.shift_px, curves.relative()[:, loss], color=color, label=name)
        if loss:
            label = f"MSE / {name}"
            right.plot(curves.shift_px, curves.ratio(loss), color=color, label=label)
    left.set_ylabel(f"loss / its value at {curves.shift_px[-1]:g} px")
    right.set_ylabel("ratio, both per pixel")
    right.set_yscale("log", subs=())
    right.set_yticks(RATIO_TICKS, [f"{tick}" for tick in RATIO_TICKS])
    right.fill_between(
        NEAR_PX, 5, 10, color="#6b7f8f", alpha=0.3, lw=0, label="the paper's 5-10"
    )
    for axes in (left, right):
        axes.set_xlabel("shift, px")
        axes.set_xlim(0, curves.shift_px[-1])
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    left.set_ylim(bottom=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print and draw."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add(
        "patches", type=Path, nargs="?", help="a `patches` folder, in place of pictures"
    )
    add("--pictures", type=Path, metavar="DIR", help="photographs")
    add("--count", type=int, default=2000, help="patches [2000]")
    add("--largest", type=int, default=10, help="shift, px [10]")
    add("--step", type=float, default=0.5, help="between shifts, px [0.5]")
    add("--seed", type=int, default=0, help="of places and directions [0]")
    add("--out", type=Path, default=Path("loss_shift.png"), help="[loss_shift.png]")
    options = made.parse_args()
    shifts = np.arange(0, options.largest + options.step / 2, options.step)
    drawn = {
        "count": options.count,
        "largest_px": options.largest,
        "seed": options.seed,
    }
    try:
        if options.patches is None:
            patches = patches_of_pictures(options.pictures, **drawn)
        else:
            patches = patches_of_folder(options.patches, **drawn)
        curves = measure(patches, shifts, seed=options.seed)
        draw(curves, options.out)
    except DpedBuildError as error:
        sys.exit(f"loss_shift: {error}")
    print("\n".join(report(curves)), f"\n\n→ {options.out}", sep="")


if __name__ == "__main__":
    main()
