"""Read the patches that an export takes: row by row, with every column and a key."""

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.patches.dataset import WHOLE, NoPatchesError, PatchDataset
from dped_build.patches.folder import SHARDS, read_manifest, read_rows, read_split_rows
from dped_build.patches.records import COLUMNS, Windows, concatenate
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import is_plain_name

NOT_IN_KEYS = re.compile(rb"[^A-Za-z0-9_-]")
LONGEST_NAME = 180  # characters of a pair's name in a key; file names take 255


@dataclass(frozen=True)
class Patch:
    """One pair of patches with all that is known of it.

    Attributes:
        key: Its name in every format: ASCII letters, digits, `_`, `-`, `%` and `+`.
        split: train, val or test.
        pair: Name of the photo.
        group: Of the scene.
        columns: Name → value, as in the shards.
        phone: RGB, (S, S, 3) u8.
        dslr: RGB, (S, S, 3) u8.
        valid: Where both show the same point of the scene, (S, S) bool.
    """

    key: str
    split: str
    pair: str
    group: str
    columns: Mapping[str, Any]
    phone: NDArray[np.uint8]
    dslr: NDArray[np.uint8]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class PatchSource:
    """A folder of shards, as training sees it: exclusions by hand are left out.

    Attributes:
        folder: Where the shards lie.
        manifest: Theirs; empty for shards without one.
        cameras: Phone and DSLR.
        datasets: Split → its rows; only splits that have any.
        tables: Split → the columns of its rows.
        chosen: Split → which of its rows are exported, (N,).
        groups: Pair → scene; empty without `split.csv`.
        excluded: How many rows of these splits are left out by hand.
        masked_out: How many are left out because they need a mask.
        masked: Whether to write masks: a pixel of some patch is not valid.
    """

    folder: Path
    manifest: Mapping[str, Any]
    cameras: tuple[str, str]
    datasets: Mapping[str, PatchDataset]
    tables: Mapping[str, Windows]
    chosen: Mapping[str, NDArray[np.bool_]]
    groups: Mapping[str, str]
    excluded: int
    masked_out: int
    masked: bool

    @property
    def size(self) -> int:
        """Side of a patch, px."""
        return next(iter(self.datasets.values())).patch_size

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos and patches of every split that has any."""
        return {
            split: {
                "photos": len(set(found.photos[self.chosen[split]])),
                "patches": int(self.chosen[split].sum()),
            }
            for split, found in self.datasets.items()
        }

    def rows(self, split: str) -> Iterator[Patch]:
        """The rows of a split in their order; one at a time in memory.

        Raises:
            DpedBuildError: A shard is damaged or changed meanwhile.
        """
        found, table = self.datasets[split], self.tables[split]
        names = keys(found.photos.tolist(), found.window_xy)
        for row, key in enumerate(names):
            if not self.chosen[split][row]:
                continue
            phone, dslr, valid = found[row]
            pair = str(found.photos[row])
            columns = {name: getattr(table, name)[row] for name in COLUMNS}
            group = self.groups.get(pair, pair)
            yield Patch(key, split, pair, group, columns, phone, dslr, valid)


def open_source(
    source: Path, splits: Sequence[str], *, whole: bool = False
) -> PatchSource:
    """Open a folder of shards, or the workspace that holds one.

    Args:
        source: Its folder.
        splits: To be exported.
        whole: Only patches that any trainer can use without a mask.

    Raises:
        NoPatchesError: It holds no such patch of these splits.
        DpedBuildError: There are no shards, or something is damaged.
    """
    folder = shard_folder(source)
    manifest = read_manifest(folder) or {}
    names = [str(manifest.get(f"{side}_camera", side)) for side in ("phone", "dslr")]
    if names[0] == names[1] or not all(map(is_plain_name, names)):
        raise DpedBuildError(f"{folder}: its cameras have no plain names, or one name")
    datasets = {}
    for split in splits:
        with contextlib.suppress(NoPatchesError):
            datasets[split] = PatchDataset(folder, split, masks=True)
    if not datasets:
        raise NoPatchesError(f"{folder}: no patches of {', '.join(splits)} to export")
    if len({found.patch_size for found in datasets.values()}) > 1:
        raise DpedBuildError(f"{folder}: its splits have patches of different sizes")
    shards = [shard for found in datasets.values() for shard in found.shards]
    tables = {split: _table(folder, found) for split, found in datasets.items()}
    least = WHOLE if whole else -np.inf
    chosen = {name: ~(table.valid_share < least) for name, table in tables.items()}
    if not any(rows.any() for rows in chosen.values()):
        raise NoPatchesError(
            f"{folder}: all patches of {', '.join(splits)} need their masks; export "
            "them in a format that has masks, such as --format png"
        )
    left = [split for split in datasets if chosen[split].any()]
    return PatchSource(
        folder,
        manifest,
        (names[0], names[1]),
        {split: datasets[split] for split in left},
        {split: tables[split] for split in left},
        {split: chosen[split] for split in left},
        {row.pair: row.group for row in read_split_rows(folder) or []},
        sum(shard.count - len(shard.rows) for shard in shards),
        sum(int((~rows).sum()) for rows in chosen.values()),
        not whole and any((table.valid_share < 1).any() for table in tables.values()),
    )


def shard_folder(source: Path) -> Path:
    """The folder of shards that `source` is, or that lies in this workspace.

    Raises:
        DpedBuildError: There is none.
    """
    for folder in (source, source / "patches"):
        if next(folder.glob(SHARDS), None) or (folder / WINDOWS_FILE).is_file():
            return folder
    what = "no shards in it" if source.is_dir() else "no such folder"
    raise DpedBuildError(
        f"{source}: {what}; give a folder of shards, such as data/patches, or its "
        "workspace"
    )


def keys(pairs: Sequence[str], window_xy: NDArray[np.int32]) -> Iterator[str]:
    """A name for every patch that any file, archive and database takes.

    `<pair>_<x>_<y>`, and `+2`, `+3` … where a place comes again, as in imported sets.
    Bytes other than ASCII letters, digits, `_` and `-` are written `%2E`; very long
    names end in a hash.
    """
    seen: Counter[tuple[str, int, int]] = Counter()
    for pair, (x, y) in zip(pairs, window_xy.tolist(), strict=True):
        name = NOT_IN_KEYS.sub(lambda byte: b"%%%02X" % ord(byte[0]), pair.encode())
        if len(name) > LONGEST_NAME:
            digest = hashlib.sha256(name).hexdigest()[:16].encode()
            name = name[: LONGEST_NAME - len(digest) - 1] + b"-" + digest
        seen[pair, x, y] += 1
        count = seen[pair, x, y]
        yield f"{name.decode()}_{x}_{y}" + (f"+{count}" if count > 1 else "")


def _table(folder: Path, found: PatchDataset) -> Windows:
    """The columns of a dataset's rows; NaN where hand-made shards lack one."""
    tables, pairs = [], []
    for shard in found.shards:
        rows = read_rows(shard.path, lenient=True)
        if len(rows) != shard.count:
            raise _changed(folder)
        tables.append(rows.windows.rows(shard.rows))
        pairs += rows.pairs[shard.rows].tolist()
    table = concatenate(tables)
    same = np.array_equal(table.window_xy, found.window_xy)
    if not same or pairs != found.photos.tolist():
        raise _changed(folder)
    return table


def _changed(folder: Path) -> DpedBuildError:
    return DpedBuildError(f"{folder} changed while it was read; start again")
