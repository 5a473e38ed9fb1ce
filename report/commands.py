"""The command `dped-build report`."""

import json
from pathlib import Path

import click

from dped_build.align.console import Progress, json_option, workspace_option
from dped_build.align.errors import DpedBuildError


@click.command()
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Threads.  [default: all cores, at most 8]",
)
@click.option(
    "--fail-below",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Exit 1 where a smaller share of the windows was accepted; for scripts.",
)
@json_option
@workspace_option
def report(
    *, workspace: Path, jobs: int | None, fail_below: float, as_json: bool
) -> None:
    """Show what came of the photos: a page to look at, and a table on the terminal.

    \b
    Examples:
      dped-build report
      dped-build report --json --fail-below 0.3 > report.json
    """
    from dped_build.report import write_report

    with Progress("pairs", quiet=as_json) as progress:
        summary = write_report(workspace, jobs=jobs, progress=progress)
    if as_json:
        click.echo(json.dumps(summary.report, indent=1))
    else:
        click.echo(str(summary))
        click.echo(f"→ {summary.index}")
    windows = summary.report["windows"]
    share = windows["accepted_share"] if windows else 0.0
    if share < fail_below:
        raise DpedBuildError(
            f"{share:.1%} of the windows are accepted, less than --fail-below "
            f"{fail_below:g}"
        )
