"""Edits, copies and odd names in two folders, as the alignment sees them."""

import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image
from two_folders import align, records

from dped_build.align.settings import PairingSettings
from dped_build.cli import cli
from dped_build.workspace.errors import DpedBuildError, UsageError


def stamped(path, taken, quality=90):
    """Save the photo anew, so that its bytes differ, with a time."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    with Image.open(path) as photo:
        photo.load()
        photo.save(path, exif=exif, quality=quality)


def messages(work):
    found = records(work).values()
    return {record["pair"]: record["message"] for record in found if record["message"]}


@pytest.mark.parametrize(
    "name, what",
    [
        ("0002-edited", "edit"),
        ("0002-bearbeitet", "edit"),
        ("0002 2", "copy"),
        ("0002 (1)", "copy"),
    ],
)
@pytest.mark.parametrize("how", ["name", "order", "sequence"])
def test_the_original_is_taken_and_the_other_is_told(raw, work, name, what, how):
    other = raw / "iphone" / f"{name}.jpg"
    shutil.copy(raw / "iphone/0002.jpg", other)
    if what == "edit":
        stamped(other, "2024:06:01 12:00:00")
    summary = align(raw, work, pairing=PairingSettings(pair_by=how))
    assert (summary.pairs, summary.aligned) == (3, 3)
    assert records(work)["0002"]["phone"] == "0002.jpg"
    assert messages(work) == {name: f"{name}.jpg: {what} of 0002.jpg"}


def test_a_numbered_photo_of_another_time_is_no_copy(raw, work):
    for name, taken in (("0002", "12:00:00"), ("0002 (1)", "12:30:00")):
        path = raw / "iphone" / f"{name}.jpg"
        if not path.exists():
            shutil.copy(raw / "iphone/0010.jpg", path)
        stamped(path, f"2024:06:01 {taken}")
    align(raw, work)
    (message,) = messages(work).values()
    assert message == "0002 (1).jpg: no DSLR photo is called 0002 (1)"


def test_names_that_both_cameras_have_are_the_users_own(raw, work):
    for camera in ("iphone", "canon"):
        (raw / camera / "0001.jpg").rename(raw / camera / "0002 2.jpg")
    assert align(raw, work).aligned == 3
    assert not messages(work)


def test_names_that_differ_in_case_or_kind_pair_where_only_one_fits(raw, work):
    (raw / "iphone/0001.jpg").rename(raw / "iphone/IMG_0001.JPG")
    (raw / "canon/0001.jpg").rename(raw / "canon/img_0001.jpg")
    (raw / "iphone/0002.jpg").rename(raw / "iphone/PXL_2.RAW-01.COVER.jpg")
    (raw / "canon/0002.jpg").rename(raw / "canon/PXL_2.jpg")
    assert align(raw, work).aligned == 3
    assert list(records(work)) == ["0010", "IMG_0001", "PXL_2.RAW-01.COVER"]


def test_of_several_names_alike_none_is_guessed(raw, work):
    shutil.copy(raw / "canon/0001.jpg", raw / "canon/img_1.jpg")
    shutil.copy(raw / "canon/0001.jpg", raw / "canon/Img_1.jpg")
    (raw / "iphone/0001.jpg").rename(raw / "iphone/IMG_1.jpg")
    (raw / "canon/0001.jpg").unlink()
    assert align(raw, work).pairs == 2
    assert {"IMG_1", "img_1", "Img_1"} == set(messages(work))


@pytest.mark.parametrize(
    "name, told",
    [
        ("0002.jxl", "0002.jxl is not read; save it as JPEG, PNG or TIFF"),
        (".0002.HEIC.icloud", ".0002.HEIC.icloud is not on this disk yet; download it"),
    ],
)
def test_a_partner_that_is_there_but_not_read_is_named(raw, work, name, told):
    (raw / "iphone/0002.jpg").rename(raw / "iphone" / name)
    assert align(raw, work).aligned == 2
    assert messages(work) == {"0002": f"0002.jpg: {told}"}


def test_a_folder_without_any_photo_says_what_is_there(raw, work):
    for path in (raw / "iphone").iterdir():
        path.rename(path.with_suffix(".jxl"))
    with pytest.raises(DpedBuildError, match=r"3 files are not read: 3 \.jxl"):
        align(raw, work)


def test_a_broken_photo_beside_another_file_of_it_names_the_way_out(raw, work):
    (raw / "canon/0002.dng").write_bytes(b"II*\0")
    data = (raw / "canon/0002.jpg").read_bytes()
    (raw / "canon/0002.jpg").write_bytes(data[: len(data) // 2])
    assert align(raw, work).aligned == 2
    (message,) = messages(work).values()
    assert message.startswith("0002.jpg: the file ends early; copy it again, or move")
    assert "0002.dng of the same shot is then read" in message


def test_raw_and_jpeg_in_sub_folders_are_one_photo_however_they_pair(raw, work):
    for path in (raw / "canon").iterdir():
        for kind, suffix in (("JPG", ".jpg"), ("RAW", ".dng")):
            (raw / "canon" / kind).mkdir(exist_ok=True)
            shutil.copy(path, raw / "canon" / kind / (path.stem + suffix))
        path.unlink()
    for how in ("name", "order"):
        pairing = PairingSettings(pair_by=how, recursive=True)
        assert align(raw, work, pairing=pairing, force=True).aligned == 3
        assert records(work)["0002"]["dslr"] == "JPG/0002.jpg"
    pairing = PairingSettings(prefer="raw", recursive=True)
    assert align(raw, work, pairing=pairing, force=True).aligned == 3
    assert records(work)["0002"]["dslr"] == "RAW/0002.dng"
    with pytest.raises(DpedBuildError, match="prefer = raw, now"):
        align(raw, work, pairing=PairingSettings(recursive=True))
    with pytest.raises(UsageError, match="choose jpeg or raw"):
        PairingSettings(prefer="heif")


def test_the_plan_says_what_is_left_out(raw, work):
    (raw / "iphone/0003.jxl").write_bytes(b"x")
    shutil.copy(raw / "iphone/0002.jpg", raw / "iphone/0002-enhanced.png")
    command = ["align", raw / "iphone", raw / "canon", "-w", work, "--dry-run"]
    text = CliRunner().invoke(cli, list(map(str, command))).output
    assert "left out, phone: 1 file is not read: 1 .jxl\n" in text
    assert "left out, phone: 1 result of enhance\n" in text
    told = CliRunner().invoke(cli, [*map(str, command), "--json"]).output
    assert len(json.loads(told)["notes"]) == 2
