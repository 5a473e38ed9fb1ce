"""Ctrl-C, SIGTERM, lost workers and kills: one line, no orphans, nothing done twice."""

import os
import random
import shutil
import signal
import sys
import time

import pytest
from faults import (
    Command,
    assert_whole_or_absent,
    finish,
    finished_twice,
    kill_at_random,
    leftovers,
    make_pairs,
    make_patch_pairs,
    temporaries,
    tree,
)
from shards import write_patches

from dped_build.align import align_folders
from dped_build.exchange.import_patches import import_patches
from dped_build.parallel.engines import CLUSTERS
from dped_build.patches import PatchSettings, build_shards
from dped_build.train.run_files import CHECKPOINT
from dped_build.workspace.durable import SCRATCH

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
PAIRS = 30
KILLS = 3  # of each command
GO_ON = "Interrupted; finished work is kept. Run the same command to resume."
GO_ON += " It lies in the workspace's .dped-build/ until all is done."
LONG = pytest.mark.soak  # what the short version leaves out
ASKED = {  # how a run is asked to stop: signals, and whether to the whole group
    "ctrl-c": ((signal.SIGINT,), True),
    "ctrl-c-twice": ((signal.SIGINT, signal.SIGINT), True),
    "interrupt": ((signal.SIGINT,), False),
    "terminate": ((signal.SIGTERM,), False),
    "terminate-group": ((signal.SIGTERM,), True),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory, textured):
    return make_pairs(tmp_path_factory.mktemp("photos") / "raw", textured, PAIRS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_patch_pairs(tmp_path_factory.mktemp("source") / "pairs", 400)


def align(photos, workspace, backend="loky"):
    folders = photos / "iphone", photos / "canon"
    return ("align", *folders, "-w", workspace, "--jobs", 2, "--backend", backend)


def patches(workspace):
    return ("patches", "-w", workspace, "--size", 48, "--jobs", 2)


def import_(source, workspace):
    return ("import", source, "--out", workspace / "imported", "--jobs", 2)


@pytest.fixture(scope="module")
def whole(photos, source, tmp_path_factory):
    """A workspace as uninterrupted runs leave it."""
    workspace = tmp_path_factory.mktemp("whole")
    cameras = photos / "iphone", photos / "canon"
    align_folders(*cameras, workspace=workspace, jobs=1)
    build_shards(workspace, settings=PatchSettings(size=48), jobs=1)
    import_patches(source, workspace / "imported", jobs=1)
    return workspace


def work_of(workspace, stage):
    """The finished pieces of an unfinished run."""
    work = workspace / SCRATCH / f"{stage}-work"
    if stage == "aligned":
        journal = work / "journal.jsonl"
        return journal.read_bytes().splitlines() if journal.exists() else []
    return list(work.glob("*.h5")) if work.exists() else []


@pytest.mark.parametrize(
    ("asked", "backend"),
    [
        ("ctrl-c-twice", "loky"),
        ("terminate-group", "loky"),
        pytest.param("ctrl-c", "dask", marks=pytest.mark.long),
        pytest.param("terminate", "ray", marks=pytest.mark.long),
        *(
            pytest.param(asked, "loky", marks=LONG)
            for asked in ("ctrl-c", "interrupt", "terminate")
        ),
        *(
            pytest.param(asked, backend, marks=LONG)
            for asked in ("ctrl-c-twice", "terminate-group")
            for backend in CLUSTERS
        ),
    ],
)
def test_who_is_asked_to_stop_says_one_line_and_goes_on(
    photos, whole, tmp_path, asked, backend
):
    if backend in CLUSTERS:
        pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    signals, group = ASKED[asked]
    work, said = tmp_path / "work", tmp_path / "said"
    log = {"DPED_BUILD_LOG": str(tmp_path / "log")}
    run = Command(said, *align(photos, work, backend), env=log)
    assert run.wait_for(lambda: len(work_of(work, "aligned")) > 1)
    for number in signals:
        run.send(number, group=group)
        time.sleep(0.03)
    assert run.end() == 130
    assert run.told() == [GO_ON]
    assert run.leaves_no_process()
    assert 1 < len(work_of(work, "aligned")) < PAIRS
    finish(said, *align(photos, work), env=log)
    assert tree(work / "aligned") == tree(whole / "aligned")
    assert finished_twice(tmp_path / "log") == []
    assert leftovers(work) == []


def test_workers_of_a_killed_run_end_by_themselves(photos, tmp_path):
    run = Command(tmp_path / "said", *align(photos, tmp_path / "work"))
    assert run.wait_for(lambda: work_of(tmp_path / "work", "aligned"))
    assert len(run.workers()) == 2
    run.send(signal.SIGKILL)
    run.end()
    assert run.leaves_no_process()


@pytest.mark.parametrize("stage", ["aligned", pytest.param("patches", marks=LONG)])
def test_a_worker_that_the_system_kills_costs_nothing(photos, whole, tmp_path, stage):
    work, said = tmp_path / "work", tmp_path / "said"
    command, calm = align(photos, work), []
    if stage == "patches":
        finish(said, *command)
        shutil.copytree(work, tmp_path / "calm")
        command = patches(work)
        calm = finish(tmp_path / "calm_said", *patches(tmp_path / "calm")).told()
    run = Command(said, *command)
    assert run.wait_for(lambda: len(work_of(work, stage)) > 1 and run.workers())
    for pid in run.workers()[:1]:
        os.kill(pid, signal.SIGKILL)
    assert run.end() == 0
    assert run.told() == calm
    assert tree(work / stage) == tree(whole / stage)
    assert leftovers(work) == []
    assert run.leaves_no_process()


@pytest.mark.long
@pytest.mark.parametrize("name", ["aligned", "patches", "imported"])
def test_a_command_killed_at_random_instants_loses_and_redoes_nothing(
    photos, source, whole, tmp_path, name
):
    rng = random.Random(0)
    work, said, log = tmp_path / "work", tmp_path / "said", tmp_path / "log"
    work.mkdir()
    if name == "patches":
        finish(said, *align(photos, work))
    arguments = {
        "aligned": align(photos, work),
        "patches": patches(work),
        "imported": import_(source, work),
    }[name]
    killed = 0
    while killed < KILLS:
        run = Command(said, *arguments, env={"DPED_BUILD_LOG": str(log)})
        run.wait_for(lambda: (work / SCRATCH / f"{name}-work").exists())
        if kill_at_random(run, rng, 0.4):
            killed += 1
        else:  # it was faster: from the start
            shutil.rmtree(work / name)
            log.unlink()
        assert_whole_or_absent(work / name)
    finish(said, *arguments, env={"DPED_BUILD_LOG": str(log)})
    assert tree(work / name) == tree(whole / name)
    assert leftovers(work) == []
    assert name == "imported" or finished_twice(log) == []


@pytest.mark.parametrize(
    "asked",
    ["ctrl-c", *(pytest.param(a, marks=LONG) for a in ("ctrl-c-twice", "terminate"))],
)
def test_training_that_is_asked_to_stop_says_one_line(tmp_path, asked):
    signals, group = ASKED[asked]
    folder, run_dir = write_patches(tmp_path, size=20), tmp_path / "run"
    options = "--model srcnn --loss mse --batch-size 2 --iterations 100000"
    options += " --checkpoint-every 20 --log-every 20 --device cpu --json"
    run = Command(
        tmp_path / "said", "train", folder, "--out", run_dir, *options.split()
    )
    assert run.wait_for((run_dir / CHECKPOINT).exists)
    for number in signals:
        run.send(number, group=group)
        time.sleep(0.03)
    assert run.end() == 130
    (told,) = run.told()
    assert told.startswith("Interrupted")
    again = f"Continue with --resume. The command: dped-build train {folder} --out "
    assert f"{again}{run_dir} " in told
    assert told.endswith(" --resume")
    assert temporaries(tmp_path) == []
    assert run.leaves_no_process()
