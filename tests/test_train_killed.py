"""A kill at any instant leaves a checkpoint that loads, and nothing is lost by it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from shards import write_patches

from dped_build.train import load_generator
from dped_build.train.checkpoint import saved_iteration

ITERATIONS = 14
OPTIONS = ["--iterations", str(ITERATIONS), "--resume", "--device", "cpu"]
OPTIONS += ["--model", "fast", "--channels", "4", "--blocks", "1"]
OPTIONS += ["--loss", "color+texture", "--batch-size", "2"]
OPTIONS += ["--log-every", "3", "--checkpoint-every", "1"]
KILLS = 3


@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    patches = write_patches(tmp_path)
    command = [str(Path(sys.executable).with_name("dped-build")), "train", str(patches)]
    subprocess.run([*command, "--out", tmp_path / "whole", *OPTIONS], check=True)
    random, kills, killed = np.random.default_rng(0), 0, tmp_path / "killed"
    reached = [0]
    while True:
        with subprocess.Popen(
            [*command, "--out", killed, *OPTIONS], stderr=subprocess.DEVNULL
        ) as process:
            begun = wait_for_progress(process, killed / "checkpoint.pt", reached[-1])
            time.sleep(random.uniform(0, 0.3) if begun and kills < KILLS else 0)
            if begun and kills < KILLS:
                process.send_signal(signal.SIGKILL)
                kills += 1
        reached.append(saved_iteration(killed / "checkpoint.pt"))  # it loads
        assert reached[-1] > reached[-2]
        if reached[-1] == ITERATIONS:
            break
    assert kills >= 2
    assert (killed / "metrics.jsonl").read_bytes() == (
        tmp_path / "whole" / "metrics.jsonl"
    ).read_bytes()
    for name in ("generator.pt", "best.pt"):
        one, two = (
            load_generator(folder / name).state_dict()
            for folder in (killed, tmp_path / "whole")
        )
        assert all(torch.equal(one[key], two[key]) for key in one)


def wait_for_progress(process, checkpoint, before):
    """Whether the run came past `before`; otherwise it ended."""
    stamp = checkpoint.stat().st_mtime_ns if before else None
    while process.poll() is None:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != stamp:
            return True
        time.sleep(0.01)
    return False
