"""End a run on a signal between two iterations, with consistent state."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dped_build.parallel.signals import handled_by
from dped_build.workspace.errors import Interrupted


@contextmanager
def deferred_signals() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; a second one interrupts at once.

    Outside the main thread, where Python delivers no signals, the event stays unset.
    """
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise Interrupted("Interrupted at once. Continue with --resume.")
        asked.set()

    with handled_by(ask):
        yield asked
