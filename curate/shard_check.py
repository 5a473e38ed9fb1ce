"""A folder of shards, held against what it states: counts, masks, NCC, identity."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.folder import (
    MANIFEST,
    SHARDS,
    finished_manifest,
    read_pixels,
    read_rows,
    read_valid,
)
from dped_build.patches.publication import dataset_id
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import Stage, read_sums

SAMPLE = 200  # patches per shard whose figures are computed again
TOLERANCE = 1e-5


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
    stated = read_rows(path, ["ncc", "valid_share"]).windows
    if len(stated) != count:
        return 0, [f"{path}: {len(stated)} patches, {count} stated"]
    rows = np.unique(np.linspace(0, count - 1, SAMPLE).round().astype(int))
    phone, dslr = read_pixels([(path, int(row)) for row in rows])
    stored = read_valid(path, rows.tolist())
    valid = stored.astype(bool)
    share = valid.mean(axis=(1, 2))
    ncc = normalised_cross_correlation(lumas(phone), lumas(dslr), valid)
    sound = {
        "its mask is not of zeros and ones": stored.max(axis=(1, 2), initial=0) <= 1,
        "valid_share is not that of its mask": _same(share, stated.valid_share[rows]),
        "NCC is not as stated": _same(ncc, stated.ncc[rows]),
    }
    return len(rows), [
        f"{path}: row {rows[at]}: {fault}"
        for fault, passed in sound.items()
        for at in np.flatnonzero(~passed)
    ]


def _same(found: FloatArray, stated: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isclose(found, stated, rtol=0, atol=TOLERANCE, equal_nan=True)


def _check_identity(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What no other check explains: files that were put together from several sets."""
    found = dataset_id(manifest["settings"], read_sums(folder))
    if manifest["dataset_id"] == found:
        return []
    return [
        f"{folder / MANIFEST}: its dataset_id is not that of the settings and files "
        "here; make the patches again with --force"
    ]
