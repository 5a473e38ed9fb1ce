"""Which photos of a set are one scene, when clocks stand still or say nothing."""

import csv
import shutil
from datetime import datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner
from merging import align, cut, save, shoot
from PIL import Image

from dped_build.cli import cli

NAMES = [f"{number:02d}" for number in range(6)]
START = datetime(2024, 6, 1, 9)


@pytest.fixture(scope="module")
def shot(tmp_path_factory, textured):
    return shoot(tmp_path_factory.mktemp("shot") / "raw", textured, NAMES)


@pytest.fixture
def raw(shot, tmp_path):
    return shutil.copytree(shot, tmp_path / "raw")


def retake(raw, camera, taken):
    """Save a camera's photos with other times, None for none."""
    for number, path in enumerate(sorted((raw / camera).iterdir())):
        with Image.open(path) as photo:
            pixels = np.asarray(photo)
        save(path, pixels, taken and taken(number))


def groups(workspace):
    with (workspace / "patches/split.csv").open(newline="") as file:
        return [row["group"] for row in csv.DictReader(file)]


def dead(number):
    return START + timedelta(seconds=number)


def test_a_clock_that_stood_still_is_not_asked(raw, tmp_path):
    retake(raw, "canon", dead)
    summary = cut(align(raw, tmp_path / "work"))
    assert groups(tmp_path / "work") == NAMES
    assert summary.note is None


def test_times_that_make_all_one_scene_say_what_to_do(raw, tmp_path):
    for camera in ("iphone", "canon"):
        retake(raw, camera, dead)
    work = align(raw, tmp_path / "work")
    command = ["patches", "--size", "48", "-w", str(work), "--jobs", "1"]
    text = " ".join(CliRunner().invoke(cli, command).output.split())
    assert "the times make all 6 pairs one scene, which cannot be split" in text
    assert "exiftool -time:all= " in text and "--split-seed 1 --force" in text
    for camera in ("iphone", "canon"):  # the advice helps
        retake(raw, camera, None)
    align(raw, work)
    again = [*command, "--split-seed", "1", "--force"]
    assert CliRunner().invoke(cli, again).exit_code == 0
    assert groups(work) == NAMES


def test_copies_and_bursts_without_times_are_one_scene_and_it_is_said(raw, tmp_path):
    for camera in ("iphone", "canon"):
        retake(raw, camera, None)
        folder = raw / camera
        shutil.copy(folder / "01.jpg", folder / "90.jpg")
        with Image.open(folder / "02.jpg") as photo:
            width, height = photo.size
            photo.crop((1, 1, width, height)).save(folder / "91.jpg", quality=80)
    work = align(raw, tmp_path / "work")
    summary = cut(work)
    assert groups(work) == [*NAMES, "01", "02"]
    assert summary.note.startswith("no photo states when it was taken")
    assert "split.csv" in summary.note
