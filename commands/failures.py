"""How a command ends: one line and an exit code; a log and a traceback on request.

No heavy imports: `--help` must answer at once.
"""

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, NoReturn

import click

from dped_build.parallel.signals import ASKING
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import (
    INTERRUPTED,
    DpedBuildError,
    Interrupted,
    UsageError,
)
from dped_build.workspace.logs import log, log_error, log_into
from dped_build.workspace.text import one_line

RESUMABLE = ("align", "patches", "build", "import", "report", "demo")
HIDDEN = ("align", "patches", "build")  # whose folder appears only when it is complete
OURS = (DpedBuildError, OSError, ImportError, MemoryError)  # for the user to fix
CLICKS = (click.ClickException, click.Abort, click.exceptions.Exit)
SAME_AGAIN = "Interrupted; finished work is kept. Run the same command to resume."


@contextmanager
def endings(ctx: click.Context) -> Iterator[None]:
    """Run a group's command: whatever stops it is reported in one line.

    Raises:
        click.ClickException: The user can fix it; no traceback.
        click.exceptions.Exit: Interrupted.
    """
    for number in ASKING:
        signal.signal(number, _interrupt)
    sys.excepthook = partial(_tell_fault, ctx.meta)
    try:
        with ExitStack() as stack:
            stack.push(_log_fault)
            yield
        _ask_no_more()
        log("end", command=ctx.invoked_subcommand)
    except click.ClickException as error:
        raise _InRed(error) from error
    except BrokenPipeError:  # who reads our output has seen enough
        raise
    except OURS as error:
        _ask_no_more()
        log_error(error)
        if ctx.meta.get(DEBUG.name):
            traceback.print_exception(error)
        wrong_use = isinstance(error, UsageError)
        kind = click.UsageError if wrong_use else click.ClickException
        raise _InRed(kind(_remedy(error))) from error
    except KeyboardInterrupt as error:
        _ask_no_more()
        said = SAME_AGAIN if ctx.invoked_subcommand in RESUMABLE else "Interrupted."
        if ctx.invoked_subcommand in HIDDEN:
            said += f" It lies in the workspace's {SCRATCH}/ until all is done."
        said = str(error) if isinstance(error, Interrupted) else said
        log("interrupted", message=said)
        click.secho(said, err=True, fg="yellow")
        ctx.exit(INTERRUPTED)


@contextmanager
def excepthook_kept() -> Iterator[None]:
    """Put back at the end what Python does with errors that nobody expects."""
    before = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = before


class _InRed(click.ClickException):
    """An error as click prints it, the word "Error" in red on a terminal."""

    def __init__(self, told: click.ClickException) -> None:
        super().__init__(told.message)
        self.told, self.exit_code = told, told.exit_code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on stderr, or into a file."""
        text = io.StringIO()
        self.told.show(text)
        before, word, after = text.getvalue().rpartition("Error: ")
        red = click.style(word, fg="red", bold=True)
        click.echo(
            before + red + after, file=file, err=True, nl=False, color=self.show_color
        )


def _remedy(error: BaseException) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, MemoryError):
        return (
            "not enough memory; lower --jobs, --batch-size or --tile, whichever "
            "the command has, and run it again"
        )
    if isinstance(error, ImportError):  # of a library that lacks its own
        return f"{error}; dped-build doctor says what is wrong and what to do"
    if isinstance(error, OSError):  # the disk's or the system's, wherever it struck
        where = f"{error.filename}: " if error.filename else ""
        why = error.strerror or str(error).splitlines()[0]
        return (
            f"{where}{why}; free space or fix the permissions, then run the same "
            "command again"
        )
    return str(error)


def _log_fault(
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Log a bug of ours; the excepthook runs when the log is closed already.

    What fails after Ctrl-C, such as the rest of a library half loaded, is no bug.
    """
    if not isinstance(error, Exception):
        return
    if _was_asked() and not isinstance(error, (DpedBuildError, OSError, MemoryError)):
        raise KeyboardInterrupt from error
    if not isinstance(error, OURS + CLICKS):
        log_error(error)


def _tell_fault(
    meta: Mapping[str, Any],
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Report a bug of ours in one line; `--debug` adds the traceback."""
    if meta.get(DEBUG.name):
        sys.__excepthook__(kind, error, trace)
        return
    said = one_line(error)
    click.echo(
        f"{click.style('Error:', fg='red', bold=True)} {kind.__name__}: {said}; this "
        "is a bug in dped-build: run the same command with --debug and report the "
        "output",
        err=True,
        color=colors(),
    )


def colors() -> bool | None:
    """Whether click may colour its output: False if the user or terminal says so.

    NO_COLOR counts if it is set and not empty (https://no-color.org). Otherwise
    None: click colours terminals, not files and pipes.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if plain else None


def _start_log(ctx: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing or LOG.name in ctx.meta:
        return  # the demo's commands write into the demo's log
    ctx.meta[str(LOG.name)] = path
    ctx.find_root().with_resource(log_into(path))
    log("start", command=ctx.info_name, arguments=sys.argv[1:])


def _set_debug(ctx: click.Context, option: click.Parameter, on: bool) -> None:
    if on:
        ctx.meta[str(option.name)] = True


LOG = click.Option(
    ["--log"],
    type=click.Path(path_type=Path, dir_okay=False),
    expose_value=False,
    envvar="DPED_BUILD_LOG",
    callback=_start_log,
    help="Append a log to this file, as JSON lines.",
)
DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    envvar="DPED_BUILD_DEBUG",
    callback=_set_debug,
    help="Print a traceback on errors.",
)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _ask_no_more()
    raise KeyboardInterrupt


def _was_asked() -> bool:
    return all(signal.getsignal(number) == signal.SIG_IGN for number in ASKING)


def _ask_no_more() -> None:
    """Ignore further signals while shutting down, so that the exit code stays."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
