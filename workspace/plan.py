"""Estimates of a run's work, disk and memory, made before it starts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dped_build.workspace.errors import DpedBuildError

OnProgress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    pairs: int
    todo: int
    bytes: int  # about, on disk
    seconds: float  # about, with the jobs given
    worker_gb: float = 0.0  # about, memory of each worker process


def refuse_full_disk(workspace: Path, plan: Plan, way_out: str) -> None:
    """Stop before work that the disk cannot hold (DpedBuildError)."""
    free = shutil.disk_usage(workspace).free
    if plan.bytes > free:
        raise DpedBuildError(
            f"{workspace}: about {plan.bytes / 1e9:.3f} GB needed, "
            f"{free / 1e9:.3f} GB free; {way_out}"
        )
