"""Read the HDF5 files of a patches folder, within bounds.

They may come from strangers. HDF5 can name other files, plug-ins and terabytes that are
not there; `opened` and `stored` let nothing of that through.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches.records import COLUMNS
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import is_plain_name
from dped_build.workspace.text import one_line

# What h5py raises of files that are not as they were written; RecursionError included.
DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError)
VALID, BITS = "valid", "valid_bits"  # masks of a shard's patches; of all windows
DIMENSIONS = {"phone": 4, "dslr": 4, VALID: 3, BITS: 2}  # of all that may be compressed
LARGEST_ROW = 3 * 1024**2  # bytes of a patch
LARGEST_CHUNK = 2**26  # bytes
SQUEEZING = h5py.h5z.FILTER_DEFLATE
FILTERS = {SQUEEZING, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file to read.

    Raises:
        DpedBuildError: It is missing, or whatever was read of it is damaged.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("no regular file")
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise missing(path) from error
    except DAMAGE as error:
        raise damaged(path, error) from error


def missing(path: Path) -> DpedBuildError:
    """The one-line error for a file of a patches folder that is not there."""
    return DpedBuildError(
        f"{path} is missing: restore it, or make the patches again with --force"
    )


def damaged(path: Path, error: Exception) -> DpedBuildError:
    """The one-line error for a file of a patches folder that cannot be trusted."""
    said = one_line(error) or type(error).__name__
    return DpedBuildError(
        f"{path} is damaged ({said}): restore it, or delete it and make the "
        "patches again with --force"
    )


def stored(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset that lies in this very file, in filters that HDF5 itself brings.

    Pixels and masks have the shape of patches, in chunks that do not burst; every other
    dataset has all its bytes in the file, so that reading takes no more memory.

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
    if name not in DIMENSIONS:
        present = min(found.id.get_storage_size(), file.id.get_filesize())
        if SQUEEZING in filters or found.nbytes > present:
            raise OSError(f"{name} is compressed, or more than the file holds")
    elif found.dtype != np.uint8 or not _fits_patches(name, shape):
        raise OSError(f"{name} is {found.dtype} {shape}, no patches")
    elif math.prod(shape[1:]) > LARGEST_ROW or chunk > LARGEST_CHUNK:
        raise OSError(f"{name} is {shape}, larger than any of ours")
    elif SQUEEZING in filters and found.id.chunk_iter(
        lambda piece: piece.size > 2 * chunk + 1024 or None
    ):
        raise OSError(f"{name} has a chunk that bursts when it is read")
    return found


def _fits_patches(name: str, shape: tuple[int, ...]) -> bool:
    """Whether pixels or masks have as many dimensions, and sides, as we write."""
    sides = (*shape[1:2], 3)[: DIMENSIONS[name] - 2]
    return len(shape) == DIMENSIONS[name] and shape[2:] == sides


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
