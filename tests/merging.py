"""Days of shooting for the tests of `merge`: small photos, aligned and cut."""

import json
import shutil
from datetime import datetime, timedelta

from PIL import Image

from dped_build.align import align_folders
from dped_build.patches import PatchSettings, build_shards
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.stage import SUMS, write_sums

RIG = Rig((192, 144), (264, 176), distortion=(0.0, 0.0))
SETTINGS = PatchSettings(size=48)
CAMERAS = ("iphone", "canon")


def shoot(root, textured, names, *, day=1, gap=timedelta(hours=1)):
    """Photos `names` of one day below `root`/iphone and `root`/canon, `gap` apart."""
    start = datetime(2024, 6, day, 9)
    for camera in CAMERAS:
        (root / camera).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        seed = 100 * day + number
        pair = photograph(textured(seed, (396, 264)), RIG, PhoneLook(), seed=seed)
        for camera, photo in zip(CAMERAS, pair, strict=True):
            save(root / camera / f"{name}.jpg", photo, start + number * gap)
    return root


def save(path, photo, taken):
    """A photo with its EXIF time; None for none."""
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    Image.fromarray(photo).save(path, quality=95, exif=exif)


def align(raw, workspace, **options):
    folders = (raw / camera for camera in CAMERAS)
    align_folders(*folders, workspace=workspace, jobs=1, **options)
    return workspace


def cut(workspace, **options):
    return build_shards(workspace, settings=SETTINGS, jobs=1, **options)


def part_of(whole, part, pairs):
    """A workspace with some of the pairs of an alignment, as if they alone were done.

    The photos and the names of their folders stay those of the whole set.
    """
    shutil.copytree(whole / "aligned", part / "aligned")
    folder = part / "aligned"
    lines = (folder / "alignment.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["pair"] in pairs]
    (folder / "alignment.jsonl").write_text("".join(f"{line}\n" for line in kept))
    local = json.loads((folder / "local.json").read_text())
    records = [json.loads(line) for line in kept]
    for camera in ("phone", "dslr"):
        mine = {record[camera] for record in records}
        files = local["files"][camera]
        local["files"][camera] = {k: v for k, v in files.items() if k in mine}
    (folder / "local.json").write_text(json.dumps(local))
    for crop in folder.rglob("*.jpg"):
        if crop.stem not in pairs:
            crop.unlink()
    (folder / SUMS).unlink()
    write_sums(folder)
    return part


def tree(workspace, *, but=()):
    """File name → bytes of both stages."""
    return {
        path.relative_to(workspace).as_posix(): path.read_bytes()
        for stage in ("aligned", "patches")
        for path in sorted((workspace / stage).rglob("*"))
        if path.is_file() and path.name not in but
    }


def states(workspace):
    """File name → all that tells whether a file was written to."""
    stats = {path: path.stat() for path in sorted(workspace.rglob("*"))}
    return {path: (s.st_ino, s.st_mtime_ns, s.st_size) for path, s in stats.items()}
