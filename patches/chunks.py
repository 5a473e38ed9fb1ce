"""Pixels as HDF5 files hold them: chunks, squeezed where asked for, with checksums.

HDF5 makes them one by one in one thread. So workers make them, and from there on they
are copied from file to file as they are.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.compiled.loops import run

LEVEL = 4  # of zlib; h5py's default
SUM = np.arange(-4, 0)  # where a chunk's checksum lies, from its end

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
    bodies: Sequence[Bytes] = flat
    if compress == "gzip":
        bodies = [np.frombuffer(zlib.compress(row, LEVEL), np.uint8) for row in flat]
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
