"""What an engine costs: every backend on the same photos, and on tasks of no work.

    python bench/backends.py --pairs 16
    python bench/backends.py --model      # how far one writing process goes

The first table runs `align` and `patches` with one and with two workers of each backend
in turn, and a few thousand tasks that do nothing. The second measures what a pair costs
a worker and what it costs the parent, which alone writes, and simulates more workers.
"""

import heapq
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from accuracy import random_scenes
from pictures import list_pictures
from scenes import write
from tables import machine, table

from dped_build.align import align_folders
from dped_build.parallel.engines import BACKENDS
from dped_build.parallel.executor import Workers, run_all
from dped_build.patches import build_shards

TRIVIAL = 2000  # tasks
JOBS = (1, 2)
DPED = {"iphone": 6015, "blackberry": 5727, "sony": 4549}  # pairs, supplement table 1
CORES = (2, 16, 64, 256, 1000)


def nothing(number: int) -> int:
    """A task without work."""
    return number


def seconds_a_task(backend: str, jobs: int) -> tuple[float, float]:
    """Until the first result of trivial tasks, and for each further one."""
    begun = time.perf_counter()
    results = run_all(nothing, range(TRIVIAL), Workers(jobs, backend))
    next(results)
    first = time.perf_counter()
    for _ in results:
        pass
    return first - begun, (time.perf_counter() - first) / (TRIVIAL - 1)


def seconds_of_stages(photos: Path, backend: str, jobs: int) -> tuple[float, float]:
    """Wall seconds of `align` and of `patches` in a new workspace."""
    with tempfile.TemporaryDirectory() as temporary:
        work, begun = Path(temporary), time.perf_counter()
        align_folders(
            photos / "phone",
            photos / "dslr",
            workspace=work,
            workers=Workers(jobs, backend),
        )
        aligned = time.perf_counter()
        build_shards(work, workers=Workers(jobs, backend))
        return aligned - begun, time.perf_counter() - aligned


def backends_table(photos: Path, pairs: int) -> str:
    """Every backend with one and two workers."""
    rows = []
    for backend in BACKENDS:
        for jobs in JOBS:
            start, each = seconds_a_task(backend, jobs)
            align, patches = seconds_of_stages(photos, backend, jobs)
            rows.append(
                [
                    backend,
                    str(jobs),
                    f"{start:.2f}",
                    f"{each * 1000:.2f}",
                    f"{align:.1f}",
                    f"{patches:.1f}",
                    f"{pairs / (align + patches):.2f}",
                ]
            )
            click.echo(" | ".join(rows[-1]), err=True)
    header = ("backend", "workers", "start s", "ms a task of nothing")
    return table((*header, "align s", "patches s", "pairs/s"), rows)


def costs_a_pair(photos: Path, pairs: int) -> dict[str, tuple[float, float]]:
    """Seconds of one worker and of the writing parent, for each stage and pair."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folders = photos / "phone", photos / "dslr"
        shares = {}
        marks: list[float] = []

        def mark(_done: int, _total: int) -> None:
            marks.append(time.perf_counter())

        for stage in ("align", "patches"):
            marks.clear()
            begun = time.perf_counter()
            if stage == "align":
                align_folders(*folders, workspace=work, jobs=1, progress=mark)
            else:
                build_shards(work, jobs=1, progress=mark)
            ended = time.perf_counter()
            shares[stage] = ((marks[-1] - begun) / pairs, (ended - marks[-1]) / pairs)
        return shares


def simulated_seconds(
    pairs: int, workers: int, worker_s: float, parent_s: float, *, after: float
) -> float:
    """Until all pairs are done: workers in parallel, one parent that takes each result.

    `parent_s` is the parent's for each result while workers run, `after` what it does
    for each pair when all are there.
    """
    free = [0.0] * min(workers, pairs)
    parent = 0.0
    for _ in range(pairs):
        done = heapq.heappop(free) + worker_s
        parent = max(parent, done) + parent_s
        # A worker gets its next task when the parent has taken its result.
        heapq.heappush(free, parent)
    return parent + pairs * after


def model_table(shares: dict[str, tuple[float, float]], handing_s: float) -> str:
    """DPED's pairs on more cores, as the costs say."""
    total = sum(DPED.values())
    rows = []
    for cores in CORES:
        seconds = [
            simulated_seconds(total, cores, worker, handing_s, after=parent)
            for worker, parent in shares.values()
        ]
        alone = sum((worker + parent) * total for worker, parent in shares.values())
        rows.append(
            [
                str(cores),
                *(f"{s / 60:.1f}" for s in seconds),
                f"{sum(seconds) / 60:.1f}",
                f"{alone / sum(seconds):.0f}",
            ]
        )
    header = ("cores", "align min", "patches min", "both min", "times one core")
    return table(header, rows)


@click.command()
@click.option("--pairs", type=click.IntRange(min=2), default=16, show_default=True)
@click.option("--long-side", type=int, default=2048, show_default=True)
@click.option("--model", is_flag=True, help="Only the costs a pair and the model.")
@click.option("--seed", type=int, default=5, show_default=True)
def main(*, pairs: int, long_side: int, model: bool, seed: int) -> None:
    """Print the tables as Markdown."""
    scenes = random_scenes(
        list_pictures(None), count=pairs, long_side=long_side, seed=seed
    )
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary)
        for scene in scenes:
            write(scene, photos)
        if not model:
            click.echo(backends_table(photos, pairs))
        shares = costs_a_pair(photos, pairs)
        told = [
            [stage, f"{worker:.3f}", f"{parent * 1000:.1f}"]
            for stage, (worker, parent) in shares.items()
        ]
        click.echo(table(("stage", "worker s a pair", "parent ms a pair"), told))
        _, handing = seconds_a_task("loky", 2)
        click.echo(f"\nHanding out and taking back: {handing * 1000:.2f} ms a pair\n")
        click.echo(model_table(shares, handing))
    click.echo(machine())
    sizes = np.array([scene.rig.phone_size for scene in scenes])
    click.echo(f"{pairs} pairs, phone {sizes.max(axis=0).tolist()} px, seed {seed}")


if __name__ == "__main__":
    sys.exit(main())
