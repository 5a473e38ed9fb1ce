"""Long checks, run by `make soak`: a run killed at any instant loses nothing."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from dped_build.align.demo_set import DSLR, PHONE, write_demo_set

SCRIPT = Path(sys.executable).with_name("dped-build")
KILLS = 12


def commands(raw, workspace):
    """The command lines of the first two stages."""
    return (
        [SCRIPT, "align", raw / PHONE, raw / DSLR, "-w", workspace],
        [SCRIPT, "patches", "-w", workspace],
    )


def contents(folder):
    """Name → bytes of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.soak
def test_runs_killed_at_random_instants_end_in_the_same_bytes(tmp_path):
    rng = random.Random(0)
    write_demo_set(tmp_path / "raw")
    for command in commands(tmp_path / "raw", tmp_path / "whole"):
        subprocess.run(command, check=True, capture_output=True)
    for command in commands(tmp_path / "raw", tmp_path / "killed"):
        for _ in range(KILLS):
            run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                run.wait(timeout=rng.uniform(0.5, 6))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
        subprocess.run(command, check=True, capture_output=True)
    for stage in ("aligned", "patches"):
        whole, killed = (tmp_path / w / stage for w in ("whole", "killed"))
        assert len(contents(whole)) > 5
        assert contents(killed) == contents(whole)
