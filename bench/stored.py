"""Patches as they lie on disk: dped-build's shards, and the plain way's files."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
from scoring import NOTHING, StoredClaims

from dped_build.patches.folder import (
    list_shards,
    read_manifest,
    read_pixels,
    read_rows,
    read_valid,
)
from dped_build.patches.shards import WINDOWS_FILE

COLUMNS = tuple(field.name for field in fields(StoredClaims))


def shards(patches: Path) -> list[Path]:
    """The shards of a folder."""
    return [path for path, _ in list_shards(patches, read_manifest(patches))]


def read_pair(patches: Path, pair: str) -> StoredClaims:
    """The rows of one pair, of however many shards."""
    parts = [NOTHING]
    for path in shards(patches):
        found = read_rows(path)
        rows = np.flatnonzero(found.pairs == pair)
        if len(rows):
            phone, dslr = read_pixels([(path, row) for row in rows.tolist()])
            valid = read_valid(path, rows.tolist()).astype(np.bool_)
            columns = (getattr(found.windows.rows(rows), name) for name in COLUMNS[3:])
            parts.append(StoredClaims(phone, dslr, valid, *columns))
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
    for path in shards(patches):
        for name in read_rows(path, []).photos:
            splits.setdefault(name, set()).add(path.name.split("-")[0])
    return sum(len(found) > 1 for found in splits.values())


def count_windows(patches: Path) -> int:
    """How many candidate windows were measured."""
    return len(read_rows(patches / WINDOWS_FILE, []))
