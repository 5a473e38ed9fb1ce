"""The command `dped-build diff`."""

import json
from pathlib import Path

import click

from dped_build.commands.console import (
    FOLDER,
    json_option,
)
from dped_build.patches.settings import TOLERANCE_PX
from dped_build.workspace.errors import DpedBuildError


@click.command()
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=TOLERANCE_PX,
    show_default=True,
    help="Corners that moved no further count as equal, DSLR px.",
)
@click.option("--exit-code", is_flag=True, help="Exit 1 where anything differs.")
@json_option
def diff(*, a: Path, b: Path, tolerance: float, exit_code: bool, as_json: bool) -> None:
    """List what workspace B gained, lost and moved against workspace A.

    Aligned pairs by the corners of their intersection, accepted windows by the corners
    of their patches, both in the DSLR photo.

    \b
    Example:
      dped-build diff data another-machines-data
    """
    from dped_build.curate.diff import compare_workspaces

    found = compare_workspaces(a, b, tolerance_px=tolerance)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for line in found.lines():
            click.echo(line)
    if found and exit_code:
        raise DpedBuildError(f"{a} and {b} differ")
