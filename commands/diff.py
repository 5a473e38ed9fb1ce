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
    help="Largest distance between equal corners, DSLR px.",
)
@click.option("--exit-code", is_flag=True, help="Exit with code 1 if anything differs.")
@json_option
def diff(*, a: Path, b: Path, tolerance: float, exit_code: bool, as_json: bool) -> None:
    """Compare two workspaces.

    Lists the aligned pairs and accepted windows that B gained, lost or moved against A,
    by their corners in the DSLR photo.

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
