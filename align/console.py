"""What every command shares: options, progress, the way errors end.

No heavy imports: `--help` must answer at once.
"""

import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from dped_build.align.errors import DpedBuildError, Interrupted, UsageError
from dped_build.align.logs import log, log_error, start_log, stop_log
from dped_build.align.settings import BACKENDS
from dped_build.align.words import counted, size_text

if TYPE_CHECKING:
    from dped_build.align.planning import Plan

Command = TypeVar("Command", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path)
DEFAULT_WORKSPACE = Path("data")
INTERRUPTED = 130
ASKING = (signal.SIGINT, signal.SIGTERM)  # to stop
RESUMABLE = ("align", "patches", "import", "report", "demo")
SAME_AGAIN = "Interrupted; finished work is kept. Run the same command again to go on."


class CommandGroup(click.Group):
    """Turns what goes wrong into one line and an exit code; adds `--log`, `--debug`."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with the options that all of them have."""
        cmd.params += [LOG, DEBUG]
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a failure that the user can mend has no traceback."""
        for number in ASKING:
            signal.signal(number, _interrupt)
        sys.excepthook = partial(_tell_fault, ctx.meta)
        try:
            result = super().invoke(ctx)
            log("end", command=ctx.invoked_subcommand)
            return result
        except UsageError as error:
            _note(ctx, error)
            raise click.UsageError(str(error)) from error
        except DpedBuildError as error:
            _note(ctx, error)
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:  # who reads our output has seen enough
            raise
        except OSError as error:  # the disk's or the system's, wherever it struck
            _note(ctx, error)
            where = f"{error.filename}: " if error.filename else ""
            why = error.strerror or str(error).splitlines()[0]
            raise click.ClickException(
                f"{where}{why}; free space or mend the permissions, then run the same "
                "command again"
            ) from error
        except MemoryError as error:
            _note(ctx, error)
            raise click.ClickException(
                "not enough memory; lower --jobs, --batch-size or --tile, whichever "
                "the command has, and run it again"
            ) from error
        except KeyboardInterrupt as error:
            _ask_no_more()
            said = SAME_AGAIN if ctx.invoked_subcommand in RESUMABLE else "Interrupted."
            said = str(error) if isinstance(error, Interrupted) else said
            log("interrupted", message=said)
            click.echo(said, err=True)
            ctx.exit(INTERRUPTED)


def _note(ctx: click.Context, error: BaseException) -> None:
    """Put an error into the log, and with `--debug` its traceback on stderr."""
    log_error(error)
    if ctx.meta.get(DEBUG.name):
        traceback.print_exception(error)


def _tell_fault(
    meta: Mapping[str, Any],
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """What is nobody's bad input: a fault of ours, in one line without `--debug`."""
    log_error(error)
    if meta.get(DEBUG.name):
        sys.__excepthook__(kind, error, trace)
        return
    said = " ".join(str(error).split())[:200]
    click.echo(
        f"Error: {kind.__name__}: {said}; this is a fault of dped-build: run the same "
        "command with --debug and report what it prints",
        err=True,
    )


def _start_log(ctx: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing:
        return
    handler = start_log(path)
    ctx.find_root().call_on_close(partial(stop_log, handler))
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
    help="Append what happens to this file, a JSON object a line.",
)
DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    envvar="DPED_BUILD_DEBUG",
    callback=_set_debug,
    help="Print a traceback where something goes wrong.",
)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _ask_no_more()
    raise KeyboardInterrupt


def _ask_no_more() -> None:
    """Who asks twice is not told twice; what is finished is being kept."""
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)


def workspace_option(command: Command) -> Command:
    """`--workspace`, which every command has."""
    return click.option(
        "--workspace",
        "-w",
        type=FOLDER,
        default=DEFAULT_WORKSPACE,
        show_default=True,
        envvar="DPED_BUILD_WORKSPACE",
        help="Folder that everything is written into: one phone with one DSLR.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`, where a script would want the summary."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def stage_options(command: Command) -> Command:
    """The options of the stages that work through many photos."""
    for option in (
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            help="Worker processes.  [default: all cores]",
        ),
        click.option(
            "--backend",
            type=click.Choice(BACKENDS),
            default="loky",
            show_default=True,
            help="How the workers run: processes or threads.",
        ),
        click.option(
            "--max-memory",
            "max_memory_gb",
            type=click.FloatRange(min=0.3),
            help="Memory of each worker process, GB (Linux).  [default: any]",
        ),
        click.option(
            "--force", is_flag=True, help="Replace what other settings have made."
        ),
        click.option(
            "--rehash", is_flag=True, help="Compare photos by content, not by date."
        ),
        click.option(
            "--dry-run", is_flag=True, help="Say what would be done and stop."
        ),
        json_option,
        workspace_option,
    ):
        command = option(command)
    return command


def settings_options(
    settings: type, options: Mapping[str, tuple[object, str]]
) -> Callable[[Command], Command]:
    """One option for each named field of a settings class, its default from there."""
    defaults = {field.name: field.default for field in fields(settings)}

    def add(command: Command) -> Command:
        for name, (kind, text) in reversed(list(options.items())):
            default = defaults[name]
            command = click.option(
                "--" + name.replace("_", "-"),
                name,
                type=kind,
                default=default,
                is_flag=True if kind is bool else None,
                show_default=not (
                    default is None or kind is bool or "[default" in text
                ),
                help=text,
            )(command)
        return command

    return add


def announce(plan: "Plan", *, as_json: bool, dry_run: bool) -> None:
    """Say what a run will take, before it starts."""
    if as_json:
        if dry_run:
            click.echo(json.dumps(asdict(plan), indent=1))
    elif plan.todo:
        click.echo(
            f"{counted(plan.pairs, 'pair')}, {plan.todo:,} to do: about "
            f"{size_text(plan.bytes)}, {plan.worker_gb:.1f} GB of memory a worker, "
            f"{_duration(plan.seconds)}"
        )
    elif dry_run:
        click.echo(f"{counted(plan.pairs, 'pair')}, nothing to do")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """A bar with rate and ETA on a terminal, elsewhere a line every tenth."""

    def __init__(self, unit: str, *, quiet: bool) -> None:
        self.unit, self.quiet = unit, quiet
        self.bar: Any = None
        self.shown = 0

    def __enter__(self) -> Callable[[int, int], None]:
        """Hand out the function that is told (done, total)."""
        return self._update

    def __exit__(self, *error: object) -> None:
        """Leave the terminal's line finished."""
        if self.bar is not None:
            self.bar.close()

    def _update(self, done: int, total: int) -> None:
        if self.quiet or not total:
            return
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, unit=" " + self.unit)
            self.bar.update(done - self.bar.n)
        elif done and done * 10 // total > self.shown:
            self.shown = done * 10 // total
            click.echo(f"{done} of {total} {self.unit}", err=True)


def echo_reasons(reasons: Mapping[str, int]) -> None:
    """One line a reason: how many, and the code."""
    for reason, count in reasons.items():
        click.echo(f"  {count:6d} {reason}")


def new(newly_done: int) -> str:
    """Says so where a run found everything finished."""
    return "" if newly_done else " (nothing new to do)"


def where(workspace: Path) -> str:
    """The option that the next command needs to find this workspace."""
    if workspace == DEFAULT_WORKSPACE:
        return ""
    return f" -w {quote(workspace)}"


def quote(path: Path) -> str:
    """A path as a shell takes it, for commands to copy."""
    return shlex.quote(str(path))


def start_no_blas_threads() -> None:
    """Before NumPy is loaded: threads spin once they exist, and none is used here."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
