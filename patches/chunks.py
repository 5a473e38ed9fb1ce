"""Pixels as HDF5 files hold them: chunks, squeezed where asked for, with checksums.

HDF5 makes them one by one in one thread. So workers make them, and from there on they
are copied from file to file as they are.
"""

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.compiled.loops import run

LEVEL = 4  # of zlib; h5py's default
SUM = np.arange(-4, 0)  # where a chunk's checksum lies, from its end
AT_ONCE = 64  # chunks of a file that are read back

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Chunks:
    """Encoded chunks.

    Attributes:
        data: Holds them, (B,).
        starts: Where each begins, (N,).
        lengths: Their bytes, (N,).
    """

    data: Bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        """How many."""
        return len(self.starts)

    def __iter__(self) -> Iterator[Bytes]:
        """The bytes of each."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield self.data[start : start + length]

    def __getitem__(self, rows: slice) -> "Chunks":
        """A run of them."""
        return Chunks(self.data, self.starts[rows], self.lengths[rows])

    def require_sound(self) -> None:
        """Raise OSError where one is not as it was encoded."""
        ends = self.starts + self.lengths
        if ((self.starts < 0) | (self.lengths < 4) | (ends > len(self.data))).any():
            raise OSError("chunks lie elsewhere")
        if (self.data[ends[:, None] + SUM] != self._checksums()).any():
            raise OSError("a checksum is wrong")

    def _checksums(self) -> Bytes:
        """What the checksum of each must be, (N, 4)."""
        sums = fletcher_sums(self.data, self.starts, self.lengths + SUM[0])
        return sums.astype("<u4")[:, None].view(np.uint8)


def behind_each_other(data: Bytes, lengths: NDArray[np.int64]) -> Chunks:
    """Chunks that fill `data`."""
    return Chunks(data, np.cumsum(lengths) - lengths, lengths)


def encoded(rows: Bytes, compress: str) -> Chunks:
    """Rows (N, …) as HDF5's filters make chunks of them."""
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    bodies = list(flat)
    if compress == "gzip":
        squeezed = [zlib.compress(row.data, LEVEL) for row in flat]
        bodies = [np.frombuffer(body, np.uint8) for body in squeezed]
    lengths = np.array([len(body) - SUM[0] for body in bodies], np.int64)
    found = behind_each_other(np.empty(lengths.sum(), np.uint8), lengths)
    for chunk, body in zip(found, bodies, strict=True):
        chunk[: len(body)] = body
    ends = found.starts + lengths
    found.data[ends[:, None] + SUM] = found._checksums()
    return found


def fletcher_sums(
    data: Bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """HDF5's checksum, by Fletcher, of each part of `data`, (N,)."""
    sums = np.zeros(len(starts), np.int64)
    if run("fletcher_sums", data, starts, lengths, len(starts), sums):
        return sums
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        words = np.zeros(-(-length // 2), ">u2")
        words.view(np.uint8)[:length] = data[start : start + length]
        plain = words.astype(np.int64)
        both = int(plain @ np.arange(len(words), 0, -1)), int(plain.sum())
        # Modulo 65535, which nothing but zeros makes 0.
        high, low = ((total - 1) % 65535 + 1 if total else 0 for total in both)
        sums[number] = high << 16 | low
    return sums


def write_chunks(stored: h5py.Dataset, first: int, chunks: Iterable[Bytes]) -> None:
    """Write chunks whose rows begin at `first` into a file."""
    rows, others = stored.chunks[0], (0,) * (stored.ndim - 1)
    for number, chunk in enumerate(chunks):
        stored.id.write_direct_chunk((first + number * rows, *others), chunk)


def require_chunks(path: Path, datasets: Iterable[h5py.Dataset]) -> None:
    """Raise OSError where a chunk in a file is missing or not as it was encoded."""
    found: list[tuple[int, int]] = []
    for stored in datasets:
        before = len(found)
        stored.id.chunk_iter(lambda each: found.append((each.byte_offset, each.size)))
        if (len(found) - before) * stored.chunks[0] < len(stored):
            raise OSError(f"{stored.name} does not hold {len(stored)} rows")
    places = np.array(sorted(found))
    buffer = np.empty(0, np.uint8)
    with path.open("rb", buffering=0) as raw:
        for some in (
            places[at : at + AT_ONCE] for at in range(0, len(places), AT_ONCE)
        ):
            starts, lengths = some.T
            begin, length = starts[0], starts[-1] + lengths[-1] - starts[0]
            if len(buffer) < length:
                buffer = np.empty(length, np.uint8)
            raw.seek(begin)
            read = raw.readinto(buffer[:length].data)
            Chunks(buffer[:read], starts - begin, lengths.copy()).require_sound()
