"""The command `dped-build verify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dped_build.commands.console import (
    FOLDER,
    echo_json,
    json_option,
    where,
    workspace_option,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted, quote

if TYPE_CHECKING:
    from dped_build.curate.verify import Verification


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
        click.echo(f"{what}: intact{_following(folder, workspace, found)}")


def _following(folder: Path | None, workspace: Path, found: "Verification") -> str:
    """What can be done with sound patches, or with a sound run."""
    named = where(workspace) if folder is None else f" {quote(folder)}"
    if folder is not None and (folder / "patches").is_dir():
        named = where(folder)
    if found.patches:
        return f"  (next: dped-build train{named})"
    whole = found.runs and not found.notes
    alone = whole and folder is not None and not (folder / "runs").is_dir()
    return f"  (next: dped-build evaluate{named})" if alone else ""
