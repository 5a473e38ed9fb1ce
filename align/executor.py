"""Run one function over many tasks on several cores, whatever happens to the workers.

Each worker computes with one thread: two BLAS threads in a busy worker make small
solves take seconds. joblib starts the workers; `backend` is one of its backends.
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import TypeVar

import cv2
import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

_AHEAD = 2  # tasks handed out per worker

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
    not known, so those in flight are tried again one by one, each in its own process.
    """
    waiting = list(range(len(tasks)))
    # Threads share the limit: were it set per task, the first to end would lift it.
    with _one_thread() if backend == "threading" else nullcontext():
        while waiting:
            pool = _run_pool(function, tasks, waiting, jobs, backend)
            try:
                with closing(pool):
                    for index, result in pool:
                        waiting.remove(index)
                        yield index, result
            except BrokenProcessPool:
                for index in waiting[: _AHEAD * jobs]:
                    waiting.remove(index)
                    yield index, _run_alone(function, tasks[index])


def _run_pool(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    indices: Sequence[int],
    jobs: int,
    backend: str,
) -> Generator[tuple[int, Result]]:
    threads = {"inner_max_num_threads": 1} if backend == "loky" and jobs > 1 else {}
    call = _numbered if backend == "threading" else _numbered_one_thread
    with joblib.parallel_config(backend=backend, n_jobs=jobs, **threads):
        parallel = joblib.Parallel(
            return_as="generator_unordered", pre_dispatch=_AHEAD * jobs, batch_size=1
        )
        results = parallel(
            joblib.delayed(call)(function, index, tasks[index])
            for index in list(indices)
        )
        try:
            for numbered in results:  # noqa: UP028 - that would close it unguarded
                yield numbered
        finally:
            with warnings.catch_warnings():  # that an interrupt cancels tasks is meant
                warnings.filterwarnings("ignore", module="joblib")
                results.close()


def _run_alone(function: Callable[[Task], Result], task: Task) -> Result | None:
    with ProcessPoolExecutor(max_workers=1) as pool:
        try:
            numbered = pool.submit(_numbered_one_thread, function, 0, task).result()
        except BrokenProcessPool:
            return None
    result: Result = numbered[1]
    return result


def _numbered(
    function: Callable[[Task], Result], index: int, task: Task
) -> tuple[int, Result]:
    threadpool_limits(limits=1)  # OpenMP counts threads for each thread that asks
    return index, function(task)


def _numbered_one_thread(
    function: Callable[[Task], Result], index: int, task: Task
) -> tuple[int, Result]:
    with _one_thread():
        return index, function(task)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        cv2.setNumThreads(before)
