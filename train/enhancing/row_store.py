"""Storage of a photo's features: in memory up to a budget, then on disk.

A store holds features (1, C, H, W) and is written and read in strips of rows, by
several threads at a time. Its rows lie one after the other, channels last, so that a
strip is one run of values, in the layout in which convolutions are fastest on a CPU.
"""

import tempfile
import weakref
from threading import Lock

import numpy as np
import torch
from torch import Tensor

VALUE_BYTES = 4  # float32
Size = tuple[int, int]  # height, width


def as_rows(values: Tensor) -> Tensor:
    """(h, W, C) as (1, C, h, W), with strides that torch takes for channels last."""
    return values[None].permute(0, 3, 1, 2)


class MemoryStore:
    """Features in memory."""

    def __init__(self, space: Tensor, channels: int, size: Size) -> None:
        """Use the beginning of `space`, flat float32."""
        self.size = size
        used = space[: size[0] * size[1] * channels]
        self._rows = used.view(*size, channels)

    def write(self, top: int, rows: Tensor) -> None:
        """Copy (1, C, h, W) to the rows from `top` on."""
        self._rows[top : top + rows.shape[2]] = rows[0].permute(1, 2, 0)

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, C, bottom - top, W); not a copy."""
        return as_rows(self._rows[top:bottom])


class TemporaryFile:
    """An unbuffered file without a name, closed and gone with this object."""

    def __init__(self) -> None:
        """Make it in `TMPDIR`."""
        self.raw = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        weakref.finalize(self, self.raw.close)


class FileStore:
    """Features in a temporary file."""

    def __init__(self, space: TemporaryFile, channels: int, size: Size) -> None:
        """Use the beginning of `space`."""
        self.size = size
        self._space, self._channels = space, channels
        self._lock = Lock()

    def write(self, top: int, rows: Tensor) -> None:
        """Copy (1, C, h, W) to the rows from `top` on."""
        values = rows[0].permute(1, 2, 0).contiguous().cpu().numpy()
        data = values.data.cast("B")
        with self._lock:
            self._seek(top)
            while data:
                data = data[self._space.raw.write(data) :]

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, C, bottom - top, W)."""
        shape = bottom - top, self.size[1], self._channels
        values = np.empty(shape, dtype=np.float32)
        free = values.data.cast("B")
        with self._lock:
            self._seek(top)
            while free:
                free = free[self._space.raw.readinto(free) :]
        return as_rows(torch.from_numpy(values))

    def _seek(self, top: int) -> None:
        self._space.raw.seek(top * self.size[1] * self._channels * VALUE_BYTES)


Store = MemoryStore | FileStore


class Room:
    """Makes stores; the space of those that are gone serves the next."""

    def __init__(self, *, budget: int | None) -> None:
        """Keep at most `budget` bytes in memory; None: everything."""
        self._left = budget
        self._memory: list[Tensor] = []  # free
        self._files: list[TemporaryFile] = []  # free

    def store(self, channels: int, size: Size) -> Store:
        """A store for features (1, `channels`, *`size`), of any values at first.

        Raises:
            OSError: A temporary file cannot be made.
        """
        memory = self._take_memory(channels * size[0] * size[1])
        if memory is not None:
            in_memory = MemoryStore(memory, channels, size)
            weakref.finalize(in_memory, self._memory.append, memory)
            return in_memory
        file = self._files.pop() if self._files else TemporaryFile()
        on_disk = FileStore(file, channels, size)
        weakref.finalize(on_disk, self._files.append, file)
        return on_disk

    def _take_memory(self, values: int) -> Tensor | None:
        """The smallest free space that is large enough, new space, or none."""
        fitting = [i for i, free in enumerate(self._memory) if free.numel() >= values]
        if fitting:
            return self._memory.pop(min(fitting, key=lambda i: self._memory[i].numel()))
        if self._left is not None:
            if values * VALUE_BYTES > self._left:
                return None
            self._left -= values * VALUE_BYTES
        # Of NumPy, which asks the system for large pages: faster where it is new.
        return torch.from_numpy(np.empty(values, dtype=np.float32))
