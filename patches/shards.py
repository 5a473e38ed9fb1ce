"""Shards: the HDF5 files that hold the patches, and `windows.h5` with every window.

A file is written under a temporary name, closed, read back and only then named: HDF5
files that a crash leaves open cannot be read at all.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.hdf5_files import BITS, DIMENSIONS, VALID
from dped_build.patches.masks import Bits, Masks, packed_length
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, concatenate
from dped_build.workspace.durable import durable, patient_file
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import created_with

FORMAT = "dped-build/patches"
WINDOWS_FORMAT = "dped-build/windows"
VERSION = 1
WINDOWS_FILE = "windows.h5"
ROWS_AT_ONCE = 64  # patches held when a shard is read back
# Bytes of a chunk of masks: training reads rows at random, `patches` pair by pair. The
# larger one still fits HDF5's cache of 1 MiB, so that no chunk is squeezed twice.
VALID_CHUNK, BITS_CHUNK = 2**16, 2**19


@dataclass(frozen=True)
class PhotoPatches:
    """What one photo gives to a shard."""

    pair: str
    windows: Windows  # the kept ones
    phone: NDArray[np.uint8]  # (N, S, S, 3)
    dslr: NDArray[np.uint8]  # (N, S, S, 3)
    valid: Masks  # (N, S, S)


def plan_shards(counts: Mapping[str, int], limit: int) -> list[dict[str, slice]]:
    """Which rows of which photo go into each shard, in order.

    A photo's patches stay together where they fit: a shard is closed when the next
    photo would take it beyond `limit`; only a photo with more than `limit` is divided.
    `counts` is pair name → number of patches; photos without any are left out.
    """
    shards: list[dict[str, slice]] = []
    filled = limit
    for pair, count in counts.items():
        for start in range(0, count, limit):
            part = slice(start, min(start + limit, count))
            length = part.stop - part.start
            if filled + length > limit:
                shards.append({})
                filled = 0
            shards[-1][pair] = part
            filled += length
    return shards


def write_shard(
    path: Path,
    photos: Iterable[PhotoPatches],
    *,
    count: int,
    size: int,
    compress: str,
    attributes: Mapping[str, str],
) -> None:
    """Write one shard of `count` patches, photo by photo.

    `attributes` are those of the file beside format and version.
    """
    tables: list[Windows] = []
    names: list[str] = []
    with durable(path) as temporary:
        with patient_file(temporary) as raw, h5py.File(raw, "w") as file:
            _state(file, FORMAT, attributes)
            layout = _pixel_layout(size, compress) if count else {}
            for name in ("phone", "dslr"):
                file.create_dataset(name, (count, size, size, 3), "u1", **layout)
            valid = _masks(file, VALID, (count, size, size), VALID_CHUNK)
            start = 0
            for photo in photos:
                rows = slice(start, start + len(photo.windows))
                file["phone"][rows], file["dslr"][rows] = photo.phone, photo.dslr
                valid[rows] = photo.valid
                tables.append(photo.windows)
                names.append(photo.pair)
                start = rows.stop
            file["photos"] = np.array(names, dtype=h5py.string_dtype())
            lengths = [len(table) for table in tables]
            _column(
                file, "photo", np.repeat(np.arange(len(names), dtype="i4"), lengths)
            )
            _columns(file, concatenate(tables))
        _read_back(temporary, count)


def write_windows(
    path: Path,
    tables: Mapping[str, Windows],
    reasons: Mapping[str, NDArray[np.str_]],
    keys: Mapping[str, str],
    masks: Iterable[Bits],
    attributes: Mapping[str, str],
    *,
    size: int,
) -> None:
    """Write every window of every photo with its reason.

    Args:
        path: Of the file.
        tables: Pair name → its windows.
        reasons: Pair name → theirs, (N,).
        keys: Pair name → what its measurements were made from; a later run that finds
            the same takes them over.
        masks: Packed, of each photo in the order of `tables`; taken one by one.
        attributes: Of the file beside format and version.
        size: Side of a patch, px.
    """
    table = concatenate(list(tables.values()))
    lengths = [len(windows) for windows in tables.values()]
    owners = np.repeat(np.arange(len(tables), dtype="i4"), lengths)
    names = _text(list(tables))
    reason = np.concatenate([[], *(reasons[pair] for pair in tables)]).astype("U")
    with durable(path) as temporary:
        with patient_file(temporary) as raw, h5py.File(raw, "w") as file:
            _state(file, WINDOWS_FORMAT, attributes)
            file["photos"] = names
            file["photo_key"] = _text([keys[pair] for pair in tables])
            _column(file, "photo", owners)
            _column(file, "pair", names[owners] if len(owners) else _text([]))
            status = np.where(reason == ACCEPTED, ACCEPTED, "rejected")
            _column(file, "status", _text(status.tolist()))
            _column(file, "reason", _text(reason.tolist()))
            _columns(file, table)
            shape = (len(table), packed_length(size))
            stored, start = _masks(file, BITS, shape, BITS_CHUNK), 0
            for bits in masks:
                stored[start : start + len(bits)] = bits
                start += len(bits)
        _read_back(temporary, len(table))


def _state(file: h5py.File, kind: str, attributes: Mapping[str, str]) -> None:
    file.attrs["format"] = kind
    file.attrs["version"] = VERSION
    for name, value in attributes.items():
        file.attrs[name] = value
    file.attrs["created_with"] = created_with()


def _pixel_layout(size: int, compress: str) -> dict[str, Any]:
    """How pixels are stored: row by row, because training reads rows at random."""
    return {
        "chunks": (1, size, size, 3),
        "fletcher32": True,
        "compression": None if compress == "none" else compress,
    }


def _masks(
    file: h5py.File, name: str, shape: tuple[int, ...], chunk: int
) -> h5py.Dataset:
    """A dataset for masks, most of which are ones and take next to nothing."""
    count, row = shape[0], math.prod(shape[1:])
    if not count:
        return file.create_dataset(name, shape, "u1")
    chunks = (min(max(chunk // row, 1), count), *shape[1:])
    return file.create_dataset(
        name, shape, "u1", chunks=chunks, fletcher32=True, compression="gzip"
    )


def _columns(file: h5py.File, table: Windows) -> None:
    for name in COLUMNS:
        _column(file, name, getattr(table, name))


def _column(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    """A small column in one chunk with its checksum; empty ones cannot be chunked."""
    chunks = values.shape if len(values) else None
    file.create_dataset(
        name, data=values, dtype=values.dtype, chunks=chunks, fletcher32=len(values) > 0
    )


def _text(values: Sequence[str]) -> NDArray[Any]:
    """Fixed-length UTF-8: a million reasons are read in one go."""
    encoded = [value.encode() for value in values]
    length = max((len(value) for value in encoded), default=1)
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(length, 1)))


def _read_back(path: Path, count: int) -> None:
    """Read what was written, checksums included, before it gets its name."""
    with h5py.File(path, "r") as file:
        for name in COLUMNS:
            if len(file[name][()]) != count:
                raise OSError(f"{name} does not hold {count} rows")
        for name in DIMENSIONS.keys() & set(file):
            pixels = file[name]
            for start in range(0, count, ROWS_AT_ONCE):
                pixels[start : start + ROWS_AT_ONCE]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as the JSON text of a file attribute."""
    return json_bytes(dict(settings), indent=None).decode().strip()
