"""A rig of several phones: a scene is in one split for all, whatever each missed."""

import csv
import shutil
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner
from merging import RIG, SETTINGS, save
from PIL import Image

from dped_build.align import align_folders
from dped_build.cli import cli
from dped_build.patches import PatchDataset, build_shards
from dped_build.selftest.simulated_cameras import PhoneLook, photograph

NAMES = [f"{number:04d}" for number in range(12)]
START = datetime(2024, 6, 1, 9)
# Scene by scene, s: pairs of photos within a minute, one of them just about.
TAKEN = [0, 40, 300, 358, 700, 1000, 1030, 1300, 1600, 1900, 2200, 2500]
LAG = {"iphone": 0, "sony": 7}  # s, by which a phone's clock differs
MISSED = ("0000", "0006", "0009")  # by the sony


@pytest.fixture(scope="module")
def rig(tmp_path_factory, textured):
    """raw/canon, raw/iphone and raw/sony, the photos of one walk; never changed."""
    folder = tmp_path_factory.mktemp("rig")
    for number, (name, seconds) in enumerate(zip(NAMES, TAKEN, strict=True)):
        taken = START + timedelta(seconds=seconds)
        pair = photograph(textured(number, (396, 264)), RIG, PhoneLook(), seed=number)
        write(folder, "canon", name, pair[1], taken)
        for phone, lag in LAG.items():
            late = timedelta(seconds=lag + 5 * (number % 3))  # by hand
            write(folder, phone, name, pair[0], taken + late)
    for name in MISSED:
        (folder / "raw/sony" / f"{name}.jpg").unlink()
    broken = folder / "raw/sony/0002.jpg"
    broken.write_bytes(broken.read_bytes()[:200])  # no EXIF is left of it
    shutil.copy(folder / "raw/sony/0011.jpg", folder / "raw/sony/0005.jpg")
    for phone in LAG:
        cut(folder, phone)
    return folder


def write(folder, camera, name, photo, taken):
    path = folder / "raw" / camera / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, photo, taken)


def cut(folder, phone, **changes):
    raw, settings = folder / "raw", replace(SETTINGS, **changes)
    align_folders(raw / phone, raw / "canon", workspace=folder / phone, jobs=1)
    build_shards(folder / phone, settings=settings, jobs=1)


def rows(workspace):
    text = (workspace / "patches/split.csv").read_text()
    return {row["pair"]: row for row in csv.DictReader(text.splitlines())}


def test_one_scene_is_in_one_split_for_every_phone(rig):
    iphone, sony = rows(rig / "iphone"), rows(rig / "sony")
    assert set(iphone) - set(sony) == set(MISSED)
    assert {pair: iphone[pair] for pair in sony} == sony
    assert {row["split"] for row in iphone.values()} == {"train", "val", "test"}


def test_scenes_are_those_of_the_camera_that_all_share(rig):
    groups = {pair: row["group"] for pair, row in rows(rig / "sony").items()}
    assert groups["0001"] == "0000"  # which the sony missed
    assert groups["0003"] == groups["0002"]
    assert groups["0005"] == "0005"


def test_without_times_a_photo_that_one_phone_missed_moves_nobody(rig, tmp_path):
    for camera in ("canon", *LAG):
        target = tmp_path / "raw" / camera
        target.mkdir(parents=True)
        for path in sorted((rig / "raw" / camera).glob("*.jpg")):
            if path.stat().st_size > 1000:
                Image.open(path).save(target / path.name, exif=b"", quality=95)
    for phone in LAG:
        cut(tmp_path, phone, test_photos=3)
    iphone, sony = rows(tmp_path / "iphone"), rows(tmp_path / "sony")
    assert len(sony) == len(NAMES) - len(MISSED) - 1
    assert {pair: iphone[pair] for pair in sony} == sony


def test_a_phone_that_missed_all_test_scenes_is_given_one(rig, tmp_path):
    tests = {p for p, row in rows(rig / "iphone").items() if row["split"] == "test"}
    shutil.copytree(rig / "raw/canon", tmp_path / "raw/canon")
    shutil.copytree(rig / "raw/iphone", tmp_path / "raw/iphone")
    for pair in tests:
        (tmp_path / "raw/iphone" / f"{pair}.jpg").unlink()
    cut(tmp_path, "iphone")
    assert "test" in {row["split"] for row in rows(tmp_path / "iphone").values()}


def photos_of(folders, split):
    """The scenes of a split, whichever phone took them."""
    return {name.split("/", 1)[1] for name in PatchDataset(folders, split).photos}


def test_no_test_photo_is_among_those_that_several_phones_train_on(rig):
    folders = [rig / phone / "patches" for phone in LAG]
    train, val, test = (photos_of(folders, name) for name in ("train", "val", "test"))
    assert train
    assert test
    assert not train & test
    assert not val & test
    assert not train & val


def test_training_takes_the_patches_of_several_phones(rig, tmp_path):
    folders = [str(rig / phone / "patches") for phone in LAG]
    small = ["--model", "srcnn", "--loss", "mse", "--iterations", "2"]
    rest = ["--batch-size", "4", "--log-every", "2", "--device", "cpu", "--json"]
    command = ["train", *folders, "--out", str(tmp_path / "run"), *small, *rest]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 0, ran.output
    judge = ["evaluate", str(tmp_path / "run"), *folders, "--json"]
    ran = CliRunner().invoke(cli, judge)
    assert ran.exit_code == 0, ran.output
    assert '"1/' in ran.output
