"""Cluster engines (Dask, Ray) behind one interface, as `run_all` needs it.

Another engine is another module with an `open_pool`, and a line in `open_cluster`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager as Context
from functools import cache
from threading import get_ident
from typing import TypeVar

from dped_build.parallel.memory import keep_freed_memory
from dped_build.parallel.pool import Pool

CLUSTERS = ("dask", "ray")
BACKENDS = ("loky", "threading", *CLUSTERS)

Task = TypeVar("Task")
Result = TypeVar("Result")


def open_cluster(backend: str, jobs: int, scheduler: str | None) -> Context[Pool]:
    """The pool of an engine, as long as the block lasts."""
    if backend == "dask":
        from dped_build.parallel.dask_engine import open_pool
    else:
        from dped_build.parallel.ray_engine import open_pool
    return open_pool(jobs, scheduler)


def with_one_thread(function: Callable[[Task], Result], task: Task) -> Result:
    """Call the function in a worker that computes with one thread from then on."""
    _limit_once(get_ident())
    return function(task)


@cache
def _limit_once(_thread: int) -> None:
    """It looks through all loaded libraries, which takes milliseconds."""
    limit_threads()


def limit_threads() -> None:
    """Compute with one thread from now on in this thread of this process."""
    import cv2
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    cv2.setNumThreads(1)
    threadpool_limits(limits=1)  # OpenMP counts threads for each thread that asks
