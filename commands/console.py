"""What commands share: the group, options, and what they print alike.

No heavy imports: `--help` must answer at once.
"""

import functools
import json
import re
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from importlib import import_module
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import click

from dped_build.commands.config_file import file_defaults
from dped_build.commands.failures import DEBUG, LOG, colors, endings, excepthook_kept
from dped_build.commands.workspaces import (
    default_workspace,
    workspace_argument,
    workspace_option,
)
from dped_build.parallel.engines import BACKENDS
from dped_build.parallel.executor import Workers
from dped_build.parallel.signals import handlers_kept
from dped_build.workspace.environment import environment
from dped_build.workspace.text import counted, duration_text, size_text

if TYPE_CHECKING:
    from dped_build.workspace.plan import Plan

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]
UNITS = re.compile(r"_(s|gb|csv)$")
SHORT_HELP = 60  # characters, which fit beside a name into 80 columns


class CommandGroup(click.Group):
    """Its commands end in one line, have `--log` and `--debug`, and read a file."""

    # The headings of `--help` and the commands under each, in order of work.
    sections: Mapping[str, Sequence[str]] = MappingProxyType({})

    def offer(self, sections: Mapping[str, Sequence[str]]) -> None:
        """Add the program's commands, each imported where it is asked for."""
        self.sections = sections
        self.commands = _Commands(dict.fromkeys(chain(*sections.values())))

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with the options that all of them have."""
        super().add_command(_with_common_options(cmd), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, which finds what the workspace's file says as its defaults."""
        name, command, rest = super().resolve_command(ctx, args)
        asks = not set(ctx.help_option_names).isdisjoint(rest)
        if name and command and not asks and not ctx.resilient_parsing:
            ctx.default_map = file_defaults(
                ctx, self.commands, name, rest, workspace=default_workspace()
            )
        return name, command, rest

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run it within a program that goes on: who hears signals is as before."""
        with handlers_kept(), excepthook_kept():
            return super().main(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run it as the program, which ends with it: nothing disturbs its end."""
        return super().main(*args, **kwargs)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands under what they are for."""
        for title, names in self.sections.items():
            with formatter.section(title):
                told = [self.commands[n].get_short_help_str(SHORT_HELP) for n in names]
                formatter.write_dl([*zip(names, told, strict=True)])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a failure that the user can fix has no traceback."""
        ctx.color = colors()
        with endings(ctx):
            return super().invoke(ctx)


class _Commands(UserDict[str, Any]):
    """Commands by name; None where a command's module is not loaded yet."""

    def __getitem__(self, name: str) -> click.Command:
        """The command, loaded."""
        command: click.Command | None = self.data[name]
        if command is None:
            module = "import_" if name == "import" else name
            loaded = getattr(import_module(f"dped_build.commands.{module}"), module)
            command = self.data[name] = _with_common_options(loaded)
        return command


def _with_common_options(command: click.Command) -> click.Command:
    """The command with what all of them have: `--log` and `--debug`."""
    command.params += [LOG, DEBUG]
    return command


def json_option(command: Command) -> Command:
    """`--json`, where a script would want the summary."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def jobs_option(text: str) -> Decorator:
    """`--jobs`, with what works at a time."""
    return click.option("--jobs", type=click.IntRange(min=1), help=text)


def with_options(*options: Decorator) -> Decorator:
    """Several options, shown in this order."""
    return lambda command: functools.reduce(lambda c, o: o(c), options[::-1], command)


def one_record(name: str, record: type, *options: Decorator) -> Decorator:
    """Options that reach the command as one record; those not given are its defaults.

    `name` is the command's parameter; the record's fields are named as the options.
    """
    names = [field.name for field in fields(record)]

    def add(command: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(command)
        def call(*arguments: object, **given: object) -> object:
            values = {each: given.pop(each) for each in names}
            values = {each: v for each, v in values.items() if v is not None}
            return command(*arguments, **{name: record(**values)}, **given)

        return call

    return lambda command: with_options(*options)(add(command))


camera_options = tuple(
    click.option(
        f"--{camera}-camera",
        metavar="NAME",
        help=f"Name of the {told}.  [default: its folder's]",
    )
    for camera, told in (("phone", "phone"), ("dslr", "DSLR"))
)


stage_options = with_options(  # of the stages that work through many photos
    one_record(
        "workers",
        Workers,
        jobs_option("Worker processes.  [default: all cores]"),
        click.option(
            "--backend",
            type=click.Choice(BACKENDS),
            default=Workers.backend,
            show_default=True,
            help="Run workers as processes, as threads or on a cluster.",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Address of a Dask or Ray cluster.  [default: started here]",
        ),
        click.option(
            "--max-memory",
            "max_memory_gb",
            type=click.FloatRange(min=0.3),
            help="Memory limit per worker, GB (Linux).  [default: none]",
        ),
    ),
    click.option(
        "--force", is_flag=True, help="Replace the results of other settings."
    ),
    click.option(
        "--rehash", is_flag=True, help="Compare photos by content, not by date."
    ),
    click.option("--dry-run", is_flag=True, help="List the work without doing it."),
    json_option,
    workspace_argument,
    workspace_option,
)


def settings_options(
    settings: type, options: Mapping[str, str | tuple[object, str]]
) -> Callable[[Command], Command]:
    """One option for each named field of a settings class: its help, or kind and help.

    Kind, where not given, and default are the field's. The unit at the end of a field's
    name is not typed: `clock_offset_s`.
    """
    defaults = {field.name: field.default for field in fields(settings)}
    hints = get_type_hints(settings)

    def add(command: Command) -> Command:
        for name, told in reversed(list(options.items())):
            default, hint = defaults[name], hints[name]
            own = next(iter(get_args(hint)), hint)  # of `float | None`
            kind, text = (own, told) if isinstance(told, str) else told
            command = click.option(
                "--" + UNITS.sub("", name).replace("_", "-"),
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
    """Print what a run will take, before it starts."""
    if as_json:
        if dry_run:
            echo_json(plan)
    elif plan.todo:
        click.echo(
            f"{counted(plan.pairs, 'pair')}, {plan.todo:,} to do: about "
            f"{size_text(plan.bytes)} on disk, {plan.worker_gb:.1f} GB per worker, "
            f"{duration_text(plan.seconds)}"
        )
    elif dry_run:
        click.echo(f"{counted(plan.pairs, 'pair')}, nothing to do")


def echo_json(value: object) -> None:
    """Print a result for scripts."""
    click.echo(json.dumps(value, indent=1, default=_plain))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)  # a path


def echo_warning(text: str) -> None:
    """Print a warning on stderr, yellow on a terminal."""
    click.secho(text, err=True, fg="yellow")


def echo_reasons(reasons: Mapping[str, int]) -> None:
    """Print one line per reason: the count and the code."""
    for reason, count in reasons.items():
        click.secho(f"  {count:6d} {reason}", dim=True)


def new(newly_done: int) -> str:
    """A note if a run found everything finished."""
    return "" if newly_done else " (nothing new to do)"


# Before NumPy is loaded: threads spin once they exist, and none is used here.
no_blas_threads = environment(OPENBLAS_NUM_THREADS="1")
