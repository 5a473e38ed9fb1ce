"""Hold shards of simulated photos against the geometry they were made with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dped_build.align.geometry import FloatArray
from dped_build.patches.folder import list_shards, read_manifest, read_rows
from dped_build.patches.records import Windows
from dped_build.selftest.simulated_cameras import Rig
from dped_build.workspace.errors import DpedBuildError

GRID = 5  # points along each side of a patch


@dataclass(frozen=True)
class TruthSummary:
    """How far patches are from the truth, phone px."""

    patches: int
    median_px: float
    p95_px: float
    worst_px: float
    below_1px: float  # share


def patch_errors(windows: Windows, rig: Rig, size: int) -> FloatArray:
    """Mean distance (N,) between each patch's claim and the truth, phone px."""
    to_phone, to_dslr = windows.patch_to_phone, windows.patch_to_dslr
    return np.asarray(patch_distances(to_phone, to_dslr, rig, size).mean(axis=1))


def patch_distances(
    patch_to_phone: FloatArray, patch_to_dslr: FloatArray, rig: Rig, size: int
) -> FloatArray:
    """How far each patch is from the truth at 5x5 of its points, (N, 25), phone px.

    The claim of matrices (N, 3, 3) is that the pixel at `patch_to_phone` shows what the
    DSLR's at `patch_to_dslr` does.
    """
    line = np.linspace(0, size - 1, GRID)
    x, y = (axis.ravel() for axis in np.meshgrid(line, line))
    grid = np.stack([x, y, np.ones_like(x)])
    phone_points, dslr_points = (
        np.moveaxis((seen := matrices @ grid)[:, :2] / seen[:, 2:], 1, 2)
        for matrices in (patch_to_phone, patch_to_dslr)
    )
    return np.asarray(
        np.linalg.norm(rig.residual_px(phone_points, dslr_points), axis=-1)
    )


def read_rig(path: Path) -> Rig:
    """A truth file (DpedBuildError: it is not one)."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        tuples = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        return Rig(**{**values, **tuples})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DpedBuildError(f"{path}: not a truth file ({error})") from error


def compare_with_truth(patches: Path, truth: Path, *, size: int) -> TruthSummary:
    """Errors of all patches of a folder against `<truth>/<pair>.json`.

    Raises:
        DpedBuildError: There are no patches, or a pair has no truth file.
    """
    errors = [
        patch_errors(windows, read_rig(truth / f"{pair}.json"), size)
        for path, _ in list_shards(patches, read_manifest(patches))
        for pair, windows in read_rows(path).by_pair().items()
    ]
    if not errors:
        raise DpedBuildError(f"{patches}: no patches to compare")
    pooled = np.concatenate(errors)
    return TruthSummary(
        len(pooled),
        float(np.median(pooled)),
        float(np.percentile(pooled, 95)),
        float(pooled.max()),
        float((pooled < 1).mean()),
    )
