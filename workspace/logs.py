"""The log of `--log`: what happened to which pair, as JSON lines.

Workers hand their results to the parent, which alone writes the log.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from dped_build.workspace.errors import UsageError

LOGGER = logging.getLogger("dped_build")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The event, when it was, and what it came with."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class _LogFile(logging.FileHandler):
    """A log that cannot be written any more never stops the run."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say so once, and stop logging."""
        LOGGER.removeHandler(self)
        print(
            f"{self.baseFilename}: the log ends here; the command continues",
            file=sys.stderr,
        )


@contextmanager
def log_into(path: Path) -> Iterator[None]:
    """Append all events of the block to a file (UsageError: it cannot be written)."""
    try:
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"--log {path}: cannot be written ({error.strerror})"
        ) from error
    handler.setFormatter(_JsonLines())
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        with suppress(OSError):  # a full disk was reported already
            handler.close()


def log(event: str, **fields: object) -> None:
    """Note that something happened; without a log this costs nothing."""
    LOGGER.info(event, extra={"fields": fields})


def log_pair(stage: str, pair: str, outcome: str, message: str | None = None) -> None:
    """Note what became of a pair."""
    log("pair", stage=stage, pair=pair, outcome=outcome, message=message)


def log_error(error: BaseException) -> None:
    """Note why a command ends, with the traceback."""
    if not LOGGER.hasHandlers():
        return  # Python's last resort would print it
    fields = {"error": type(error).__name__, "message": str(error)}
    LOGGER.error(
        "error",
        exc_info=(type(error), error, error.__traceback__),
        extra={"fields": fields},
    )
