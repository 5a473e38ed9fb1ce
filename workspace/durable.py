"""Atomic files, and the leftovers of killed writers.

A file is written under a temporary name in the workspace's `.dped-build/`, put on the
disk, and only then named.
"""

import errno
import hashlib
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from dped_build.workspace.errors import DpedBuildError

SCRATCH = ".dped-build"
BUFFERED = 2**20  # bytes of HDF5 files
STALE_SECONDS = 3600  # without a change, after which a temporary file has no writer


def scratch_folder(path: Path) -> Path:
    """The folder for temporary files that will be moved to `path`, on the same disk.

    The nearest workspace's `.dped-build/`; in there, and outside of any workspace, the
    file's own folder.
    """
    whole = path.absolute()
    if SCRATCH in whole.parent.parts:  # of a stage, which clears it as a whole
        return whole.parent
    for folder in whole.parents:
        if (folder / SCRATCH).is_dir():
            return folder / SCRATCH
    return whole.parent


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is either whole or absent, also after a power cut."""
    with durable(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in one line (DpedBuildError) what the disk refuses of `path`."""
    try:
        yield
    except OSError as error:
        raise DpedBuildError(
            f"{path}: cannot be written ({reason_of(error)}); free space or fix the "
            "permissions, then run the same command again"
        ) from error


def reason_of(error: OSError) -> str:
    """The system's words for an error; HDF5 wraps them into its own."""
    told = re.search(r"error message = '([^']+)'", str(error))
    return told[1] if told else error.strerror or str(error).splitlines()[0]


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """Yield a temporary file to write; on success it is on disk and named `path`."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = scratch_folder(path) / f"tmp-{_mark(path.parent)}-{uuid4().hex}"
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            if SCRATCH not in path.absolute().parts:  # a stage is synced as a whole
                sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):  # of a disk that takes nothing any more
                temporary.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can.

    Raises:
        OSError: The disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of network disks that sync files alone
            raise
    finally:
        os.close(descriptor)


@contextmanager
def patient_file(path: Path) -> Iterator[io.BufferedRandom]:
    """Yield a file for HDF5, which ends the whole process where a write fails.

    Raises:
        OSError: Writing failed; raised when the file is closed.
    """
    with _PatientFile(path, "w+") as file:
        try:
            with _Buffered(file, BUFFERED) as buffered:
                yield buffered
        except OSError:  # HDF5 misses what it takes for written
            if file.error is None:
                raise
        if file.error is not None:
            raise file.error


class _Buffered(io.BufferedRandom):
    """Writes together what follows each other, though HDF5 seeks each time."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, if not there."""
        if whence == os.SEEK_SET and offset == self.tell():
            return offset
        return super().seek(offset, whence)


class _PatientFile(io.FileIO):
    """Takes everything, and keeps the first error."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:  # noqa: ANN401
        """Write all of `data`, or seem to."""
        view, done = memoryview(data).cast("B"), 0
        while done < len(view):
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.error = self.error or error
                self.seek(len(view) - done, os.SEEK_CUR)
                break
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length, or seem to."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size


def _mark(folder: Path) -> str:
    """Says whose a temporary file is."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


def drop_temporaries(folder: Path, *, idle_seconds: float = 0) -> None:
    """Remove what killed writers of the files in `folder` left behind.

    Only its one writer may call this, or `idle_seconds` spares what others write now.
    """
    drop(scratch_folder(folder / "file").glob(f"tmp-{_mark(folder)}-*"), idle_seconds)


def drop(temporaries: Iterable[Path], idle_seconds: float) -> None:
    """Remove the temporary files that nobody changed for so long."""
    for path in temporaries:
        with suppress(OSError):  # its writer was faster
            if time.time() - path.stat().st_mtime >= idle_seconds:
                path.unlink()
