"""Write docs/options.md from the commands themselves; run it after changing an option.

.venv/bin/python docs/make_options.py
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dped_build.cli import cli
from dped_build.commands.config_file import accepted_options
from dped_build.commands.console import DEBUG, LOG

PAGE = Path(__file__).with_name("options.md")
COMMON = (LOG, DEBUG)
HEAD = """# Every command, every option

Written by `docs/make_options.py` from the commands themselves; `dped-build COMMAND -h`
says the same. An option with `*` can only be given on the command line, all others may
also stand in [`dped-build.toml`](configuration.md).
"""
EVERYWHERE = """## Options of every command

| option | default | meaning |
|---|---|---|
"""
STATED = re.compile(r"\s*\[default: (.*)\]\s*$", re.DOTALL)  # in a help text


def options_page() -> str:
    """The whole page, as Markdown."""
    context = click.Context(cli, info_name="dped-build")
    parts = [
        HEAD,
        f"```text\n{_plain(inspect.cleandoc(cli.help or ''))}\n```\n",
        EVERYWHERE.rstrip("\n"),
    ]
    parts += [_row(option, typed_only=True) for option in COMMON]
    parts.append("| `-h`, `--help` * | | Show what is on this page. |\n")
    for name in cli.list_commands(context):
        parts += _section(cli.commands[name], context)
    return "\n".join(parts).rstrip("\n") + "\n"


def _section(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## dped-build {command.name}\n"
    yield f"    dped-build {command.name} {usage}\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```text\n{_plain(paragraph)}\n```\n"
        else:
            yield f"{_text(paragraph)}\n"
    options = [option for option in command.params if isinstance(option, click.Option)]
    accepted = accepted_options(command).values()
    rows = [
        _row(option, typed_only=option not in accepted)
        for option in options
        if option not in COMMON
    ]
    if rows:
        yield "| option | default | meaning |\n|---|---|---|"
        yield "\n".join(rows) + "\n"


def _row(option: click.Option, *, typed_only: bool) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    kind = "" if option.is_flag else f" {_kind(option)}"
    text = option.help or ""
    stated = STATED.search(text)
    default = stated[1] if stated else _default(option)
    variable = f" (environment: `{option.envvar}`)" if option.envvar else ""
    meaning = _text(STATED.sub("", text)) + variable
    cells = [f"{names}{kind}{' *' if typed_only else ''}", default, meaning]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _kind(option: click.Option) -> str:
    """What the option takes: its choices, or click's word for it and its range."""
    kind: Any = option.type
    if isinstance(kind, click.Choice):
        return " | ".join(f"`{choice}`" for choice in kind.choices)
    if option.metavar:
        return option.metavar
    name = {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}
    word = name.get(kind.name, kind.name.upper())
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None and high is not None:
        return f"{word} ({low:g} to {high:g})"
    return f"{word} ({low:g} or more)" if low is not None else word


def _default(option: click.Option) -> str:
    value = option.to_info_dict()["default"]
    if value is None or option.is_flag or value == ():
        return ""
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _plain(text: str) -> str:
    """A text as the terminal shows it, without click's marks."""
    return text.replace("\b\n", "").strip("\n")


def _text(text: str) -> str:
    """A paragraph in which Markdown changes nothing."""
    return re.sub(r"([*_<])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(options_page(), encoding="utf-8")
