"""A folder of shards, held against what it states of itself: counts, NCC, identity."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dped_build.patches.folder import (
    MANIFEST,
    SHARDS,
    finished_manifest,
    read_pixels,
    read_rows,
)
from dped_build.patches.publication import dataset_id
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import Stage, read_sums

SAMPLE = 200  # patches per shard whose NCC is computed again
NCC_TOLERANCE = 1e-5


def check_shards(stage: Stage) -> tuple[int, list[str]]:
    """How many patches were looked at, and what is wrong with shards and counts.

    Raises:
        DpedBuildError: There is no manifest, or a file's content is not as we write it.
    """
    manifest = finished_manifest(stage)
    if manifest is None:
        raise DpedBuildError(f"{stage.folder}: not a finished stage")
    checked, held = 0, Counter[str]()
    listed = {shard["file"] for shard in manifest["shards"]}
    there = {path.name for path in stage.folder.glob(SHARDS)}
    wrong = [
        f"{stage.folder / name}: only one of folder and {MANIFEST} knows it"
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
                f"{stage.folder / MANIFEST}: {totals['patches']} {split} "
                f"patches in all, {held[split]} in its shards"
            )
    return checked, wrong or _check_identity(stage.folder, manifest)


def _check_shard(path: Path, count: int) -> tuple[int, list[str]]:
    stated = read_rows(path, ["ncc"]).windows.ncc
    if len(stated) != count:
        return 0, [f"{path}: {len(stated)} patches, {count} stated"]
    rows = np.unique(np.linspace(0, count - 1, SAMPLE).round().astype(int))
    phone, dslr = read_pixels([(path, int(row)) for row in rows])
    found = normalised_cross_correlation(lumas(phone), lumas(dslr))
    same = np.isclose(found, stated[rows], rtol=0, atol=NCC_TOLERANCE, equal_nan=True)
    off = np.flatnonzero(~same)
    return len(rows), [f"{path}: row {rows[i]}: NCC is not as stated" for i in off]


def _check_identity(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What no other check explains: files that were put together from several sets."""
    found = dataset_id(manifest["settings"], read_sums(folder))
    if manifest["dataset_id"] == found:
        return []
    return [
        f"{folder / MANIFEST}: its dataset_id is not that of the settings and files "
        "here; make the patches again with --force"
    ]
