"""The command `dped-build verify`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from dped_build.commands.console import FOLDER, json_option, workspace_option
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted


@click.command()
@click.argument("folder", type=FOLDER, required=False)
@json_option
@workspace_option
def verify(*, workspace: Path, folder: Path | None, as_json: bool) -> None:
    """Check a workspace for damage.

    Verifies checksums, counts, the NCC of sampled patches, and training runs. FOLDER is
    a workspace (default: --workspace), a folder of shards, or a training run.
    Unfinished work is noted; it is not damage.

    \b
    Examples:
      dped-build verify
      dped-build verify imported-patches
    """
    from dped_build.curate.verify import verify_workspace

    with Progress("MiB", quiet=as_json) as progress:
        found = verify_workspace(folder or workspace, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    for line in [] if as_json else [*found.notes, *found.damage]:
        click.echo(line)
    if found.damage:
        raise DpedBuildError(f"{len(found.damage)} damaged; see the list above")
    if not as_json:
        runs = f", {counted(found.runs, 'training run')}" if found.runs else ""
        what = (
            f"{counted(found.files, 'file')}, {found.patches:,} sampled patches{runs}"
        )
        click.echo(f"{what}: intact")
