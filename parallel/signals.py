"""The signals that end a process (Ctrl-C, SIGTERM), and who handles them."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM)
CAN_BLOCK = hasattr(signal, "pthread_sigmask")  # not on Windows

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def blocked() -> Iterator[None]:
    """What this thread starts in the block, and what that starts, hears neither.

    A terminal sends Ctrl-C to workers, too, which would all tell where they were.
    """
    if not CAN_BLOCK:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_resource_trackers() -> None:
    """Before the first `blocked`: to start these unblocks signals in the thread."""
    if not CAN_BLOCK:
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as loky_tracker

    for tracker in (resource_tracker, loky_tracker):
        tracker.ensure_running()


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put this process's handlers back at the end, whoever put his own in place.

    Only the main thread hears signals: elsewhere nothing happens.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # not from Python: cannot be put back
                signal.signal(number, handler)


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Let a function hear both within the block; outside the main thread nothing."""
    with handlers_kept():
        if current_thread() is main_thread():
            for number in ASKING:
                signal.signal(number, handler)
        yield
