"""The command `dped-build verify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dped_build.commands.console import echo_json, json_option
from dped_build.commands.workspaces import (
    where,
    workspace_argument,
    workspace_option,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted, quote

if TYPE_CHECKING:
    from dped_build.curate.verify import Verification


@click.command()
@workspace_argument
@json_option
@workspace_option
def verify(*, workspace: Path, as_json: bool) -> None:
    """Check a workspace for damage.

    Verifies checksums, counts, the NCC of sampled patches, exports and training runs.
    WORKSPACE may also be one folder of shards, an export, or a training run.
    Unfinished work is noted; it is not damage.

    \b
    Examples:
      dped-build verify
      dped-build verify imported-patches
      dped-build verify data/export/frames
    """
    from dped_build.curate.verify import verify_workspace

    with Progress("MiB", quiet=as_json) as progress:
        found = verify_workspace(workspace, progress=progress)
    if as_json:
        echo_json(found)
    for line in [] if as_json else [*found.notes, *found.damage]:
        click.echo(line)
    if found.damage:
        raise DpedBuildError(f"{len(found.damage)} damaged; see the list above")
    if not as_json:
        runs = f", {counted(found.runs, 'training run')}" if found.runs else ""
        what = (
            f"{counted(found.files, 'file')}, {found.patches:,} sampled patches{runs}"
        )
        click.echo(f"{what}: intact{_following(workspace, found)}")


def _following(folder: Path, found: "Verification") -> str:
    """What can be done with sound patches, or with a sound run."""
    workspace = any((folder / name).is_dir() for name in ("patches", "runs"))
    named = where(folder) if workspace else f" {quote(folder)}"
    if found.patches:
        return f"  (next: dped-build train{named})"
    run = found.runs and not found.notes and not workspace
    return f"  (next: dped-build evaluate{named})" if run else ""
