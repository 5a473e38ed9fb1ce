"""Where a command works: a workspace, as an argument or as `--workspace`.

No heavy imports: `--help` must answer at once.
"""

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dped_build.photos.formats import SUFFIXES
from dped_build.workspace.errors import UsageError
from dped_build.workspace.text import quote

FOLDER = click.Path(path_type=Path)
DEFAULT_WORKSPACE = Path("data")
WORKSPACE_VARIABLE = "DPED_BUILD_WORKSPACE"
PATCHES = "patches"  # in a workspace
STAGES = ("aligned", PATCHES)  # by which a workspace is known


class Workspaces(click.Option):
    """`--workspace`, as often as wanted; the environment names one."""

    def value_from_envvar(self, ctx: click.Context) -> tuple[str, ...] | None:
        """The workspace that the environment names, whatever its name holds."""
        named = self.resolve_envvar_value(ctx)
        return None if named is None else (named,)


def is_workspace(folder: Path) -> bool:
    """Whether a folder holds what `align` or `patches` wrote."""
    return any((folder / stage).is_dir() for stage in STAGES)


def default_workspace() -> Path:
    """The workspace of a command that names none."""
    return Path(os.environ.get(WORKSPACE_VARIABLE) or DEFAULT_WORKSPACE)


def where(workspace: Path) -> str:
    """The `-w` option that the next command needs for this workspace."""
    if workspace == DEFAULT_WORKSPACE:
        return ""
    return f" -w {quote(workspace)}"


def adopt(ctx: click.Context, folder: Path) -> None:
    """A workspace that is read is also the command's own, if `-w` names none."""
    if is_workspace(folder) and not _typed(ctx):
        ctx.params["workspace"] = folder


def _typed(ctx: click.Context) -> bool:
    return ctx.get_parameter_source("workspace") == ParameterSource.COMMANDLINE


def _take(
    ctx: click.Context,
    argument: click.Parameter,
    named: Path | tuple[Path, ...] | None,
) -> None:
    """Let an argument name the workspace."""
    if not named:
        return
    folders = named if isinstance(named, tuple) else (named,)
    other = _typed(ctx) and ctx.params.get("workspace") != named
    if other and not ctx.resilient_parsing:
        told = ", ".join(map(quote, folders))
        note = f"--workspace is passed over: the argument names {told}"
        click.secho(note, err=True, fg="yellow")
    for folder in folders:
        if not is_workspace(folder) and _holds_photos(folder):
            raise UsageError(
                f"{folder}: holds photos; a workspace is a folder for outputs"
            )
    ctx.params["workspace"] = named


def _holds_photos(folder: Path) -> bool:
    return folder.is_dir() and any(
        path.suffix.lower() in SUFFIXES for path in folder.iterdir()
    )


def unless_taken(ctx: click.Context, option: click.Parameter, value: Any) -> Any:  # noqa: ANN401
    """The option's value, unless an argument has named the workspace."""
    return ctx.params.get("workspace", value)


def _take_patches(
    ctx: click.Context, argument: click.Parameter, folders: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Folders of shards; a workspace among them stands for its own."""
    if len(folders) == 1:
        adopt(ctx, folders[0])
    return tuple(
        folder / PATCHES if is_workspace(folder) else folder for folder in folders
    )


workspace_option = click.option(
    "--workspace",
    "-w",
    type=FOLDER,
    default=DEFAULT_WORKSPACE,
    show_default=True,
    envvar=WORKSPACE_VARIABLE,
    callback=unless_taken,
    help="Folder for all outputs: one phone with one DSLR.",
)
workspaces_option = click.option(
    "--workspace",
    "-w",
    cls=Workspaces,
    type=FOLDER,
    multiple=True,
    default=(DEFAULT_WORKSPACE,),
    show_default=str(DEFAULT_WORKSPACE),
    envvar=WORKSPACE_VARIABLE,
    callback=unless_taken,
    help="Workspace folder; several are compared side by side.",
)
workspace_argument = click.argument(  # stands for --workspace
    "folder",
    type=FOLDER,
    required=False,
    metavar="[WORKSPACE]",
    expose_value=False,
    callback=_take,
)
workspaces_argument = click.argument(
    "folders",
    nargs=-1,
    type=FOLDER,
    metavar="[WORKSPACE]...",
    expose_value=False,
    callback=_take,
)
patches_argument = click.argument(
    "patches", nargs=-1, type=FOLDER, callback=_take_patches
)
