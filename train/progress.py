"""Progress of a run: a bar on a terminal, plain lines otherwise."""

import sys
import time

from tqdm import tqdm

from dped_build.workspace.terminal import can_redraw, say
from dped_build.workspace.text import duration_text

LINE_EVERY = 60.0  # seconds between plain lines
FIRST_AFTER = 10.0  # seconds, so that a slow run says soon how slow
LOSSES_EVERY = 5.0  # seconds between readings of the losses, which wait for a GPU


class TrainingProgress:
    """Iterations done, their rate and the losses, on stderr; silent where not shown."""

    def __init__(self, *, total: int, start: int, show: bool) -> None:
        """Start at iteration `start` of `total`."""
        self._terminal = show and can_redraw(sys.stderr)
        self._plain = show and not self._terminal
        self._bar = tqdm(
            total=total, initial=start, unit="it", disable=not self._terminal
        )
        self._total, self._start = total, start
        self._begun = time.monotonic()
        self._told = self._begun + FIRST_AFTER - LINE_EVERY

    def close(self) -> None:
        """Leave the terminal's line finished."""
        self._bar.close()

    def due(self) -> bool:
        """Whether the losses would be shown now."""
        every = LOSSES_EVERY if self._terminal else LINE_EVERY
        shown = self._terminal or self._plain
        return shown and time.monotonic() - self._told >= every

    def advance(self, iteration: int, losses: dict[str, float] | None = None) -> None:
        """One more iteration; `losses` are shown where given."""
        self._bar.update(1)
        if losses is None:
            return
        self._told = time.monotonic()
        text = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        self._bar.set_postfix_str(text)
        if self._plain:
            rate = (iteration - self._start) / max(self._told - self._begun, 1e-9)
            left = (self._total - iteration) / max(rate, 1e-9)
            self.say(
                f"{iteration}/{self._total} iterations, {rate:.3g} it/s, "
                f"{duration_text(left)} left, {text}"
            )

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._terminal:
            self._bar.write(text, file=sys.stderr)
        elif self._plain:
            say(text)
