"""The command `dped-build merge`."""

import json
from pathlib import Path

import click

from dped_build.commands.console import (
    FOLDER,
    json_option,
    no_blas_threads,
    where,
    workspace_option,
)
from dped_build.workspace.errors import DpedBuildError


@click.command()
@click.argument("workspaces", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--new-split",
    is_flag=True,
    help="Draw a new split; by default every photo keeps its own.",
)
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
) -> None:
    """Merge workspaces of one phone and one DSLR.

    Copies alignments, crops, measured windows, patches, splits and exclude.csv; nothing
    is computed again and the sources stay as they are. If pair names clash, every pair
    gets its workspace's name as a prefix: day1-0001, day2-0001.

    \b
    Example:
      dped-build merge data/day1 data/day2 -w data/both-days
    """
    from dped_build.curate.merge import merge_workspaces

    found = merge_workspaces(workspaces, workspace, new_split=new_split, force=force)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for line in found.lines():
            click.echo(line)
        left = found.aligned - (found.cut or 0)
        following = "patches" if left else "report"
        click.echo(f"→ {workspace}  (next: dped-build {following}{where(workspace)})")
    if not found.aligned:
        raise DpedBuildError(f"{workspace}: no pair is aligned in these workspaces")
