"""A dry run says what the two folders hold."""

import io
import json
from datetime import datetime, timedelta

import numpy as np
from click.testing import CliRunner
from merging import save
from PIL import Image, ImageCms

from dped_build.cli import cli

NOON = datetime(2024, 6, 1, 12)


def stamped(path, taken, *, size=(60, 40), **options):
    exif = Image.Exif()
    exif[0x010F] = "Maker"  # of an empty first directory Pillow writes nothing
    for tag, text in taken.items():
        exif.get_ifd(0x8769)[tag] = text
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size).save(path, exif=exif, **options)


def dry_run(folder, *options):
    command = ["align", folder / "phone", folder / "dslr", "-w", folder / "work"]
    result = CliRunner().invoke(cli, list(map(str, [*command, "--dry-run", *options])))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_kinds_sizes_colours_times_and_clocks_of_two_folders_are_told(tmp_path):
    profile = io.BytesIO(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    for n in range(4):
        taken = {0x9003: f"2024:06:01 12:0{n}:00", 0x9011: "+02:00"}
        path = tmp_path / "phone" / f"{n}.jpg"
        stamped(path, taken, icc_profile=profile.getvalue() if n else None)
        late = {0x9004: f"2024:06:01 13:0{n}:30"} if n < 3 else {0x9003: "0000:00:00"}
        stamped(tmp_path / "dslr" / f"{n}.png", late, size=(90, 60 + n // 3))
    (tmp_path / "dslr/9.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    phone, dslr, clocks = dry_run(tmp_path).splitlines()[:3]
    assert phone == (
        "phone: 4 photos: JPEG; 60x40 px; 3 sRGB (ICC), 1 sRGB (not stated); taken "
        "2024-06-01 12:00:00 to 2024-06-01 12:03:00 (UTC+2:00)"
    )
    assert dslr == (
        "DSLR: 5 photos: PNG; 3 90x60 px, 1 90x61 px; sRGB (not stated); taken "
        "2024-06-01 13:00:30 to 2024-06-01 13:02:30 (3 by the time digitised, 1 "
        "without a time); 1 cannot be read"
    )
    assert clocks == "clocks: DSLR minus phone 1:00:30 (median)"
    assert json.loads(dry_run(tmp_path, "--json"))["seen"] == [phone, dslr, clocks]


def test_pairs_whose_clocks_do_not_fit_are_named(tmp_path):
    for n in range(6):
        for camera in ("phone", "dslr"):
            (tmp_path / camera).mkdir(exist_ok=True)
            late = timedelta(minutes=10 * n, seconds=61 * (camera == "dslr" and n == 4))
            photo = np.zeros((40, 60, 3), np.uint8)
            save(tmp_path / camera / f"{n}.jpg", photo, NOON + late)
    text = dry_run(tmp_path)
    assert (
        "clocks: DSLR minus phone 0 s (median); 1 pair off by more than 60 s: 4\n"
        in text
    )


def doctor(*arguments):
    return CliRunner().invoke(cli, ["doctor", *map(str, arguments)])


def two_cameras(folder, *, dslr_name):
    for n in range(2):
        taken = {0x9003: f"2024:06:01 12:0{n}:00"}
        stamped(folder / "phone" / f"{n}.jpg", taken)
        stamped(folder / "dslr" / dslr_name.format(n), taken, size=(90, 60))
    return folder / "phone", folder / "dslr"


def test_doctor_says_of_two_folders_what_a_dry_run_says(tmp_path):
    folders = two_cameras(tmp_path, dslr_name="{}.png")
    ran = doctor(*folders)
    assert ran.exit_code == 0
    told = ran.stdout.splitlines()
    assert told[:-1] == dry_run(tmp_path).splitlines()
    assert told[-1].startswith("(next: dped-build align ")
    assert json.loads(doctor(*folders, "--json").stdout)["seen"] == told[:3]


def test_doctor_suggests_another_pairing_where_no_name_fits(tmp_path):
    ran = doctor(*two_cameras(tmp_path, dslr_name="DSC_{}.png"))
    assert "0 pairs by name" in ran.stdout
    assert "try --pair-by order: both folders hold 2 photos" in ran.stdout


def test_doctor_tells_what_one_folder_holds_and_writes_nothing(tmp_path):
    phone, _ = two_cameras(tmp_path, dslr_name="{}.png")
    stamped(phone / "1-edited.jpg", {})
    (phone / "2.jxl").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    ran = doctor(phone)
    assert ran.exit_code == 0
    seen, *left_out = ran.stdout.splitlines()
    assert seen.startswith(f"{phone}: 2 photos: JPEG; 60x40 px; sRGB (not stated)")
    assert "left out, 1-edited.jpg: edit of 1.jpg" in left_out
    assert any(".jxl" in line for line in left_out)
    assert json.loads(doctor(phone, "--json").stdout)["seen"] == seen
    assert sorted(tmp_path.rglob("*")) == before


def test_doctor_refuses_three_folders_and_one_that_is_not_there(tmp_path):
    assert doctor(tmp_path, tmp_path, tmp_path).exit_code == 2
    ran = doctor(tmp_path / "gone")
    assert ran.exit_code == 2
    assert "gone: no such folder" in ran.output
