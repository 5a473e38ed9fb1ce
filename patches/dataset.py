"""Dataset of patch pairs, read from the shards of one or more `patches` folders.

NumPy and h5py only, so that notebooks and other frameworks can use it. Rows come in the
order of the folders given, then of the shards' names, then of the shard. What the
workspace's `exclude.csv` takes out is left out here too, so that an exclusion counts
for training without `dped-build patches` having run again. Where a patch shows the
scene in a part of its pixels only, its mask `valid` says where.
"""

import hashlib
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    Exclusions,
    is_excluded,
    read_exclusions,
)
from dped_build.patches.folder import (
    SHARDS,
    SIDES,
    list_shards,
    read_manifest,
    read_split_rows,
    rows_of,
)
from dped_build.patches.hdf5_files import DAMAGE, damaged, missing, opened, stored
from dped_build.patches.manifest import is_imported
from dped_build.patches.settings import PatchSettings
from dped_build.patches.shards import FORMAT, VERSION
from dped_build.patches.split import MIN_GROUPS, SPLITS
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.text import counted

WHOLE = PatchSettings.min_valid  # share of valid pixels that makes masks needless
Stamp = tuple[int, int, int]  # inode, size and modification time of a file


class NoPatchesError(DpedBuildError):
    """The folders hold no patch of the split that was asked for."""


@dataclass(frozen=True)
class Shard:
    """The header of a shard.

    Attributes:
        path: Where it lies.
        stamp: What it was when the header was read.
        size: Side of a patch, pixels.
        count: How many rows it holds.
        masked: Whether it has the column `valid`.
        rows: The rows that are not left out, ascending, (N,).
        photos: Pair name of each of them, (N,).
        window_xy: Top-left pixel of each of them, (N, 2).
        valid_share: Of the pixels of each of them, (N,).
    """

    path: Path
    stamp: Stamp
    size: int
    count: int
    masked: bool
    rows: NDArray[np.int64]
    photos: NDArray[np.object_]
    window_xy: NDArray[np.int32]
    valid_share: NDArray[np.float32]

    def only(self, kept: NDArray[np.bool_]) -> "Shard":
        """The shard with those of its rows that `kept` marks, (N,)."""
        of_rows = ("rows", "photos", "window_xy", "valid_share")
        return replace(self, **{name: getattr(self, name)[kept] for name in of_rows})


class PatchDataset:
    """The patch pairs of one split; `ds[i]` is `(phone, dslr)`, uint8 (S, S, 3) RGB.

    Pairs whose `valid_share` is below 0.98 are left out, unless `masks`: then `ds[i]`
    is `(phone, dslr, valid)`, and `valid`, bool (S, S), says where both show the same
    point of the scene. Shards without that column are valid everywhere.

    Safe with any number of `DataLoader` workers: every process opens the shards itself.

    Attributes:
        split: `train`, `val` or `test`.
        masks: Whether masks come with the pairs.
        patch_size: S, pixels.
        photos: Pair name of every row, (N,) object array of str. Where several folders
            are read, `<number of the folder>/<pair>`: their names may be equal.
        window_xy: Top-left pixel of every row's window in its phone photo, (N, 2) int.
        valid_share: Of every row's pixels, (N,) f4.
        left_out: How many rows are missing for want of masks.
        shards: The files that hold the rows, in their order.
        identity: SHA-256 that changes whenever the folders' content or the rows
            excluded do; the same with and without masks.
    """

    def __init__(
        self,
        folders: str | Path | Sequence[str | Path],
        split: str = "train",
        *,
        masks: bool = False,
    ) -> None:
        """Read the headers of the split's shards.

        Raises:
            NoPatchesError: No shard of this split, or every patch in it is left out.
            DpedBuildError: A folder is missing, a file is damaged or not a patch shard,
                or the shards' patch sizes differ.
            UsageError: A folder is given twice.
        """
        self.split, self.masks = split, masks
        roots = [folders] if isinstance(folders, str | Path) else list(folders)
        if not roots:
            raise UsageError("name a folder of patches")
        labels = _labels([Path(root) for root in roots])
        parts = [
            (Path(root), label, _open_shards(Path(root), split))
            for root, label in zip(roots, labels, strict=True)
        ]
        _refuse_twice([root for root, _, _ in parts])
        self.identity = _identity(parts)
        found = [(label, shard) for _, label, shards in parts for shard in shards]
        kept = [
            (label, shard if masks else shard.only(shard.valid_share >= WHOLE))
            for label, shard in found
        ]
        self.shards = [shard for _, shard in kept]
        counts = [len(shard.rows) for shard in self.shards]
        self.left_out = sum(len(shard.rows) for _, shard in found) - sum(counts)
        if sum(counts) == 0:
            raise NoPatchesError(
                _nothing_in(roots, split, bool(found), partial=self.left_out)
            )
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.patch_size = _common_size(self.shards)
        self.photos: NDArray[np.object_] = np.concatenate(
            [label + shard.photos for label, shard in kept]
        )
        self.window_xy = np.concatenate([shard.window_xy for shard in self.shards])
        self.valid_share = np.concatenate([shard.valid_share for shard in self.shards])
        self._files: dict[int, h5py.File] = {}
        self._owner = os.getpid()

    def __len__(self) -> int:
        """Number of patch pairs."""
        return int(self._starts[-1])

    def __repr__(self) -> str:
        """What it holds, in a line."""
        size, photos = self.patch_size, len(set(self.photos))
        return (
            f"<PatchDataset {self.split}: {counted(len(self), 'pair')} of patches, "
            f"{size}x{size} px, from {counted(photos, 'photo')}>"
        )

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        """Read one pair: the phone's patch and the DSLR's, uint8 (S, S, 3) RGB each.

        With `masks` also where they are valid, bool (S, S).
        """
        try:
            index = operator.index(index)
        except TypeError as error:
            every = "[dataset[i] for i in range(3)]"
            raise TypeError(f"one patch at a time, by its number: {every}") from error
        if not -len(self) <= index < len(self):
            raise IndexError(f"patch {index} of {len(self)}")
        index = index % len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        row = int(self.shards[number].rows[index - self._starts[number]])
        file = self._file(number)
        try:
            pair = file["phone"][row], file["dslr"][row]
            if not self.masks:
                return pair
            if not self.shards[number].masked:
                return *pair, np.ones(pair[0].shape[:2], dtype=bool)
            return *pair, file["valid"][row] != 0
        except DAMAGE as error:  # a checksum that fails, say
            raise damaged(self.shards[number].path, error) from error

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the open files, which belong to this process."""
        return {**self.__dict__, "_files": {}}

    def _file(self, number: int) -> h5py.File:
        if self._owner != os.getpid():  # forked: the parent's handles are not ours
            self._files, self._owner = {}, os.getpid()
        if number not in self._files:
            shard = self.shards[number]
            file = _open(shard.path)
            if _stamp(shard.path) != shard.stamp:  # its rows may be others now
                file.close()
                raise DpedBuildError(
                    f"{shard.path} changed while it was read; start again"
                )
            self._files[number] = file
        return self._files[number]


def _open_shards(folder: Path, split: str) -> list[Shard]:
    """Headers and kept rows of a folder's shards of one split, by name."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: the splits are {', '.join(SPLITS)}")
    if not folder.is_dir():
        raise DpedBuildError(
            f"{folder}: no such folder; run dped-build patches first, or name another "
            "folder"
        )
    excluded = read_exclusions(folder.absolute().parent / EXCLUDE_FILE)
    return [
        _read_header(path, excluded, stated)
        for path, stated in list_shards(folder, read_manifest(folder), split)
    ]


def _read_header(path: Path, excluded: Exclusions, stated: int | None) -> Shard:
    stamp = _stamp(path)  # before opening: a shard replaced in between is noticed
    with opened(path) as file:
        _require_format(path, file)
        lacking = {*SIDES, "photo", "photos", "window_xy"} - set(file)
        if lacking:
            raise DpedBuildError(f"{path} lacks {sorted(lacking)}: not a patch shard")
        rows = rows_of(file, ["window_xy"])
        shapes = {stored(file, side).shape for side in SIDES}
        count, size = next(iter(shapes))[:2]
        if len(shapes) > 1 or len(rows) != count or stated not in (None, count):
            raise ValueError("its rows are not one for one, or not as many as stated")
        valid_share, masked = _valid_shares(file, count, size), "valid" in file
    pairs, window_xy = rows.pairs, rows.windows.window_xy
    kept = np.ones(count, dtype=bool)
    if excluded:
        kept = ~is_excluded(pairs, window_xy, excluded)
    every = np.arange(count), pairs, window_xy, valid_share
    return Shard(path, stamp, size, count, masked, *every).only(kept)


def _valid_shares(file: h5py.File, count: int, size: int) -> NDArray[np.float32]:
    """`valid_share`, (N,): ones where the shard has no masks."""
    if not {"valid", "valid_share"} & set(file):
        return np.ones(count, dtype=np.float32)
    shares = stored(file, "valid_share")
    if shares.dtype.kind != "f" or shares.shape != (count,):
        raise OSError(f"valid_share is {shares.dtype} {shares.shape}")
    if stored(file, "valid").shape != (count, size, size):
        raise OSError("its masks are not of the patches' size and number")
    values = np.asarray(shares[()], dtype=np.float32)
    if not ((values >= 0) & (values <= 1)).all():
        raise OSError("a valid_share is not from 0 to 1")
    return values


def _open(path: Path) -> h5py.File:
    """Open a shard whose header was read before, to keep it open."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise missing(path) from error
    except OSError as error:
        raise damaged(path, error) from error


def _require_format(path: Path, file: h5py.File) -> None:
    stated = [_attribute(file, name) for name in ("format", "version")]
    if stated != [FORMAT, VERSION]:
        kind = "no patch shard" if stated[0] is None else f"{stated[0]!r:.40}"
        raise DpedBuildError(
            f"{path} is {kind}, version {stated[1]!r:.20}; this program reads "
            f"{FORMAT}, version {VERSION}"
        )


def _attribute(file: h5py.File, name: str) -> str | int | None:
    """An attribute that is one text or one number; None where it is neither."""
    if name not in file.attrs:
        return None
    space = file.attrs.get_id(name).get_space()
    if space.get_simple_extent_type() != h5py.h5s.SCALAR:
        return None
    value = file.attrs[name]
    return value if isinstance(value, str) else int(value)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise missing(path) from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_twice(roots: list[Path]) -> None:
    for one, other in combinations(roots, 2):
        if one.samefile(other):
            raise UsageError(f"{other} is given twice: name every folder once")


def _labels(roots: list[Path]) -> list[str]:
    if len(roots) == 1:
        return [""]
    return [f"{number}/" for number in range(1, len(roots) + 1)]


def _common_size(shards: list[Shard]) -> int:
    sizes = {shard.size: shard.path for shard in shards}
    if len(sizes) > 1:
        told = ", ".join(f"{size} px in {path}" for size, path in sizes.items())
        raise DpedBuildError(f"all patches must have one size; these differ: {told}")
    return shards[0].size


def _identity(parts: list[tuple[Path, str, list[Shard]]]) -> str:
    digest = hashlib.sha256()
    for folder, _, shards in parts:
        manifest = read_manifest(folder) or {}
        digest.update(str(manifest.get("dataset_id")).encode())
        for shard in shards:
            digest.update(f"{shard.path.name} {shard.stamp[1]}".encode())
            digest.update(shard.rows.tobytes())
    return digest.hexdigest()


def _nothing_in(
    roots: Sequence[str | Path], split: str, any_shard: bool, *, partial: int
) -> str:
    told = ", ".join(str(root) for root in roots)
    if partial:
        return (
            f"none of the {partial} {split} patches in {told} is valid in {WHOLE:.0%} "
            "of its pixels: use their masks (--masks)"
        )
    if any_shard:
        return (
            f"every {split} patch in {told} was rejected or excluded: see "
            f"{EXCLUDE_FILE}"
        )
    if all(_is_excluded(Path(root), split) for root in roots):
        return f"every {split} photo in {told} is excluded: see {EXCLUDE_FILE}"
    if any(next(Path(root).glob(SHARDS), None) for root in roots):
        if all(is_imported(read_manifest(Path(root)) or {}) for root in roots):
            return f"no {split} patches in {told}: imported from a source without any"
        scenes = {
            row.group for root in roots for row in read_split_rows(Path(root)) or ()
        }
        if 0 < len(scenes) < MIN_GROUPS:
            return (
                f"no {split} patches in {told}: {counted(len(scenes), 'scene')} cannot "
                f"be split; photograph {MIN_GROUPS} or more"
            )
        return (
            f"no {split} patches in {told}: the photos of that split gave none; draw "
            "another with dped-build patches --force --split-seed 1"
        )
    if any((Path(root) / "patches").is_dir() for root in roots):
        return f"no shards in {told}, which has a folder patches: name that"
    if any(found for root in roots for found in Path(root).glob("t*_data")):
        return f"no shards in {told}: run dped-build import {told} first"
    return f"no {split} patches in {told}: run dped-build patches first"


def _is_excluded(root: Path, split: str) -> bool:
    """Whether exclude.csv takes every photo out that was drawn for a split."""
    drawn = {row.pair for row in read_split_rows(root) or () if row.split == split}
    excluded = read_exclusions(root.absolute().parent / EXCLUDE_FILE)
    return bool(drawn) and all((pair,) in excluded for pair in drawn)
