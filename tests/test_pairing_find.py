"""Folders as people shoot them become pairs, on disk and through the command."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner
from PIL import Image
from two_folders import GOOD, align, contents, records

from dped_build.align import align_folders
from dped_build.align.aligned_folder import read_aligned
from dped_build.align.pairing import find as finding
from dped_build.align.pairing.kept import PAIRING_FILE
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.cli import cli
from dped_build.photos.listing import list_photos
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.json_files import is_plain_path

RENAMED = {"0001": "DSC_0107", "0002": "DSC_0108", "0010": "DSC_0110"}
TIMES = {"0001": "12:00:00", "0002": "12:00:31", "0010": "12:02:10"}


@pytest.fixture
def shoot(raw):
    """iphone/ and canon/ whose names differ; canon's clock is an hour ahead."""
    for name, other in RENAMED.items():
        (raw / "canon" / f"{name}.jpg").rename(raw / "canon" / f"{other}.jpg")
        for path, hour in ((f"iphone/{name}", 12), (f"canon/{other}", 13)):
            stamp(raw / f"{path}.jpg", f"2024:06:01 {hour}{TIMES[name][2:]}")
    return raw


def stamp(path, taken):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    with Image.open(path) as photo:
        photo.load()
        photo.save(path, exif=exif, quality=95)


@pytest.fixture
def days(raw):
    """iphone/ and canon/ with a sub-folder a day; day2 has the names of day1."""
    for camera in ("iphone", "canon"):
        for day, name in (("day1", "0001"), ("day2", "0002")):
            (raw / camera / day).mkdir()
            (raw / camera / f"{name}.jpg").rename(raw / camera / day / "0001.jpg")
    return raw


def pairing(**options):
    return {"pairing": PairingSettings(**options)}


def manifest(work):
    return json.loads((work / "aligned" / "manifest.json").read_bytes())


def partners(work):
    return {name: record["dslr"] for name, record in records(work).items()}


def test_by_name_the_manifest_says_nothing_about_pairing(raw, work):
    align(raw, work, **pairing())
    stated = manifest(work)
    assert "pairing" not in stated
    assert set(stated["settings"]) == set(AlignSettings().to_json())


@pytest.mark.parametrize("how", ["order", "sequence"])
def test_other_names_pair_and_another_pairing_is_refused(shoot, work, how):
    assert align(shoot, work, **pairing(pair_by=how)).aligned == 3
    assert partners(work) == {a: f"{b}.jpg" for a, b in RENAMED.items()}
    assert manifest(work)["settings"]["pair_by"] == how
    before = contents(work)
    assert align(shoot, work, **pairing(pair_by=how)).newly_done == 0
    assert contents(work) == before
    with pytest.raises(DpedBuildError, match=f"pair-by = {how}, now the default"):
        align(shoot, work)


def test_by_time_the_offset_is_recorded(shoot, work):
    offset = {"pair_by": "time", "clock_offset_s": 3600.0}
    assert align(shoot, work, **pairing(**offset)).aligned == 3
    assert partners(work) == {a: f"{b}.jpg" for a, b in RENAMED.items()}
    stated = manifest(work)
    assert stated["settings"]["clock_offset"] == 3600.0
    assert stated["settings"]["time_tolerance"] == 2.0
    assert stated["pairing"] == {"clock_offset_s": 3600.0, "matches": 3}
    with pytest.raises(DpedBuildError, match="--clock-offset"):  # too few to estimate
        align(shoot, work, force=True, **pairing(pair_by="time"))


def test_what_a_sequence_showed_is_kept_until_a_photo_changes(shoot, work, monkeypatch):
    how = pairing(pair_by="sequence")
    align(shoot, work, **how)
    looks = []
    monkeypatch.setattr(finding, "look_at", lambda look: looks.append(look))
    align(shoot, work, **how)
    assert looks == []
    kept = work / SCRATCH / PAIRING_FILE
    document = json.loads(kept.read_bytes())
    document["found"]["pairs"][0][2] = "../../elsewhere.jpg"
    kept.write_text(json.dumps(document))
    with pytest.raises(DpedBuildError, match="worker process died on 6 photos"):
        align(shoot, work, **how)
    assert len(looks) == 6


@pytest.mark.parametrize(
    ("minutes", "order", "by"),
    [
        ((3, 2, None, 1), "3120", "time"),  # by name, 2 comes after 1
        ((None, 3, 2, 1), "0321", "time"),  # 0 comes first
        ((3, 2, None, None), "0123", "name"),  # half of them are not most
    ],
)
def test_a_sequence_goes_by_time_where_most_photos_state_one(minutes, order, by):
    photos = [Path(f"{number}.jpg") for number in range(len(minutes))]
    times = [m and datetime(2024, 6, 1, 12, m) for m in minutes]
    shown, told = finding._as_taken(photos, [(time, None) for time in times])
    assert ("".join(photo.stem for photo in shown), told) == (order, by)


def test_photos_of_sub_folders_are_aligned_under_their_path(days, work):
    summary = align(days, work, **pairing(recursive=True))
    assert (summary.pairs, summary.aligned) == (3, 3)
    found = records(work)
    assert list(found) == ["0010", "day1-0001", "day2-0001"]
    assert found["day2-0001"]["phone"] == "day2/0001.jpg"
    assert (work / "aligned/iphone/day2-0001.jpg").is_file()
    aligned = read_aligned(work)
    record = aligned.records["day2-0001"]
    assert aligned.paths(record)[1] == (days / "canon/day2/0001.jpg").resolve()
    assert aligned.changed(record, rehash=True) is None
    assert align(days, work, **pairing(recursive=True)).newly_done == 0
    with pytest.raises(DpedBuildError, match="recursive = True, now the default"):
        align(days, work)


def test_a_folder_that_became_a_link_elsewhere_is_a_changed_photo(days, work, tmp_path):
    align(days, work, **pairing(recursive=True))
    (days / "iphone/day2").rename(tmp_path / "away")
    (days / "iphone/day2").symlink_to(tmp_path / "away")
    aligned = read_aligned(work)
    assert aligned.changed(aligned.records["day2-0001"]).endswith("day2/0001.jpg")
    with pytest.raises(DpedBuildError, match="day2: a link that leads out of"):
        align(days, work, **pairing(recursive=True))


def test_links_in_a_circle_end_and_hidden_folders_are_passed_over(days):
    (days / "iphone/day1/up").symlink_to(days / "iphone")
    (days / "iphone/day1/self").symlink_to(days / "iphone/day1")
    shutil.copytree(days / "iphone/day1", days / "iphone/.trash", symlinks=True)
    found = list_photos(days / "iphone", recursive=True)
    names = [photo.relative_to(days / "iphone").as_posix() for photo in found]
    assert names == ["0010.jpg", "day1/0001.jpg", "day2/0001.jpg"]


def test_folders_within_each_other_are_refused(days, work):
    with pytest.raises(UsageError, match="keep them apart"):
        align_folders(days, days / "canon", workspace=work, **pairing(recursive=True))
    with pytest.raises(UsageError, match="data lies in"):
        align(days, days / "iphone/data", **pairing(recursive=True))


@pytest.mark.parametrize(
    "path, plain",
    [
        ("a.jpg", True),
        ("day1/a.jpg", True),
        ("é/ö/a b.jpg", True),
        ("..", False),
        ("../a", False),
        ("a/../b", False),
        ("a/./b", False),
        ("/a", False),
        ("a//b", False),
        ("a/", False),
        ("a/b\\c", False),
        ("a/b\0", False),
        ("", False),
        (None, False),
    ],
)
def test_a_record_names_no_path_out_of_its_folder(path, plain):
    assert is_plain_path(path) is plain


@pytest.mark.parametrize(
    "options, told",
    [
        ({"pair_by": "luck"}, "choose name, order"),
        ({"pair_by": "order", "pairs_csv": "x.csv"}, "give one of them"),
        ({"clock_offset_s": 3.0}, "is for --pair-by time"),
        ({"pair_by": "time", "clock_offset_s": float("nan")}, "number of seconds"),
        ({"pair_by": "time", "time_tolerance_s": -1.0}, "not below 0"),
    ],
)
def test_pairing_that_cannot_be_meant_is_refused(options, told):
    with pytest.raises(UsageError, match=told):
        PairingSettings(**options)


def run(raw, work, *options):
    command = ["align", raw / "iphone", raw / "canon", "-w", work, *options]
    result = CliRunner().invoke(cli, [str(part) for part in (*command, "--jobs", 1)])
    return result.exit_code, result.output


def test_a_dry_run_shows_pairs_and_leftovers(shoot, work):
    (shoot / "canon/DSC_0108.jpg").unlink()
    code, text = run(shoot, work, "--pair-by", "sequence", "--dry-run")
    assert code == 0
    assert "  0001: 0001.jpg ↔ DSC_0107.jpg\n" in text
    assert "1 photo left over\n  phone 0002.jpg (no_partner): " in text
    assert not (work / "aligned").exists()
    (shoot / "pairs.csv").write_text("phone,dslr\n0010,DSC_0107\n")
    listed = ("--pairs", shoot / "pairs.csv", "--dry-run", "--json")
    plan = json.loads(run(shoot, work, *listed)[1])
    pair = {"pair": "0010", "phone": "0010.jpg", "dslr": "DSC_0107.jpg"}
    assert plan["matched"] == [pair]
    assert [left["photo"] for left in plan["left_over"]] == [
        "0001.jpg",
        "0002.jpg",
        "DSC_0110.jpg",
    ]
    assert {left["message"] for left in plan["left_over"][:1]} == {
        "0001.jpg: not in pairs.csv"
    }


def test_a_long_dry_run_shows_the_first_and_the_last(raw, work):
    for number in range(100, 140):
        for camera in ("iphone", "canon"):
            (raw / camera / f"{number}.jpg").hardlink_to(raw / camera / "0001.jpg")
    code, text = run(raw, work, "--dry-run")
    assert code == 0
    assert "  0001: " in text and "  139: " in text and "  120: " not in text
    assert "… 23 more (--json shows all)" in text


def test_names_that_never_meet_are_told_what_would_fit(shoot, work):
    code, text = run(shoot, work)
    assert code == 1
    assert "try --pair-by order: both folders hold 3 photos (add --force)" in text
    (shoot / "canon/DSC_0110.jpg").unlink()
    _, text = run(shoot, work, "--force")
    assert "try --pair-by time: the photos have capture times" in text
    _, text = run(shoot, work, "--force", "--pair-by", "time")
    assert "--pair-by sequence, or state DSLR clock minus phone clock" in text


def test_a_probe_that_fails_names_the_pairing_that_fits(raw, work, textured):
    """Sixty pairs whose DSLR photos are one off: without times, only looking helps."""
    for camera in ("iphone", "canon"):
        for name in GOOD:
            (raw / camera / f"{name}.jpg").unlink()
        for number in range(60):
            photo = cv2.resize(textured(number % 4, (160, 120)), (80, 60))
            shown = photo if camera == "iphone" else 255 - photo[::-1]
            Image.fromarray(shown).save(raw / camera / f"{number:02d}.jpg")
    with pytest.raises(DpedBuildError, match=r"0 of 20 .* try --pair-by sequence"):
        align(raw, work)


def test_two_exchanged_photos_are_noticed(raw, work):
    canon = raw / "canon"
    for old, new in (("0001", "x"), ("0002", "0001"), ("x", "0002")):
        (canon / f"{old}.jpg").rename(canon / f"{new}.jpg")
    assert align(raw, work).exchanged == [("0001", "0002")]
    code, text = run(raw, work)
    assert (code, "seem to be" in text) == (0, False)  # nothing new was looked at
    code, text = run(raw, work, "--force")
    assert "0001 and 0002 look exchanged" in text
