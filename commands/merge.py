"""The command `dped-build merge`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from dped_build.commands.console import (
    camera_options,
    echo_json,
    json_option,
    no_blas_threads,
    with_options,
)
from dped_build.commands.workspaces import FOLDER, where, workspace_option
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.text import counted

if TYPE_CHECKING:
    from dped_build.curate.merge import MergeSummary


@click.command()
@click.argument("workspaces", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--new-split",
    is_flag=True,
    help="Draw a new split; by default every photo keeps its own.",
)
@with_options(*camera_options)
@click.option(
    "--force", is_flag=True, help="Replace an earlier merge of other workspaces."
)
@json_option
@workspace_option
@no_blas_threads
def merge(
    workspaces: tuple[Path, ...],
    *,
    workspace: Path,
    new_split: bool,
    force: bool,
    as_json: bool,
    **cameras: str | None,
) -> None:
    """Merge workspaces of one phone and one DSLR.

    -w names the new workspace. Copies alignments, crops, measured windows, patches,
    splits and exclude.csv; nothing is computed again and the sources stay as they are.
    If pair names clash, every pair gets its workspace's name as a prefix: day1-0001,
    day2-0001. Sessions whose photo folders had other names need --phone-camera or
    --dslr-camera, the name of the camera in all of them.

    \b
    Example:
      dped-build merge data/day1 data/day2 -w data/both-days
    """
    from dped_build.curate.merge import merge_workspaces

    source = click.get_current_context().get_parameter_source("workspace")
    if source == ParameterSource.DEFAULT:
        raise UsageError("name the new workspace, as in -w data/both-days")
    found = merge_workspaces(
        workspaces,
        workspace,
        cameras={key: name for key, name in cameras.items() if name},
        new_split=new_split,
        force=force,
    )
    if as_json:
        echo_json(found)
    else:
        for line in summary_lines(found):
            click.echo(line)
        left = found.aligned - (found.cut or 0)
        following = "patches" if left else "report"
        click.echo(f"→ {workspace}  (next: dped-build {following}{where(workspace)})")
    if not found.aligned:
        raise DpedBuildError(f"{workspace}: no pair is aligned in these workspaces")


def summary_lines(found: "MergeSummary") -> Iterator[str]:
    """The summary for the terminal."""
    done = "" if found.newly_done else " (nothing new to do)"
    pairs = counted(found.pairs, "pair")
    told = f"{found.aligned:,} of {pairs} aligned"
    yield f"{counted(len(found.prefixes), 'workspace')}: {told}{done}"
    if any(found.prefixes):
        names = ", ".join(f"{prefix}…" for prefix in found.prefixes)
        yield f"  names came twice: pairs are now called {names}"
    if found.cut is not None:
        left = found.aligned - found.cut
        more = f", {left:,} left to do" if left else ""
        yield f"  patches of {counted(found.cut, 'pair')} taken over{more}"
    if found.moved:
        yield (
            f"  {counted(found.moved, 'pair')} changed split: one scene was drawn "
            "into two, and train wins"
        )
