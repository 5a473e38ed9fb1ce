"""Batches of patches: uint8 rows → float (B, 3, S, S) in [0, 1] on the device.

Rows are drawn as the original code draws them: independently and uniformly, so one may
come twice. The draws belong to the run's own generator, never to a worker or a loader,
which is what makes a resumed run equal to an uninterrupted one.

Where a set is too large for the device, it holds a pool of as many rows as the original
code does, and other rows after as many iterations, which are read beforehand; see
`pool_rows`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dped_build.patches.dataset import PatchDataset
from dped_build.patches.split import MAX_GROUPS, MIN_GROUPS, VAL_SHARE
from dped_build.train import ranks
from dped_build.train.devices import to_device
from dped_build.train.losses import content_features
from dped_build.train.pixels import to_unit

RESIDENT_BYTES = 2 * 2**30  # in main memory; on a GPU, a third of its own
POOL_PATCHES = 30_000
POOL_ITERATIONS = 1000
RUN_PATCHES = 256  # neighbours in a shard, read one after the other
ROWS_AT_ONCE = 1024  # on their way to the device


Pixels = tuple[Tensor, ...]  # phone, DSLR and, of a masked set, where they are valid


class Batch(NamedTuple):
    """Pairs of patches, float (B, 3, S, S) in [0, 1]."""

    phone: Tensor
    dslr: Tensor
    valid: Tensor | None = None  # bool (B, 1, S, S); None: a set without masks
    features: Tensor | None = None  # of `dslr`, by the VGG, where they are kept
    weight: Tensor | None = None  # of this rank's mean over valid pixels; None: 1


class Batches:
    """Some rows of a dataset as batches, kept on the device where they fit.

    Attributes:
        masked: How many rows have a mask with zeros; 0 where masks do not come along.
        valid_share: Of all pixels.

    Args:
        patches: Where the rows lie.
        device: Where the batches go.
        rows: Rows of `patches` that belong here, all by default.
        seed: Draws the pools of a set that does not fit.
    """

    def __init__(
        self,
        patches: PatchDataset,
        *,
        device: torch.device,
        rows: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> None:
        """Copy the pixels to the device, unless they are too many."""
        self.device = device
        self._patches, self._seed = patches, seed
        self._rows = np.arange(len(patches)) if rows is None else rows
        shares = patches.valid_share[self._rows]
        # Of the whole set, not of each batch: no step has to look, or changes its code.
        self.masked = int((shares < 1).sum()) if patches.masks else 0
        self.valid_share = float(shares.mean()) if self.masked else 1.0
        self._pair_bytes = (7 if self.masked else 6) * patches.patch_size**2
        self._features: Tensor | None = None
        self.resident = len(self) * self._pair_bytes <= _room(device)
        self._number = 0  # of the pool
        self._pool = self._read(np.arange(len(self))) if self.resident else None
        self._reader = ThreadPoolExecutor(1)
        self._coming: dict[int, Future[Pixels]] = {}

    def __len__(self) -> int:
        """Number of patch pairs."""
        return len(self._rows)

    def take(self, indices: NDArray[np.int64]) -> Batch:
        """The pairs at these places among the rows, as one batch."""
        if self.resident and self._pool:
            where = to_device(indices, self.device)
            return _batch([pixels[where] for pixels in self._pool])
        return _batch(self._read(indices))

    def turn_to(self, iteration: int) -> None:
        """Draw from the pool of this iteration from now on."""
        number = max(iteration - 1, 0) // POOL_ITERATIONS
        if not self.resident and number != self._number:
            self._pool, self._number = None, number

    def draw(self, random: np.random.Generator, *, size: int) -> Batch:
        """This rank's share of a batch of `size` pairs at random, with replacement."""
        if self._pool is None:
            self._pool = self._await_pool(self._number)
        places = random.integers(len(self._pool[0]), size=size)
        where = to_device(ranks.own_share(places), self.device)
        features = None if self._features is None else self._features[where]
        batch = _batch([pixels[where] for pixels in self._pool], features)
        if batch.valid is None or ranks.count() == 1:
            return batch
        valid_of_all = self._pool[2][to_device(places, self.device)].float().mean()
        return batch._replace(weight=batch.valid.float().mean() / valid_of_all)

    def in_order(self, *, size: int) -> Iterator[Batch]:
        """Every pair once, in batches of `size`; the last may be smaller."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    @torch.no_grad()
    def keep_features(self, vgg: nn.Module, *, size: int) -> bool:
        """Compute the targets' features, `size` at a time, if all fit on the device."""
        if not self.resident:
            return False
        one = vgg(self.take(np.arange(1)).dslr)
        if len(self) * one.nbytes > _room(self.device):
            return False
        self._features = one.new_empty(len(self), *one.shape[1:])
        for number, batch in enumerate(self.in_order(size=size)):
            features = content_features(batch.dslr, vgg, valid=batch.valid)
            self._features[number * size : (number + 1) * size] = features
        return True

    def _await_pool(self, number: int) -> Pixels:
        """A pool, which may have been read meanwhile; has the next one read."""
        pool = (self._coming.pop(number, None) or self._order(number)).result()
        self._coming = {number + 1: self._order(number + 1)}
        return pool

    def _order(self, number: int) -> "Future[Pixels]":
        fitting = _room(self.device) // (2 * self._pair_bytes)  # this and the next
        wanted = min(POOL_PATCHES, fitting)
        rows = pool_rows(len(self), number, seed=self._seed, wanted=wanted)
        return self._reader.submit(self._read, rows)

    def _read(self, indices: NDArray[np.int64]) -> Pixels:
        """On the device, in the order given: uint8 (N, S, S, 3), masks bool (N, S, S).

        Masks that are ones in all rows stay where they are.
        """
        rows, size = self._rows[indices], self._patches.patch_size
        shape = (len(rows), size, size)
        parts = [
            torch.empty(*shape, 3, dtype=torch.uint8, device=self.device) for _ in "12"
        ]
        if self.masked:
            parts.append(torch.empty(shape, dtype=torch.bool, device=self.device))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            read = [self._patches[int(r)] for r in rows[start : start + ROWS_AT_ONCE]]
            for part, values in zip(parts, zip(*read, strict=True), strict=False):
                part[start : start + len(read)] = torch.from_numpy(np.stack(values))
        return tuple(parts)


def _batch(pixels: Sequence[Tensor], features: Tensor | None = None) -> Batch:
    phone, dslr, *masks = pixels
    valid = masks[0].unsqueeze(1) if masks else None
    return Batch(to_unit(phone), to_unit(dslr), valid, features)


def pool_rows(count: int, number: int, *, seed: int, wanted: int) -> NDArray[np.int64]:
    """Which of `count` rows make up a pool of `wanted`: runs of neighbours, at random.

    Every run comes once before any comes again, and each pool is read in order, so that
    disks are read in sequence. A pool depends on its number and on the seed alone.
    """
    runs = -(-count // RUN_PATCHES)
    taken = min(max(wanted // RUN_PATCHES, 1), runs)
    first, end = number * taken, (number + 1) * taken
    epochs = range(first // runs, -(-end // runs))
    orders = [np.random.default_rng([seed, e]).permutation(runs) for e in epochs]
    begun = epochs.start * runs
    starts = np.sort(np.concatenate(orders)[first - begun : end - begun]) * RUN_PATCHES
    rows = (starts[:, None] + np.arange(RUN_PATCHES)).ravel()
    return rows[rows < count]


def training_and_validation(
    training: PatchDataset,
    validation: PatchDataset | None,
    *,
    device: torch.device,
    seed: int = 0,
) -> tuple[Batches, Batches | None]:
    """The rows to learn from, and the rows on which `best.pt` is chosen.

    Without a validation split, whole photos are held out of the training split;
    with fewer than three photos there is none to spare, and no validation.
    """
    kept = True if validation is not None else ~_held_out(training)
    rows = rows_to_use(training, kept)
    learn = Batches(training, device=device, rows=rows, seed=seed)
    return learn, validation_batches(training, validation, device=device)


def validation_batches(
    training: PatchDataset, validation: PatchDataset | None, *, device: torch.device
) -> Batches | None:
    """The rows on which `best.pt` is chosen, as `training_and_validation` has them."""
    if validation is not None:
        return Batches(validation, device=device, rows=rows_to_use(validation))
    rows = rows_to_use(training, _held_out(training))
    return Batches(training, device=device, rows=rows) if len(rows) else None


def rows_to_use(
    patches: PatchDataset, kept: NDArray[np.bool_] | bool = True
) -> NDArray[np.int64]:
    """The rows that `kept` marks, without those that are valid nowhere."""
    return np.flatnonzero((patches.valid_share > 0) & kept)


def _held_out(training: PatchDataset) -> NDArray[np.bool_]:
    """Which rows of a training split stand in for a validation split, (N,)."""
    return np.isin(training.photos, held_out_photos(list(training.photos)))


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
    """Bytes for pixels, or for features; what fits must not change from run to run."""
    if device.type != "cuda":
        return RESIDENT_BYTES
    return torch.cuda.get_device_properties(device).total_memory // 3
