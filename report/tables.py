"""Read the HDF5 tables of `patches/`: candidate windows and stored patches."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dped_build.patches import records
from dped_build.patches.shards import hdf5_file, read_column, read_owners, stored
from dped_build.workspace.errors import DpedBuildError

TEXTS_AT_ONCE = 64  # held while their lengths are not known
MEASURES = (  # one number a window, NaN where it was not measured
    "ncc",
    "rotation_deg",
    "sigma_px",
    "depth_px",
    "sharpness_ratio",
    "color_fit_psnr",
    "clipped_phone",
    "clipped_dslr",
)


@dataclass(frozen=True)
class Windows:
    """Every candidate window; row i of each array, (W,), is window i."""

    pairs: list[str]
    pair: NDArray[np.intp]  # index into `pairs`
    reasons: list[str]
    reason: NDArray[np.intp]  # index into `reasons`
    accepted: NDArray[np.bool_]
    table: records.Windows  # what was measured
    settings: dict[str, Any]

    def __len__(self) -> int:
        """How many windows."""
        return len(self.pair)

    def measure(self, name: str) -> NDArray[np.float32]:
        """One of the columns named in MEASURES."""
        column: NDArray[np.float32] = getattr(self.table, name)
        return column

    @property
    def moved_px(self) -> NDArray[np.float32]:
        """How far each window moved from where the homography put it, phone px."""
        return np.asarray(np.linalg.norm(self.table.shift_px, axis=1), np.float32)

    def outcome(self, row: int) -> str:
        """What became of a window: `accepted` or its reason."""
        return (
            records.ACCEPTED if self.accepted[row] else self.reasons[self.reason[row]]
        )

    def refused_for(self, *reasons: str) -> NDArray[np.bool_]:
        """Which windows were refused for one of these reasons, (W,)."""
        wanted = np.array([reason in reasons for reason in self.reasons], bool)
        return np.asarray(~self.accepted & wanted[self.reason])

    def rows_of_pairs(self) -> dict[str, NDArray[np.intp]]:
        """The rows of each pair's windows, ascending."""
        order = np.argsort(self.pair, kind="stable")
        bounds = np.searchsorted(self.pair[order], np.arange(len(self.pairs) + 1))
        return {
            pair: order[bounds[index] : bounds[index + 1]]
            for index, pair in enumerate(self.pairs)
        }


@dataclass(frozen=True)
class StoredPatches:
    """The small columns of all shards, one row per stored patch, (N,)."""

    files: list[str]
    file: NDArray[np.intp]  # index into `files`
    row: NDArray[np.intp]  # row in that file
    photos: list[str]
    photo: NDArray[np.intp]  # index into `photos`
    xy: NDArray[np.int32]  # (N, 2), top-left pixel in the phone photo
    ncc: NDArray[np.float32]


def _codes(texts: NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct texts, sorted, and the index of each row's text among them."""
    names, codes = np.unique(texts, return_inverse=True)
    return [name.decode("utf-8", "replace") for name in names.tolist()], codes


def _texts(file: h5py.File, name: str) -> NDArray[Any]:
    """A column of texts as bytes, (N,); raises as `stored`."""
    column, left = stored(file, name), file.id.get_filesize()
    if h5py.check_string_dtype(column.dtype) is None or column.ndim != 1:
        raise OSError(f"{name} is {column.dtype} {column.shape}")
    parts = [np.zeros(0, "S1")]
    for start in range(0, len(column), TEXTS_AT_ONCE):
        parts.append(column[start : start + TEXTS_AT_ONCE].astype("S"))
        left -= sum(map(len, parts[-1].tolist()))
        if left < 0:  # one long text may be that of every row
            raise OSError(f"{name} holds more than the file")
    return np.concatenate(parts)


def read_windows(path: Path) -> Windows:
    """All candidate windows; a column that is absent is NaN.

    Raises:
        DpedBuildError: The file is damaged.
    """
    try:
        with hdf5_file(path) as file:
            pairs, pair = _codes(_texts(file, "pair"))
            reasons, reason = _codes(_texts(file, "reason"))
            found = {
                name: read_column(file, name)
                for name in records.COLUMNS
                if name in file
            }
            unmeasured = records.empty_windows(len(pair))
            table = replace(unmeasured, **found)
            accepted = _texts(file, "status") == records.ACCEPTED.encode()
            columns = (getattr(table, name) for name in records.COLUMNS)
            if {len(reason), len(accepted), *map(len, columns)} != {len(pair)}:
                raise OSError("its columns differ in length")
            settings = json.loads(str(file.attrs.get("settings", "{}")))
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    known = settings if isinstance(settings, dict) else {}
    return Windows(pairs, pair, reasons, reason, accepted, table, known)


def read_stored(folder: Path, files: list[str]) -> StoredPatches:
    """The small columns of the shards named in `files`.

    Raises:
        DpedBuildError: A shard is missing or damaged.
    """
    names: list[str] = []
    file, row, photo, xy, ncc = [], [], [], [], []
    for index, name in enumerate(files):
        try:
            with hdf5_file(folder / name) as shard:
                owners, photos = read_owners(shard)
                ncc.append(read_column(shard, "ncc"))
                xy.append(read_column(shard, "window_xy"))
            if not len(ncc[-1]) == len(xy[-1]) == len(owners):
                raise OSError("its columns differ in length")
        except (OSError, KeyError, ValueError) as error:
            raise damaged(folder / name, error) from error
        photo.append(owners + len(names))
        names.extend(photos)
        row.append(np.arange(len(owners)))
        file.append(np.full(len(owners), index))
    return StoredPatches(
        files=files,
        file=np.concatenate([np.zeros(0, np.intp), *file]),
        row=np.concatenate([np.zeros(0, np.intp), *row]),
        photos=names,
        photo=np.concatenate([np.zeros(0, np.intp), *photo]),
        xy=np.concatenate([np.zeros((0, 2), np.int32), *xy]),
        ncc=np.concatenate([np.zeros(0, np.float32), *ncc]),
    )


def read_patch(
    workspace: Path, file: str, row: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One stored patch pair, phone and DSLR, each (S, S, 3) RGB.

    Raises:
        DpedBuildError: The shard is missing or damaged.
    """
    path = workspace / "patches" / file
    try:
        with hdf5_file(path) as shard:
            return stored(shard, "phone")[row], stored(shard, "dslr")[row]
    except (OSError, KeyError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> DpedBuildError:
    """The one-line error for a file of a stage that cannot be understood."""
    ways_out = {
        "aligned": "run dped-build align again with --force",
        "patches": "run dped-build patches again with --force",
    }
    stage = path.parent.name
    name = f"{stage}/{path.name}" if stage in ways_out else f"runs/{stage}/{path.name}"
    detail = str(error).splitlines()[0] if str(error) else type(error).__name__
    way_out = ways_out.get(stage, "move the run away, or train it again")
    return DpedBuildError(f"{name} cannot be read ({detail}); {way_out}")
