"""The checks of `dped-build doctor`, in order, and the self-check at their end.

Nothing that may be broken is imported before it was tried.
"""

import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dped_build.parallel.executor import default_jobs
from dped_build.selftest.installation import (
    BROKEN,
    extras,
    import_errors,
    missing,
    one_line,
    packages,
    requirements,
    vgg_weights,
)
from dped_build.selftest.machine import (
    OK,
    WRONG,
    Finding,
    compiler,
    disk,
    gpu,
    memory,
    memory_bytes,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.logs import log_error
from dped_build.workspace.text import counted

REPORT_IT = "add --log doctor.jsonl, and report what that file says"


def examine(workspace: Path) -> Iterator[Finding]:
    """All checks, one after the other; the last ones take some seconds."""
    broken, lines = import_errors(), requirements()
    yield packages(broken)
    if "packaging" not in broken:
        yield from missing(lines)
        yield extras(lines)
    if "joblib" not in broken:
        jobs = default_jobs()
        yield Finding("Cores", OK, str(jobs))
        yield memory(memory_bytes(), jobs)
    yield disk(workspace)
    if "torch" not in broken:
        yield gpu()
        yield compiler()
        yield vgg_weights()
    if not set(broken) - {"torch"}:
        yield from self_check(training="torch" not in broken)


def self_check(*, training: bool) -> Iterator[Finding]:
    """Align and cut a simulated pair in a temporary folder, and train on it."""
    from dped_build.selftest import self_check as check

    with tempfile.TemporaryDirectory(prefix="dped-build-") as name:
        folder = Path(name)

        def place() -> Finding:
            placed = check.place_patches(folder, jobs=min(2, default_jobs()))
            told = (
                f"{counted(placed.patches, 'patch', 'patches')} cut, "
                f"{placed.median_px:.2f} px off (median), {placed.worst_px:.2f} px "
                f"(worst), in {placed.seconds:.1f} s"
            )
            if placed.worst_px > check.WORST_PX:
                return Finding("Alignment", WRONG, told, REPORT_IT)
            return Finding("Alignment", OK, told)

        def train() -> Finding:
            seconds = check.train_briefly(folder)
            return Finding("Training", OK, f"{check.STEPS} steps in {seconds:.1f} s")

        placed = _tried("Alignment", place)
        yield placed
        if training and placed.status == OK:
            yield _tried("Training", train)


def system() -> str:
    """What runs here: `Python 3.12.4 on Linux x86_64`."""
    python, machine = platform.python_version(), platform.machine()
    return f"Python {python} on {platform.system()} {machine}"


def _tried(name: str, run: Callable[[], Finding]) -> Finding:
    try:
        return run()
    except (DpedBuildError, *BROKEN) as error:
        log_error(error)
        return Finding(name, WRONG, one_line(error), REPORT_IT)
