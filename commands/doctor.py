"""The command `dped-build doctor`."""

import shutil
import textwrap
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dped_build.commands.config_file import FILE, read_config
from dped_build.commands.console import (
    CommandGroup,
    echo_json,
    json_option,
    workspace_option,
)
from dped_build.workspace.errors import DpedBuildError, UsageError

if TYPE_CHECKING:
    from dped_build.selftest.machine import Finding

WIDTH = 80
COLORS = {"ok": "green", "note": "yellow", "wrong": "red"}
INDENT = 18  # of what was found


@click.command()
@json_option
@workspace_option
def doctor(*, workspace: Path, as_json: bool) -> None:
    """Check the installation and the machine.

    Lists packages, cores, memory, disk and GPU, then aligns, cuts and trains on a
    simulated pair in a temporary folder (some ten seconds). Exit code 1 if anything
    required does not work; each such line says what to do.

    \b
    Example:
      dped-build doctor
    """
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
