"""Run one function over many tasks on several cores, whatever happens to the workers.

Each worker computes with one thread: two BLAS threads in a busy worker make small
solves take seconds. Workers are processes of loky or, on request, threads; either are
executors as `concurrent.futures` knows them.
"""

import os
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
from itertools import islice
from typing import TypeVar

_AHEAD = 2  # tasks handed out per worker
_IDLE_SECONDS = 300  # after which a worker ends: its parent may have been killed
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
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int,
    backend: str = "loky",
) -> Generator[tuple[int, Result | None]]:
    """Yield (index of the task, result) as results come, in any order.

    A task whose worker process dies twice yields None. Which task a dead worker held is
    not known, so those handed out are tried again one by one, each in its own process.
    One job is done by this process itself.
    """
    if jobs == 1 or backend == "threading":
        with _one_thread():
            yield from _run_here(function, tasks, jobs)
        return
    waiting = list(range(len(tasks)))
    while waiting:
        held: dict[Future[Result], int] = {}
        try:
            # Two at least: a lone task, too, may end its process.
            with _processes(max(2, min(jobs, len(waiting)))) as pool:
                for index, result in _run(pool, function, tasks, waiting, jobs, held):
                    waiting.remove(index)
                    yield index, result
        except BrokenExecutor:
            for index in sorted(held.values()):
                waiting.remove(index)
                yield index, _run_alone(function, tasks[index])


def _run_here(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Generator[tuple[int, Result]]:
    if jobs == 1:
        for index, task in enumerate(tasks):
            yield index, function(task)
        return
    pool = ThreadPoolExecutor(jobs, initializer=_limit_threads)
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
) -> Generator[tuple[int, Result]]:
    """Results as they come; `held` says which tasks the pool has and owes a result."""
    left = iter(list(indices))
    while True:
        for index in islice(left, _AHEAD * jobs - len(held)):
            held[pool.submit(function, tasks[index])] = index
        if not held:
            return
        for future in wait(held, return_when=FIRST_COMPLETED).done:
            result = future.result()
            yield held.pop(future), result


def _run_alone(function: Callable[[Task], Result], task: Task) -> Result | None:
    try:
        with _processes(1) as pool:
            return pool.submit(function, task).result()
    except BrokenExecutor:
        return None


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Worker processes that end with the block; at once where it ends by an error."""
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(
        count, timeout=_IDLE_SECONDS, initializer=_limit_opencv, env=_ONE_THREAD
    )
    try:
        yield pool
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


def _limit_opencv() -> None:
    import cv2

    cv2.setNumThreads(1)


def _limit_threads() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1)  # OpenMP counts threads for each thread that asks


@contextmanager
def _one_thread() -> Iterator[None]:
    """This process computes with one thread; afterwards with as many as before."""
    import cv2
    from threadpoolctl import threadpool_limits

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        cv2.setNumThreads(before)
