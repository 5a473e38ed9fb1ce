"""Read a workspace again and hold it against what it states of itself."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dped_build.align.aligned import MESSAGE, aligned_stage, read_aligned
from dped_build.align.errors import DpedBuildError
from dped_build.align.records import Alignment
from dped_build.align.stage import SUMS, Stage, read_sums, sha256
from dped_build.patches.build import patch_stage
from dped_build.patches.dataset import require_shards
from dped_build.patches.import_settings import is_imported
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.patches.shards import (
    WINDOWS_FILE,
    hdf5_file,
    read_column,
    read_keys,
    read_pixels,
)

SAMPLE = 200  # patches per shard whose NCC is computed again
NCC_TOLERANCE = 1e-5
UNREADABLE = (OSError, KeyError, ValueError, TypeError, AttributeError)


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
        try:
            sums = read_sums(stage.folder)
        except DpedBuildError as error:
            damage.append(str(error))
            continue
        files += len(sums)
        damage += _wrong_files(stage.folder, sums)
    patches = 0
    try:
        if stages[0].complete and stages[1].complete and not damage:
            damage += _earlier_alignment(workspace, stages[1])
        if stages[1].complete and not damage:
            patches, damage = _check_shards(stages[1])
    except DpedBuildError as error:  # sums that fit content that does not
        damage.append(str(error))
    except UNREADABLE as error:
        said = " ".join(str(error).split())[:MESSAGE]
        damage.append(f"{stages[1].folder}: cannot be read ({said})")
    return Verification(files, patches, damage)


def pairs_of_an_earlier_alignment(
    cut: Iterable[str],
    patches: Mapping[str, Any],
    alignment: Mapping[str, Any],
    records: Iterable[Alignment],
) -> set[str]:
    """Pairs whose patches are not of the photos that are aligned now.

    Args:
        cut: Pairs that the patches were cut from.
        patches: Manifest of the patches.
        alignment: Manifest of the alignment.
        records: The alignment's records.
    """
    pairs = set(cut)
    if any(patches.get(c) != alignment.get(c) for c in ("phone_camera", "dslr_camera")):
        return pairs
    return pairs - {record.pair for record in records if record.aligned}


def _earlier_alignment(workspace: Path, patches: Stage) -> Iterator[str]:
    aligned, manifest = read_aligned(workspace), patches.manifest()
    if aligned is None or manifest is None or is_imported(manifest):
        return
    cut = read_keys(patches.folder / WINDOWS_FILE)
    gone = pairs_of_an_earlier_alignment(
        cut, manifest, aligned.manifest, aligned.records.values()
    )
    if gone:
        cameras = f"{manifest['phone_camera']} | {manifest['dslr_camera']}"
        yield (
            f"{patches.folder}: cut from an earlier alignment ({cameras}, {len(gone)} "
            f"of {len(cut)} pairs are not aligned now); run dped-build patches again"
        )


def _wrong_files(folder: Path, sums: dict[str, str]) -> Iterator[str]:
    for name, stated in sums.items():
        path = folder / name
        if not _stays_inside(name):
            yield f"{folder / SUMS}: {name!r:.200} is no file of this folder"
        elif not path.is_file():
            yield f"{path}: missing"
        elif sha256(path) != stated:
            yield f"{path}: its content is not what was written"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in sums and name != SUMS:
            yield f"{path}: not written by dped-build"


def _stays_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _check_shards(stage: Stage) -> tuple[int, list[str]]:
    """How many patches were looked at, and what is wrong with shards and counts."""
    manifest = stage.manifest() or {}
    require_shards(manifest)
    checked, held = 0, Counter[str]()
    listed = {shard["file"] for shard in manifest["shards"]}
    there = {path.name for path in stage.folder.glob("*-[0-9]*.h5")}
    wrong = [
        f"{stage.folder / name}: only one of folder and manifest.json knows it"
        for name in sorted(listed ^ there)
    ]
    for shard in manifest["shards"]:
        if shard["file"] in there:
            rows, found = _check_shard(stage.folder / shard["file"], shard["patches"])
            checked += rows
            wrong += found
        held[shard["split"]] += shard["patches"]
    for split, totals in manifest["splits"].items():
        if totals["patches"] != held[split]:
            wrong.append(
                f"{stage.folder / 'manifest.json'}: {totals['patches']} {split} "
                f"patches in all, {held[split]} in its shards"
            )
    return checked, wrong


def _check_shard(path: Path, count: int) -> tuple[int, list[str]]:
    with hdf5_file(path) as file:
        stated = read_column(file, "ncc")
    if len(stated) != count:
        return 0, [f"{path}: {len(stated)} patches, {count} stated"]
    rows = np.unique(np.linspace(0, count - 1, SAMPLE).round().astype(int))
    phone, dslr = read_pixels([(path, int(row)) for row in rows])
    found = normalised_cross_correlation(lumas(phone), lumas(dslr))
    same = np.isclose(found, stated[rows], rtol=0, atol=NCC_TOLERANCE, equal_nan=True)
    off = np.flatnonzero(~same)
    return len(rows), [f"{path}: row {rows[i]}: NCC is not as stated" for i in off]
