"""What C libraries print, which is neither shown nor lost."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def caught_words(pattern: re.Pattern[str]) -> Iterator[list[str]]:
    """Collects the lines that C code prints to the terminal and that fit a pattern.

    They are in the list once the block has ended. All else goes on to the terminal:
    other threads print as well, and their lines come when the block has ended.
    """
    found: list[str] = []
    with _ONE_AT_A_TIME, ExitStack() as stack:
        try:
            words = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
        except OSError:  # nowhere to keep them, or no terminal to keep them from
            yield found
            return
        _flush()
        os.dup2(words.fileno(), 2)
        try:
            yield found
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)
            words.seek(0)
            for line in words.read().splitlines(keepends=True):
                text = line.decode(errors="replace").strip()
                if pattern.search(text):
                    found.append(text)
                else:
                    os.write(2, line)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
