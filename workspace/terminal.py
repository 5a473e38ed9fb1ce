"""Progress on stderr, redrawn in place on a terminal."""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


class Progress:
    """A bar with rate and ETA on a terminal, elsewhere a line every tenth."""

    def __init__(self, unit: str, *, quiet: bool) -> None:
        self.unit, self.quiet = unit, quiet
        self.bar: Any = None
        self.shown = 0

    def __enter__(self) -> Callable[[int, int], None]:
        """The function to call with (done, total)."""
        return self._update

    def __exit__(self, *error: object) -> None:
        """Leave the terminal's line finished."""
        if self.bar is not None:
            self.bar.close()

    def _update(self, done: int, total: int) -> None:
        if self.quiet or not total:
            return
        if can_redraw(sys.stderr):
            if self.bar is None:
                self.bar = _bar(total, self.unit)
            self.bar.update(done - self.bar.n)
        elif done and done * 10 // total > self.shown:
            self.shown = done * 10 // total
            say(f"{done} of {total} {self.unit}")


def _bar(total: int, unit: str) -> Any:  # noqa: ANN401
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # no thread: a process that has two cannot be forked

    return Bar(total=total, unit=" " + unit, miniters=1)


def can_redraw(stream: TextIO) -> bool:
    """Whether a line may be written over again: a terminal that can do it."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)
