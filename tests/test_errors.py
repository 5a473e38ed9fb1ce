"""Every way out says one line; a traceback and a log only on request."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dped_build.cli import cli
from dped_build.commands.console import CommandGroup
from dped_build.workspace.errors import DpedBuildError, Interrupted, UsageError
from dped_build.workspace.logs import LOGGER, log, log_into

FAULTS = {
    "mend": (DpedBuildError("photo.jpg: broken; copy it again"), 1, "copy it again"),
    "usage": (UsageError("--jobs 0: must be at least 1"), 2, "--jobs 0"),
    "disk": (OSError(28, "No space left on device", "a.h5"), 1, "a.h5: No space left"),
    "memory": (MemoryError(), 1, "not enough memory; lower --jobs"),
    "stop": (KeyboardInterrupt(), 130, "Interrupted."),
    "resume": (Interrupted("add --resume"), 130, "add --resume"),
}


@click.group(cls=CommandGroup)
def group():
    """A command line whose commands fail."""


for NAME, (ERROR, _, _) in FAULTS.items():

    @group.command(NAME)
    def fail(error=ERROR):
        """Fail."""
        raise error


@group.command()
@click.argument("kind")
def half(kind):
    """Go on after Ctrl-C with half of it, as a library that is being loaded does."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        kinds = {"bug": AttributeError, "import": ImportError, "disk": OSError}
        raise kinds[kind]("no such part") from None


@pytest.mark.parametrize("kind", ["bug", "import"])
def test_what_fails_after_ctrl_c_is_no_bug(kind):
    result = CliRunner().invoke(group, ["half", kind])
    assert (result.exit_code, result.output) == (130, "Interrupted.\n")


def test_what_cannot_be_saved_after_ctrl_c_is_told():
    result = CliRunner().invoke(group, ["half", "disk"])
    assert (result.exit_code, "no such part" in result.output) == (1, True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_is_one_line_and_an_exit_code(name):
    _, code, said = FAULTS[name]
    result = CliRunner().invoke(group, [name])
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
    told = [line for line in result.output.splitlines() if "Usage:" not in line]
    told = [line for line in told if line.strip() and not line.startswith("Try ")]
    assert len(told) == 1


@pytest.mark.parametrize("name", ["mend", "usage", "disk", "memory"])
def test_debug_adds_the_traceback(name):
    result = CliRunner().invoke(group, [name, "--debug"])
    assert "Traceback (most recent call last)" in result.output
    assert result.exit_code == FAULTS[name][1]


@pytest.mark.parametrize("name", ["mend", "usage", "disk", "memory"])
def test_the_log_says_how_it_ended(tmp_path, name):
    path = tmp_path / "log.jsonl"
    CliRunner().invoke(group, [name, "--log", str(path)])
    start, end = map(json.loads, path.read_text().splitlines())
    assert (start["event"], start["command"]) == ("start", name)
    assert end["event"] == "error"
    assert "Traceback" in end["traceback"]
    assert {"time"} <= set(start) & set(end)
    assert LOGGER.handlers == []  # the command's own log is closed


def test_a_fault_of_ours_is_one_line_too(tmp_path):
    script = (
        "import dped_build.cli as c, dped_build.report as r\n"
        "r.write_report = lambda *a, **k: {}['no such key']\n"
        "c.cli(['report', *__import__('sys').argv[1:]])"
    )
    command = [sys.executable, "-c", script]
    plain = subprocess.run(command, capture_output=True, text=True)
    assert plain.returncode == 1
    assert plain.stderr.startswith("Error: KeyError: 'no such key'; this is a bug in")
    assert len(plain.stderr.splitlines()) == 1
    log = tmp_path / "log.jsonl"
    debug = subprocess.run(
        [*command, "--debug", "--log", str(log)], capture_output=True, text=True
    )
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr
    start, end = map(json.loads, log.read_text().splitlines())
    assert [start["event"], end["event"]] == ["start", "error"]
    assert end["error"] == "KeyError"
    assert "no such key" in end["traceback"]


@pytest.mark.parametrize(
    ("command", "code"), [(["completion", "bash"], 0), (["verify", "-w", "/no"], 1)]
)
def test_a_signal_when_all_is_done_changes_no_exit_code(command, code):
    late = (
        "import atexit, os, signal\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGTERM)\n"
        f"from dped_build.cli import cli\ncli({command})"
    )
    done = subprocess.run(
        [sys.executable, "-c", late], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == code


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    result = CliRunner().invoke(group, ["mend", "--log", str(tmp_path / "no/log")])
    assert result.exit_code == 2
    assert "cannot be written" in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_log_and_not_the_run(capsys):
    with log_into(Path("/dev/full")):
        log("pair", pair="1")
        log("pair", pair="2")
    assert capsys.readouterr().err.count("the log ends here") == 1


def test_every_command_takes_both_options():
    for name in cli.commands:
        told = CliRunner().invoke(cli, [name, "--help"]).output
        assert "--log" in told, name
        assert "--debug" in told, name


def test_a_run_logs_what_became_of_every_pair(raw, work, tmp_path):
    path = tmp_path / "log.jsonl"
    (raw / "canon" / "0010.jpg").write_bytes(b"not a photo")
    command = ["align", str(raw / "iphone"), str(raw / "canon"), "-w", str(work)]
    result = CliRunner().invoke(cli, [*command, "--jobs", "1", "--log", str(path)])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    pairs = {line["pair"]: line for line in lines if line["event"] == "pair"}
    assert {pair: line["outcome"] for pair, line in pairs.items()} == {
        "0001": "aligned",
        "0002": "aligned",
        "0010": "failed",
    }
    assert "0010.jpg" in pairs["0010"]["message"]
    assert lines[-1]["event"] == "end"
