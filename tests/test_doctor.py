"""What the doctor finds, on this machine and on worse ones."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from dped_build.cli import cli
from dped_build.commands.config_file import FILE
from dped_build.selftest import doctor, installation, machine, self_check
from dped_build.selftest.machine import NOTE, OK, WRONG, Finding
from dped_build.selftest.truth import TruthSummary
from dped_build.workspace.errors import DpedBuildError

REQUIREMENTS = [
    "numpy>=2.2",
    "opencv-contrib-python>=4.14",
    'pillow-heif>=1.1; extra == "heif"',
    'no-such-package>=1; extra == "raw"',
    'pytest>=9; extra == "test"',
]


@pytest.fixture
def healthy(monkeypatch):
    """Checks that find nothing wrong, at once."""
    findings = [Finding("Cores", OK, "2"), Finding("VGG-19", NOTE, "none", "fetch it")]
    monkeypatch.setattr(doctor, "examine", lambda workspace: iter(findings))


def run(*arguments):
    return CliRunner().invoke(cli, ["doctor", *map(str, arguments)])


def test_this_installation_works_and_says_so_on_one_screen(tmp_path):
    result = run("-w", tmp_path)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == "Everything required works.  (next: dped-build demo)"
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert any("off (median)" in line for line in lines)
    assert any("3 steps in" in line for line in lines)
    assert not any(
        word in result.output for word in ("\x1b", "\r", os.uname().nodename)
    )


def test_the_self_check_finds_patches_near_the_truth(tmp_path):
    placed = self_check.place_patches(tmp_path, jobs=1)
    assert placed.patches >= 4
    assert placed.median_px < 0.3
    assert placed.worst_px < 0.5


def test_json_is_one_document(healthy, tmp_path):
    result = run("-w", tmp_path, "--json")
    said = json.loads(result.stdout)
    assert said["works"] is True
    assert said["findings"][1] == {
        "name": "VGG-19",
        "status": "note",
        "found": "none",
        "advice": "fetch it",
    }


def test_what_is_needed_and_fails_exits_with_1(monkeypatch, tmp_path):
    broken = Finding("Packages", WRONG, "cv2: libGL.so.1", "apt install libgl1")
    monkeypatch.setattr(doctor, "examine", lambda workspace: iter([broken]))
    result = run("-w", tmp_path)
    assert result.exit_code == 1
    assert "→ apt install libgl1" in result.stdout
    assert "does not work: Packages" in result.stderr
    result = run("-w", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["works"] is False


def test_the_file_of_options_is_read(healthy, tmp_path):
    (tmp_path / FILE).write_text("[patches]\nmin-corr = 0.8\n", encoding="utf-8")
    assert "[patches]" in run("-w", tmp_path).stdout
    (tmp_path / FILE).write_text("[patches]\nmin-cor = 0.8\n", encoding="utf-8")
    result = run("-w", tmp_path)
    assert result.exit_code == 1
    told = " ".join(result.stdout.split())
    assert "did you mean min-corr?" in told
    assert "→ fix the file" in told


@pytest.mark.parametrize(
    "module, error, advice",
    [
        ("cv2", "libGL.so.1: cannot open shared object file", "apt install libgl1"),
        ("torch", "libcudart.so.12: not found", "--force-reinstall torch"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_named_with_the_cure(
    module, error, advice, tmp_path
):
    (tmp_path / f"{module}.py").write_text(f"raise ImportError({error!r})")
    script = "from dped_build.cli import cli; cli(['doctor', '-w', '.'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert f"wrong Packages {module}: {error}" in told
    assert advice in told
    assert "Traceback" not in done.stderr


def test_an_opencv_that_is_absent_is_to_be_installed_and_not_libgl():
    found = installation.packages({"cv2": "No module named 'cv2'"})
    assert found.advice == "pip install --force-reinstall opencv-contrib-python"


def test_a_requirement_that_is_absent_or_too_old_is_named():
    assert installation.missing(REQUIREMENTS) == []
    absent, old = installation.missing(["no-such-package>=1", "numpy>=99.1"])
    assert absent.found == "not installed; needed: >=1"
    assert old.advice == "pip install 'numpy>=99.1'"
    assert {absent.status, old.status} == {WRONG}
    (new,) = installation.missing(["numpy>=1,<2"])
    assert new.found.endswith("; needed: <2,>=1")


def test_the_headless_opencv_serves_as_well(monkeypatch):
    def version(name):
        if name == "opencv-contrib-python":
            raise installation.PackageNotFoundError(name)
        return "4.14.0.94"

    monkeypatch.setattr(installation, "version", version)
    assert installation.missing(["opencv-contrib-python>=4.14"]) == []


def test_extras_that_are_absent_come_with_their_command():
    found = installation.extras(REQUIREMENTS)
    assert found.found == "heif; not installed: raw"
    assert "pip install 'dped-build[raw]'" in found.advice
    assert installation.extras(REQUIREMENTS[:3]).status == OK


def test_the_packages_own_requirements_are_understood():
    lines = installation.requirements()
    assert lines
    assert installation.missing(lines) == []
    assert "demo" in installation.extras(lines).found


def test_weights_in_torchs_cache_are_found_and_else_where_to_get_them(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    absent = installation.vgg_weights()
    assert absent.status == NOTE
    assert "https://download.pytorch.org" in absent.advice
    weights = tmp_path / "hub/checkpoints/vgg19-dcbb9e9d.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    found = installation.vgg_weights()
    assert found.found == "~/hub/checkpoints/vgg19-dcbb9e9d.pth"


def test_little_memory_gets_a_hint():
    assert machine.memory(16e9, 8).status == OK
    assert machine.memory(1e9, 8).advice.startswith("give --jobs 2:")
    assert machine.memory(1e8, 8).advice.startswith("give --jobs 1:")


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="the system does not tell")
def test_a_containers_limit_counts_where_it_is_lower(tmp_path):
    whole = machine.memory_bytes(tmp_path)
    assert whole > 1e8
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory_bytes(tmp_path) == whole
    (tmp_path / "memory.max").write_text("50000000\n")
    assert machine.memory_bytes(tmp_path) == 5e7


def test_a_workspace_that_is_yet_to_be_made_is_judged_by_what_is_there(tmp_path):
    assert machine.disk(tmp_path / "a" / "b").status in (OK, NOTE)
    (tmp_path / "file").touch()
    assert machine.disk(tmp_path / "file" / "b").status == WRONG


def test_a_full_disk_gets_a_hint(monkeypatch, tmp_path):
    little = SimpleNamespace(free=1e9)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: little)
    assert machine.disk(tmp_path).advice.startswith("free space")


def test_a_gpu_is_described(monkeypatch):
    device = SimpleNamespace(name="H200", total_memory=150e9)
    for name, value in (
        ("is_available", True),
        ("get_device_properties", device),
        ("is_bf16_supported", True),
        ("device_count", 2),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *a, value=value, **k: value)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert machine.gpu().found == "H200, 150 GB, bf16, CUDA 12.8; 1 more"


@pytest.mark.parametrize("built, told", [("12.8", "driver"), (None, "for the CPU")])
def test_a_gpu_that_torch_cannot_use_gets_a_hint(monkeypatch, built, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/bin/nvidia-smi")
    assert told in machine.gpu().advice
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine.gpu().status == OK


def test_no_compiler_is_a_note(monkeypatch):
    monkeypatch.setenv("CXX", "")
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert "g++" in machine.compiler().advice


@pytest.mark.parametrize("error", [DpedBuildError("no room"), OSError("no room")])
def test_a_self_check_that_fails_is_a_finding(monkeypatch, error):
    def fail(folder, *, jobs):
        raise error

    monkeypatch.setattr(self_check, "place_patches", fail)
    (found,) = doctor.self_check(training=True)  # nothing to train on
    assert (found.name, found.status, found.found) == ("Alignment", WRONG, "no room")


def test_patches_far_from_the_truth_are_wrong(monkeypatch):
    far = TruthSummary(4, 0.2, 2.5, 3.0, 0.5)
    monkeypatch.setattr(self_check, "place_patches", lambda folder, *, jobs: far)
    (found,) = doctor.self_check(training=True)
    assert found.status == WRONG
    assert "3.00 px (worst)" in found.found


def test_no_finding_tells_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    inside = Path(tmp_path) / "photos" / "data"
    found = asdict(machine.disk(inside))
    assert str(tmp_path) not in json.dumps(found)
    assert found["found"].startswith("~/photos/data")
