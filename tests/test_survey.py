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
