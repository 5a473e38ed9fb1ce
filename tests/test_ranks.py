"""Processes that train together do what one process does with the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from shards import write_patches

OPTIONS = [
    *("--loss", "color+texture", "--channels", 4, "--blocks", 1, "--device", "cpu"),
    *("--batch-size", 4, "--log-every", 2, "--checkpoint-every", 2),
    *("--learning-rate", 1e-5),
]
PROGRAM = Path(sys.executable).with_name("dped-build")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason="torch without gloo"
)


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    return write_patches(tmp_path_factory.mktemp("patches"))


def train(ranks, patches, out, *options, iterations=6):
    line = []
    if ranks > 1:
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        line += ["--nproc-per-node", ranks, "--no-python"]
    line += [PROGRAM, "train", patches, "--out", out, *OPTIONS]
    line += ["--iterations", iterations, *options]
    return subprocess.run(
        [str(part) for part in line],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def metrics(run):
    return [
        json.loads(line)
        for line in (run / "metrics.jsonl").read_text().split("\n")[:-1]
    ]


def assert_alike(run, other):
    """But for rounding: Adam makes whole steps of gradients that are next to none."""
    for line, its in zip(metrics(run), metrics(other), strict=True):
        assert line == pytest.approx(its, rel=1e-3, abs=1e-5)


@pytest.fixture(scope="module")
def alone(patches, tmp_path_factory):
    run = tmp_path_factory.mktemp("alone") / "run"
    done = train(1, patches, run)
    assert done.returncode == 0, done.stderr
    return run


def test_two_ranks_give_the_loss_curve_of_one_process(patches, alone, tmp_path):
    done = train(2, patches, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "4 a batch (2 on each of 2 processes)" in done.stderr
    assert done.stdout.count("6 iterations done") == 1
    assert_alike(tmp_path / "run", alone)
    files = {path.name.split(".")[0] for path in Path(tmp_path / "run").iterdir()}
    assert files == {path.name.split(".")[0] for path in alone.iterdir()}


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_ranks(patches, alone, tmp_path):
    run = tmp_path / "run"
    assert train(2, patches, run, iterations=2).returncode == 0
    assert train(1, patches, run, "--resume", iterations=4).returncode == 0
    done = train(2, patches, run, "--resume")
    assert done.returncode == 0, done.stderr
    assert_alike(run, alone)


@pytest.mark.long
def test_a_batch_that_cannot_be_shared_is_refused(patches, tmp_path):
    done = train(2, patches, tmp_path / "run", "--batch-size", 3)
    assert done.returncode != 0
    assert "--batch-size 3 is for all 2 processes together" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_what_the_leader_refuses_is_told_once(patches, alone):
    done = train(2, patches, alone, "--seed", 1)
    assert done.returncode != 0
    assert done.stderr.count("was trained with other settings") == 1
