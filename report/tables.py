"""Read the HDF5 tables of `patches/`: candidate windows and stored patches."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.patches import records
from dped_build.patches.folder import read_masks, read_rows
from dped_build.patches.hdf5_files import VALID, opened, stored
from dped_build.patches.masks import Masks, unpacked, whole_masks
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.workspace.errors import DpedBuildError

UNPLACED = ("excluded", "flat", "outside", "shift_limit", "low_ncc", "uncertain")
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
class WindowTable:
    """Every candidate window; row i of each array, (W,), is window i."""

    pairs: list[str]
    pair: NDArray[np.intp]  # index into `pairs`
    reasons: list[str]
    reason: NDArray[np.intp]  # index into `reasons`
    accepted: NDArray[np.bool_]
    table: records.Windows  # what was measured

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

    @property
    def partly_valid(self) -> NDArray[np.bool_]:
        """Which measured windows a mask divides, (W,)."""
        share = self.table.valid_share
        return np.isfinite(self.table.ncc) & (share > 0) & (share < 1)

    @property
    def placed(self) -> NDArray[np.bool_]:
        """Which windows lie where they should, whatever else they failed for, (W,)."""
        found = np.isfinite(self.table.shift_px).all(axis=1)
        return np.asarray(found & ~self.refused_for(*UNPLACED))

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
    valid_share: NDArray[np.float32]


def _codes(texts: Iterable[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct texts, sorted, and the index of each row's text among them."""
    found = list(texts)
    names = sorted(set(found))
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[text] for text in found], dtype=np.intp)


def read_windows(path: Path) -> WindowTable:
    """All candidate windows; an absent column is NaN, a damaged file an error."""
    rows = read_rows(path, reasons=True, lenient=True)
    return WindowTable(
        *_codes(rows.pairs), *_codes(rows.reasons), rows.accepted, rows.windows
    )


def read_stored(folder: Path, files: list[str]) -> StoredPatches:
    """The small columns of the shards `files`; one missing or damaged is an error."""
    names: list[str] = []
    file, row, photo, xy, ncc, valid_share = [], [], [], [], [], []
    for index, name in enumerate(files):
        rows = read_rows(folder / name, ["ncc", "window_xy", "valid_share"])
        ncc.append(rows.windows.ncc)
        xy.append(rows.windows.window_xy)
        valid_share.append(rows.windows.valid_share)
        photo.append(rows.photo + len(names))
        names.extend(rows.photos)
        row.append(np.arange(len(rows)))
        file.append(np.full(len(rows), index))
    return StoredPatches(
        files=files,
        file=np.concatenate([np.zeros(0, np.intp), *file]),
        row=np.concatenate([np.zeros(0, np.intp), *row]),
        photos=names,
        photo=np.concatenate([np.zeros(0, np.intp), *photo]),
        xy=np.concatenate([np.zeros((0, 2), np.int32), *xy]),
        ncc=np.concatenate([np.zeros(0, np.float32), *ncc]),
        valid_share=np.concatenate([np.zeros(0, np.float32), *valid_share]),
    )


def read_patch(
    workspace: Path, file: str, row: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """A stored patch pair, phone and DSLR, each (S, S, 3) RGB, and its mask (S, S)."""
    with opened(workspace / "patches" / file) as shard:
        phone, dslr = stored(shard, "phone")[row], stored(shard, "dslr")[row]
        if VALID not in shard:
            return phone, dslr, np.ones(phone.shape[:2], np.bool_)
        valid = stored(shard, VALID)
        if valid.shape != stored(shard, "phone").shape[:3]:
            raise OSError(f"{VALID} is {valid.shape}")
        return phone, dslr, valid[row] != 0


def read_window_masks(workspace: Path, rows: NDArray[np.intp], size: int) -> Masks:
    """The masks of these windows, (N, size, size).

    Raises:
        DpedBuildError: The file is missing or damaged.
    """
    if not len(rows):  # older files have no masks
        return whole_masks(0, size)
    return unpacked(read_masks(workspace / "patches" / WINDOWS_FILE, rows, size), size)


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
