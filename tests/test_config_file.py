"""Options from dped-build.toml: who wins, what is recorded, what is refused."""

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from shards import write_patches

from dped_build.cli import cli
from dped_build.commands.config_file import (
    FILE,
    MAX_BYTES,
    accepted_options,
    read_config,
)
from dped_build.commands.console import CommandGroup
from dped_build.commands.workspaces import workspace_option
from dped_build.workspace.errors import UsageError


@click.group(cls=CommandGroup)
def group():
    """A command line that tells what it was given."""


@group.command()
@click.option("--share", type=click.FloatRange(0, 1), default=0.5)
@click.option("--jobs", "workers", type=click.IntRange(min=1), envvar="TEST_JOBS")
@click.option("--kind", type=click.Choice(["a", "b"]), default="a")
@click.option("--no-probe", is_flag=True)
@click.option("--name", "names", multiple=True)
@click.option("--vgg", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True)
@workspace_option
def show(**values):
    """Print the values."""
    click.echo(json.dumps(values, default=str))


@group.command()
@click.option("--share", type=float, default=0.5)
def bare(share):
    """Print a value; without a workspace."""
    click.echo(share)


@pytest.fixture
def given(tmp_path):
    """Runs `show` on a workspace whose file has this text; returns what it got."""

    def run(text, *arguments, **environment):
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        result = CliRunner().invoke(
            group, ["show", "-w", str(tmp_path), *arguments], env=environment
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout), result.stderr

    return run


@pytest.fixture
def refused(tmp_path):
    """Reads a file of this text; returns the error, which is one line with its name."""

    def read(text):
        path = tmp_path / FILE
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UsageError) as caught:
            read_config(path, group.commands)
        told = str(caught.value)
        assert told.startswith(f"{path}: ")
        assert told.isprintable()
        return told.removeprefix(f"{path}: ")

    return read


def test_the_file_replaces_defaults(given):
    text = '[show]\nshare = 0.25\njobs = 3\nkind = "b"\nno-probe = true\nname = ["x"]'
    values, told = given(text)
    assert (values["share"], values["workers"], values["kind"]) == (0.25, 3, "b")
    assert (values["no_probe"], values["names"]) == (True, ["x"])
    assert f"{FILE}: share = 0.25, jobs = 3" in told


def test_the_command_line_wins_then_the_environment_then_the_file(given):
    text = "[show]\njobs = 3\nshare = 0.25"
    values, told = given(text, "--jobs", "5", TEST_JOBS="4")
    assert values["workers"] == 5
    assert "jobs" not in told  # the file decides the share alone
    assert given(text, TEST_JOBS="4")[0]["workers"] == 4
    assert given(text, TEST_JOBS="")[0]["workers"] == 3
    values, told = given(text, "--jobs", "5", "--share", "1")
    assert (values["share"], told) == (1.0, "")


def test_a_whole_number_and_an_underscore_will_do(given):
    assert given("[show]\nshare = 1\nno_probe = true")[0]["no_probe"] is True


def test_another_commands_table_and_no_file_change_nothing(given, tmp_path):
    values, told = given("[bare]\nshare = 0.1")
    assert (values["share"], told) == (0.5, "")
    assert read_config(tmp_path / "absent.toml", group.commands) == {}


def test_paths_stand_relative_to_the_file(given, tmp_path, monkeypatch):
    assert given('[show]\nvgg = "w.pth"')[0]["vgg"] == str(tmp_path / "w.pth")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    in_home = given('[show]\nvgg = "~/w.pth"')[0]["vgg"]
    assert in_home == str(tmp_path / "home" / "w.pth")


def test_a_command_without_a_workspace_reads_that_of_the_environment(tmp_path):
    (tmp_path / FILE).write_text("[bare]\nshare = 0.125", encoding="utf-8")
    named = {"DPED_BUILD_WORKSPACE": str(tmp_path)}
    assert CliRunner().invoke(group, ["bare"], env=named).stdout == "0.125\n"


@pytest.mark.parametrize(
    "text, told",
    [
        ("[show]\nshaer = 1", "[show] shaer: no such option; did you mean share?"),
        ("[shwo]\nshare = 1", "[shwo]: no such command; did you mean show?"),
        ("share = 1", "share: stands in no table; put it under [command]"),
        ("[show]\nshare = '1'", '[show] share = "1": must be a number, without quotes'),
        ("[show]\nshare = true", "[show] share = true: must be a number, without"),
        ("[show]\nshare = 2", "[show] share = 2: 2.0 is not in the range 0<=x<=1"),
        ("[show]\njobs = 1.5", "[show] jobs = 1.5: must be a whole number"),
        ("[show]\njobs = 0", "[show] jobs = 0: 0 is not in the range x>=1"),
        ("[show]\nkind = 'c'", "'c' is not one of 'a', 'b'"),
        ("[show]\nkind = 1", 'must be a text, in "quotes"'),
        ("[show]\nname = 'x'", "must be a list, in [ ]"),
        ("[show]\nno-probe = 1", "must be true or false"),
        ("[show]\nno-probe = true\nno_probe = true", "is there twice"),
        ("[show]\nshare = [1]", "must be a number"),
        ("[show.share]\na = 1", "must be a number"),
        ("[show]\nshare = 1970-01-01", "must be a number"),
        ('[show]\n"\\u001b[2J" = 1', "no such option"),
        ("[show", "not TOML"),
        (b"[show]\n\xff = 1", "not UTF-8"),
        ("a = " + "[" * 30_000, "nested too deeply"),
        ("#" * (MAX_BYTES + 1), "longer than 64 KiB"),
        ("[show]\njobs = " + "9" * 5000, "not TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(refused, text, told):
    assert told in refused(text)


@pytest.mark.parametrize(
    "line",
    ["force = true", 'out = "/x"', 'workspace = "/x"', 'log = "/x"', "debug = true"],
)
def test_where_to_write_and_what_to_replace_is_not_taken_from_a_file(refused, line):
    assert "can only be given on the command line" in refused(f"[show]\n{line}")


def test_no_real_command_takes_a_path_to_write_or_a_switch_of_trust_from_a_file():
    accepted = {
        f"{name} {option}"
        for name, command in cli.commands.items()
        for option in accepted_options(command)
    }
    assert "patches min-corr" in accepted
    assert "train vgg" in accepted
    words = {entry.split()[1] for entry in accepted}
    assert words.isdisjoint(
        {
            *("out", "workspace", "force", "resume", "log", "json", "keep-metadata"),
            "scheduler",
        }
    )


def test_a_file_that_is_no_file_is_refused(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        read_config(tmp_path / FILE, group.commands)


def test_help_does_not_mind_a_broken_file(tmp_path):
    (tmp_path / FILE).write_text("[show", encoding="utf-8")
    asked = CliRunner().invoke(group, ["show", "-w", str(tmp_path), "--help"])
    assert asked.exit_code == 0
    broken = CliRunner().invoke(group, ["show", "-w", str(tmp_path)])
    assert broken.exit_code == 2
    assert len(broken.stderr.splitlines()) == 1


def test_a_wrong_option_is_told_as_without_a_file(tmp_path):
    (tmp_path / FILE).write_text("[show]\nshare = 0.25", encoding="utf-8")
    result = CliRunner().invoke(group, ["show", "-w", str(tmp_path), "--shaer", "1"])
    assert result.exit_code == 2
    assert "No such option '--shaer'" in result.stderr


def test_the_manifest_records_what_the_file_says(raw, work):
    work.mkdir()
    (work / FILE).write_text('[align]\ncrops = "none"\njobs = 1', encoding="utf-8")
    folders = [str(raw / "iphone"), str(raw / "canon")]
    result = CliRunner().invoke(cli, ["align", *folders, "-w", str(work), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["aligned"] == 3
    manifest = json.loads((work / "aligned" / "manifest.json").read_text())
    assert manifest["settings"]["crops"] == "none"
    (work / FILE).write_text('[align]\ncrops = "png"\njobs = 1', encoding="utf-8")
    other = CliRunner().invoke(cli, ["align", *folders, "-w", str(work)])
    assert other.exit_code == 1
    assert "crops = none, now png" in other.stderr


def test_patches_record_what_the_file_says(aligned_set, work):
    shutil.copytree(aligned_set / "aligned", work / "aligned")
    text = "[patches]\nsize = 64\nmin-corr = 0.8\njobs = 1\n"
    (work / FILE).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(cli, ["patches", "-w", str(work)])
    assert result.exit_code == 0, result.output
    settings = json.loads((work / "patches" / "manifest.json").read_text())["settings"]
    assert (settings["size"], settings["min_corr"]) == (64, 0.8)


def test_a_run_records_what_the_file_says_and_goes_on_with_it(work):
    write_patches(work)
    text = '[train]\nmodel = "srcnn"\nloss = "mse"\niterations = 1\nbatch_size = 2\n'
    text += 'log-every = 1\ndevice = "cpu"\n'
    (work / FILE).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(cli, ["train", "-w", str(work)])
    assert result.exit_code == 0, result.output
    config = json.loads((work / "runs/released-srcnn/config.json").read_text())
    assert config["settings"]["loss"] == "mse"
    more = text.replace("iterations = 1", "iterations = 2")
    (work / FILE).write_text(more, encoding="utf-8")
    result = CliRunner().invoke(cli, ["train", "-w", str(work), "--resume"])
    assert "2 iterations done" in result.stdout
