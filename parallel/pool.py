"""A pool of workers, as an engine hands it to the executor, or why it has none."""

from concurrent.futures import Executor
from dataclasses import dataclass

from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.text import one_line


@dataclass(frozen=True)
class Pool:
    """Workers that are there."""

    executor: Executor
    jobs: int  # how many tasks they do at a time
    deaths: tuple[type[BaseException], ...]  # how a task ends that killed its worker


def needs_extra(name: str) -> UsageError:
    """What to say where an engine is not installed."""
    return UsageError(
        f"--backend {name} needs an extra: pip install 'dped-build[{name}]'"
    )


def cannot_start(name: str, error: Exception) -> DpedBuildError:
    """What to say where an engine cannot be started here."""
    return DpedBuildError(
        f"--backend {name}: cannot start here ({one_line(error)}); use --backend loky"
    )
