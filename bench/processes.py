"""Commands run as a user runs them, and what each of them took."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

from dped_build.workspace.errors import DpedBuildError

Task = TypeVar("Task")
Result = TypeVar("Result")

DPED_BUILD = Path(sys.executable).with_name("dped-build")
LAUNCHER = Path(__file__).with_name("launcher.py")
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
PLAIN = Path(__file__).with_name("plain_opencv.py")


@dataclass(frozen=True)
class Usage:
    """What a command and all processes that it started have used."""

    wall_s: float
    cpu_s: float
    peak_mb: float  # of the largest single process

    def __add__(self, other: "Usage") -> "Usage":
        """One command after the other."""
        return Usage(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_mb, other.peak_mb),
        )


def run(command: Sequence[str | Path]) -> Usage:
    """Run a command to its end.

    Raises:
        DpedBuildError: It failed.
    """
    # What is installed has its bytecode; without, every process compiles it again.
    environment = {k: v for k, v in os.environ.items() if k != NO_BYTECODE}
    with tempfile.NamedTemporaryFile(suffix=".json") as written:
        ran = subprocess.run(
            [sys.executable, LAUNCHER, written.name, *command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ran.returncode:
            said = ran.stdout.decode(errors="replace").strip()
            name = " ".join(map(str, command[:2]))
            raise DpedBuildError(f"{name}: failed ({ran.returncode}): {said}")
        return Usage(**json.load(written))


def run_ours(folder: Path, workspace: Path, *, jobs: int) -> tuple[Usage, Usage]:
    """`align`, then `patches`, with their defaults, on `folder`/phone and /dslr."""
    common = ("--workspace", workspace, "--jobs", str(jobs))
    photos = (folder / "phone", folder / "dslr")
    aligned = run([DPED_BUILD, "align", *photos, *common])
    return aligned, run([DPED_BUILD, "patches", *common])


def run_build(folder: Path, workspace: Path, *, jobs: int) -> Usage:
    """`build`, which does both and reads each photo once."""
    common = ("--workspace", workspace, "--jobs", str(jobs))
    return run([DPED_BUILD, "build", folder / "phone", folder / "dslr", *common])


def run_plain(folder: Path, out: Path, pairs: Sequence[str]) -> Usage:
    """The plain OpenCV way on some of the pairs."""
    photos = (folder / "phone", folder / "dslr")
    return run([sys.executable, PLAIN, *photos, out, *pairs])


def in_workers(
    function: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int
) -> Iterator[Result]:
    """Results in the order of the tasks, from processes with one thread each."""
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(function, tasks)


def _one_thread() -> None:
    cv2.setNumThreads(1)
    threadpool_limits(1)
