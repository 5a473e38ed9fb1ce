"""Shards: the HDF5 files that hold the patches, and `windows.h5` with every window.

A file is written under a temporary name, closed, read back and only then named: HDF5
files that a crash leaves open cannot be read at all.

Files may come from strangers. HDF5 can name other files, plug-ins and terabytes that
are not there; `hdf5_file` and `stored` let nothing of that through.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, concatenate
from dped_build.workspace.durable import durable, patient_file
from dped_build.workspace.json_files import is_plain_name, json_bytes
from dped_build.workspace.stage import created_with

FORMAT = "dped-build/patches"
WINDOWS_FORMAT = "dped-build/windows"
VERSION = 1
WINDOWS_FILE = "windows.h5"
ROWS_AT_ONCE = 64  # patches held when a shard is read back
LARGEST = 1024  # px, side of a patch
LARGEST_CHUNK = 2**26  # bytes
SQUEEZING = h5py.h5z.FILTER_DEFLATE
FILTERS = {SQUEEZING, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@dataclass(frozen=True)
class PhotoPatches:
    """What one photo gives to a shard."""

    pair: str
    windows: Windows  # the kept ones
    phone: NDArray[np.uint8]  # (N, S, S, 3)
    dslr: NDArray[np.uint8]  # (N, S, S, 3)


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
            start = 0
            for photo in photos:
                rows = slice(start, start + len(photo.windows))
                file["phone"][rows], file["dslr"][rows] = photo.phone, photo.dslr
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
    attributes: Mapping[str, str],
) -> None:
    """Write every window of every photo with its reason.

    `keys` states what each photo's measurements were made from; a later run that finds
    the same key takes them over.
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
        _read_back(temporary, len(table))


def read_tables(path: Path) -> dict[str, Windows]:
    """Pair name → its rows, of a shard or of `windows.h5`.

    Raises:
        OSError: The file is damaged.
        KeyError: It is neither.
    """
    with hdf5_file(path) as file:
        owners, names = read_owners(file)
        columns = {name: read_column(file, name) for name in COLUMNS}
        lengths = {len(values) for values in columns.values()}
        if lengths != {len(owners)} or np.any(np.diff(owners) < 0):
            raise OSError("its rows are not one for one, or not in order")
    ends = np.searchsorted(owners, np.arange(len(names)), side="right")
    starts = np.concatenate([[0], ends])[: len(names)]
    return {
        pair: Windows(**{n: values[start:end] for n, values in columns.items()})
        for pair, start, end in zip(names, starts, ends, strict=True)
    }


def read_keys(path: Path) -> dict[str, str]:
    """Pair name → key of its measurements in `windows.h5`; raises as `read_tables`."""
    with hdf5_file(path) as file:
        names, keys = (read_texts(file, name) for name in ("photos", "photo_key"))
        return dict(zip(names, keys, strict=True))


def read_patch_rows(path: Path) -> list[tuple[str, tuple[int, int]]]:
    """Pair name and place of every row of a shard; raises as `read_tables`."""
    with hdf5_file(path) as file:
        owners, names = read_owners(file)
        places = zip(owners, read_column(file, "window_xy").tolist(), strict=True)
        return [(names[owner], (x, y)) for owner, (x, y) in places]


def read_pixels(
    rows: Sequence[tuple[Path, int]],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both sides' pixels (N, S, S, 3) of rows, in their order; as `read_tables`."""
    if not rows:
        none = np.zeros((0, 0, 0, 3), np.uint8)
        return none, none
    with ExitStack() as stack:
        sides = {}
        for path in dict.fromkeys(path for path, _ in rows):
            file = stack.enter_context(hdf5_file(path))
            sides[path] = [_pixels(file, side) for side in ("phone", "dslr")]
        phone, dslr = (
            np.concatenate([sides[path][at][run] for path, run in _runs(rows)])
            for at in (0, 1)
        )
        return phone, dslr


def _pixels(file: h5py.File, side: str) -> h5py.Dataset:
    """One side's pixels, if every row of them was written."""
    pixels = stored(file, side)
    written = pixels.id.get_storage_size() // max(pixels.nbytes, 1) * len(pixels)
    if pixels.chunks:
        written = pixels.id.get_num_chunks() * pixels.chunks[0]
    if written < len(pixels):
        raise OSError(f"rows of {side} were never written")
    return pixels


@contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """Open a file to read; whatever is wrong in it becomes an OSError."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError("no regular file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise OSError(str(error)) from error


def stored(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset that lies in this very file, in filters that HDF5 itself brings.

    `phone` and `dslr` have the shape of patches, in chunks that do not burst; every
    other dataset has all its bytes in the file, so that reading takes no more memory.

    Raises:
        KeyError: There is none.
        OSError: It is a link, stored elsewhere, or of another kind.
    """
    links, key = file.id.links, name.encode()
    if not links.exists(key):
        raise KeyError(name)
    found = file[name] if links.get_info(key).type == h5py.h5l.TYPE_HARD else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise OSError(f"{name} is not stored in the file itself")
    plan = found.id.get_create_plist()
    filters = [plan.get_filter(at)[0] for at in range(plan.get_nfilters())]
    if len(set(filters)) < len(filters) or not set(filters) <= FILTERS:
        raise OSError(f"{name} needs filters that patches have not")
    shape, chunk = found.shape, math.prod(found.chunks or ())
    if name not in ("phone", "dslr"):
        present = min(found.id.get_storage_size(), file.id.get_filesize())
        if SQUEEZING in filters or found.nbytes > present:
            raise OSError(f"{name} is compressed, or more than the file holds")
    elif found.dtype != np.uint8 or shape[1:] not in [(s, s, 3) for s in shape[1:2]]:
        raise OSError(f"{name} is {found.dtype} {shape}, no patches")
    elif shape[1] > LARGEST or chunk > LARGEST_CHUNK:
        raise OSError(f"{name} is {shape}, larger than any of ours")
    elif SQUEEZING in filters and found.id.chunk_iter(
        lambda piece: piece.size > 2 * chunk + 1024 or None
    ):
        raise OSError(f"{name} has a chunk that bursts when it is read")
    return found


def read_column(file: h5py.File, name: str) -> NDArray[Any]:
    """A column as `COLUMNS` states it; raises as `stored`."""
    kind, shape = COLUMNS[name]
    column = stored(file, name)
    if column.dtype != np.dtype(kind) or column.shape[1:] != shape or not column.ndim:
        raise OSError(f"{name} is {column.dtype} {column.shape}")
    return np.asarray(column[()])


def read_texts(file: h5py.File, name: str) -> list[str]:
    """A column of texts, (N,); raises as `stored`."""
    column, left = stored(file, name), file.id.get_filesize()
    if h5py.check_string_dtype(column.dtype) is None or column.ndim != 1:
        raise OSError(f"{name} is {column.dtype} {column.shape}")
    if column.dtype.kind == "S":
        return [value.decode() for value in column[:].tolist()]
    texts: list[str] = []
    for row in range(len(column)):  # each may be the same megabytes
        texts.append(bytes(column[row]).decode())
        left -= len(texts[-1])
        if left < 0:
            raise OSError(f"{name} holds more than the file")
    return texts


def read_owners(file: h5py.File) -> tuple[NDArray[np.integer], list[str]]:
    """`photo`, (N,), and the pair names that it counts; raises as `stored`."""
    photo, names = stored(file, "photo"), read_texts(file, "photos")
    if photo.dtype.kind != "i" or photo.ndim != 1:
        raise OSError(f"photo is {photo.dtype} {photo.shape}")
    owners: NDArray[np.integer] = photo[:]
    if not set(np.unique(owners).tolist()) <= set(range(len(names))):
        raise OSError("photo counts photos that are not there")
    if not all(map(is_plain_name, names)) or len(set(names)) < len(names):
        raise OSError("photos are no file names, or one comes twice")
    return owners, names


def _runs(rows: Sequence[tuple[Path, int]]) -> list[tuple[Path, slice]]:
    """Neighbouring rows of one file as slices, which are read in one go."""
    runs: list[tuple[Path, slice]] = []
    for path, row in rows:
        if runs and runs[-1][0] == path and runs[-1][1].stop == row:
            runs[-1] = path, slice(runs[-1][1].start, row + 1)
        else:
            runs.append((path, slice(row, row + 1)))
    return runs


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
        for name in {"phone", "dslr"} & set(file):
            pixels = file[name]
            for start in range(0, count, ROWS_AT_ONCE):
                pixels[start : start + ROWS_AT_ONCE]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as the JSON text of a file attribute."""
    return json_bytes(dict(settings), indent=None).decode().strip()
