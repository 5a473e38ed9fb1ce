"""Read a workspace again and hold it against what it states of itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from dped_build.align.aligned import aligned_stage
from dped_build.align.errors import DpedBuildError
from dped_build.align.stage import SUMS, Stage, read_sums, sha256
from dped_build.patches.build import patch_stage
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.patches.shards import read_pixels

SAMPLE = 200  # patches per shard whose NCC is computed again
NCC_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Verification:
    """What was read, and a line for everything that is not as stated."""

    files: int
    patches: int
    damage: list[str]


def verify_workspace(workspace: Path) -> Verification:
    """Check every stage that is there: checksums, counts, NCC of a sample.

    Raises:
        DpedBuildError: There is nothing to verify.
    """
    stages = [
        aligned_stage(workspace),
        patch_stage(workspace),
        Stage(workspace, "report", ""),
    ]
    there = [stage for stage in stages if stage.folder.exists()]
    if not there:
        raise DpedBuildError(
            f"{workspace}: nothing to verify; run dped-build align PHONE_DIR DSLR_DIR"
        )
    files, damage = 0, []
    for stage in there:
        if not stage.complete:
            damage.append(f"{stage.folder}: {SUMS} is missing: not a finished stage")
            continue
        sums = read_sums(stage.folder)
        files += len(sums)
        damage += _wrong_files(stage.folder, sums)
    patches = 0
    if stages[1].complete and not damage:
        patches, wrong = _check_shards(stages[1])
        damage += wrong
    return Verification(files, patches, damage)


def _wrong_files(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    for name, stated in sums.items():
        path = folder / name
        if not path.is_file():
            yield f"{path}: missing"
        elif sha256(path) != stated:
            yield f"{path}: its content is not what was written"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in sums and name != SUMS:
            yield f"{path}: not written by dped-build"


def _check_shards(stage: Stage) -> tuple[int, list[str]]:
    checked, wrong = 0, []
    for shard in (stage.manifest() or {}).get("shards", []):
        path = stage.folder / shard["file"]
        with h5py.File(path, "r") as file:
            stated = file["ncc"][:]
        if len(stated) != shard["patches"]:
            wrong.append(f"{path}: {len(stated)} patches, {shard['patches']} stated")
            continue
        rows = np.unique(np.linspace(0, len(stated) - 1, SAMPLE).round().astype(int))
        phone, dslr = read_pixels([(path, int(row)) for row in rows])
        found = normalised_cross_correlation(lumas(phone), lumas(dslr))
        off = np.flatnonzero(~(np.abs(found - stated[rows]) <= NCC_TOLERANCE))
        wrong += [f"{path}: row {rows[i]}: NCC is not as stated" for i in off]
        checked += len(rows)
    return checked, wrong
