"""Options from `<workspace>/dped-build.toml`: a table a command, a key an option.

    [patches]
    min-corr = 0.85

The command line wins, then the environment, then the file, then the default. The file
may come from a stranger: it is checked in full before anything else, holds values only,
and cannot say where to write, what to replace, or which private data to keep.
"""

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dped_build.workspace.errors import UsageError
from dped_build.workspace.json_files import read_bounded

FILE = "dped-build.toml"
MAX_BYTES = 2**16
LONGEST_TOLD = 60  # characters of a stranger's text
FILES_READ = ("vgg", "pairs")  # options that name a file, and only read it
PARTS = {"build": ("align", "patches")}  # whose tables count for it as well
TYPED_ONLY = (  # where to write, what to replace, what to reveal, how to answer
    "collect",
    "debug",
    "dry-run",
    "force",
    "json",
    "keep-metadata",
    "rehash",
    "resume",
    "scheduler",
    "workspace",
)


def file_defaults(
    ctx: click.Context,
    commands: Mapping[str, click.Command],
    name: str,
    args: list[str],
    *,
    workspace: Path,
) -> dict[str, dict[str, Any]]:
    """What the workspace's file says for a command, as click's `default_map`.

    Says on stderr what the file decides, as it is easily forgotten. `workspace` counts
    where the command has no `--workspace`.

    Raises:
        UsageError: The file is none, or says something that no command knows.
    """
    command = commands[name]
    if not accepted_options(command):
        return {}
    given = command.make_context(name, list(args), parent=ctx, resilient_parsing=True)
    named = given.params.get("workspace") or workspace
    folder = named[0] if isinstance(named, tuple) else named
    tables = read_config(folder / FILE, commands)
    values: dict[str, Any] = {}
    for table in (*PARTS.get(name, ()), name):
        values |= tables.get(table, {})
    decided = [
        f"{key} = {json.dumps(values[str(option.name)])}"
        for key, option in accepted_options(command).items()
        if str(option.name) in values
        and given.get_parameter_source(str(option.name)) == ParameterSource.DEFAULT
    ]
    if decided:
        click.secho(f"{folder / FILE}: {', '.join(decided)}", err=True, dim=True)
    return {name: values}


def accepted_options(command: click.Command) -> dict[str, click.Option]:
    """The options that the file may hold for a command, by name: `min-corr`."""
    return {
        name: option
        for name, option in _options(command).items()
        if name not in TYPED_ONLY
        and (name in FILES_READ or not isinstance(option.type, click.Path))
    }


def read_config(
    path: Path, commands: Mapping[str, click.Command]
) -> dict[str, dict[str, Any]]:
    """The values in a file by command and parameter; nothing where there is none.

    Relative paths are taken from the file's folder.

    Raises:
        UsageError: The file is none, or says something that no command knows.
    """
    tables: dict[str, dict[str, Any]] = {}
    for name, table in _parsed(path).items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{path}: {_plain(name)}: stands in no table; put it under [command]"
            )
        if name not in commands:
            raise UsageError(
                f"{path}: [{_plain(name)}]: no such command{_nearest(name, commands)}"
            )
        values: dict[str, Any] = {}
        for key, value in table.items():
            place = f"{path}: [{name}] {_plain(key)}"
            option = _accepted(commands[name], key, place)
            if str(option.name) in values:
                raise UsageError(f"{place}: is there twice, with - and with _")
            values[str(option.name)] = _checked(option, value, path.parent, place)
        tables[name] = values
    return tables


def _parsed(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(read_bounded(path, MAX_BYTES).decode("utf-8-sig"))
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{path}: cannot be read ({why})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8; save it as such") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error


def _options(command: click.Command) -> dict[str, click.Option]:
    return {
        text[2:]: option
        for option in command.params
        if isinstance(option, click.Option)
        for text in option.opts
        if text.startswith("--")
    }


def _accepted(command: click.Command, key: str, place: str) -> click.Option:
    name, accepted = key.replace("_", "-"), accepted_options(command)
    if name in accepted:
        return accepted[name]
    if name in _options(command):
        raise UsageError(f"{place}: can only be given on the command line")
    raise UsageError(f"{place}: no such option{_nearest(name, accepted)}")


def _checked(option: click.Option, value: object, folder: Path, place: str) -> object:
    """A value as the command line would take it, a path from the file's folder."""
    place = f"{place} = {_short(value)}"
    if option.multiple or option.nargs != 1:
        if not isinstance(value, list):
            raise UsageError(f"{place}: must be a list, in [ ]")
        return [_single(option, item, folder, place) for item in value]
    return _single(option, value, folder, place)


def _single(option: click.Option, value: object, folder: Path, place: str) -> object:
    kind, told = _kind(option)
    if type(value) is int and kind is float:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"{place}: must be {told}")
    if isinstance(option.type, click.Path):
        value = _from(folder, str(value), place)
    try:
        option.type(value, option)
    except click.BadParameter as error:
        raise UsageError(f"{place}: {error.message}") from error
    return value


def _kind(option: click.Option) -> tuple[type, str]:
    if option.is_flag:
        return bool, "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return int, "a whole number, without quotes"
    if isinstance(option.type, click.types.FloatParamType):
        return float, "a number, without quotes"
    return str, 'a text, in "quotes"'


def _from(folder: Path, value: str, place: str) -> str:
    try:
        return str(folder / Path(value).expanduser())
    except RuntimeError as error:
        raise UsageError(f"{place}: no such home folder") from error


def _nearest(name: str, known: Mapping[str, object]) -> str:
    found = get_close_matches(name, known, n=1)
    return f"; did you mean {found[0]}?" if found else f"; known: {', '.join(known)}"


def _plain(name: str) -> str:
    """A stranger's word without what moves a terminal's cursor."""
    return _cut(json.dumps(name)[1:-1])


def _short(value: object) -> str:
    """A value as JSON writes it, which is ASCII."""
    return _cut(json.dumps(value, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"
