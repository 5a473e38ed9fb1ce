"""Two folders become `aligned/`: every photo has its record, every byte its sum."""

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from two_folders import GOOD, align, check_sums, contents, records

from dped_build.align import Alignment, AlignSettings, align_folders
from dped_build.align.aligned_folder import camera_names
from dped_build.align.records import REASONS
from dped_build.align.settings import PairingSettings
from dped_build.cli import cli
from dped_build.parallel.executor import Workers
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import SUMS


def test_good_pairs_are_aligned_with_crops_and_sums(raw, work):
    summary = align(raw, work)
    assert (summary.pairs, summary.aligned, summary.newly_done) == (3, 3, 3)
    assert summary.reasons == {}
    found = records(work)
    assert list(found) == list(GOOD)
    for name in GOOD:
        record = found[name]
        assert record["status"] == "aligned"
        phone_crop, dslr_crop = (
            Image.open(work / "aligned" / camera / f"{name}.jpg")
            for camera in ("iphone", "canon")
        )
        with phone_crop, dslr_crop:
            assert phone_crop.size == dslr_crop.size == tuple(record["phone_box"][2:])
    assert len(contents(work)) == 3 + 6 + 1
    check_sums(work)


def test_manifest_states_cameras_settings_and_counts(raw, work):
    align(raw, work)
    manifest = json.loads((work / "aligned" / "manifest.json").read_bytes())
    assert manifest["format"] == "dped-build/alignment"
    assert manifest["version"] == 1
    assert (manifest["phone_camera"], manifest["dslr_camera"]) == ("iphone", "canon")
    settings = AlignSettings().to_json() | {"matching_sides": [300, 600, 1200]}
    assert manifest["settings"] == settings
    assert manifest["created_with"].startswith("dped-build ")
    assert manifest["counts"] == {"photos": 6, "aligned": 3}


def test_png_crops_hold_the_phones_own_pixels(raw, work):
    align(raw, work, settings=AlignSettings(crops="png"))
    for name, record in records(work).items():
        left, top, width, height = record["phone_box"]
        with Image.open(raw / "iphone" / f"{name}.jpg") as photo:
            own = np.asarray(photo)[top : top + height, left : left + width]
        with Image.open(work / "aligned" / "iphone" / f"{name}.png") as crop:
            np.testing.assert_array_equal(np.asarray(crop), own)


def test_every_photo_has_one_record_with_every_key_and_a_reason(raw, work, textured):
    phone, dslr = raw / "iphone", raw / "canon"
    shutil.copy(phone / "0001.jpg", phone / "lonely.jpg")
    shutil.copy(dslr / "0001.jpg", dslr / "left over.JPG")
    for folder in (phone, dslr):
        shutil.copy(folder / "0001.jpg", folder / "twice.jpg")
    shutil.copy(phone / "0001.jpg", phone / "twice.JPG")
    for name in ("cut", "text", "folder", "pipe"):
        shutil.copy(dslr / "0001.jpg", dslr / f"{name}.jpg")
    data = (phone / "0001.jpg").read_bytes()
    (phone / "cut.jpg").write_bytes(data[: len(data) // 2])
    (phone / "text.jpg").write_bytes(b"not a photo")
    (phone / "folder.jpg").mkdir()
    os.mkfifo(phone / "pipe.jpg")
    Image.fromarray(textured(77, (192, 144))).save(phone / "unrelated.jpg")
    shutil.copy(dslr / "0001.jpg", dslr / "unrelated.jpg")

    summary = align(raw, work)
    found = records(work)
    outcomes = {name: (r["status"], r["reason"]) for name, r in found.items()}
    rejected = outcomes.pop("unrelated")
    assert rejected[0] == "rejected"
    assert rejected[1] in ("too_few_matches", "too_few_inliers")
    assert outcomes == {
        **dict.fromkeys(GOOD, ("aligned", None)),
        "lonely": ("failed", "no_partner"),
        "left over": ("failed", "no_partner"),
        "twice.jpg (phone)": ("failed", "ambiguous_partner"),
        "twice.JPG (phone)": ("failed", "ambiguous_partner"),
        "twice.jpg (DSLR)": ("failed", "ambiguous_partner"),
        "cut": ("failed", "truncated"),
        "text": ("failed", "unreadable"),
        "folder": ("failed", "unreadable"),
        "pipe": ("failed", "unreadable"),
    }
    keys = [field.name for field in fields(Alignment)]
    assert all(list(record) == keys for record in found.values())
    for camera, folder in (("phone", phone), ("dslr", dslr)):
        seen = [record[camera] for record in found.values() if record[camera]]
        assert sorted(seen) == sorted(path.name for path in folder.iterdir())
    for record in found.values():
        assert (record["reason"] is None) == (record["message"] is None)
        assert record["reason"] is None or record["reason"] in REASONS
    assert summary.reasons["unreadable"] == 3
    assert summary.aligned == 3
    check_sums(work)
    assert align(raw, work).newly_done == 2  # the folder and the pipe, once more


def test_nothing_but_local_json_names_a_place_on_this_machine(raw, work):
    (raw / "iphone" / "0003.jpg").write_bytes(b"")
    shutil.copy(raw / "canon" / "0001.jpg", raw / "canon" / "0003.jpg")
    align(raw, work)
    place = str(raw.parent).encode()
    text = [n for n in contents(work) if n.endswith(("json", "jsonl", SUMS))]
    assert [name for name in text if place in contents(work)[name]] == ["local.json"]


def test_crops_carry_no_metadata(raw, work):
    exif = Image.Exif()
    exif[0x010E] = "taken by Jane Doe"
    exif.get_ifd(0x8825)[1] = "N"
    for camera in ("iphone", "canon"):
        with Image.open(raw / camera / "0001.jpg") as photo:
            photo.save(raw / camera / "0001.jpg", quality=95, exif=exif)
    align(raw, work)
    for camera in ("iphone", "canon"):
        path = work / "aligned" / camera / "0001.jpg"
        assert b"Jane" not in path.read_bytes()
        with Image.open(path) as crop:
            assert dict(crop.getexif()) == {}


def test_bytes_depend_neither_on_jobs_nor_on_the_backend(raw, tmp_path):
    align(raw, tmp_path / "one")
    align(raw, tmp_path / "two", jobs=2)
    align(raw, tmp_path / "three", workers=Workers(2, "threading"))
    expected = contents(tmp_path / "one")
    assert contents(tmp_path / "two") == expected
    assert contents(tmp_path / "three") == expected


@pytest.fixture(scope="module")
def unrelated(tmp_path_factory):
    """60 pairs of noise."""
    root = tmp_path_factory.mktemp("unrelated")
    rng = np.random.default_rng(0)
    for camera in ("iphone", "canon"):
        (root / camera).mkdir()
        for number in range(60):
            noise = rng.integers(0, 256, size=(48, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / camera / f"{number:04}.png")
    return root


def test_probe_stops_on_a_large_set_that_does_not_match(unrelated, work):
    for _ in range(3):  # again and again, until told to go on
        with pytest.raises(DpedBuildError, match=r"only 0 of 20 .*--no-probe"):
            align(unrelated, work)
    assert not (work / "aligned").exists()
    summary = align(unrelated, work, probe=False)
    assert (summary.newly_done, summary.aligned) == (40, 0)
    assert len(records(work)) == 60


def test_small_set_that_does_not_match_is_published_all_the_same(raw, work):
    (raw / "iphone" / "0001.jpg").rename(raw / "iphone" / "x.jpg")
    (raw / "iphone" / "0002.jpg").rename(raw / "iphone" / "0001.jpg")
    (raw / "iphone" / "x.jpg").rename(raw / "iphone" / "0002.jpg")
    (raw / "iphone" / "0010.jpg").unlink()
    summary = align(raw, work)
    assert (summary.pairs, summary.aligned) == (2, 0)
    assert len(records(work)) == 3
    check_sums(work)


def test_swapped_folders_are_noticed(raw, work):
    summary = align_folders(raw / "canon", raw / "iphone", workspace=work, jobs=1)
    assert summary.swapped
    assert summary.reasons == {"implausible_homography": 3}
    again = align_folders(raw / "canon", raw / "iphone", workspace=work, jobs=1)
    assert again.swapped
    assert again.newly_done == 0


def test_folders_that_cannot_be_meant_are_refused(raw, work):
    with pytest.raises(UsageError, match="given for both cameras"):
        align_folders(raw / "iphone", raw / "canon" / ".." / "iphone", workspace=work)
    (raw / "empty").mkdir()
    with pytest.raises(DpedBuildError, match=r"empty: no photos in it \(JPEG"):
        align_folders(raw / "empty", raw / "canon", workspace=work)
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        align_folders(raw / "nowhere", raw / "canon", workspace=work)


def test_cameras_are_called_as_their_folders_were_given(raw, monkeypatch):
    (raw / "pixel").symlink_to(raw / "iphone")
    as_given = PairingSettings()
    names = camera_names(raw / "pixel", raw / "canon", as_given)
    assert names == {"phone_camera": "pixel", "dslr_camera": "canon"}
    monkeypatch.chdir(raw / "iphone")
    names = camera_names(Path(), Path("..") / "canon", as_given)
    assert names == {"phone_camera": "iphone", "dslr_camera": "canon"}
    names = camera_names(raw / "a" / "photos", raw / "b" / "photos", as_given)
    assert names == {"phone_camera": "phone", "dslr_camera": "dslr"}


def test_a_camera_s_name_may_be_given(raw, tmp_path):
    folders = map(str, (raw / "iphone", raw / "canon"))
    words = ["align", *folders, "-w", str(tmp_path), "--phone-camera", "iPhone 13"]
    done = CliRunner().invoke(cli, [*words, "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "aligned/iPhone 13" / f"{GOOD[0]}.jpg").is_file()
    manifest = json.loads((tmp_path / "aligned/manifest.json").read_text())
    assert [manifest[f"{side}_camera"] for side in ("phone", "dslr")] == [
        "iPhone 13",
        "canon",
    ]
    done = CliRunner().invoke(cli, [*words[:5], "--jobs", "1"])
    assert "made with phone-camera = iPhone 13, now iphone; add --force" in done.output


@pytest.mark.parametrize(
    "names, message",
    [
        ({"phone_camera": "a/b"}, "--phone-camera 'a/b': must be a name"),
        ({"phone_camera": "manifest.json"}, "--phone-camera .*: must be a name"),
        ({"dslr_camera": ".."}, r"--dslr-camera '\.\.': must be a name"),
        ({"dslr_camera": "two\nlines"}, "--dslr-camera .*: must be a name"),
        ({"dslr_camera": "iphone"}, "both cameras would be called iphone"),
    ],
)
def test_a_name_that_is_no_folder_s_is_refused(raw, tmp_path, names, message):
    with pytest.raises(UsageError, match=message):
        align_folders(
            raw / "iphone",
            raw / "canon",
            workspace=tmp_path,
            pairing=PairingSettings(**names),
        )


def test_jobs_and_workers_are_two_ways_to_say_one_thing(raw, tmp_path):
    cameras = raw / "iphone", raw / "canon"
    with pytest.raises(UsageError, match="give one of them"):
        align_folders(*cameras, workspace=tmp_path / "w", jobs=1, workers=Workers(1))
