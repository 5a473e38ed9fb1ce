"""A workspace is named by an argument or by `--workspace`, whatever the command."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from shards import write_patches

from dped_build.cli import cli

TRAINING = ("--preset", "srcnn", "--iterations", "1", "--batch-size", "2")


def run(*words, code=0):
    done = CliRunner().invoke(cli, [*map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def workspace(patched_set, tmp_path):
    """A copy of a workspace that is aligned and cut."""
    return Path(shutil.copytree(patched_set, tmp_path / "work"))


@pytest.mark.parametrize(
    "words",
    [
        ("patches", "--size", "64", "--dry-run", "--force"),
        ("verify",),
        ("export", "--format", "csv", "--force"),
    ],
)
def test_an_argument_does_what_the_option_does(workspace, words):
    assert run(*words, workspace) == run(*words, "-w", workspace)


def test_align_and_build_take_it_behind_the_photos(photo_set, tmp_path):
    folders = photo_set / "raw/phone", photo_set / "raw/dslr"
    for command in ("align", "build"):
        run(command, *folders, tmp_path / command, "--jobs", "1")
        assert (tmp_path / command / "aligned/manifest.json").is_file()


def test_one_workspace_is_compared_with_the_option_s(workspace, tmp_path):
    other = shutil.copytree(workspace, tmp_path / "other")
    assert run("diff", other, "-w", workspace) == run("diff", workspace, other)
    assert "name two workspaces" in run("diff", "a", "b", "c", code=2)


def test_patches_of_a_workspace_train_a_run_in_it(workspace, tmp_path):
    text = run("train", *TRAINING, workspace)
    assert (workspace / "runs/srcnn/generator.pt").is_file()
    assert f"evaluate {workspace}/runs/srcnn {workspace}/patches" in text
    scores = run("evaluate", workspace / "runs/srcnn", workspace)
    assert f"in {workspace}/patches\n" in scores
    runs = tmp_path / "elsewhere"
    run("train", *TRAINING, workspace, "-w", runs)
    assert (runs / "runs/srcnn/generator.pt").is_file()


def test_the_workspace_s_file_counts_also_where_an_argument_names_it(workspace):
    (workspace / "dped-build.toml").write_text(
        "[patches]\nmin-corr = 0.8\n[train]\nmodel = 'fast'\n"
        "[export]\nlicense = 'MIT'\n"
    )
    assert "min-corr = 0.8" in run("patches", workspace, code=1)
    assert 'model = "fast"' in run("train", *TRAINING, workspace)
    assert 'license = "MIT"' in run("export", workspace, "--format", "csv")


@pytest.mark.parametrize("command", ["patches", "verify", "report"])
def test_of_two_workspaces_the_argument_counts_and_the_other_is_told(command, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    text = run(command, one, "-w", two, code=1)
    assert text.count(f"--workspace is passed over: the argument names {one}\n") == 1
    assert f"Error: {one}" in text
    assert "passed over" not in run(command, tmp_path, "-w", tmp_path, code=1)


def test_photos_are_no_workspace(photo_set):
    text = run("patches", photo_set / "raw/phone", code=2)
    assert "holds photos; a workspace is a folder for outputs" in text


def test_doctor_takes_a_workspace_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr("dped_build.selftest.doctor.examine", lambda workspace: [])
    write_patches(tmp_path, size=20)
    (tmp_path / "dped-build.toml").write_text("[train]\nmodel = 'fast'\n")
    assert "Options" in run("doctor", tmp_path)


def test_a_workspace_for_a_model_names_its_runs(workspace):
    run("train", *TRAINING, workspace)
    for command in (("evaluate",), ("export", "--format", "onnx"), ("bench",)):
        text = run(*command, workspace, code=1)
        named = re.escape(f"{workspace}/runs/srcnn")
        assert re.search(f"holds no generator.pt: name '?{named}", text)
