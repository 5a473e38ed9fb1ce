"""Names from strangers lead nowhere outside of the workspace."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest
from strangers import CUT, RUN, SHARD, TINY, finished, told, work
from two_folders import align

from dped_build.align.aligned_folder import read_aligned
from dped_build.curate.verify import verify_workspace
from dped_build.patches import PatchDataset, build_shards
from dped_build.patches.build import patch_stage
from dped_build.patches.previous import read_previous
from dped_build.report import write_report
from dped_build.train import load_generator, train
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import (
    SUMS,
)

pytestmark = pytest.mark.usefixtures("one_thread")
__all__ = ["finished", "work"]


ESCAPES = [
    "../outside.h5",
    "/etc/passwd",
    "train-00000.h5/../../outside.h5",
    "C:\\train-00000.h5",
    "..\\train-00000.h5",
    "train-00000.h5\0",
    "",
    None,
    ["train-00000.h5"],
]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_manifest_names_no_file_outside(work, name):
    path = work / "patches/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][-1]["file"] = name
    path.write_text(json.dumps(manifest))
    for read in (
        lambda: PatchDataset(work / "patches", "train"),
        lambda: read_previous(patch_stage(work)),
        lambda: evaluate(load_generator(work / RUN), work / "patches"),
        lambda: build_shards(work, settings=CUT, jobs=1),
    ):
        with pytest.raises(DpedBuildError) as error:
            read()
        told(error)
    assert verify_workspace(work).damage


@pytest.mark.parametrize("key", ["pair", "phone", "dslr"])
@pytest.mark.parametrize(
    "name", ["../0001.jpg", "/etc/hostname", "a/../b", "..", "a\0b"]
)
def test_an_alignment_names_no_photo_outside(work, key, name):
    path = work / "aligned/alignment.jsonl"
    first, *others = map(json.loads, path.read_text().splitlines())
    lines = [json.dumps(first | {key: name}), *map(json.dumps, others)]
    path.write_text("\n".join(lines) + "\n")
    for read in (read_aligned, write_report):
        with pytest.raises(DpedBuildError, match=r"alignment\.jsonl") as error:
            read(work)
        told(error)


@pytest.mark.parametrize("name", ["../..", "/etc", "a/b", "", 3, None])
def test_a_camera_has_a_folders_name(work, name):
    path = work / "aligned/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phone_camera": name}))
    with pytest.raises(DpedBuildError, match="camera"):
        read_aligned(work)


def test_sums_of_files_outside_are_told_and_those_files_not_read(work, tmp_path):
    outside = tmp_path / "pipe"
    os.mkfifo(outside)  # who reads it waits for ever
    sums = work / "aligned" / SUMS
    for name in ("../../pipe", str(outside)):
        sums.write_text(f"{sums.read_text()}{'0' * 64}  {name}\n")
    damage = verify_workspace(work).damage
    assert sum("no file of this folder" in line for line in damage) == 2


def test_a_link_in_a_run_folder_is_not_written_through(work, tmp_path):
    outside = tmp_path / "private.txt"
    outside.write_text("mine")
    metrics = work / RUN / "metrics.jsonl"
    metrics.unlink()
    metrics.symlink_to(outside)
    longer = dataclasses.replace(TINY, iterations=4)
    with pytest.raises(DpedBuildError, match=r"metrics\.jsonl is a link"):
        train(work / "patches", work / RUN, longer, resume=True, progress=False)
    assert outside.read_text() == "mine"


def test_force_and_publication_leave_what_links_point_to(work, raw, tmp_path):
    """Links in the stages' folders are removed or refused, never followed."""
    outside = tmp_path / "private"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").write_text("mine")
    shutil.rmtree(work / "aligned")
    (work / "aligned").symlink_to(outside / "deep", target_is_directory=True)
    with pytest.raises(DpedBuildError):
        align(raw, work, force=True)
    (work / "aligned").unlink()
    for name in ("patches-build", "patches-build-old", "aligned-build-old"):
        (work / SCRATCH / name).symlink_to(outside, target_is_directory=True)
    try:
        align(raw, work, force=True)
        build_shards(work, settings=CUT, jobs=1, force=True)
    except DpedBuildError as error:
        assert "\n" not in str(error)
    assert (outside / "deep/file").read_text() == "mine"
    assert sorted(path.name for path in outside.rglob("*")) == ["deep", "file"]


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(work):
    for name in (SHARD, "patches/manifest.json"):
        (work / name).unlink()
        os.mkfifo(work / name)
        with pytest.raises(DpedBuildError, match=Path(name).name):
            PatchDataset(work / "patches", "train")
