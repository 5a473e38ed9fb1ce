"""Patches to batches: uint8 rows to float (B, 3, S, S) in [0, 1] on the device.

Rows are drawn as the original code draws them: independently and uniformly, so one may
come twice. The draws belong to the run's own generator, never to a worker or a loader,
which is what makes a resumed run equal to an uninterrupted one.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dped_build.patches.dataset import PatchDataset
from dped_build.patches.split import MAX_GROUPS, MIN_GROUPS, VAL_SHARE
from dped_build.train.pixels import to_unit

RESIDENT_BYTES = 2 * 2**30  # in main memory; on a GPU, half of what is free

Batch = tuple[Tensor, Tensor]  # phone and DSLR, float (B, 3, S, S) in [0, 1]


class Batches:
    """Some rows of a dataset as batches, kept on the device where they fit.

    Args:
        patches: Where the rows lie.
        device: Where the batches go.
        rows: Rows of `patches` that belong here, all by default.
    """

    def __init__(
        self,
        patches: PatchDataset,
        *,
        device: torch.device,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """Copy the pixels to the device, unless they are too many."""
        self.device = device
        self._patches = patches
        self._rows = np.arange(len(patches)) if rows is None else rows
        self._resident: tuple[Tensor, Tensor] | None = None
        if len(self) * patches.patch_size**2 * 6 <= _room(device):
            self._resident = self._read(np.arange(len(self)))

    def __len__(self) -> int:
        """Number of patch pairs."""
        return len(self._rows)

    def take(self, indices: NDArray[np.int64]) -> Batch:
        """The pairs at these places among the rows, as one batch."""
        if self._resident is None:
            phone, dslr = self._read(indices)
        else:
            where = torch.from_numpy(indices).to(self.device)
            phone, dslr = (pixels[where] for pixels in self._resident)
        return to_unit(phone), to_unit(dslr)

    def draw(self, random: np.random.Generator, *, size: int) -> Batch:
        """A batch of `size` pairs at random, with replacement."""
        return self.take(random.integers(len(self), size=size))

    def in_order(self, *, size: int) -> Iterator[Batch]:
        """Every pair once, in batches of `size`; the last may be smaller."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def _read(self, indices: NDArray[np.int64]) -> Batch:
        pairs = [self._patches[int(row)] for row in self._rows[indices]]
        phone, dslr = (np.stack(pixels) for pixels in zip(*pairs, strict=True))
        return (
            torch.from_numpy(phone).to(self.device),
            torch.from_numpy(dslr).to(self.device),
        )


def training_and_validation(
    training: PatchDataset, validation: PatchDataset | None, *, device: torch.device
) -> tuple[Batches, Batches | None]:
    """The rows to learn from, and the rows on which `best.pt` is chosen.

    Without a validation split, whole photos are held out of the training split;
    with fewer than three photos there is none to spare, and no validation.
    """
    if validation is not None:
        return Batches(training, device=device), Batches(validation, device=device)
    names = held_out_photos(list(training.photos))
    held_out = np.isin(training.photos, names)
    learn, validate = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return (
        Batches(training, device=device, rows=learn),
        Batches(training, device=device, rows=validate) if len(validate) else None,
    )


def held_out_photos(photos: Sequence[str]) -> list[str]:
    """The photos taken out of `train` for validation: those whose names hash smallest.

    A photo's place does not depend on the run's seed, nor much on the other photos, so
    that runs on nearly the same set choose their best on nearly the same photos.
    """
    names = sorted(set(photos), key=_hash)
    if len(names) < MIN_GROUPS:
        return []
    return sorted(names[: max(1, min(MAX_GROUPS, int(len(names) * VAL_SHARE)))])


def _hash(name: str) -> str:
    return hashlib.sha256(f"0 {name}".encode()).hexdigest()


def _room(device: torch.device) -> int:
    if device.type != "cuda":
        return RESIDENT_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return free // 2
