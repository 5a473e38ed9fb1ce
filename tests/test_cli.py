"""The command line as a whole: completion, plain output, its page of options."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from shards import write_patches

from dped_build.cli import cli

SCRIPT = Path(sys.executable).with_name("dped-build")
DOCS = Path(__file__).resolve().parents[1] / "docs"
VARIABLE = "_DPED_BUILD_COMPLETE"


def completed(words, *, cwd=None):
    """What a shell is offered for the last word."""
    environment = {
        **os.environ,
        VARIABLE: "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        [SCRIPT], env=environment, cwd=cwd, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    "words, offered",
    [
        ("dped-build al", ["plain,align"]),
        ("dped-build align --cr", ["plain,--crops"]),
        ("dped-build align --crops ", ["plain,jpg", "plain,png", "plain,none"]),
        ("dped-build align ra", ["file,ra"]),
        ("dped-build completion z", ["plain,zsh"]),
    ],
)
def test_commands_options_choices_and_files_complete(words, offered, tmp_path):
    assert completed(words, cwd=tmp_path) == offered


def test_a_broken_file_of_options_does_not_break_completion(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dped-build.toml").write_text("[align")
    words = "dped-build align --cr"
    assert completed(words, cwd=tmp_path) == ["plain,--crops"]
    script = [SCRIPT, "completion", "bash"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_how_to_install_it(shell):
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("# To install: ")


def test_bash_takes_the_script():
    script = CliRunner().invoke(cli, ["completion", "bash"]).stdout
    ask = "COMP_WORDS=(dped-build verif); COMP_CWORD=1; _dped_build_completion "
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\n{ask}{SCRIPT}; echo ${{COMPREPLY[@]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "verify\n"


def test_the_version_is_told():
    told = subprocess.run([SCRIPT, "--version"], capture_output=True, check=True)
    assert told.stdout.startswith(b"dped-build, version ")


def test_commands_in_a_pipe_print_plain_lines(raw, work):
    write_patches(work)
    small = ["--loss", "mse", "--model", "srcnn", "--batch-size", "2"]
    commands = [
        ["align", raw / "iphone", raw / "canon", "-w", work / "new", "--jobs", "2"],
        ["patches", "-w", work / "new", "--size", "32", "--jobs", "2"],
        ["train", "-w", work, *small, "--iterations", "2", "--log-every", "1"],
        ["evaluate", work / "runs/released-srcnn", "-w", work],
        ["enhance", work / "runs/released-srcnn", raw / "iphone", "--out", work / "e"],
        ["report", "-w", work / "new"],
        ["verify", "-w", work / "new"],
        ["diff", work / "new", work / "new"],
    ]
    for command in commands:
        done = subprocess.run([SCRIPT, *map(str, command)], capture_output=True)
        said = done.stdout + done.stderr
        assert b"\x1b" not in said, command
        assert b"\r" not in said, command
        assert done.returncode == 0, said


def test_the_page_of_options_is_as_the_commands_are():
    made = runpy.run_path(str(DOCS / "make_options.py"))["options_page"]()
    stored = (DOCS / "options.md").read_text(encoding="utf-8")
    assert stored == made, "stale; run: .venv/bin/python docs/make_options.py"


def test_every_option_has_a_help_text():
    for name, command in cli.commands.items():
        for option in command.params:
            if option.param_type_name == "option":
                assert option.help, f"{name} {option.name}"


def test_json_goes_alone_to_stdout_also_with_a_file_of_options(tmp_path, raw):
    (tmp_path / "dped-build.toml").write_text("[align]\njobs = 1\n")
    command = ["align", str(raw / "iphone"), str(raw / "canon"), "-w", str(tmp_path)]
    result = CliRunner().invoke(cli, [*command, "--dry-run", "--json"])
    assert json.loads(result.stdout)["pairs"] == 3
    assert "jobs = 1" in result.stderr


def test_help_lists_every_command_under_a_heading_and_cuts_no_sentence_off():
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    listed = re.findall(
        r"^  (\w+) +(\S.*)$", shown.partition("Build a dataset:")[2], re.M
    )
    assert sorted(name for name, _ in listed) == sorted(cli.commands)
    for name, sentence in listed:
        assert cli.commands[name].help.startswith(sentence), name
        assert sentence.endswith("."), name
