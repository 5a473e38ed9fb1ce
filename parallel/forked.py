"""Workers forked from this process: they have its modules and the tasks at once.

Where forking is not safe, `executor` has workers that start anew.
"""

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIG_IGN
from traceback import format_exc
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dped_build.parallel.signals import blocked, handled_by

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

TRIES = 2  # of a task: its worker may have been killed for another's memory
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl

Task = TypeVar("Task")
Result = TypeVar("Result")


def can_fork() -> bool:
    """Whether this process may be forked: on Linux, while it has a single thread.

    A fork has only the thread that made it, and finds the locks of all others held.
    """
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def run_forked(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    begin: Callable[[], None],
) -> Generator[tuple[int, Result | None]]:
    """Yield (index of the task, result) as results come; None where its workers die.

    Args:
        function: Done with every task; what it raises is raised here.
        tasks: In the order in which they are handed out.
        jobs: How many at a time.
        begin: What each worker does first.
    """
    from multiprocessing.connection import wait

    left, deaths = deque(range(len(tasks))), Counter[int]()
    processes: list[ForkProcess] = []
    busy: dict[Connection, int] = {}  # our end of a worker's pipe → its task
    try:
        while left or busy:
            while left and len(busy) < jobs:
                index = left.popleft()
                process, connection = _start(
                    partial(_work, function, tasks, begin, index)
                )
                processes.append(process)
                busy[connection] = index
            ready = wait(list(busy))
            for connection in [each for each in busy if each in ready]:
                index = busy.pop(connection)
                outcome = _received(connection)
                if outcome is None:  # the worker died
                    deaths[index] += 1
                    if deaths[index] < TRIES:
                        left.appendleft(index)
                    else:
                        yield index, None
                    continue
                result, error = outcome
                if error is not None:
                    for other in busy:  # killed while they write, they leave files
                        _received(other)
                    raise error
                if left:
                    busy[connection] = left.popleft()
                    with suppress(OSError):  # it died just now, as `recv` will say
                        connection.send(busy[connection])
                yield index, result
    finally:
        with handled_by(SIG_IGN):  # who is ending cannot be asked to again
            for process in processes:
                process.kill()  # an idle one has nothing to lose
                process.join()


def _start(work: Callable[["Connection"], None]) -> tuple["ForkProcess", "Connection"]:
    """A process that does the work with its end of a pipe, and our end."""
    from multiprocessing import get_context

    context = get_context("fork")
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(its,))
    with blocked():  # workers leave signals to their parent
        process.start()
    its.close()  # so that its death ends the pipe
    return process, ours


def _received(connection: "Connection") -> tuple[Any, BaseException | None] | None:
    """What a worker sends, once it does; None where it dies."""
    try:
        return cast("tuple[Any, BaseException | None]", connection.recv())
    except (EOFError, OSError):
        return None


def _work(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    begin: Callable[[], None],
    first: int,
    connection: "Connection",
) -> None:
    """Do one task after the other, as the parent names them; runs in a worker."""
    begin()
    index = first
    while True:
        outcome: tuple[Result | None, BaseException | None]
        try:
            outcome = function(tasks[index]), None
        except BaseException as error:  # raised again by the parent
            error.add_note(format_exc())
            outcome = None, error
        connection.send(outcome)
        index = connection.recv()


def end_with_parent(parent: int) -> None:
    """Have this fork of `parent` killed when it ends, however: it holds its locks."""
    import ctypes  # here: --help needs none

    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
