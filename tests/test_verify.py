"""Whatever is changed in a workspace behind its back is found and named."""

import json
import shutil
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from dped_build.curate.verify import verify_workspace
from dped_build.exchange.export_frames import export_frames
from dped_build.exchange.export_patches import export_patches
from dped_build.patches import PatchSettings, build_shards
from dped_build.report import write_report
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import write_sums

NOT_AS_WRITTEN = "its content is not what was written"


@pytest.fixture(scope="module")
def whole(patched_set, tmp_path_factory):
    """A workspace with every stage that is summed; to be copied, not changed."""
    workspace = tmp_path_factory.mktemp("whole")
    shutil.copytree(patched_set, workspace, dirs_exist_ok=True)
    write_report(workspace, jobs=1)
    return workspace


@pytest.fixture
def workspace(whole, tmp_path):
    return shutil.copytree(whole, tmp_path, dirs_exist_ok=True)


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x01
    path.write_bytes(data)


def edit_manifest(workspace, change):
    """Change the patches' manifest and state its new sum, as a forger would."""
    path = workspace / "patches/manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    write_sums(workspace / "patches")


def damage_of(workspace):
    return verify_workspace(workspace).damage


def test_what_was_written_is_as_stated(whole):
    found = verify_workspace(whole)
    assert found.damage == []
    files = [path for path in whole.rglob("*") if path.is_file()]
    ours = [p for p in files if ".dped-build" not in p.parts and p.name != "SHA256SUMS"]
    assert found.files == len(ours)
    manifest = json.loads((whole / "patches/manifest.json").read_text())
    assert found.patches == manifest["windows"]["accepted"]


@pytest.mark.parametrize(
    "name",
    [
        "aligned/alignment.jsonl",
        "aligned/manifest.json",
        "aligned/local.json",
        "aligned/phone/2.jpg",
        "aligned/dslr/2.jpg",
        "patches/train-00000.h5",
        "patches/windows.h5",
        "patches/split.csv",
        "patches/manifest.json",
        "report/index.html",
        "report/report.json",
    ],
)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_one_flipped_bit_is_found_in_every_kind_of_file(workspace, name, place):
    path = workspace / name
    flip(path, int(place * (path.stat().st_size - 1)))
    assert damage_of(workspace) == [f"{path}: {NOT_AS_WRITTEN}"]


@pytest.mark.parametrize("stage", ["aligned", "patches", "report"])
def test_flipped_bits_in_the_sums_are_found(workspace, stage):
    path = workspace / stage / "SHA256SUMS"
    whole = path.read_bytes()
    line = len(whole.split(b"\n")[0])
    for offset in (0, 63, 64, 65, 66, line, len(whole) - 2):
        for bit in (0x01, 0x80):
            data = bytearray(whole)
            data[offset] ^= bit
            path.write_bytes(data)
            damage = damage_of(workspace)
            assert damage
            assert all(str(workspace / stage) in entry for entry in damage)


def test_a_missing_file_is_named(workspace):
    (workspace / "patches/split.csv").unlink()
    assert damage_of(workspace) == [f"{workspace / 'patches/split.csv'}: missing"]


def test_missing_sums_make_the_stage_unfinished(workspace):
    (workspace / "patches/SHA256SUMS").unlink()
    (line,) = damage_of(workspace)
    assert "patches: SHA256SUMS is missing" in line


@pytest.mark.parametrize("name", ["patches/notes.txt", "aligned/phone/2 (copy).jpg"])
def test_a_file_of_somebody_else_is_named(workspace, name):
    (workspace / name).write_text("mine")
    (line,) = damage_of(workspace)
    assert line.startswith(f"{workspace / name}: not written by dped-build")


def test_every_damage_is_listed(workspace):
    flip(workspace / "aligned/manifest.json", 5)
    flip(workspace / "patches/windows.h5", 5)
    (workspace / "patches/split.csv").unlink()
    assert len(damage_of(workspace)) == 3


def test_a_shard_with_another_count_than_the_manifest_states_is_named(workspace):
    def one_more(manifest):
        manifest["shards"][0]["patches"] += 1
        manifest["splits"]["train"]["patches"] += 1

    edit_manifest(workspace, one_more)
    (line,) = damage_of(workspace)
    assert "train-00000.h5: " in line
    assert "stated" in line


def test_a_total_that_is_not_the_sum_of_its_shards_is_named(workspace):
    edit_manifest(workspace, lambda found: found["splits"]["val"].update(patches=1))
    (line,) = damage_of(workspace)
    assert "manifest.json: 1 val patches in all" in line


def test_a_shard_that_the_manifest_does_not_list_is_named(workspace):
    edit_manifest(workspace, lambda found: found["shards"].pop(0))
    lines = damage_of(workspace)
    assert any("train-00000.h5: only one of folder" in line for line in lines)


def test_a_shard_that_is_listed_but_not_there_is_named(workspace):
    (workspace / "patches/train-00000.h5").unlink()
    write_sums(workspace / "patches")
    (line,) = damage_of(workspace)
    assert "train-00000.h5: only one of folder" in line


def test_an_ncc_that_the_pixels_do_not_have_is_named(workspace):
    path = workspace / "patches/train-00000.h5"
    with h5py.File(path, "r+") as file:
        values = file["ncc"][:]
        values[2] += np.float32(0.001)
        file["ncc"][:] = values
    write_sums(workspace / "patches")
    assert damage_of(workspace) == [f"{path}: row 2: NCC is not as stated"]


def test_an_alignment_alone_can_be_verified(aligned_set):
    found = verify_workspace(aligned_set)
    assert (found.damage, found.patches) == ([], 0)
    assert found.files > 3


def test_patches_without_any_accepted_window_can_be_verified(aligned_set, tmp_path):
    shutil.copytree(aligned_set / "aligned", tmp_path / "aligned")
    build_shards(tmp_path, settings=PatchSettings(size=64, min_corr=1.0), jobs=1)
    found = verify_workspace(tmp_path)
    assert (found.damage, found.patches) == ([], 0)


def test_an_empty_workspace_says_what_to_run(tmp_path):
    with pytest.raises(DpedBuildError, match="run dped-build align PHONE_DIR DSLR_DIR"):
        verify_workspace(tmp_path)


def test_patches_of_pairs_that_are_no_longer_aligned_are_named(workspace):
    path = workspace / "aligned/alignment.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    records = [json.loads(line) for line in (first, *rest)]
    gone = next(r["pair"] for r in records if r["status"] == "aligned")
    kept = [json.dumps(r) + "\n" for r in records if r["pair"] != gone]
    path.write_text("".join(kept))
    write_sums(workspace / "aligned")
    (line,) = damage_of(workspace)
    assert "aligned: manifest.json counts other records" in line
    manifest = workspace / "aligned/manifest.json"
    stated = json.loads(manifest.read_text())
    stated["counts"]["aligned"] -= 1
    stated["counts"]["photos"] -= 2
    manifest.write_text(json.dumps(stated))
    write_sums(workspace / "aligned")
    (line,) = damage_of(workspace)
    assert "patches: cut from an earlier alignment" in line
    assert "1 of 5 pairs are not aligned now" in line


def test_patches_that_stand_outside_a_workspace_can_be_verified(workspace, tmp_path):
    shards = shutil.move(workspace / "patches", tmp_path / "elsewhere")
    found = verify_workspace(shards)
    assert (found.damage, found.runs) == ([], 0)
    assert found.patches > 0
    flip(shards / "train-00000.h5", 5000)
    name = f"{shards / 'train-00000.h5'}: {NOT_AS_WRITTEN}"
    assert damage_of(shards) == [name]
    (shards / "windows.h5").unlink()
    assert f"{shards / 'windows.h5'}: missing" in damage_of(shards)


@pytest.mark.parametrize(
    "written",
    [export_frames, partial(export_patches, form="webdataset")],
    ids=["frames", "webdataset"],
)
def test_an_export_is_verified_alone_and_with_its_workspace(workspace, written):
    before = verify_workspace(workspace).files
    export = written(workspace, jobs=1).folder
    found = verify_workspace(export)
    assert (found.damage, found.runs) == ([], 0)
    assert verify_workspace(workspace).files == before + found.files
    damaged = max(export.rglob("*.*"), key=lambda path: path.stat().st_size)
    flip(damaged, 20)
    for folder in (export, workspace):
        assert damage_of(folder) == [f"{damaged}: {NOT_AS_WRITTEN}"]


@pytest.mark.parametrize("stage", ["aligned", "patches", "report"])
def test_one_stage_of_a_workspace_can_be_verified(whole, stage, monkeypatch):
    found = verify_workspace(whole / stage)
    sums = (whole / stage / "SHA256SUMS").read_text().splitlines()
    assert (found.damage, found.files) == ([], len(sums))
    monkeypatch.chdir(whole / stage)
    assert verify_workspace(Path()).files == len(sums)
    assert verify_workspace(Path("..") / stage).files == len(sums)


def test_progress_counts_every_byte(whole):
    told = []
    verify_workspace(whole, progress=lambda done, total: told.append((done, total)))
    files = [path for path in whole.rglob("*") if path.is_file()]
    size = sum(p.stat().st_size for p in files if ".dped-build" not in p.parts)
    assert told == sorted(told)
    assert told[-1] == (told[-1][1], size >> 20)
    assert told[-1][1] > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["settings"].update(min_corr=0.5),
        lambda found: found.update(dataset_id="0" * 64),
    ],
)
def test_a_dataset_id_that_is_not_of_its_files_is_found(workspace, change):
    edit_manifest(workspace, change)
    (line,) = damage_of(workspace)
    assert "manifest.json: its dataset_id is not that" in line


def test_windows_of_another_run_are_found(workspace):
    with h5py.File(workspace / "patches/windows.h5", "r+") as file:
        file.attrs["created_with"] = "something else"
    write_sums(workspace / "patches")
    (line,) = damage_of(workspace)
    assert "manifest.json: its dataset_id is not that" in line
