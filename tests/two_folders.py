"""Two folders of small photos, and what the tests of the alignment stage ask of it."""

import json
import subprocess

from PIL import Image

from dped_build.align import align_folders
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.stage import SUMS

RIG = Rig((192, 144), (264, 176), distortion=(0.0, 0.0))
GOOD = ("0001", "0002", "0010")


def make_photos(root, textured):
    """Write three good pairs into `root`/iphone and `root`/canon."""
    for camera in ("iphone", "canon"):
        (root / camera).mkdir(parents=True)
    for seed, name in enumerate(GOOD):
        pair = photograph(textured(seed, (396, 264)), RIG, PhoneLook(), seed=seed)
        for camera, photo in zip(("iphone", "canon"), pair, strict=True):
            Image.fromarray(photo).save(root / camera / f"{name}.jpg", quality=95)
    return root


def align(raw, work, **options):
    options = options if "workers" in options else {"jobs": 1, **options}
    return align_folders(raw / "iphone", raw / "canon", workspace=work, **options)


def records(work):
    lines = (work / "aligned" / "alignment.jsonl").read_text(encoding="utf-8")
    return {record["pair"]: record for record in map(json.loads, lines.splitlines())}


def contents(work, *, but=()):
    """Name → bytes of all that stands in `aligned/`."""
    folder = work / "aligned"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in named.items() if name not in but}


def times(work):
    return {p: p.stat().st_mtime_ns for p in (work / "aligned").rglob("*")}


def check_sums(work):
    ran = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", SUMS],
        cwd=work / "aligned",
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def stop_after(count):
    """A progress callback that interrupts once so many pairs are done."""

    def progress(done, total):
        if done >= count:
            raise KeyboardInterrupt

    return progress


def manifest_of(work):
    return json.loads((work / "aligned" / "manifest.json").read_bytes())
