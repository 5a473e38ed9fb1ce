"""What a run will take, and whether it is worth going on: asked before the work."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dped_build.align.errors import DpedBuildError, PhotoError
from dped_build.align.homography import SWAPPED
from dped_build.align.pairs import Pair
from dped_build.align.photos import photo_size
from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings

PROBE_ABOVE = 50  # pairs; smaller sets are aligned at once
PROBE_PAIRS = 20
PROBE_SHARE = 0.2  # of the probed pairs that must align
SECONDS_PER_MEGAPIXEL = 0.12  # of both photos, on one 2.5 GHz core; for the estimate
WORKER_GB, WORKER_GB_PER_MEGAPIXEL = 0.1, 0.0065  # measured from 12 to 72 megapixels
CROP_BYTES_PER_PIXEL = {"jpg": 1.2, "png": 4.0, "none": 0.0}  # both crops


Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    pairs: int
    todo: int
    bytes: int  # about, on disk
    seconds: float  # about, with the jobs given
    worker_gb: float = 0.0  # about, memory of each worker process


def estimate(
    pairs: Sequence[Pair], todo: Sequence[Pair], settings: AlignSettings, jobs: int
) -> Plan:
    """How much there is to do, from the headers of a few photos."""
    megapixels, crop_pixels = [], []
    for pair in spread(todo, PROBE_PAIRS):
        if pair.phone is None or pair.dslr is None:
            continue
        try:
            limit = settings.max_megapixels
            sizes = [
                photo_size(p, max_megapixels=limit) for p in (pair.phone, pair.dslr)
            ]
        except PhotoError:
            continue
        megapixels.append(sum(w * h for w, h in sizes) / 1e6)
        crop_pixels.append(sizes[0][0] * sizes[0][1])
    count, seen = len(todo), max(len(megapixels), 1)
    per_pixel = CROP_BYTES_PER_PIXEL[settings.crops]
    seconds = sum(megapixels) / seen * SECONDS_PER_MEGAPIXEL * count / jobs
    size = int(sum(crop_pixels) / seen * per_pixel * count)
    paired = sum(pair.reason is None for pair in pairs)
    return Plan(paired, count, size, seconds, worker_gb(max(megapixels, default=0)))


def worker_gb(megapixels: float) -> float:
    """About what a worker holds for a pair whose photos have so many together, GB."""
    return WORKER_GB + WORKER_GB_PER_MEGAPIXEL * megapixels


def spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """About `count` pairs, evenly over the set."""
    step = max(len(pairs) / count, 1)
    chosen = sorted({int(i * step) for i in range(count) if int(i * step) < len(pairs)})
    return [pairs[i] for i in chosen]


def refuse_hopeless(records: Sequence[Alignment]) -> None:
    """Stop where the probed pairs say that the set does not match.

    Raises:
        DpedBuildError: Fewer than one in five of the readable pairs aligned.
    """
    readable = [record for record in records if record.status != "failed"]
    aligned = sum(record.aligned for record in readable)
    if readable and aligned < PROBE_SHARE * len(readable):
        swapped = any(r.message and SWAPPED in r.message for r in readable)
        hint = (
            "the folders seem to be swapped: name the phone's first"
            if swapped
            else "photos of one name do not seem to show one scene: check that both "
            "folders number the scenes alike"
        )
        raise DpedBuildError(
            f"only {aligned} of {len(readable)} probed pairs align; {hint} "
            "(--no-probe goes on regardless)"
        )


def refuse_full_disk(workspace: Path, plan: Plan, way_out: str) -> None:
    """Stop before work that the disk cannot hold.

    Raises:
        DpedBuildError: Names what is needed and what is free.
    """
    free = shutil.disk_usage(workspace).free
    if plan.bytes > free:
        raise DpedBuildError(
            f"{workspace}: about {plan.bytes / 1e9:.3f} GB needed, "
            f"{free / 1e9:.3f} GB free; {way_out}"
        )
