"""Patches as they lie on disk: dped-build's shards, and the plain way's files."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
from scoring import NOTHING, StoredClaims

COLUMNS = tuple(field.name for field in fields(StoredClaims))


def shard_files(patches: Path) -> list[Path]:
    """The shards of a folder, `windows.h5` left out."""
    return sorted(patches.glob("*-[0-9]*.h5"))


def read_pair(patches: Path, pair: str) -> StoredClaims:
    """The rows of one pair, of however many shards."""
    parts = [NOTHING]
    for path in shard_files(patches):
        with h5py.File(path) as file:
            names = list(file["photos"].asstr()[:])
            if pair not in names:
                continue
            rows = np.flatnonzero(file["photo"][:] == names.index(pair))
            span = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)
            parts.append(StoredClaims(*(file[name][span] for name in COLUMNS)))
    return StoredClaims(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS)
    )


def read_plain(path: Path) -> StoredClaims:
    """What the plain way wrote for one pair."""
    with h5py.File(path) as file:
        return StoredClaims(*(file[name][:] for name in COLUMNS))


def photos_in_two_splits(patches: Path) -> int:
    """How many photos have patches in more than one split."""
    splits: dict[str, set[str]] = {}
    for path in shard_files(patches):
        with h5py.File(path) as file:
            for name in file["photos"].asstr()[:]:
                splits.setdefault(name, set()).add(path.name.split("-")[0])
    return sum(len(found) > 1 for found in splits.values())


def count_windows(patches: Path) -> int:
    """How many candidate windows were measured."""
    with h5py.File(patches / "windows.h5") as file:
        return len(file["window_xy"])
