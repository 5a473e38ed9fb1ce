"""The command `dped-build diff`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dped_build.commands.console import echo_json, json_option
from dped_build.commands.workspaces import (
    FOLDER,
    workspace_option,
)
from dped_build.patches.settings import TOLERANCE_PX
from dped_build.workspace.errors import DpedBuildError, UsageError

if TYPE_CHECKING:
    from dped_build.curate.diff import Changes, Difference

SHOWN = 8  # names in each list


@click.command()
@click.argument("folders", nargs=-1, type=FOLDER, required=True, metavar="[A] B")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=TOLERANCE_PX,
    show_default=True,
    help="Largest distance between equal corners, DSLR px.",
)
@click.option("--exit-code", is_flag=True, help="Exit with code 1 if anything differs.")
@json_option
@workspace_option
def diff(
    folders: tuple[Path, ...],
    *,
    workspace: Path,
    tolerance: float,
    exit_code: bool,
    as_json: bool,
) -> None:
    """Compare two workspaces.

    Lists the aligned pairs and accepted windows that B gained, lost or moved against A
    (default: --workspace), by their corners in the DSLR photo.

    \b
    Example:
      dped-build diff data another-machines-data
    """
    from dped_build.curate.diff import compare_workspaces

    if len(folders) > 2:
        raise UsageError("name two workspaces: A, if it is not --workspace, and B")
    a, b = (workspace, *folders)[-2:]
    found = compare_workspaces(a, b, tolerance_px=tolerance)
    if as_json:
        echo_json(found)
    else:
        for line in summary_lines(found):
            click.echo(line)
    if found and exit_code:
        raise DpedBuildError(f"{a} and {b} differ")


def summary_lines(found: "Difference") -> list[str]:
    """All of it in words; long lists are cut short."""
    lines = _told("aligned pairs", found.pairs)
    for pair, (before, after) in list(found.outcomes.items())[:SHOWN]:
        lines.append(f"  {pair}: {before}, now {after}")
    if len(found.outcomes) > SHOWN:
        lines.append(f"  and {len(found.outcomes) - SHOWN} more outcomes")
    return lines + _told("accepted windows", found.windows)


def _told(what: str, changes: "Changes | None") -> list[str]:
    if changes is None:
        return []
    lines = [f"{what}: {changes.before:,} in A, {changes.after:,} in B"]
    moved = [f"{name} by {px:g} px" for name, px in changes.moved.items()]
    for verb, names in (
        ("gained", changes.gained),
        ("lost", changes.lost),
        ("moved", moved),
    ):
        more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        if names:
            lines.append(f"  {verb} {len(names):,}: {', '.join(names[:SHOWN])}{more}")
    return lines if changes else [f"{lines[0]}: the same"]
