"""Shards: the HDF5 files that hold the patches, and `windows.h5` with every window.

A file is written under a temporary name, closed, read back and only then named: HDF5
files that a crash leaves open cannot be read at all.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.chunks import (
    Bytes,
    Chunks,
    encoded,
    require_chunks,
    write_chunks,
)
from dped_build.patches.hdf5_files import BITS, DIMENSIONS, VALID
from dped_build.patches.masks import Bits, Masks, packed_length
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, concatenate
from dped_build.workspace.durable import durable, patient_file
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import created_with, sha256

FORMAT = "dped-build/patches"
WINDOWS_FORMAT = "dped-build/windows"
VERSION = 1
WINDOWS_FILE = "windows.h5"
# Bytes of a chunk of masks: training reads rows at random, `patches` pair by pair.
VALID_CHUNK, BITS_CHUNK = 2**16, 2**19


@dataclass(frozen=True)
class PhotoPatches:
    """What one photo gives to a shard."""

    pair: str
    windows: Windows  # the kept ones
    phone: Bytes | Chunks  # (N, S, S, 3), or encoded
    dslr: Bytes | Chunks  # (N, S, S, 3), or encoded
    valid: Masks  # (N, S, S)

    def chunks(self, compress: str) -> dict[str, Chunks]:
        """Both sides' pixels, encoded."""
        return {
            name: side if isinstance(side, Chunks) else encoded(side, compress)
            for name, side in (("phone", self.phone), ("dslr", self.dslr))
        }


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
) -> str:
    """Write one shard of `count` patches, photo by photo.

    `attributes` are those of the file beside format and version.

    Returns:
        Its SHA-256.
    """
    tables: list[Windows] = []
    names: list[str] = []
    with durable(path) as temporary:
        with patient_file(temporary) as raw, h5py.File(raw, "w") as file:
            _state(file, FORMAT, attributes)
            layout = _pixel_layout(size, compress) if count else {}
            for name in ("phone", "dslr"):
                file.create_dataset(name, (count, size, size, 3), "u1", **layout)
            stored = _masks(file, VALID, (count, size, size), VALID_CHUNK)
            end, waiting = 0, np.zeros((0, size, size), np.uint8)
            for photo in photos:
                for side, chunks in photo.chunks(compress).items():
                    write_chunks(file[side], end, chunks)
                end += len(photo.windows)
                masks = np.concatenate([waiting, photo.valid], dtype=np.uint8)
                waiting = _write_masks(stored, end, masks)
                tables.append(photo.windows)
                names.append(photo.pair)
            file["photos"] = np.array(names, dtype=h5py.string_dtype())
            lengths = [len(table) for table in tables]
            column(file, "photo", np.repeat(np.arange(len(names), dtype="i4"), lengths))
            _columns(file, concatenate(tables))
        return _read_back(temporary, count)


def write_windows(
    path: Path,
    tables: Mapping[str, Windows],
    reasons: Mapping[str, NDArray[np.str_]],
    keys: Mapping[str, str],
    masks: Iterable[Bits],
    attributes: Mapping[str, str],
    *,
    size: int,
) -> str:
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

    Returns:
        SHA-256 of the file.
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
            column(file, "photo", owners)
            column(file, "pair", names[owners] if len(owners) else _text([]))
            status = np.where(reason == ACCEPTED, ACCEPTED, "rejected")
            column(file, "status", _text(status.tolist()))
            column(file, "reason", _text(reason.tolist()))
            _columns(file, table)
            shape = (len(table), packed_length(size))
            stored = _masks(file, BITS, shape, BITS_CHUNK)
            end, waiting = 0, np.zeros((0, *shape[1:]), np.uint8)
            for bits in masks:
                end += len(bits)
                waiting = _write_masks(stored, end, np.concatenate([waiting, bits]))
        return _read_back(temporary, len(table))


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


def _write_masks(stored: h5py.Dataset, end: int, masks: Bytes) -> Bytes:
    """Write the chunks that masks up to row `end` fill, or all; gives those left."""
    while len(masks) and (end == len(stored) or len(masks) >= stored.chunks[0]):
        start = end - len(masks)
        rows, masks = masks[: stored.chunks[0]], masks[stored.chunks[0] :]
        whole = np.zeros((1, *stored.chunks), np.uint8)
        whole[0, : len(rows)] = rows
        is_plain = bool((whole == 1).all())
        chunk = _ones(stored.chunks) if is_plain else encoded(whole, "gzip")
        write_chunks(stored, start, chunk)
    return masks


@cache
def _ones(shape: tuple[int, ...]) -> Chunks:
    """The chunk of masks that hide nothing, as most are."""
    return encoded(np.ones((1, *shape), np.uint8), "gzip")


def _columns(file: h5py.File, table: Windows) -> None:
    for name in COLUMNS:
        column(file, name, getattr(table, name))


def column(file: h5py.File, name: str, values: NDArray[Any]) -> None:
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


def _read_back(path: Path, count: int) -> str:
    """Read what was written, checksums included, before it gets its name.

    Returns:
        Its SHA-256.
    """
    with ThreadPoolExecutor(1) as other, h5py.File(path, "r") as file:
        found = other.submit(sha256, path)
        for name in COLUMNS:
            if len(file[name][()]) != count:
                raise OSError(f"{name} does not hold {count} rows")
        if count:
            names = DIMENSIONS.keys() & set(file)
            require_chunks(path, [file[name] for name in names])
        return found.result()


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as the JSON text of a file attribute."""
    return json_bytes(dict(settings), indent=None).decode().strip()
