"""Whatever lies in the folders: a photo or its reason, in little time and memory."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mutations import (
    ALIEN,
    NAMES,
    NOT_PLAIN,
    bombs,
    cuts,
    damaged,
    mutate,
    picture,
    plant,
    saved,
    seeds,
)
from PIL import Image

from dped_build.align import align_folders
from dped_build.align.pairing.by_name import pair_by_name
from dped_build.exchange.import_patches import import_patches
from dped_build.patches import PatchSettings, build_shards
from dped_build.patches.folder import read_pixels, read_rows
from dped_build.photos.listing import list_photos
from dped_build.photos.reading import read_photo
from dped_build.train.architecture import Architecture
from dped_build.train.enhancing.enhance import enhance_files
from dped_build.train.enhancing.enhance_settings import EnhanceSettings
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.workspace.errors import PhotoError, PhotoMemoryError

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from fuzz_photos import REASONS, SOUND, Reader, fuzz

FOUND = Path(__file__).with_name("fuzz_seeds")
GOOD = ("2", "10", "12")
TOO_LARGE = ("declared", "largest", "wide", "high")
HARMLESS = (  # a whole photo beside what is odd about them
    *("pixel.png", "pixel.jpg", "pixel.tif", "inflating.png", "frames.png"),
    *("no_palette.png", "loop.jpg", "crowd.jpg", "xmp.jpg", "icc_noise.jpg"),
    *("icc_tags.jpg", "icc_grey.png", "icc_parts.jpg", "mpf.jpg", "psd.jpg"),
    *("trailing.jpg", "tiled.tif", "exif_parts.jpg"),
)
CUT = ("next_page.tif", "no_strips.tif")


def expected_of_bombs():
    """Name → `photo` or the reason that tells best what is wrong."""
    reasons = {}
    for name in bombs():
        large = name.split(".")[0] in TOO_LARGE
        reasons[name] = "too_large" if large else "unreadable"
    return reasons | dict.fromkeys(HARMLESS, "photo") | dict.fromkeys(CUT, "truncated")


def write(path, data):
    path.write_bytes(data)
    return path


def refused(path):
    """The reason of a file that must not come out as a photo."""
    with pytest.raises(PhotoError) as caught:
        read_photo(path, max_megapixels=20)
    assert str(caught.value).isprintable()
    return caught.value.reason


@pytest.mark.parametrize("name", seeds())
def test_a_file_cut_anywhere_is_truncated_or_whole(tmp_path, name):
    data = seeds()[name]
    path = write(tmp_path / name, data)
    whole, reasons = read_photo(path), []
    for part in cuts(data):
        write(path, part)
        try:  # further pages, or what stands behind the pixels
            np.testing.assert_array_equal(read_photo(path), whole)
        except PhotoError as error:
            known = len(part) >= 8  # bytes, that say what it is
            assert error.reason in ("truncated",) if known else REASONS
            reasons.append(error.reason)
    assert len(reasons) > len(cuts(data)) / 2
    assert "truncated" in reasons


@pytest.mark.parametrize("name", seeds())
def test_the_content_decides_and_not_the_suffix(tmp_path, name):
    photo = read_photo(write(tmp_path / name, seeds()[name]))
    for suffix in ("jpg", "png", "TIFF"):
        path = write(tmp_path / f"a.{suffix}", seeds()[name])
        np.testing.assert_array_equal(read_photo(path), photo)


def test_every_bomb_is_read_or_refused_for_what_is_wrong_with_it(tmp_path):
    outcomes = {}
    with Reader() as reader:
        for name, data in bombs().items():
            outcomes[name] = reader.read(write(tmp_path / name, data))
    assert outcomes == expected_of_bombs()


def test_what_is_no_photo_is_unreadable_at_once(tmp_path):
    reasons = {name: refused(tmp_path / name) for name in plant(tmp_path)}
    assert reasons.pop("endless.jpg") == "too_large"
    assert set(reasons.values()) == {"unreadable"}
    for name, data in ALIEN.items():
        assert refused(write(tmp_path / f"{name}.jpg", data)) == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_photo_without_permission_says_so(tmp_path):
    path = write(tmp_path / "a.png", seeds()["rgb.png"])
    path.chmod(0)
    assert refused(path) == "unreadable"


def test_permission_denied_by_the_system_is_unreadable(tmp_path, monkeypatch):
    path = write(tmp_path / "a.png", seeds()["rgb.png"])

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dped_build.photos.reading.HeaderFile", deny)
    with pytest.raises(PhotoError, match=r"a\.png: no permission to read it"):
        read_photo(path)


def test_too_little_memory_costs_the_photo_alone(tmp_path, monkeypatch):
    path = write(tmp_path / "a.png", seeds()["rgb.png"])

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("dped_build.photos.reading.in_srgb", fail)
    with pytest.raises(PhotoMemoryError, match="not enough memory") as caught:
        read_photo(path)
    assert caught.value.reason == "too_large"


def test_mutated_photos_raise_nothing_but_reasons(tmp_path):
    rng, good, outcomes = random.Random(0), seeds(), []
    for number in range(600):
        name = rng.choice(list(good))
        path = write(tmp_path / f"{number}-{name}", mutate(good[name], rng))
        try:
            photo = read_photo(path, max_megapixels=20)
        except PhotoError as error:
            assert error.reason in REASONS
            outcomes.append(error.reason)
        else:
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
            outcomes.append("photo")
    assert {"photo", "unreadable", "truncated"} <= set(outcomes)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.*")), ids=lambda path: path.name)
def test_what_fuzzing_once_found_does_no_harm_again(path):
    with Reader() as reader:
        assert reader.read(path) in SOUND


def test_the_judge_sees_harm(tmp_path):
    with Reader() as reader:
        good = write(tmp_path / "a.png", seeds()["rgb.png"])
        assert reader.read(good) == "photo"
        assert reader.read(tmp_path / "missing.jpg") == "unreadable"
        reader._process.kill()
        assert reader.read(good) == "crash"
        assert reader.read(good) == "photo"


def test_three_thousand_damaged_files_cost_neither_time_nor_memory(tmp_path):
    outcomes, harm = [], {}
    with Reader() as reader:
        for name, data in damaged(random.Random(0), mutated=2000):
            path = write(tmp_path / name, data)
            outcomes.append(reader.read(path))
            if outcomes[-1] not in SOUND:
                harm[name] = outcomes[-1]
            path.unlink()
    assert harm == {}
    assert len(outcomes) >= 3000
    assert all(outcomes.count(reason) > 10 for reason in SOUND)


@pytest.mark.soak
def test_ten_minutes_of_fuzzing_find_nothing(tmp_path):
    for extra in ("pillow_heif", "rawpy"):
        pytest.importorskip(extra)
    outcomes = fuzz(600, random.SystemRandom().randrange(10**6), tmp_path / "found")
    assert set(outcomes) == {*SOUND}


def bad_files(folder):
    """Plant about sixty files that are no photos; returns name → reason."""
    reasons = dict.fromkeys(plant(folder), "unreadable") | {"endless.jpg": "too_large"}
    for name, reason in expected_of_bombs().items():
        if reason != "photo":
            stem, suffix = name.split(".")
            path = write(folder / f"{stem}-{suffix}.{suffix}", bombs()[name])
            reasons[path.name] = reason
    for number, (name, data) in enumerate(seeds().items()):
        path = write(folder / f"cut-{number}-{name}", data[: len(data) // 3])
        reasons[path.name] = "truncated"
    for name, data in ALIEN.items():
        write(folder / f"alien-{name}.jpg", data)
        reasons[f"alien-{name}.jpg"] = "unreadable"
    (folder / "empty.tif").touch()
    return reasons | {"empty.tif": "unreadable"}


def records_of(workspace):
    lines = (workspace / "aligned/alignment.jsonl").read_bytes().splitlines()
    return {record["pair"]: record for record in map(json.loads, lines)}


def shown(workspace, pair):
    """All that the stages wrote of a pair, but for its split."""
    crops = sorted(workspace.glob(f"aligned/*/{pair}.jpg"))
    found = [crop.read_bytes() for crop in crops]
    found.append(json.dumps(records_of(workspace)[pair]).encode())
    for path in sorted(workspace.glob("patches/*.h5")):
        table = read_rows(path).by_pair().get(pair)
        if table is not None:
            found += [getattr(table, n).tobytes() for n in vars(table)]
        if table is not None and path.name != "windows.h5":
            before = [len(t) for name, t in read_rows(path).by_pair().items()]
            start = sum(before[: list(read_rows(path).by_pair()).index(pair)])
            rows = [(path, start + n) for n in range(len(table))]
            found += [pixels.tobytes() for pixels in read_pixels(rows)]
    return found


@pytest.fixture
def three_pairs(photo_set, tmp_path):
    """raw/phone and raw/dslr with three good pairs."""
    for camera, suffix in (("phone", "jpg"), ("dslr", "png")):
        (tmp_path / "raw" / camera).mkdir(parents=True)
        for pair in GOOD:
            name = f"raw/{camera}/{pair}.{suffix}"
            shutil.copy2(photo_set / name, tmp_path / name)
    return tmp_path / "raw"


def both_stages(raw, workspace):
    cameras = raw / "phone", raw / "dslr"
    aligned = align_folders(*cameras, workspace=workspace, jobs=2)
    return aligned, build_shards(workspace, settings=PatchSettings(size=64), jobs=2)


def test_eighty_bad_photos_cost_their_pairs_and_nobody_else(three_pairs, tmp_path):
    both_stages(three_pairs, tmp_path / "clean")
    reasons = {}
    for camera, other, partner in (
        ("phone", "dslr", "2.png"),
        ("dslr", "phone", "2.jpg"),
    ):
        (tmp_path / camera).mkdir()
        for name, reason in bad_files(tmp_path / camera).items():
            stem = f"bad-{camera}-{name.replace('.', '-')}"
            bad = three_pairs / camera / (stem + Path(name).suffix)
            (tmp_path / camera / name).rename(bad)
            good = three_pairs / other / partner
            os.link(good, good.with_name(stem + good.suffix))
            reasons[stem] = reason
    assert len(reasons) > 120
    aligned, patched = both_stages(three_pairs, tmp_path / "mixed")
    records = records_of(tmp_path / "mixed")
    outcomes = {n: (r["status"], r["reason"]) for n, r in records.items()}
    assert outcomes == {
        **dict.fromkeys(GOOD, ("aligned", None)),
        **{name: ("failed", reason) for name, reason in reasons.items()},
    }
    assert (aligned.aligned, patched.photos) == (3, 3)
    for pair in GOOD:
        clean, mixed = (shown(tmp_path / w, pair) for w in ("clean", "mixed"))
        assert len(clean) > 15
        assert mixed == clean
    for record in records.values():
        assert record["message"] is None or record["message"].isprintable()


def test_names_of_any_kind_are_paired_or_refused_by_name(tmp_path):
    folders = [tmp_path / "phone", tmp_path / "dslr"]
    names = [os.fsencode(name) for name in NAMES]
    for folder in folders:
        folder.mkdir()
        for name in (*names, *NOT_PLAIN):
            (folder / os.fsdecode(name + b".jpg")).touch()
    pairs = pair_by_name(*map(list_photos, folders))
    whole = {pair.name for pair in pairs if pair.reason is None}
    assert whole == set(NAMES)
    rest = [pair for pair in pairs if pair.reason is not None]
    assert len(rest) == 2 * len(NOT_PLAIN)
    assert {pair.reason for pair in rest} == {"unreadable"}
    assert len({pair.name for pair in pairs}) == len(pairs)
    for pair in rest:
        assert pair.name.isprintable() and f"{pair.message}".isprintable()


def test_the_stages_take_photos_of_any_name(three_pairs, tmp_path):
    for camera, suffix in (("phone", ".jpg"), ("dslr", ".png")):
        good = three_pairs / camera / f"2{suffix}"
        for name in (*map(os.fsencode, NAMES), *NOT_PLAIN):
            os.link(good, good.with_name(os.fsdecode(name) + suffix))
    command = [Path(sys.executable).with_name("dped-build"), "--workspace"]
    workspace = tmp_path / "work"
    for arguments in (
        ("align", three_pairs / "phone", three_pairs / "dslr"),
        ("patches", "--size", "64"),
        ("report",),
        ("verify",),
    ):
        ran = subprocess.run(
            [command[0], *arguments, "-w", workspace], capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()
        assert b"Traceback" not in ran.stderr
    records = records_of(workspace)
    aligned = {name for name, r in records.items() if r["status"] == "aligned"}
    assert aligned == {*GOOD, *NAMES}
    assert len(records) == len(aligned) + 2 * len(NOT_PLAIN)
    assert {r["reason"] for r in records.values()} == {None, "unreadable"}
    tables = read_rows(workspace / "patches/windows.h5").by_pair()
    assert set(tables) == aligned


def test_enhance_refuses_bad_photos_and_goes_on(tmp_path):
    torch.manual_seed(0)
    model = tmp_path / "generator.pt"
    architecture = Architecture(model="srcnn")
    save_generator(model, build_generator(architecture), architecture)
    (tmp_path / "in").mkdir()
    bad = bad_files(tmp_path / "in")
    for name in NOT_PLAIN:
        path = tmp_path / "in" / os.fsdecode(name + b".jpg")
        bad[write(path, seeds()["baseline.jpg"]).name] = "unreadable"
    write(tmp_path / "in" / "good.jpg", seeds()["baseline.jpg"])
    settings = EnhanceSettings(device="cpu", max_megapixels=20)
    out = tmp_path / "out"
    done = enhance_files(model, [tmp_path / "in"], out=out, settings=settings)
    assert done.written == [out / "good-enhanced.png"]
    assert [path.name for path in out.iterdir()] == ["good-enhanced.png"]
    assert {Path(path).name for path in done.failed} == set(bad)
    assert all(message.isprintable() for message in done.failed.values())


def test_import_refuses_bad_patches_and_keeps_the_rest(tmp_path):
    source = tmp_path / "pairs"
    for camera in ("iphone", "canon"):
        (source / camera).mkdir(parents=True)
    bad = bad_files(source / "iphone")
    good = saved(Image.fromarray(picture((32, 32))), "PNG")
    for stem in (*(Path(name).stem for name in bad), *map(str, range(90))):
        write(source / "canon" / f"{stem}.png", good)
    for number in range(90):
        write(source / "iphone" / f"{number}.png", good)
    for name in NOT_PLAIN:
        write(source / "iphone" / os.fsdecode(name + b".png"), good)
    summary = import_patches(source, tmp_path / "out", jobs=1)
    assert sum(split["patches"] for split in summary.splits.values()) == 90
    reasons = {line["pair"]: line["reason"] for line in summary.failed}
    assert reasons.items() >= {
        (f"iphone/{Path(name).stem}", reason) for name, reason in bad.items()
    }
    assert len(reasons) == len(bad) + len(NOT_PLAIN)
    for line in summary.failed:
        assert line["message"].isprintable()
