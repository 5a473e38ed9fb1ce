"""`dped-build export` tells what it wrote, and what it cannot write."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from shards import write_patches

from dped_build.cli import cli


def run(*arguments, code=0):
    done = CliRunner().invoke(cli, ["export", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def workspace(tmp_path):
    """A workspace with small shards and nothing else."""
    write_patches(tmp_path / "a b", size=20)
    return tmp_path / "a b"


def test_the_summary_counts_and_says_where_and_what_is_missing(workspace):
    text = run(workspace / "patches", "--format", "png", "--jobs", 1).stdout
    assert "20 pairs of 20x20 px, phone | dslr\n" in text
    assert "patches: train 12, val 4, test 4" in text
    assert "lacks a licence or credits: add --license, --credits" in text
    assert f"→ '{workspace}/export/png'  (png, " in text
    assert f"(next: '{workspace}/export/png/README.md' says how to read it)" in text
    assert "nothing new to do" in run(workspace, "--format", "png").stdout


def test_what_jpeg_costs_is_said_and_the_card_gets_its_licence(workspace):
    licensed = ("--license", "MIT", "--credits", "A. Lee")
    text = run(workspace, "--format", "dped-folders", *licensed).stdout
    assert "JPEG costs: " in text
    assert "--license" not in text
    card = (workspace / "export/dped-folders/README.md").read_text()
    assert "Credits: A. Lee" in card


def test_inside_the_patches_nothing_is_written_among_them(workspace, monkeypatch):
    before = sorted((workspace / "patches").iterdir())
    monkeypatch.chdir(workspace / "patches")
    run(".", "--format", "png")
    assert sorted((workspace / "patches").iterdir()) == before
    assert (workspace / "export/png/README.md").is_file()


def test_what_the_workspaces_file_says_of_other_formats_is_passed_over(
    patched_set, tmp_path
):
    shutil.copytree(patched_set / "patches", tmp_path / "patches")
    (tmp_path / "dped-build.toml").write_text('[export]\nlicense = "MIT"\n')
    run("windows", "--format", "csv", "-w", tmp_path)
    run(tmp_path, "--format", "png", "-w", tmp_path)
    assert "MIT" in (tmp_path / "export/png/README.md").read_text()


def test_json_is_all_that_a_script_gets(workspace, tmp_path):
    out = tmp_path / "out"
    done = run(workspace, "--format", "lmdb", "--out", out, "--json")
    summary = json.loads(done.stdout)
    assert done.stderr == ""
    assert summary["folder"] == str(out)
    assert summary["splits"]["test"] == {"photos": 1, "patches": 4}


def test_the_word_windows_means_those_of_the_workspace(patched_set, tmp_path):
    shutil.copytree(patched_set / "patches", tmp_path / "patches")
    text = run("windows", "--format", "csv", "-w", tmp_path).stdout
    assert f"→ {tmp_path}/windows.csv" in text
    first = (tmp_path / "windows.csv").read_bytes()
    out = tmp_path / "again.csv"
    text = run(tmp_path / "patches", "--format", "csv", "--out", out, "--json").stdout
    assert json.loads(text)["path"] == str(out)
    assert out.read_bytes() == first


def test_wrong_usage_is_one_line_and_exit_2(workspace):
    for arguments, told in (
        (["--format", "tiff"], "'tiff' is not one of"),
        (
            ["--format", "png", "--quality", 80],
            "--quality is for --format dped-folders",
        ),
        (["--format", "csv", "--jobs", 2], "--jobs is for --format"),
        ([], "Missing option '--format'"),
    ):
        assert told in run(workspace, *arguments, code=2).output


def test_a_source_that_is_none_is_one_line_and_exit_1(tmp_path):
    text = run(tmp_path / "x", "--format", "png", code=1).output
    assert "no such folder; give a folder of shards" in text


@dataclass(frozen=True)
class Summary:
    """As `export_onnx` returns it."""

    path: Path
    precision: str = "fp16"
    opset: int = 17
    bytes: int = 1000
    largest_difference: float = 0.0


def test_a_model_goes_to_onnx_under_its_own_name(tmp_path, monkeypatch):
    """What the file holds is for the tests of `onnx_model`."""
    asked = []

    def export_onnx(model, out, *, precision):
        asked.append((model, out, precision))
        return Summary(out)

    monkeypatch.setattr("dped_build.exchange.onnx_model.export_onnx", export_onnx)
    (tmp_path / "fast").mkdir()
    run(tmp_path / "fast", "--format", "onnx", "--precision", "fp16")
    run(tmp_path / "my.pt", "--format", "onnx", "--out", tmp_path / "b.onnx", "--json")
    assert asked == [
        (tmp_path / "fast", Path("fast.onnx"), "fp16"),
        (tmp_path / "my.pt", tmp_path / "b.onnx", "fp32"),
    ]


def test_exporting_patches_needs_neither_torch_nor_the_libraries_of_other_formats(
    workspace,
):
    code = (
        "import sys; from dped_build.cli import cli;"
        f"arguments = ['export', {str(workspace)!r}, '--format', 'png'];"
        "cli(arguments, standalone_mode=False);"
        "heavy = {'torch', 'pyarrow', 'lmdb', 'onnx', 'datasets'} & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
