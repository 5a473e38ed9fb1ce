"""The piece of one pair, which a worker hands over as a file.

A piece holds every window's measurements and reasons and the kept patches' pixels. It
is named after everything it was made from: a piece that exists is finished and right.
Pixels are encoded as shards hold them, so that publishing is copying.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.align.records import Alignment
from dped_build.align.sampling import sample_patches
from dped_build.patches.chunks import Bytes, Chunks, behind_each_other, encoded
from dped_build.patches.exclusions import Exclusions, is_excluded
from dped_build.patches.extract import cut, measure_windows
from dped_build.patches.hdf5_files import DAMAGE, stored
from dped_build.patches.masks import Bits, packed
from dped_build.patches.records import ACCEPTED, COLUMNS, REASONS, Windows
from dped_build.patches.selection import select_windows
from dped_build.patches.settings import PatchSettings
from dped_build.patches.shards import column
from dped_build.photos.orientation import reduced
from dped_build.photos.reading import read_photo
from dped_build.workspace.durable import durable, patient_file
from dped_build.workspace.errors import NO_MEMORY, DpedBuildError, PhotoError
from dped_build.workspace.json_files import fingerprint

ReadMasks = Callable[[], Bits]  # those of every window of a pair, packed
MEASUREMENT = 8  # rises when the same photos and settings would be measured otherwise
ROW = np.dtype(
    [*((name, *stated) for name, stated in COLUMNS.items()), ("reason", "S16")]
)


@dataclass(frozen=True)
class PieceTask:
    """One pair to cut; paths in, a piece on the disk out."""

    alignment: Alignment
    phone: Path
    dslr: Path
    photos: Mapping[str, Any]  # how they are read: as they were aligned
    settings: PatchSettings
    exclusions: Exclusions
    measured: Windows | None  # from an earlier run: only sampling is left
    masks: ReadMasks | None  # theirs
    out: Path


@dataclass(frozen=True)
class PieceFailure:
    """Why a pair gave no piece."""

    reason: str
    message: str


@dataclass(frozen=True)
class Piece:
    """Windows of one pair with their reasons, and how to read the kept ones' pixels.

    Attributes:
        windows: Every candidate.
        reasons: `accepted` or why not, (N,).
        pixels: Reads the phone's and the DSLR's, (K, S, S, 3) each, or encoded; a
            DpedBuildError where they are damaged.
        masks: Reads every candidate's, packed; likewise. A set's would fill the memory.
    """

    windows: Windows
    reasons: NDArray[np.str_]
    pixels: Callable[[], tuple[Bytes, Bytes] | tuple[Chunks, Chunks]]
    masks: ReadMasks

    @property
    def kept(self) -> NDArray[np.intp]:
        """The windows that were kept, (K,)."""
        return np.flatnonzero(self.reasons == ACCEPTED)


def measuring_key(
    alignment: Alignment, photos: Mapping[str, Any], settings: PatchSettings
) -> str:
    """Names everything that a pair's measurements depend on."""
    stated = alignment.to_json()
    for name in ("dslr_hash", "phone_color", "dslr_color"):
        del stated[name]  # which older alignments lack, and nothing is measured by
    inputs = {
        "alignment": stated,
        "photos": dict(photos),
        "settings": settings.measuring(),
        "measurement": MEASUREMENT,
    }
    return fingerprint(inputs)


def piece_name(key: str, settings: PatchSettings, excluded: Exclusions) -> str:
    """File name of the piece that these inputs make.

    Args:
        key: Of the pair's measurements.
        settings: Say which windows are kept, and how pixels are encoded.
        excluded: What is taken out of this pair by hand.
    """
    made = [key, settings.selecting(), settings.compress, sorted(excluded)]
    return f"{fingerprint(made)[:32]}.h5"


def reasons_of(
    pair: str, windows: Windows, settings: PatchSettings, exclusions: Exclusions
) -> NDArray[np.str_]:
    """The reason of every window of a pair, hand exclusions included."""
    names = np.full(len(windows), pair, dtype=object)
    excluded = is_excluded(names, windows.window_xy, exclusions)
    return select_windows(windows, settings, excluded=excluded)


def make_piece(task: PieceTask) -> PieceFailure | Path:
    """Cut one pair and write its piece; runs in a worker.

    Returns:
        Where the piece lies, or why there is none.
    """
    try:
        phone, dslr = read_pair(task.alignment, task.phone, task.dslr, task.photos)
    except PhotoError as error:
        return PieceFailure(error.reason, str(error))
    return cut_piece(task, phone, dslr)


def cut_piece(
    task: PieceTask, phone: NDArray[np.uint8], dslr: NDArray[np.uint8]
) -> PieceFailure | Path:
    """Cut one pair whose photos are read, and write its piece; as `make_piece`."""
    size, pair = task.settings.size, task.alignment.pair
    windows, pixels = task.measured, None
    bits = task.masks() if task.masks else None
    if windows is None or bits is None:
        try:
            windows, pixels, valid = measure_windows(
                phone, dslr, task.alignment, task.settings
            )
            bits = packed(valid)
        except MemoryError:
            message = f"{pair}: {NO_MEMORY}; raise --max-memory, or lower --jobs"
            return PieceFailure("worker_lost", message)
        except (np.linalg.LinAlgError, cv2.error) as error:
            # One pair that the numerics cannot hold costs itself, not the run.
            message = f"{pair}: cannot be measured ({' '.join(str(error).split())})"
            return PieceFailure("unmeasurable", message)
    reasons = reasons_of(pair, windows, task.settings, task.exclusions)
    kept = reasons == ACCEPTED
    if pixels is None:
        pixels = sample_patches(dslr, windows.patch_to_dslr[kept], size)
    else:
        pixels = pixels[kept]
    target = encoded(pixels, task.settings.compress)
    pixels = cut(phone, windows.patch_to_phone[kept], size)
    source = encoded(pixels, task.settings.compress)
    write_piece(task.out, windows, reasons, bits, source, target)
    return task.out


def read_pair(
    alignment: Alignment, phone: Path, dslr: Path, photos: Mapping[str, Any]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both photos of an aligned pair, RGB, read as `photos` says they were aligned.

    Raises:
        PhotoError: One cannot be read, or has another size than when it was aligned.
    """
    reading = dict(photos)
    reduction = reading.pop("reduce_phone", 1)
    own, other = (read_photo(path, **reading) for path in (phone, dslr))
    own = reduced(own, reduction)
    sizes = (alignment.phone_size, alignment.dslr_size)
    if (own.shape[1::-1], other.shape[1::-1]) != sizes:
        message = f"{phone.name}: the photos changed; run dped-build align again"
        raise PhotoError("unreadable", message)
    return own, other


def write_piece(
    path: Path,
    windows: Windows,
    reasons: NDArray[np.str_],
    masks: Bits,
    phone: Chunks,
    dslr: Chunks,
) -> None:
    """Write a piece whole or not at all.

    Args:
        path: Of the file.
        windows: Every candidate.
        reasons: Theirs, (N,).
        masks: Theirs, packed.
        phone: Pixels of the kept ones, (K,).
        dslr: Likewise.
    """
    table = np.empty(len(windows), ROW)
    for name in COLUMNS:
        table[name] = getattr(windows, name)
    table["reason"] = reasons
    with (
        durable(path) as temporary,
        patient_file(temporary) as raw,
        h5py.File(raw, "w") as file,
    ):
        column(file, "windows", table)
        column(file, "masks", masks)
        for name, chunks in (("phone", phone), ("dslr", dslr)):
            file[f"{name}_chunks"], file[f"{name}_lengths"] = (
                chunks.data,
                chunks.lengths,
            )


def read_piece(path: Path) -> Piece:
    """Read a piece back; its pixels and masks are left on the disk.

    Raises:
        DpedBuildError: It is damaged.
    """

    def pixels() -> tuple[Chunks, Chunks]:
        with _opened(path) as file:
            return _chunks(file, "phone", kept), _chunks(file, "dslr", kept)

    def masks() -> Bits:
        with _opened(path) as file:
            return _array(file, "masks", np.uint8, len(windows), -1)

    with _opened(path) as file:
        table = _array(file, "windows", ROW, -1)
        windows = Windows(**{name: table[name].copy() for name in COLUMNS})
        piece = Piece(windows, table["reason"].astype(str), pixels, masks)
        if not set(piece.reasons.tolist()) <= {*REASONS}:
            raise ValueError("unknown reasons")
    kept = len(piece.kept)
    return piece


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """A piece to read."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise DpedBuildError(
            f"{path}: disappeared while the command ran; run the same command again"
        ) from error
    except DAMAGE as error:
        raise DpedBuildError(f"{path}: damaged; delete it and run again") from error


def _chunks(file: h5py.File, side: str, count: int) -> Chunks:
    """The encoded pixels of one side."""
    data = _array(file, f"{side}_chunks", np.uint8, -1)
    lengths = _array(file, f"{side}_lengths", np.int64, count)
    if lengths.sum() != len(data):
        raise ValueError("pixels are missing")
    found = behind_each_other(data, lengths)
    found.require_sound()
    return found


def _array(file: h5py.File, name: str, kind: object, *shape: int) -> NDArray[Any]:
    """An array as `write_piece` writes it; -1 stands for any length."""
    found = stored(file, name)
    known = [*zip(shape, found.shape, strict=True)]
    if found.dtype != kind or any(given not in (-1, length) for given, length in known):
        raise ValueError(f"{name} is {found.dtype} {found.shape}")
    return np.asarray(found[()])
