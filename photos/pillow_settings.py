"""What reading photos changes in Pillow, for as long as a photo is being read.

Pillow's limit and log and Python's warnings belong to the whole process, which may be
somebody's notebook. Threads read at the same time: the first to come makes the change,
the last to go undoes it.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import RLock

from PIL import Image


class _Shared:
    """A change to the process that several threads may hold at a time."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change, self._undo = change, ExitStack()
        self._lock, self._holders = RLock(), 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold it for the block."""
        with self._lock:
            if not self._holders:
                self._undo.enter_context(self._change())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._undo.close()


@_Shared
@contextmanager
def own_limits() -> Iterator[None]:
    """Without Pillow's limit on pixels, for which there is our own, and its log."""
    logger, limit = logging.getLogger("PIL"), Image.MAX_IMAGE_PIXELS
    level = logger.level
    Image.MAX_IMAGE_PIXELS = None
    logger.setLevel(logging.CRITICAL)  # what matters comes as an error
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        logger.setLevel(level)


@_Shared
@contextmanager
def no_warnings() -> Iterator[None]:
    """Without Pillow's warnings: what matters in them comes as an error as well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield
