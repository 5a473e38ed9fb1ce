"""The command `dped-build doctor`."""

import shutil
import textwrap
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dped_build.commands.config_file import FILE, read_config
from dped_build.commands.console import CommandGroup, echo_json, json_option
from dped_build.commands.workspaces import (
    FOLDER,
    adopt,
    is_workspace,
    workspace_option,
)
from dped_build.parallel.executor import Workers
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import quote

if TYPE_CHECKING:
    from dped_build.selftest.machine import Finding

WIDTH = 80
COLORS = {"ok": "green", "note": "yellow", "wrong": "red"}
INDENT = 18  # of what was found


def _without_workspace(
    ctx: click.Context, argument: click.Parameter, folders: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Folders of photos; a workspace is where to check the disk and the options."""
    if len(folders) != 1 or not is_workspace(folders[0]):
        return folders
    adopt(ctx, folders[0])
    return ()


@click.command()
@click.argument(
    "folders",
    nargs=-1,
    type=FOLDER,
    metavar="[FOLDER]...",
    callback=_without_workspace,
)
@json_option
@workspace_option
def doctor(folders: tuple[Path, ...], *, workspace: Path, as_json: bool) -> None:
    """Check the installation, or look at folders of photos.

    Lists packages, cores, memory, disk and GPU, then aligns, cuts and trains on a
    simulated pair in a temporary folder (some ten seconds). Exit code 1 if anything
    required does not work; each such line says what to do.

    With a FOLDER of photos, it tells what they are instead: kinds, sizes, colours,
    times and what is left out; with two (the phone's and the DSLR's), also the pairs.
    A workspace as FOLDER stands for --workspace.

    \b
    Examples:
      dped-build doctor
      dped-build doctor raw/iphone raw/canon
    """
    if folders:
        _look_at(folders, as_json=as_json)
    else:
        _examine(workspace, as_json=as_json)


def _look_at(folders: tuple[Path, ...], *, as_json: bool) -> None:
    """Tell what one folder of photos holds, or those of two cameras."""
    from dped_build.align.overview import look_at_both, look_at_folder
    from dped_build.commands.align import announce_pairs

    if len(folders) > 2:
        raise UsageError("name one folder of photos, or the phone's and the DSLR's")
    with Progress("photos looked at", quiet=as_json) as progress:
        if len(folders) == 1:
            view = look_at_folder(*folders, progress=progress)
        else:
            workers = Workers()
            plan, advice = look_at_both(*folders, workers=workers, progress=progress)
    if len(folders) == 2:
        announce_pairs(plan, as_json=as_json, dry_run=True)
        if not as_json:
            named = " ".join(quote(folder) for folder in folders)
            click.echo(advice or f"(next: dped-build align {named})")
    elif as_json:
        echo_json(view)
    else:
        click.echo(view.seen)
        for note in view.left_out:
            click.echo(f"left out, {note}")


def _examine(workspace: Path, *, as_json: bool) -> None:
    """Check the installation and the machine."""
    from dped_build.selftest.doctor import examine, system
    from dped_build.selftest.machine import WRONG
    from dped_build.workspace.stage import created_with

    if not as_json:
        click.echo(f"{created_with()}, {system()}")
    found = []
    for finding in chain(_options(workspace), examine(workspace)):
        found.append(finding)
        if not as_json:
            _tell(finding)
    wrong = [finding.name for finding in found if finding.status == WRONG]
    if as_json:
        said = {"created_with": created_with(), "system": system(), "works": not wrong}
        echo_json({**said, "findings": found})
    if wrong:
        raise DpedBuildError(f"does not work: {', '.join(wrong)}; see what to do above")
    if not as_json:
        click.echo("Everything required works.  (next: dped-build demo)")


def _options(workspace: Path) -> Iterator["Finding"]:
    """What the workspace's file of options says, where there is one."""
    from dped_build.selftest.machine import OK, WRONG, Finding, tilde

    group, path = click.get_current_context().find_root().command, workspace / FILE
    if not isinstance(group, CommandGroup):
        return
    try:
        if tables := read_config(path, group.commands):
            told = f"{path}: {', '.join(f'[{name}]' for name in tables)}"
            yield Finding("Options", OK, tilde(told))
    except UsageError as error:
        yield Finding("Options", WRONG, tilde(str(error)), "fix the file")


def _tell(finding: "Finding") -> None:
    """One finding, its advice below, both within the terminal's width."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns)
    mark = click.style(f"  {finding.status:6}", fg=COLORS[finding.status])
    lines = textwrap.wrap(finding.found, width - INDENT, break_on_hyphens=False)
    lines += textwrap.wrap(
        finding.advice,
        width - INDENT - 2,
        initial_indent="→ ",
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,  # commands, to copy
    )
    click.echo(f"{mark}{finding.name:10}" + f"\n{'':{INDENT}}".join(lines))
