"""The checks of `dped-build doctor`, in order, and the self-check at their end.

Nothing that may be broken is imported before it was tried.
"""

import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dped_build.parallel.executor import default_jobs
from dped_build.selftest import installation, machine
from dped_build.selftest.installation import BROKEN, tidy_error
from dped_build.selftest.machine import OK, WRONG, Finding
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.logs import log_error
from dped_build.workspace.text import counted

REPORT_IT = "add --log doctor.jsonl, and report what that file says"


def examine(workspace: Path) -> Iterator[Finding]:
    """All checks, one after the other; the last ones take some seconds."""
    broken, lines = installation.import_errors(), installation.requirements()
    yield installation.packages(broken)
    if "packaging" not in broken:
        yield from installation.missing(lines)
        yield installation.extras(lines)
    if "joblib" not in broken:
        jobs = default_jobs()
        yield Finding("Cores", OK, str(jobs))
        yield machine.memory(machine.memory_bytes(), jobs)
    if "numpy" not in broken:
        yield machine.loops()
    yield machine.disk(workspace)
    if "torch" not in broken:
        yield machine.gpu()
        yield machine.compiler()
        yield installation.vgg_weights()
    if not set(broken) - {"torch"}:
        yield from self_check(training="torch" not in broken)


def self_check(*, training: bool) -> Iterator[Finding]:
    """Align and cut a simulated pair in a temporary folder, and train on it."""
    from dped_build.selftest import self_check as check

    with tempfile.TemporaryDirectory(prefix="dped-build-") as name:
        folder = Path(name)

        def place() -> str:
            truth = check.place_patches(folder, jobs=min(2, default_jobs()))
            told = (
                f"{counted(truth.patches, 'patch', 'patches')} cut, "
                f"{truth.median_px:.2f} px off (median), {truth.worst_px:.2f} px "
                "(worst)"
            )
            if truth.worst_px > check.WORST_PX:
                raise DpedBuildError(told)
            return f"{told},"

        placed = _tried("Alignment", place)
        yield placed
        if training and placed.status == OK:
            yield _tried("Training", lambda: check.train_briefly(folder))


def system() -> str:
    """What runs here: `Python 3.12.4 on Linux x86_64`."""
    python, processor = platform.python_version(), platform.machine()
    return f"Python {python} on {platform.system()} {processor}"


def _tried(name: str, run: Callable[[], str]) -> Finding:
    """What a part of the self-check did, and how long that took."""
    begun = time.perf_counter()
    try:
        told = run()
    except (DpedBuildError, *BROKEN) as error:
        log_error(error)
        return Finding(name, WRONG, tidy_error(error), REPORT_IT)
    return Finding(name, OK, f"{told} in {time.perf_counter() - begun:.1f} s")
