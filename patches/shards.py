"""Shards: the HDF5 files that hold the patches, and `windows.h5` with every window.

A file is written under a temporary name, closed, read back and only then named: HDF5
files that a crash leaves open cannot be read at all.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.chunks import Bytes, Chunks, encoded
from dped_build.patches.hdf5_files import BITS, DIMENSIONS, VALID
from dped_build.patches.masks import Bits, Masks, packed_length, whole_masks
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, concatenate
from dped_build.workspace.durable import durable, patient_file
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import created_with

FORMAT = "dped-build/patches"
WINDOWS_FORMAT = "dped-build/windows"
VERSION = 1
WINDOWS_FILE = "windows.h5"
CHUNKS_AT_ONCE = 64  # held when a file is read back
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
            stored = _masks(file, VALID, (count, size, size), VALID_CHUNK)
            end, masks = 0, whole_masks(0, size)
            for photo in photos:
                for side, pixels in (("phone", photo.phone), ("dslr", photo.dslr)):
                    if not isinstance(pixels, Chunks):
                        pixels = encoded(pixels, compress)
                    _write_chunks(file[side], end, pixels)
                end += len(photo.windows)
                masks = _write_masks(stored, end, np.concatenate([masks, photo.valid]))
                tables.append(photo.windows)
                names.append(photo.pair)
            file["photos"] = np.array(names, dtype=h5py.string_dtype())
            lengths = [len(table) for table in tables]
            column(file, "photo", np.repeat(np.arange(len(names), dtype="i4"), lengths))
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
            column(file, "photo", owners)
            column(file, "pair", names[owners] if len(owners) else _text([]))
            status = np.where(reason == ACCEPTED, ACCEPTED, "rejected")
            column(file, "status", _text(status.tolist()))
            column(file, "reason", _text(reason.tolist()))
            _columns(file, table)
            shape = (len(table), packed_length(size))
            stored = _masks(file, BITS, shape, BITS_CHUNK)
            end, waiting = 0, np.zeros((0, shape[1]), np.uint8)
            for bits in masks:
                end += len(bits)
                waiting = _write_masks(stored, end, np.concatenate([waiting, bits]))
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


def _write_chunks(stored: h5py.Dataset, first: int, chunks: Iterable[Bytes]) -> None:
    """Write chunks whose rows begin at `first`."""
    rows, *others = stored.chunks
    for number, chunk in enumerate(chunks):
        place = (first + number * rows, *(0 for _ in others))
        stored.id.write_direct_chunk(place, chunk)


def _write_masks(stored: h5py.Dataset, end: int, masks: Bytes | Masks) -> Bytes | Masks:
    """Write the chunks that masks up to row `end` fill, or all; gives those left."""
    first, last = end - len(masks), end == len(stored)
    while len(masks) and (last or len(masks) >= stored.chunks[0]):
        rows, masks = np.split(masks, [stored.chunks[0]])
        chunk = _ones(stored.chunks)
        if not (len(rows) == stored.chunks[0] and (rows == 1).all()):
            whole = np.zeros((1, *stored.chunks), np.uint8)
            whole[0, : len(rows)] = rows
            chunk = encoded(whole, "gzip")
        _write_chunks(stored, first, chunk)
        first += len(rows)
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


def _read_back(path: Path, count: int) -> None:
    """Read what was written, checksums included, before it gets its name."""
    with h5py.File(path, "r") as file:
        for name in COLUMNS:
            if len(file[name][()]) != count:
                raise OSError(f"{name} does not hold {count} rows")
        for name in DIMENSIONS.keys() & set(file) if count else ():
            _require_chunks(path, file[name])


def _require_chunks(path: Path, stored: h5py.Dataset) -> None:
    """Raise OSError where a chunk of a dataset is missing or not as it was encoded."""
    found: list[tuple[int, int]] = []
    stored.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.size)))
    if len(found) * stored.chunks[0] < len(stored):
        raise OSError(f"{stored.name} does not hold {len(stored)} rows")
    starts, lengths = np.array(sorted(found)).T
    for first in range(0, len(found), CHUNKS_AT_ONCE):
        some = slice(first, first + CHUNKS_AT_ONCE)
        begin, end = starts[some][0], starts[some][-1] + lengths[some][-1]
        data = np.fromfile(path, np.uint8, end - begin, offset=begin)
        Chunks(data, starts[some] - begin, lengths[some]).require_sound()


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as the JSON text of a file attribute."""
    return json_bytes(dict(settings), indent=None).decode().strip()
