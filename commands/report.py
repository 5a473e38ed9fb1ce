"""The command `dped-build report`."""

from pathlib import Path

import click

from dped_build.commands.console import echo_json, jobs_option, json_option
from dped_build.commands.workspaces import (
    FOLDER,
    workspaces_argument,
    workspaces_option,
)
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.terminal import Progress


@click.command()
@workspaces_argument
@jobs_option("Worker threads.  [default: all cores, at most 8]")
@click.option(
    "--fail-below",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Exit with code 1 if a smaller share of the windows was accepted.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder of the comparison page.  [default: side-by-side, beside them]",
)
@json_option
@workspaces_option
def report(
    *,
    workspace: tuple[Path, ...],
    out: Path | None,
    jobs: int | None,
    fail_below: float,
    as_json: bool,
) -> None:
    """Write an HTML report on a workspace.

    WORKSPACE stands for --workspace. Prints a summary as well. Several workspaces, such
    as several phones with one DSLR, get a report each and a page that compares them,
    with the pairs that turned out differently.

    \b
    Examples:
      dped-build report
      dped-build report --json --fail-below 0.3 > report.json
      dped-build report data/iphone data/sony
    """
    if len(workspace) > 1:
        shares = _several(workspace, out=out, jobs=jobs, as_json=as_json)
    elif out is not None:
        raise UsageError("--out is for several workspaces; name more than one")
    else:
        shares = _one(workspace[0], jobs=jobs, as_json=as_json)
    for folder, share in zip(workspace, shares, strict=True):
        if share < fail_below:
            where = f"{folder}: " if len(workspace) > 1 else ""
            raise DpedBuildError(
                f"{where}{share:.1%} of the windows are accepted, less than "
                f"--fail-below {fail_below:g}"
            )


def _one(workspace: Path, *, jobs: int | None, as_json: bool) -> list[float]:
    """One workspace's report; returns the share of its windows that are accepted."""
    from dped_build.report import summary_text, write_report
    from dped_build.report.record import to_json

    with Progress("pairs", quiet=as_json) as progress:
        summary = write_report(workspace, jobs=jobs, progress=progress)
    if as_json:
        echo_json(to_json(summary.report))
    else:
        click.echo(summary_text(summary.report))
        click.echo(f"→ {summary.index}  (open it in a browser)")
    windows = summary.report.windows
    return [windows.accepted_share if windows else 0.0]


def _several(
    workspaces: tuple[Path, ...], *, out: Path | None, jobs: int | None, as_json: bool
) -> list[float]:
    """Each one's report, and a page with all; returns the accepted shares."""
    from dped_build.report.record import to_json
    from dped_build.report.side_by_side import terminal_text
    from dped_build.report.side_by_side_writer import write_side_by_side

    with Progress("pairs", quiet=as_json) as progress:
        found = write_side_by_side(workspaces, out=out, jobs=jobs, progress=progress)
    if as_json:
        echo_json(to_json(found.report))
    else:
        click.echo(terminal_text(found.report))
        for index in (*found.indices, found.index):
            click.echo(f"→ {index}")
    return list(found.shares)
