"""Run one function over many tasks on several cores, surviving dead workers.

Each worker computes with one thread: two BLAS threads in a busy worker make small
solves take seconds. Workers are forks of this process where that is safe, else
processes of joblib's loky, threads, or those of a cluster; all but forks are executors
as `concurrent.futures` knows them.
"""

import gc
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from signal import SIG_IGN
from threading import Thread
from typing import TypeVar
from warnings import catch_warnings

from dped_build.parallel.engines import (
    CLUSTERS,
    limit_threads,
    open_cluster,
    with_one_thread,
)
from dped_build.parallel.forked import can_fork, end_with_parent, run_forked
from dped_build.parallel.memory import (
    keep_freed_memory,
    lay_heap_in_huge_pages,
    with_huge_pages,
)
from dped_build.parallel.signals import blocked, handled_by, start_resource_trackers
from dped_build.workspace.errors import UsageError

_AHEAD = 2  # tasks handed out per worker
_LAST_SECONDS = 20  # for what a cluster was doing when the run was interrupted
_PARENT_SECONDS = 1  # between a worker's looks at whether its parent is still there
# Libraries read these when they are loaded: threads that exist spin, even unused.
_ONE_THREAD = dict.fromkeys(
    (
        "BLIS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)

Task = TypeVar("Task")
Result = TypeVar("Result")


def default_jobs() -> int:
    """The cores that this process may use, and that its container grants."""
    from joblib import cpu_count

    return int(cpu_count())


@dataclass(frozen=True)
class Workers:
    """How `run_all` distributes the work."""

    jobs: int = field(default_factory=default_jobs)  # tasks at a time; None: all cores
    backend: str = "loky"  # loky, threading, dask or ray
    # Own memory of a worker process (Linux); beyond: MemoryError.
    max_memory_gb: float | None = None
    # Address of a running cluster, whose workers count, not `jobs`.
    scheduler: str | None = None


def run_all(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: Workers,
) -> Generator[tuple[int, Result | None]]:
    """Yield (index of the task, result) as results come, in any order.

    A task whose worker process dies twice yields None. Which task a dead worker of loky
    held is not known, so those handed out are tried again one by one, each in its own
    process.
    One job is done by this process itself, unless its memory is limited.

    Raises:
        UsageError: Memory cannot be limited here, a scheduler is named for a backend
            without one, or the backend's extra is missing.
        DpedBuildError: The cluster cannot be reached.
    """
    jobs, backend = workers.jobs, workers.backend
    max_memory_gb, scheduler = workers.max_memory_gb, workers.scheduler
    if max_memory_gb is not None:
        _require_limits(backend)
    if backend in CLUSTERS:
        handed_out: dict[Future[Result], int] = {}
        with open_cluster(backend, jobs, scheduler) as pool:
            limited, indices = partial(with_one_thread, function), range(len(tasks))
            try:
                yield from _run(
                    pool.executor,
                    limited,
                    tasks,
                    indices,
                    pool.jobs,
                    handed_out,
                    pool.deaths,
                )
            finally:
                if scheduler is not None:
                    # Others' workers go on, and must not write into the next run.
                    wait(handed_out, timeout=_LAST_SECONDS)
        return
    if scheduler is not None:
        raise UsageError(
            f"--scheduler is for dask and ray, not for --backend {backend}"
        )
    if (jobs == 1 and max_memory_gb is None) or backend == "threading":
        with _one_thread():
            yield from _run_here(function, tasks, jobs)
        return
    if can_fork():
        # What NumPy imports when first used: here once, not in every worker.
        import numpy.ma
        import numpy.random  # noqa: F401

        begin = partial(_begin_fork, os.getpid(), max_memory_gb)
        yield from run_forked(function, tasks, jobs, begin)
        return
    waiting = list(range(len(tasks)))
    while waiting:
        held: dict[Future[Result], int] = {}
        try:
            # Two at least: a lone task, too, may end its process.
            count = 1 if jobs == 1 else max(2, min(jobs, len(waiting)))
            with _processes(count, max_memory_gb) as pool:
                for index, result in _run(pool, function, tasks, waiting, jobs, held):
                    waiting.remove(index)
                    yield index, result
        except BrokenExecutor:
            for index in sorted(held.values()):
                waiting.remove(index)
                yield index, _run_alone(function, tasks[index], max_memory_gb)


def _run_here(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Generator[tuple[int, Result | None]]:
    if jobs == 1:
        for index, task in enumerate(tasks):
            yield index, function(task)
        return
    pool = ThreadPoolExecutor(jobs, initializer=limit_threads)
    try:
        yield from _run(pool, function, tasks, range(len(tasks)), jobs, {})
    finally:
        pool.shutdown(cancel_futures=True)


def _run(
    pool: Executor,
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    indices: Sequence[int],
    jobs: int,
    held: dict[Future[Result], int],
    deaths: tuple[type[BaseException], ...] = (),
) -> Generator[tuple[int, Result | None]]:
    """Results as they come; `held` says which tasks the pool has and owes a result.

    A task that ends in one of `deaths` gives None.
    """
    left = iter(list(indices))
    while True:
        for index in islice(left, _AHEAD * jobs - len(held)):
            held[_submit(pool, function, tasks[index])] = index
        if not held:
            return
        for future in wait(held, return_when=FIRST_COMPLETED).done:
            try:
                result = future.result()
            except deaths:
                result = None
            yield held.pop(future), result


def _submit(
    pool: Executor, function: Callable[[Task], Result], task: Task
) -> Future[Result]:
    """Hand a task out; a worker that this starts leaves signals to its parent."""
    with blocked():
        return pool.submit(function, task)


def _run_alone(
    function: Callable[[Task], Result], task: Task, max_memory_gb: float | None
) -> Result | None:
    try:
        with _processes(1, max_memory_gb) as pool:
            return _submit(pool, function, task).result()
    except BrokenExecutor:
        return None


@contextmanager
def _processes(count: int, max_memory_gb: float | None) -> Iterator[Executor]:
    """Worker processes that end with the block; at once where it ends by an error."""
    from joblib.externals.loky import ProcessPoolExecutor

    start_resource_trackers()
    pool = ProcessPoolExecutor(
        count,
        initializer=_begin_worker,
        initargs=(os.getpid(), max_memory_gb),
        env=_ONE_THREAD | with_huge_pages(),
    )
    try:
        yield pool
    except BaseException:
        # Who is ending cannot be asked to again; loky warns where there is no pgrep.
        with handled_by(SIG_IGN), catch_warnings(action="ignore"):
            pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


def _require_limits(backend: str) -> None:
    if backend == "threading":
        raise UsageError("--max-memory limits processes: leave --backend at loky")
    if backend in CLUSTERS:
        raise UsageError(
            f"--max-memory is for --backend loky; {backend} has its own limits"
        )
    if not sys.platform.startswith("linux"):
        raise UsageError("--max-memory works on Linux only: lower --jobs instead")


def _begin_fork(parent: int, max_memory_gb: float | None) -> None:
    end_with_parent(parent)
    gc.freeze()  # what the parent has stays: to look through it copies its pages
    os.environ.update(_ONE_THREAD)
    limit_threads()
    if max_memory_gb is None:  # what is reserved would count
        lay_heap_in_huge_pages()
    _limit_memory(max_memory_gb)


def _limit_memory(gigabytes: float | None) -> None:
    if gigabytes is not None:
        import resource

        limit = int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _begin_worker(parent: int, max_memory_gb: float | None) -> None:
    limit_threads()
    _limit_memory(max_memory_gb)
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """This process computes with one thread; afterwards with as many as before."""
    import cv2
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        cv2.setNumThreads(before)
