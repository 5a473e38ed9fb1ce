"""Running `align` again: what is finished stays, what changed is redone."""

import json
import os
import shutil

import pytest
from PIL import Image
from two_folders import align, check_sums, contents, records, stop_after, times

from dped_build.align import AlignSettings, align_folders, folders
from dped_build.align.aligned_folder import read_aligned
from dped_build.parallel.executor import Workers
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import DpedBuildError, PhotoMemoryError
from dped_build.workspace.stage import (
    SUMS,
)


def test_running_again_does_nothing(raw, work):
    align(raw, work)
    before = times(work)
    summary = align(raw, work)
    assert (summary.newly_done, summary.aligned) == (0, 3)
    assert times(work) == before
    assert align(raw, work, rehash=True).newly_done == 0
    assert times(work) == before
    assert [path.name for path in (work / SCRATCH).iterdir()] == ["lock"]


def test_touched_photo_with_the_same_content_is_not_redone(raw, work):
    align(raw, work)
    before = contents(work, but=("local.json", SUMS))
    os.utime(raw / "iphone" / "0002.jpg", ns=(1, 1))
    assert align(raw, work).newly_done == 0
    assert contents(work, but=("local.json", SUMS)) == before
    check_sums(work)


def test_moved_photos_are_not_redone(raw, work):
    align(raw, work)
    other = raw.rename(raw.parent / "elsewhere")
    assert align(other, work).newly_done == 0
    assert read_aligned(work).phone_root == (other / "iphone").resolve()


def test_added_photo_only_adds(raw, work):
    for camera in ("iphone", "canon"):
        (raw / camera / "0002.jpg").rename(raw / f"{camera} later.jpg")
    align(raw, work)
    before = contents(
        work, but=("alignment.jsonl", "manifest.json", "local.json", SUMS)
    )
    assert list(records(work)) == ["0001", "0010"]
    for camera in ("iphone", "canon"):
        (raw / f"{camera} later.jpg").rename(raw / camera / "0002.jpg")
    assert align(raw, work).newly_done == 1
    after = contents(work)
    assert {name: after[name] for name in before} == before
    align(raw, work.with_name("at once"))
    assert after == contents(work.with_name("at once"))
    check_sums(work)


def test_removed_photo_goes_from_the_records(raw, work):
    align(raw, work)
    (raw / "canon" / "0002.jpg").unlink()
    assert align(raw, work).newly_done == 0
    assert records(work)["0002"]["reason"] == "no_partner"
    assert "iphone/0002.jpg" not in contents(work)
    check_sums(work)


def test_changed_photo_is_redone(raw, work):
    align(raw, work)
    shutil.copy(raw / "canon" / "0001.jpg", raw / "canon" / "0002.jpg")
    assert align(raw, work).newly_done == 1
    assert records(work)["0002"]["status"] == "rejected"
    align(raw, work.with_name("at once"))
    assert contents(work) == contents(work.with_name("at once"))


def test_same_size_and_time_hide_a_change_until_rehash(raw, work):
    path = raw / "iphone" / "0001.jpg"
    align(raw, work)
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert align(raw, work).newly_done == 0
    assert align(raw, work, rehash=True).newly_done == 1


def test_deleted_crop_is_made_again(raw, work):
    align(raw, work)
    before = contents(work)
    (work / "aligned" / "canon" / "0002.jpg").unlink()
    assert align(raw, work).newly_done == 1
    assert contents(work) == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_interrupted_run_goes_on_where_it_stopped(raw, work, jobs):
    with pytest.raises(KeyboardInterrupt):
        align(raw, work, jobs=jobs, progress=stop_after(2))
    assert not (work / "aligned").exists()
    summary = align(raw, work)
    assert (summary.newly_done, summary.aligned) == (1, 3)
    assert not (work / SCRATCH / "aligned-work").exists()
    align(raw, work.with_name("at once"))
    assert contents(work) == contents(work.with_name("at once"))


def damaged(line, **changes):
    return json.dumps(line | {"record": line["record"] | changes}).encode()


DAMAGE = {  # what becomes of a line of the journal
    "no record": lambda line: b'{"key": 1}',
    "no key": lambda line: json.dumps({"record": line["record"]}).encode(),
    "record is a list": lambda line: b'{"key": 1, "record": [1]}',
    "pair is a list": lambda line: damaged(line, pair=[1]),
    "pair leads outside": lambda line: damaged(line, pair="../../0001"),
    "photo leads outside": lambda line: damaged(line, phone="../0001.jpg"),
    "another photo": lambda line: damaged(line, phone="0010.jpg"),
    "no homography": lambda line: damaged(line, phone_to_dslr=None),
    "a flat homography": lambda line: damaged(line, phone_to_dslr=3),
    "no status": lambda line: damaged(line, status=None),
    "nested": lambda line: b"[" * 100_000,
    "no JSON": lambda line: b"\xff{",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_line_of_the_journal_costs_its_pair_alone(raw, work, damage):
    with pytest.raises(KeyboardInterrupt):
        align(raw, work, progress=stop_after(2))
    path = work / SCRATCH / "aligned-work/journal.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(DAMAGE[damage](json.loads(first)) + b"\n" + second + b"\n")
    assert align(raw, work).newly_done == 2
    align(raw, work.with_name("at once"))
    assert contents(work) == contents(work.with_name("at once"))


def test_a_folder_in_the_place_of_an_unfinished_crop_costs_its_pair(raw, work):
    with pytest.raises(KeyboardInterrupt):
        align(raw, work, progress=stop_after(2))
    crop = work / SCRATCH / "aligned-work/iphone/0001.jpg"
    crop.unlink()
    crop.mkdir()
    with pytest.raises(DpedBuildError, match=r"0001\.jpg: cannot be written"):
        align(raw, work)
    crop.rmdir()
    assert align(raw, work).aligned == 3


def test_lost_worker_is_recorded_and_the_pair_tried_again(raw, work, monkeypatch):
    def lose_the_second(function, tasks, workers):
        for index, task in enumerate(tasks):
            yield index, None if index == 1 else function(task)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "run_all", lose_the_second)
        assert align(raw, work).reasons == {"worker_lost": 1}
    lost = records(work)["0002"]
    assert (lost["status"], lost["reason"]) == ("failed", "worker_lost")
    assert "lower --jobs" in lost["message"]
    assert align(raw, work).newly_done == 1
    align(raw, work.with_name("at once"))
    assert contents(work) == contents(work.with_name("at once"))


def test_a_photo_that_memory_did_not_suffice_for_is_tried_again(raw, work, monkeypatch):
    def fail(*_, **__):
        raise PhotoMemoryError("too_large", "not enough memory to read it")

    with monkeypatch.context() as patch:
        patch.setattr("dped_build.align.worker.read_with_colours", fail)
        assert align(raw, work, workers=Workers(1, "threading")).reasons == {
            "too_large": 3
        }
    assert "not enough memory" in records(work)["0002"]["message"]
    assert align(raw, work).newly_done == 3
    align(raw, work.with_name("at once"))
    assert contents(work) == contents(work.with_name("at once"))


def test_photo_restored_after_an_interrupted_redo_has_its_own_crop(raw, work):
    align(raw, work)
    path, kept = raw / "iphone" / "0001.jpg", raw / "kept"
    before, size = contents(work), path.stat().st_size
    path.rename(kept)
    with Image.open(kept) as photo:
        photo.transpose(Image.Transpose.ROTATE_180).save(path, quality=90)
    shutil.copy(path, raw / "iphone" / "0002.jpg")
    assert path.stat().st_size != size
    with pytest.raises(KeyboardInterrupt):
        align(raw, work, progress=stop_after(1))
    kept.rename(path)
    align(raw, work)
    for name in ("iphone/0001.jpg", "canon/0001.jpg"):
        assert contents(work)[name] == before[name]
    check_sums(work)


def test_other_settings_are_refused_by_name_and_forced(raw, work):
    align(raw, work)
    before = contents(work)
    other = AlignSettings(crops="none")
    with pytest.raises(DpedBuildError, match="crops = jpg, now none; add --force"):
        align(raw, work, settings=other)
    assert contents(work) == before
    assert align(raw, work, settings=other, force=True).newly_done == 3
    expected = ["SHA256SUMS", "alignment.jsonl", "local.json", "manifest.json"]
    assert sorted(contents(work)) == expected


def test_other_cameras_are_refused(raw, work):
    align(raw, work)
    (raw / "iphone").rename(raw / "sony")
    with pytest.raises(DpedBuildError, match="phone-camera = iphone, now sony"):
        align_folders(raw / "sony", raw / "canon", workspace=work, jobs=1)


def test_force_after_an_interruption_starts_over(raw, work):
    with pytest.raises(KeyboardInterrupt):
        align(raw, work, progress=stop_after(2))
    plans = []
    align(raw, work, force=True, dry_run=True, announce=plans.append)
    assert plans[0].todo == 3
    align(raw, work, dry_run=True, announce=plans.append)  # nothing was thrown away
    assert plans[1].todo == 1
    assert align(raw, work, force=True).newly_done == 3


def test_dry_run_announces_and_writes_nothing(raw, work):
    plans = []
    assert align(raw, work, dry_run=True, announce=plans.append) is None
    assert (plans[0].pairs, plans[0].todo) == (3, 3)
    assert plans[0].bytes > 0
    assert plans[0].seconds > 0
    assert [path.name for path in work.iterdir()] == [SCRATCH]


def test_full_disk_stops_before_work(raw, work, monkeypatch):
    usage = shutil._ntuple_diskusage(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DpedBuildError, match=r"GB needed, .* GB free; choose"):
        align(raw, work)


def test_damaged_alignment_is_named_and_force_mends_it(raw, work):
    align(raw, work)
    before = contents(work)
    path = work / "aligned" / "alignment.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DpedBuildError, match=r"alignment\.jsonl: damaged .*--force"):
        align(raw, work)
    align(raw, work, force=True)
    assert contents(work) == before
