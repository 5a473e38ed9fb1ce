"""Colours where a terminal has them, plain text everywhere else."""

import io
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dped_build.commands.console import CommandGroup, echo_reasons, echo_warning
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress, can_redraw

ESCAPE = "\x1b["


@click.group(cls=CommandGroup)
def group():
    """A command line that speaks in colours."""


@group.command()
def fail():
    """Fail."""
    echo_reasons({"low_ncc": 3})
    echo_warning("note: look at this")
    raise DpedBuildError("photo.jpg: broken; copy it again")


@group.command()
def load():
    """Fail as OpenCV does without libGL."""
    raise ImportError("libGL.so.1: cannot open shared object file")


def said(environment, *, color=True, arguments=("fail",)):
    runner = CliRunner(env={"NO_COLOR": None, "TERM": "xterm", **environment})
    return runner.invoke(group, list(arguments), color=color)


def test_a_terminal_shows_errors_red_warnings_yellow_and_reasons_dim():
    result = said({})
    assert click.style("Error: ", fg="red", bold=True) in result.stderr
    assert click.style("note: look at this", fg="yellow") in result.stderr
    assert click.style("       3 low_ncc", dim=True) in result.stdout


def test_wrong_usage_is_red_too():
    result = said({}, arguments=["fail", "--no-such-option"])
    assert click.style("Error: ", fg="red", bold=True) in result.stderr
    assert "Usage: " in result.stderr
    assert result.exit_code == 2


def test_a_library_that_cannot_be_loaded_leads_to_the_doctor():
    result = said({}, color=False, arguments=["load"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: libGL.so.1: cannot open shared object file; dped-build doctor says "
        "what is wrong and what to do\n"
    )


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(environment):
    # CliRunner(color=True) keeps whatever is printed: nothing may be.
    result = said(environment)
    assert ESCAPE not in result.stderr.partition("Error: ")[0]
    assert result.stderr.endswith("Error: photo.jpg: broken; copy it again\n")


def test_an_empty_no_color_counts_as_none():
    assert ESCAPE in said({"NO_COLOR": ""}).stderr


def test_files_and_pipes_get_no_colour():
    result = said({}, color=False)
    assert ESCAPE not in result.output
    assert "Error: photo.jpg: broken; copy it again" in result.stderr


@pytest.mark.parametrize("kind, redraws", [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_is_not_drawn_over(kind, redraws, monkeypatch):
    monkeypatch.setenv("TERM", kind)
    terminal = io.StringIO()
    assert not can_redraw(terminal)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    assert can_redraw(terminal) == redraws


def test_progress_is_a_line_a_tenth_where_nothing_can_be_drawn_over(capsys):
    with Progress("pairs", quiet=False) as progress:
        for done in range(41):
            progress(done, 40)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "4 of 40 pairs"
    assert (len(lines), lines[-1]) == (10, "40 of 40 pairs")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal there")
@pytest.mark.parametrize("no_color, escapes", [("", True), ("1", False)])
def test_a_real_terminal_gets_colour_unless_it_is_refused(no_color, escapes, tmp_path):
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-c", "from dped_build.cli import cli; cli()"]
    done = subprocess.run(
        [*command, "patches", "-w", str(tmp_path)],
        stderr=child,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": no_color},
        check=False,
    )
    os.close(child)
    told = os.read(parent, 4096).decode()
    os.close(parent)
    assert done.returncode == 1
    assert "dped-build align" in told
    assert (ESCAPE in told) == escapes
