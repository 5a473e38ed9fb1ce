"""The patch stage on a small simulated photo set: what it writes, keeps and refuses."""

import csv
import hashlib
import json
import os
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
from conftest import take_pair

from dped_build.align import align_folders
from dped_build.align.aligned_folder import read_aligned
from dped_build.align.geometry import visible_rows
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchSettings, build_shards, pieces, publication
from dped_build.patches.grid import grid_windows
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.selftest.truth import compare_with_truth
from dped_build.workspace.errors import DpedBuildError

SETTINGS = PatchSettings(size=64, shard_patches=20)  # as `patched_set` was cut
PAIRS = ["2", "3", "10", "11", "12"]  # the aligned ones, in natural order


@pytest.fixture
def workspace(aligned_set, tmp_path):
    """A workspace with the alignment alone."""
    shutil.copytree(aligned_set / "aligned", tmp_path / "aligned")
    return tmp_path


@pytest.fixture
def finished(patched_set, tmp_path):
    """A workspace in which the patches are cut."""
    return shutil.copytree(patched_set, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def own_photos(photo_set, workspace):
    """An aligned workspace with photos of its own, which a test may change."""
    shutil.copytree(photo_set / "raw", workspace / "raw")
    run_align(workspace)
    return workspace


def run_align(folder):
    align_folders(folder / "raw/phone", folder / "raw/dslr", workspace=folder, jobs=1)


def cut(workspace, *, force=False, **changes):
    settings = replace(SETTINGS, **changes)
    return build_shards(workspace, settings=settings, jobs=1, force=force)


def contents(workspace):
    return {p.name: p.read_bytes() for p in (workspace / "patches").iterdir()}


def states(workspace):
    folder = workspace / "patches"
    stats = {path.name: path.stat() for path in [folder, *folder.iterdir()]}
    return {name: (s.st_ino, s.st_mtime_ns, s.st_size) for name, s in stats.items()}


def manifest(workspace):
    return json.loads((workspace / "patches/manifest.json").read_text())


def split_of(workspace):
    text = (workspace / "patches/split.csv").read_text()
    return {row["pair"]: row for row in csv.DictReader(text.splitlines())}


def all_windows(workspace):
    """(pair, x, y) → reason, of `windows.h5`."""
    with h5py.File(workspace / "patches/windows.h5") as file:
        pairs, reasons = (file[name].asstr()[:] for name in ("pair", "reason"))
        places = file["window_xy"][:].tolist()
    rows = zip(pairs, places, reasons, strict=True)
    return {(pair, *place): reason for pair, place, reason in rows}


def stored(workspace):
    """(pair, x, y) → (split, phone pixels, DSLR pixels), of the shards."""
    found = {}
    for path in sorted((workspace / "patches").glob("t*.h5")) + sorted(
        (workspace / "patches").glob("val*.h5")
    ):
        with h5py.File(path) as file:
            names = file["photos"].asstr()[:][file["photo"][:]]
            for row, (x, y) in enumerate(file["window_xy"][:].tolist()):
                pixels = file["phone"][row].tobytes(), file["dslr"][row].tobytes()
                assert (names[row], x, y) not in found
                found[names[row], x, y] = (file.attrs["split"], *pixels)
    return found


def refuse_to_measure(*arguments, **options):
    raise AssertionError("a window was measured again")


def test_the_folder_holds_what_the_format_promises(patched_set):
    shards = [line["file"] for line in manifest(patched_set)["shards"]]
    others = {"windows.h5", "split.csv", "manifest.json", "SHA256SUMS"}
    assert set(contents(patched_set)) == {*shards, *others}
    assert {name.split("-")[0] for name in shards} == {"train", "val", "test"}
    assert not (patched_set / ".dped-build/patches-work").exists()
    assert not (patched_set / ".dped-build/patches-build").exists()


def test_the_sums_are_those_of_all_other_files(patched_set):
    files = contents(patched_set)
    lines = files.pop("SHA256SUMS").decode().splitlines()
    stated = dict(reversed(line.split("  ")) for line in lines)
    assert stated == {k: hashlib.sha256(v).hexdigest() for k, v in files.items()}


def test_the_manifest_counts_what_the_shards_hold(patched_set):
    stated = manifest(patched_set)
    totals = {s: {"photos": 0, "patches": 0} for s in ("train", "val", "test")}
    for line in stated["shards"]:
        with h5py.File(patched_set / "patches" / line["file"]) as file:
            assert file.attrs["split"] == line["split"]
            assert len(file["phone"]) == len(file["dslr"]) == line["patches"] <= 20
            assert len(file["photos"]) == line["photos"]
            assert json.loads(file.attrs["settings"]) == stated["settings"]
            assert file.attrs["phone_camera"] == stated["phone_camera"] == "phone"
        for key in ("photos", "patches"):
            totals[line["split"]][key] += line[key]
    assert stated["splits"] == totals
    reasons = list(all_windows(patched_set).values())
    assert stated["windows"] == {r: reasons.count(r) for r in set(reasons)}
    assert stated["failed"] == []


def test_every_candidate_window_is_listed_with_its_reason(patched_set):
    found = all_windows(patched_set)
    expected = set()
    for pair, record in read_aligned(patched_set).records.items():
        if record.aligned:
            sizes = record.phone_size, record.dslr_size
            places = grid_windows(visible_rows(record.matrix(), *sizes), 64)
            expected |= {(pair, x, y) for x, y in places.tolist()}
    assert set(found) == expected
    assert {pair for pair, *_ in found} == set(PAIRS)
    assert {"accepted", "flat"} <= set(found.values())
    kept = {place for place, reason in found.items() if reason == "accepted"}
    assert kept == set(stored(patched_set))


def test_a_photo_and_a_scene_are_in_one_split_only(patched_set):
    splits = split_of(patched_set)
    assert list(splits) == ["2", "3", "6", "10", "11", "12"]  # 6 was not aligned
    assert splits["11"]["group"] == splits["10"]["group"] == "10"
    by_group = {}
    for row in splits.values():
        assert by_group.setdefault(row["group"], row["split"]) == row["split"]
    assert sorted(by_group.values()) == ["test", "train", "train", "train", "val"]
    for (pair, *_), (split, *_) in stored(patched_set).items():
        assert split == splits[pair]["split"]


def test_a_photos_patches_lie_in_one_shard_in_order(patched_set):
    seen = []
    for line in manifest(patched_set)["shards"]:
        with h5py.File(patched_set / "patches" / line["file"]) as file:
            seen += file["photos"].asstr()[:].tolist()
            assert (np.diff(file["photo"][:]) >= 0).all()
    assert sorted(seen, key=int) == PAIRS


def test_the_patches_are_where_the_truth_is(photo_set, patched_set):
    truth = compare_with_truth(patched_set / "patches", photo_set / "truth", size=64)
    assert truth.patches == len(stored(patched_set)) > 40
    assert truth.median_px < 0.3
    assert truth.worst_px < 1.5


def test_the_stored_ncc_is_that_of_the_stored_pixels(patched_set):
    for line in manifest(patched_set)["shards"]:
        with h5py.File(patched_set / "patches" / line["file"]) as file:
            both = lumas(file["phone"][:]), lumas(file["dslr"][:])
            stated = file["ncc"][:]
        found = normalised_cross_correlation(*both)
        np.testing.assert_allclose(stated, found, atol=1e-6)
        assert stated.min() > 0.9


def test_nothing_tells_where_the_photos_lay(photo_set, patched_set):
    for data in contents(patched_set).values():
        assert str(photo_set).encode() not in data
        assert str(patched_set).encode() not in data


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_workers_write_the_same_bytes_as_one(patched_set, workspace, backend):
    build_shards(workspace, settings=SETTINGS, workers=Workers(2, backend))
    assert contents(workspace) == contents(patched_set)


def test_once_more_does_nothing_and_touches_nothing(finished, monkeypatch):
    monkeypatch.setattr(pieces, "measure_windows", refuse_to_measure)
    before = states(finished)
    summary = cut(finished)
    assert states(finished) == before
    assert summary.newly_done == 0
    assert summary.accepted == len(stored(finished))
    assert summary.photos == len(PAIRS)


def test_alignments_from_before_hashes_and_colours_are_measured_alike(aligned_set):
    record = read_aligned(aligned_set).records[PAIRS[0]]
    older = replace(record, phone_color=None, dslr_color=None, dslr_hash=None)
    keys = [pieces.measuring_key(r, {}, SETTINGS) for r in (record, older)]
    assert record != older
    assert keys[0] == keys[1]


def test_another_threshold_is_refused_and_nothing_is_touched(finished):
    before = states(finished)
    with pytest.raises(DpedBuildError, match=r"min-corr = 0\.9, now 0\.95.*--force"):
        cut(finished, min_corr=0.95)
    assert states(finished) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"min_corr": 0.95},
        {"max_per_photo": 3},
        {"max_sigma": 0.11},
        {"test_photos": 2, "split_seed": 7},
        {"shard_patches": 100},
        {"compress": "gzip"},
    ],
    ids=str,
)
def test_forced_settings_give_a_fresh_runs_bytes_unmeasured(
    finished, aligned_set, tmp_path_factory, monkeypatch, changes
):
    fresh = tmp_path_factory.mktemp("fresh")
    shutil.copytree(aligned_set / "aligned", fresh / "aligned")
    cut(fresh, **changes)
    monkeypatch.setattr(pieces, "measure_windows", refuse_to_measure)
    before = contents(finished)
    cut(finished, force=True, **changes)
    assert contents(finished) == contents(fresh) != before
    cut(finished, force=True)  # and back, which samples what had been left out
    assert contents(finished) == before


def test_another_size_is_measured_anew(finished):
    cut(finished, force=True, size=48)
    assert manifest(finished)["settings"]["size"] == 48
    with h5py.File(finished / "patches/train-00000.h5") as file:
        assert file["phone"].shape[1:] == (48, 48, 3)


def test_an_interrupted_run_goes_on_where_it_stopped(
    workspace, patched_set, monkeypatch
):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_shards(workspace, settings=SETTINGS, jobs=1, progress=interrupt)
    assert not (workspace / "patches").exists()
    measured = []

    def counted(phone, dslr, alignment, settings):
        measured.append(alignment.pair)
        return measure(phone, dslr, alignment, settings)

    measure = pieces.measure_windows
    monkeypatch.setattr(pieces, "measure_windows", counted)
    assert cut(workspace).newly_done == len(measured)
    assert measured == PAIRS[-len(measured) :]
    assert len(measured) <= 3
    assert contents(workspace) == contents(patched_set)


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_shards_that_several_workers_write_have_the_bytes_of_one(
    workspace, tmp_path, compress
):
    cut(workspace, shard_patches=5, compress=compress)
    assert len(manifest(workspace)["shards"]) >= 2 * publication.SHARDS_PER_WORKER
    alone = contents(workspace)
    shutil.rmtree(workspace / "patches")
    settings = replace(SETTINGS, shard_patches=5, compress=compress)
    build_shards(workspace, settings=settings, jobs=2)
    assert contents(workspace) == alone


def test_a_damaged_piece_of_an_interrupted_run_is_named(workspace):
    def interrupt(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_shards(workspace, settings=SETTINGS, jobs=1, progress=interrupt)
    for piece in (workspace / ".dped-build/patches-work").iterdir():
        piece.write_bytes(piece.read_bytes()[:1000])
    with pytest.raises(DpedBuildError, match="h5: damaged; delete it and run again"):
        cut(workspace)


def test_a_forced_run_that_is_interrupted_leaves_the_old_one_whole(finished):
    def interrupt(done, total):
        raise KeyboardInterrupt

    before = states(finished)
    settings = replace(SETTINGS, size=48)
    with pytest.raises(KeyboardInterrupt):
        build_shards(
            finished, settings=settings, jobs=1, force=True, progress=interrupt
        )
    assert states(finished) == before
    cut(finished)
    assert states(finished) == before


def test_an_added_photo_is_done_alone_and_moves_nobody(own_photos, textured):
    cut(own_photos)
    patches, splits = stored(own_photos), split_of(own_photos)
    picture = textured(7, (600, 400))
    take_pair(own_photos, "7", (picture,), taken="2024:06:02 12:00:00")
    run_align(own_photos)
    assert cut(own_photos).newly_done == 1
    after = stored(own_photos)
    assert patches.items() <= after.items()
    assert {pair for pair, *_ in set(after) - set(patches)} == {"7"}
    assert list(split_of(own_photos).items())[: len(splits)] == list(splits.items())


def test_an_added_pair_that_does_not_align_is_split_too(own_photos, textured):
    cut(own_photos)
    patches = stored(own_photos)
    pictures = textured(8, (600, 400)), textured(9, (600, 400))
    take_pair(own_photos, "8", pictures, taken=None)
    run_align(own_photos)
    assert cut(own_photos).newly_done == 0
    assert list(split_of(own_photos))[-1] == "8"
    assert stored(own_photos) == patches


def test_a_removed_photo_takes_its_patches_along(own_photos):
    cut(own_photos)
    before = stored(own_photos)
    for path in (own_photos / "raw").glob("*/2.*"):
        path.unlink()
    run_align(own_photos)
    cut(own_photos)
    left = {place: value for place, value in before.items() if place[0] != "2"}
    assert stored(own_photos) == left


def test_a_photo_taken_out_by_hand_gives_no_patches(finished):
    before = all_windows(finished)
    (finished / "exclude.csv").write_text("pair,note\n10,a thumb\n")
    with pytest.raises(DpedBuildError, match=r"exclude\.csv.*--force"):
        cut(finished)
    cut(finished, force=True)
    after = all_windows(finished)
    assert {after[place] for place in after if place[0] == "10"} == {"excluded"}
    assert all(after[p] == before[p] for p in after if p[0] != "10")
    assert "10" not in {pair for pair, *_ in stored(finished)}


def test_names_in_exclude_csv_that_no_pair_has_are_listed(workspace):
    (workspace / "exclude.csv").write_text("sep=,\n\npair\n010\n10 \nnobody\n")
    told = cut(workspace).note
    assert "names no pair of this workspace: 010 (did you mean 10?), nobody" in told


def test_windows_in_exclude_csv_that_are_none_are_listed(workspace, patched_set):
    pair, x, y = min(stored(patched_set))
    lines = f"{pair},{x},{y}\n{pair},{x + 1},{y}\nnobody,1,2\n"
    (workspace / "exclude.csv").write_text(f"pair,x,y\n{lines}")
    told = cut(workspace).note
    assert told.endswith(f"names windows that do not exist: {pair} {x + 1},{y}")


def test_a_window_taken_out_by_hand_is_left_out_alone(workspace, patched_set):
    kept = stored(patched_set)
    pair, x, y = place = sorted(kept)[3]
    (workspace / "exclude.csv").write_text(f"pair,x,y\n{pair},{x},{y}\n")
    cut(workspace)
    assert all_windows(workspace)[place] == "excluded"
    assert set(stored(workspace)) == set(kept) - {place}


def test_a_photo_that_changed_since_it_was_aligned_is_named(own_photos):
    path = own_photos / "raw/phone/11.jpg"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DpedBuildError, match=r"11\.jpg.*changed.*dped-build align"):
        cut(own_photos)
    assert not (own_photos / "patches").exists()


def test_a_photo_that_was_only_touched_is_the_same(own_photos):
    os.utime(own_photos / "raw/phone/11.jpg", (1, 1))
    assert cut(own_photos).photos == len(PAIRS)


def test_a_change_that_keeps_size_and_date_costs_its_pair_or_is_found(own_photos):
    path = own_photos / "raw/phone/11.jpg"
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DpedBuildError, match=r"11\.jpg.*changed"):
        build_shards(own_photos, settings=SETTINGS, jobs=1, rehash=True)
    summary = cut(own_photos)
    assert [(f["pair"], f["reason"]) for f in summary.failed] == [("11", "unreadable")]
    assert "11.jpg" in summary.failed[0]["message"]
    assert {pair for pair, *_ in stored(own_photos)} == set(PAIRS) - {"11"}


def test_without_an_alignment_it_says_what_to_run_first(tmp_path):
    with pytest.raises(DpedBuildError, match="run dped-build align PHONE_DIR DSLR_DIR"):
        cut(tmp_path)


def test_files_are_written_also_when_no_window_is_accepted(workspace):
    summary = cut(workspace, min_corr=1.0)
    assert summary.accepted == 0
    others = {"windows.h5", "split.csv", "manifest.json", "SHA256SUMS"}
    assert set(contents(workspace)) == others
    assert manifest(workspace)["shards"] == []
    assert "accepted" not in all_windows(workspace).values()
    assert cut(workspace, min_corr=1.0).newly_done == 0


def test_no_photo_gives_more_than_allowed(workspace):
    cut(workspace, max_per_photo=4)
    found = [pair for pair, *_ in stored(workspace)]
    assert {pair: found.count(pair) for pair in PAIRS} == dict.fromkeys(PAIRS, 4)
    assert "surplus" in all_windows(workspace).values()


def test_a_dry_run_says_how_much_and_writes_nothing(workspace):
    plans = []
    found = build_shards(
        workspace, settings=SETTINGS, dry_run=True, announce=plans.append
    )
    assert found is None
    assert (plans[0].pairs, plans[0].todo) == (5, 5)
    assert plans[0].bytes > 60 * 2 * 64 * 64 * 3
    assert not (workspace / "patches").exists()


def test_progress_counts_to_the_end(workspace):
    seen = []
    build_shards(
        workspace, settings=SETTINGS, jobs=1, progress=lambda *now: seen.append(now)
    )
    assert seen == [(done, 5) for done in range(6)]


def test_a_folder_with_somebody_elses_files_is_left_alone(workspace):
    (workspace / "patches").mkdir()
    (workspace / "patches/notes.txt").write_text("mine")
    with pytest.raises(DpedBuildError, match=r"notes\.txt: not written by dped-build"):
        cut(workspace)
    assert (workspace / "patches/notes.txt").read_text() == "mine"


def test_damaged_pixels_are_not_copied_into_a_new_shard(finished):
    shard = finished / "patches/train-00000.h5"
    with h5py.File(shard) as file:
        offset = file["dslr"].id.get_chunk_info(3).byte_offset
    data = bytearray(shard.read_bytes())
    data[offset + 7] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DpedBuildError, match=r"\.h5 is damaged .*delete it"):
        cut(finished, force=True, min_corr=0.91)
    (finished / "patches").rename(finished / "old")
    cut(finished)
    assert len(stored(finished)) > 40


def test_a_damaged_folder_says_what_to_do(finished):
    (finished / "patches/split.csv").write_text("pair,group\n")
    with pytest.raises(DpedBuildError, match=r"split\.csv.*move the patches folder"):
        cut(finished)
    with pytest.raises(DpedBuildError, match=r"split\.csv.*move the patches folder"):
        cut(finished, force=True)


@pytest.mark.parametrize("name", ["windows.h5", "manifest.json"])
def test_a_damaged_folder_is_made_again_by_force(finished, name):
    before = (finished / "patches" / name).read_bytes()
    (finished / "patches" / name).write_bytes(b"nothing")
    with pytest.raises(DpedBuildError, match=r"--force"):
        cut(finished)
    cut(finished, force=True)
    assert (finished / "patches" / name).read_bytes() == before


def test_a_damaged_folder_keeps_its_split(workspace, tmp_path):
    cut(workspace)
    path = workspace / "patches/split.csv"
    rows = path.read_text().splitlines()
    swapped = [row.replace(",train", ",test") for row in rows]  # no draw gives this
    path.write_text("\n".join(swapped) + "\n")
    (workspace / "patches/windows.h5").write_bytes(b"nothing")
    cut(workspace, force=True)
    assert path.read_text().splitlines() == swapped


def test_patches_touch_nothing_where_there_is_no_workspace(tmp_path):
    with pytest.raises(DpedBuildError, match="dped-build align"):
        cut(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_a_pair_that_cannot_be_measured_costs_itself_alone(workspace, monkeypatch):
    measure = pieces.measure_windows

    def fail_once(phone, dslr, alignment, settings):
        if alignment.pair == "3":
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        return measure(phone, dslr, alignment, settings)

    monkeypatch.setattr(pieces, "measure_windows", fail_once)
    summary = cut(workspace)
    assert [(f["pair"], f["reason"]) for f in summary.failed] == [("3", "unmeasurable")]
    assert "not positive definite" in summary.failed[0]["message"]
    with h5py.File(workspace / "patches/windows.h5") as file:
        assert set(file["pair"].asstr()[:]) == set(PAIRS) - {"3"}
