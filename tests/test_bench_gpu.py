"""The one command for a GPU machine: whole in miniature, and what it says when not."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shards import write_patches

sys.path.append(str(Path(__file__).parents[1] / "bench"))

import gpu
import real_training
from results import FAILED, Results, read_rows

from dped_build.patches.dataset import PatchDataset
from dped_build.train import TrainSettings
from dped_build.train.batches import Batches
from dped_build.train.replay import Replay
from dped_build.train.step import new_state, train_step

ROOT = Path(__file__).parents[1]
ABSENT = ("cv2", "simplejpeg", "pillow_heif", "rawpy", "joblib", "skimage")
PARTS = (
    *("ceilings", "step dped", "step fast", "checks", "train fast", "train dped"),
    *("photos", "more fast", "more dped"),
)


def options(tmp_path, **changes):
    usual = {"parts": None, "small": False, "seconds": 100.0, "train_seconds": 1.0}
    made = {**usual, "data": None, "out": tmp_path, "work": str(tmp_path), **changes}
    return argparse.Namespace(**made)


def write_pictures(folder, count=6):
    pixels = np.random.default_rng(0).integers(256, size=(count, 100, 100, 3))
    for side in ("iphone", "canon"):
        (folder / side).mkdir(parents=True)
        for number, picture in enumerate(pixels.astype(np.uint8)):
            Image.fromarray(picture).save(folder / side / f"{number}.png")
    return pixels


@pytest.mark.long
def test_the_whole_command_runs_in_miniature(tmp_path):
    write_pictures(tmp_path / "data/dped")
    for name in ABSENT:
        (tmp_path / f"{name}.py").write_text("raise ImportError('absent')")
    line = [ROOT / "bench/gpu.sh", "--small", "--train-seconds", "0"]
    line += [
        "--seconds",
        "3000",
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "out",
    ]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        line, env=environment, capture_output=True, text=True, check=False
    )
    log = tmp_path / "out/log.txt"
    assert ran.returncode == 0, ran.stderr
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"report.md", "results.jsonl", "kernels.md", "log.txt"}
    assert ran.stdout == (tmp_path / "out/report.md").read_text() + "\n"
    assert len(ran.stdout) < 10_000
    lines = ran.stdout.splitlines()
    outcomes = [line.strip("| ").split(" | ") for line in lines[-len(PARTS) - 1 :]]
    for name, (told, *_, outcome) in zip(PARTS, outcomes, strict=False):
        assert (told, outcome) == (name, "done"), log.read_text()[-5000:]
    found = read_rows(tmp_path / "out/results.jsonl")
    assert set(found) == {*PARTS, "bench"}
    rows = {(part, row): c for part in found for row, c in found[part].items()}
    assert not [row for row, cells in rows.items() if FAILED in cells]
    assert not [row for row, cells in rows.items() if cells.get("holds") == "NO"]
    assert "→" in found["train fast"]["dped, fast"]["PSNR, dB"]
    assert (tmp_path / "out/kernels.md").read_text().count("## ") == 2


def test_a_part_that_fails_or_runs_over_is_told_and_the_rest_runs(
    tmp_path, monkeypatch
):
    for name, text in {
        "fails": "import sys; print('so far'); sys.exit('no | memory')",
        "sleeps": "import time; time.sleep(600)",
        "works": "import sys; from results import Results; from pathlib import Path\n"
        "path = Path(sys.argv[sys.argv.index('--results') + 1])\n"
        "Results(path, 'works').add('row', ms=1.5)",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(gpu, "BENCH", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "bench"))
    parts = [
        gpu.Part("fails", 1, 60, ("fails.py",)),
        gpu.Part("sleeps", 1, 1, ("sleeps.py",)),
        gpu.Part("works", 1, 60, ("works.py",)),
    ]
    outcomes = gpu.measure(parts, options(tmp_path), gpu.Machine("cuda"))
    assert [outcomes[part.name].said for part in parts] == [
        "failed (1): no / memory",
        "over its 1 s, ended",
        "done",
    ]
    found = read_rows(tmp_path / "results.jsonl")
    text = "\n\n".join(gpu.report(parts, outcomes, found, ["a card"]))
    assert "- a card\n" in text
    assert "| row | 1.5 |" in text
    assert text.splitlines()[-3].endswith("| failed (1): no / memory |")


def test_parts_are_left_out_where_no_time_or_no_gpu_is_left(tmp_path):
    parts = gpu.planned(options(tmp_path))
    assert tuple(part.name for part in parts) == PARTS
    told = gpu.measure(parts, options(tmp_path), gpu.Machine(None))
    assert {outcome.said for outcome in told.values()} == {"left out: no GPU"}
    told = gpu.measure(parts, options(tmp_path, seconds=1), gpu.Machine("cuda"))
    assert {outcome.said for outcome in told.values()} == {"left out: no time"}


@pytest.mark.parametrize(
    ("said", "code", "line"),
    [
        ({"torch": "2", "why": "driver too old"}, 0, "no GPU: driver too old; --small"),
        ({"torch": "2", "why": ""}, 0, "no GPU: torch sees no CUDA device; --small"),
        ({}, 1, "no GPU can be used: CUDA error: out of memory"),
        (
            {"torch": "2", "why": "", "gpu": "T4", "gb": 15.9},
            0,
            "less than 24 GB: what does not fit is told as failed",
        ),
    ],
)
def test_what_is_wrong_with_the_machine_is_one_line(said, code, line, monkeypatch):
    def answer(command, **_):
        error = "Traceback\nCUDA error: out of memory\n"
        return subprocess.CompletedProcess(command, code, json.dumps(said), error)

    monkeypatch.setattr(gpu.subprocess, "run", answer)
    on = gpu.look_at(small=False)
    assert on.told[-1].startswith(line)
    assert on.device == ("cuda" if "gpu" in said else None)


def test_a_part_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(
        SystemExit, match="no part 'all'; there are ceilings, step dped"
    ):
        gpu.planned(options(tmp_path, parts="photos,all"))


def test_a_failure_is_a_row_and_a_newer_row_replaces_an_older(tmp_path):
    results = Results(tmp_path / "rows", "part")
    results.add("one", ms=1)
    results.add("one", ms=2)
    with results.trying("two"):
        raise RuntimeError("CUDA | error\nat length")
    assert read_rows(tmp_path / "rows") == {
        "part": {
            "one": {"ms": 2},
            "two": {FAILED: "RuntimeError: CUDA / error at length"},
        }
    }


def test_real_patches_are_found_in_either_form(tmp_path):
    pixels = write_pictures(tmp_path / "data/dped", count=8)
    (tmp_path / "work").mkdir()
    write_patches(tmp_path / "data").rename(tmp_path / "data/city100")
    given = argparse.Namespace(
        data=tmp_path / "data", work=tmp_path / "work", set="dped", small=True
    )
    folder, real = real_training.patches_folder(given)
    test = PatchDataset(folder, "test")
    assert real and len(PatchDataset(folder)) == 6 and len(test) == 2
    assert np.array_equal(test[0][0], pixels[6])
    given.set = "city100"
    assert real_training.patches_folder(given) == (tmp_path / "data/city100", True)


class Rehearsed(Replay):
    """Repeats a function where a GPU would replay what it recorded of it."""

    def record(self, function, places):
        """What repeats the function, and what it gave at first."""
        made = function(*places)

        def replay():
            again = function(*places)
            pairs = (
                zip(made.values(), again.values(), strict=True)
                if isinstance(made, dict)
                else [(made, again)]
            )
            for place, value in pairs:
                place.copy_(value)

        return replay, made


def test_replayed_steps_are_the_steps_themselves(tmp_path):
    """All that a step's parts read or leave must keep its place in memory."""
    settings = TrainSettings(channels=4, blocks=1, loss="mse+texture")
    patches, cpu = PatchDataset(write_patches(tmp_path)), torch.device("cpu")
    states = [new_state(settings, cpu) for _ in "12"]
    states[1].run = Rehearsed()
    for state in states:
        batches = Batches(patches, device=cpu)
        for _ in range(3):
            weights = settings.loss_weights()
            train_step(state, batches, batch_size=2, weights=weights, vgg=None)
    one, other = states
    for name in ("generator", "discriminator"):
        theirs = getattr(other, name).state_dict()
        for key, weight in getattr(one, name).state_dict().items():
            assert torch.equal(weight, theirs[key]), key
    assert one.sums == other.sums


def test_training_needs_no_opencv_and_no_installation():
    """What a bare GPU machine lacks is blocked; every part's script is loaded."""
    program = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[1:]:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, "bench")
import agreement, ceilings, gpu, real_training, train_step, whole_photos
print(gpu.machine())
"""
    line = [sys.executable, "-c", program, *ABSENT]
    ran = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
