"""A finished workspace for the tests of files from strangers, and what they share."""

import shutil
from functools import cache
from pathlib import Path

import pytest
from two_folders import align

from dped_build.patches import PatchSettings, build_shards
from dped_build.report import write_report
from dped_build.train import TrainSettings, train

CUT = PatchSettings(size=32, max_per_photo=3, compress="gzip")
TINY = TrainSettings(
    channels=2,
    blocks=1,
    loss="mse",
    iterations=2,
    batch_size=2,
    log_every=1,
    checkpoint_every=1,
    device="cpu",
)
SHARD = "patches/train-00000.h5"
RUN = "runs/r"
PEAK = 500_000  # kB of a child that has loaded torch, 300,000 without any file


@pytest.fixture(scope="session")
def finished(camera_folders, tmp_path_factory):
    """A workspace in which everything has run; not to be changed."""
    return made_once(camera_folders, tmp_path_factory.getbasetemp() / "strangers")


@cache
def made_once(raw, folder):
    """The workspace; several modules ask for it."""
    align(raw, folder)
    build_shards(folder, settings=CUT, jobs=1)
    train(folder / "patches", folder / RUN, TINY, progress=False)
    write_report(folder)
    return folder


@pytest.fixture
def work(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "work"))


def told(error) -> str:
    """The message, which must be one line of readable length."""
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    return str(error.value)
