"""The command `dped-build report`."""

import json
from pathlib import Path

import click

from dped_build.align.console import json_option, workspace_option


@click.command()
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Threads.  [default: all cores, at most 8]",
)
@json_option
@workspace_option
def report(*, workspace: Path, jobs: int | None, as_json: bool) -> None:
    """Show what came of the photos: a page to look at, and a table on the terminal.

    \b
    Example:
      dped-build report
    """
    from dped_build.report import write_report

    summary = write_report(workspace, jobs=jobs)
    if as_json:
        click.echo(json.dumps(summary.report, indent=1))
        return
    click.echo(str(summary))
    click.echo(f"→ {summary.index}")
