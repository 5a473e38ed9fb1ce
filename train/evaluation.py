"""How good a generator is on patches it has not seen, in both papers' protocols.

| figure | values | mean over |
|---|---|---|
| `psnr_training`, `ms_ssim_batch` | unclipped | batches of 50, as in DPED |
| `psnr_pirm`, `psnr_color_fit`, `ssim` | clipped to [0, 1] | patches |
| `ms_ssim_image` | unclipped | patches |

The same figures are given for the phone's patches as they are (`input`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dped_build.patches.dataset import PatchDataset
from dped_build.train.batches import Batches
from dped_build.train.devices import choose_device
from dped_build.train.metrics import (
    color_fit_psnr,
    finite_or_none,
    ms_ssim,
    psnr,
    ssim,
)

BATCH = 50  # patches, as in the published tables
FIGURES = (
    "psnr_training",
    "psnr_pirm",
    "psnr_color_fit",
    "ssim",
    "ms_ssim_batch",
    "ms_ssim_image",
)
SIDES = ("input", "output")  # the phone's patches, and what the generator makes of them


@dataclass
class _Tally:
    """Running sums of one side's figures."""

    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    n: int = 0  # patches whose own figures are in
    batched: int = 0  # patches whose batch's figures are in

    def add_images(self, figures: dict[str, Tensor]) -> None:
        """Figures of (B,) patches."""
        for name, values in figures.items():
            self.sums[name] += float(values.double().sum())
        self.n += len(values)

    def add_batch(self, images: Tensor, target: Tensor) -> None:
        """A batch's figures; it counts by its size, as the last one may be short."""
        self.sums["psnr_training"] += len(images) * float(
            psnr(images, target, per_batch=True)
        )
        self.sums["ms_ssim_batch"] += len(images) * float(
            ms_ssim(images, target, per_batch=True)
        )
        self.batched += len(images)

    def means(self) -> dict[str, float | None]:
        """Mean of every figure, None where it is infinite."""
        return {
            name: finite_or_none(
                self.sums[name]
                / (
                    self.batched
                    if name in ("psnr_training", "ms_ssim_batch")
                    else self.n
                )
            )
            for name in FIGURES
        }


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    folders: str | Path | Sequence[str | Path],
    *,
    split: str = "test",
    device: str = "cpu",
) -> dict[str, Any]:
    """Hold a generator's output and its input against the DSLR's patches.

    Args:
        model: A generator, as `load_generator` returns it.
        folders: One or several `patches` folders.
        split: `train`, `val` or `test`.
        device: Where to compute: auto, cpu or cuda.

    Returns:
        `{"n": patches, "input": M, "output": M, "photos": {name: {"n", "input",
        "output"}}}` with M the FIGURES by name, infinite ones (equal patches) None.

    Raises:
        DpedBuildError: No patches in this split, or no such device.
    """
    where = choose_device(device)
    model = model.to(where).eval()
    patches = PatchDataset(folders, split)
    overall = {side: _Tally() for side in SIDES}
    photos: dict[str, Any] = {}
    waiting: list[tuple[Tensor, Tensor, Tensor]] = []
    for name, rows in _rows_of_photos(patches.photos).items():
        of_photo = {side: _Tally() for side in SIDES}
        for phone, dslr in Batches(patches, device=where, rows=rows).in_order(
            size=BATCH
        ):
            images = {"input": phone, "output": model(phone)}
            for side in SIDES:
                figures = _image_figures(images[side], dslr)
                of_photo[side].add_images(figures)
                of_photo[side].add_batch(images[side], dslr)
                overall[side].add_images(figures)
            waiting.append((phone, images["output"], dslr))
            waiting = _add_full_batches(overall, waiting, least=BATCH)
        photos[name] = _report(of_photo)
    _add_full_batches(overall, waiting, least=1)
    return {**_report(overall), "photos": photos}


def _rows_of_photos(photos: NDArray[np.object_]) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(photos):
        rows[name].append(row)
    return {name: np.asarray(numbers) for name, numbers in rows.items()}


def _image_figures(images: Tensor, target: Tensor) -> dict[str, Tensor]:
    clipped = images.clamp(0, 1)
    return {
        "psnr_pirm": psnr(clipped, target),
        "psnr_color_fit": color_fit_psnr(clipped, target),
        "ssim": ssim(clipped, target),
        "ms_ssim_image": ms_ssim(images, target),
    }


def _add_full_batches(
    overall: dict[str, _Tally], waiting: list[tuple[Tensor, Tensor, Tensor]], least: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Batches run on across photos: take whole ones, return what is left over."""
    phone, output, dslr = (torch.cat(parts) for parts in zip(*waiting, strict=True))
    while len(phone) >= least:
        overall["input"].add_batch(phone[:BATCH], dslr[:BATCH])
        overall["output"].add_batch(output[:BATCH], dslr[:BATCH])
        phone, output, dslr = phone[BATCH:], output[BATCH:], dslr[BATCH:]
    return [(phone, output, dslr)]


def _report(tallies: dict[str, _Tally]) -> dict[str, Any]:
    means = {side: tally.means() for side, tally in tallies.items()}
    return {"n": tallies["input"].n, **means}
