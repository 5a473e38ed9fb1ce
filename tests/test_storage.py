"""A disk that refuses costs one clear line; nothing damaged is ever published."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from faults import (
    KINDS,
    Command,
    Disk,
    assert_whole_or_absent,
    is_progress,
    leftovers,
    make_pairs,
    make_patch_pairs,
    temporaries,
    tree,
)
from filelock import FileLock

from dped_build.cli import cli
from dped_build.curate.verify import verify_workspace
from dped_build.train import load_generator
from dped_build.train.checkpoint import saved_iteration
from dped_build.train.run_folder import held
from dped_build.workspace.durable import (
    SCRATCH,
    drop_temporaries,
    durable,
    patient_file,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import SUMS, write_sums

pytestmark = pytest.mark.usefixtures("one_thread")
TRAINING = "--model srcnn --loss mse --batch-size 2 --log-every 2 --checkpoint-every 2"
TRAINING += " --device cpu --resume --json"
PUBLISHED = {  # command → the folder that it writes
    "align": "aligned",
    "patches": "patches",
    "import": "imported",
    "report": "report",
    "train": "runs/one",
    "enhance": "enhanced",
}
START = {  # command → whose result it starts from; None: the smaller run
    "align": None,
    "patches": "align",
    "import": None,
    "report": "patches",
    "train": None,
    "enhance": "train",
}
WORKER = {  # command → the function that does one pair's work
    "align": "dped_build.align.worker.align_and_keep",
    "patches": "dped_build.patches.build.make_piece",
    "import": "dped_build.exchange.import_patches.make_block",
}
NEVER = 10**9
TRIED = 3  # instants at which the disk fails, in the short version


def arguments(name, root, work, *, first=False):
    """The command line of a command at work in `work`."""
    raw = root / "raw"
    iterations = 2 if first else 4
    lines = {
        "align": ["align", raw / "iphone", raw / "canon", "-w", work, "--jobs", 1],
        "patches": ["patches", "-w", work, "--size", 48, "--jobs", 1],
        "import": ["import", root / "pairs", "--out", work / "imported", "--jobs", 1],
        "report": ["report", "-w", work, "--jobs", 1],
        "train": ["train", work / "patches", "--out", work / "runs/one"]
        + ["--iterations", iterations, *TRAINING.split()],
        "enhance": ["enhance", work / "runs/one", raw / "iphone/0001.jpg"]
        + ["--out", work / "enhanced"],
    }
    return [str(word) for word in lines[name]]


def call(name, root, work, **options):
    """Run a command in this process."""
    return CliRunner().invoke(cli, arguments(name, root, work, **options))


def told(result):
    """The lines on stderr that are no progress."""
    return [line for line in result.stderr.splitlines() if not is_progress(line)]


def done(name, root, work, **options):
    result = call(name, root, work, **options)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def root(one_thread, tmp_path_factory, textured):
    """Photos, patches, and for every command its workspace before and after it ran.

    Before: an earlier, smaller run has been published where there can be one.
    """
    root = tmp_path_factory.mktemp("storage")
    make_pairs(root / "raw", textured, 4)
    make_patch_pairs(root / "pairs", 60)
    later = [root / "raw" / camera / "0003.jpg" for camera in ("iphone", "canon")]
    for path in later:
        path.rename(path.with_suffix(".later"))
    work = root / "work"
    for name in ("align", "patches", "train", "report"):
        done(name, root, work, first=True)
    for path in later:
        path.with_suffix(".later").rename(path)
    for name, earlier in START.items():
        start = root / "after" / earlier if earlier else work
        shutil.copytree(start, root / "before" / name)
        shutil.copytree(start, root / "after" / name)
        done(name, root, root / "after" / name)
    return root


@pytest.fixture(scope="module")
def disk():
    return Disk()


def published(name, work):
    """What must be as before or as after; of a run, what does not tell the time."""
    found = tree(work / PUBLISHED[name])
    if name == "train":
        kept = ("metrics.jsonl", "config.json", "generator.pt", "best.pt")
        return {path: data for path, data in found.items() if path in kept}
    return found


def count_operations(disk, monkeypatch, name, root, work):
    shutil.copytree(root / "before" / name, work)
    with disk.failing(work, monkeypatch, at=NEVER, kind="once", number=0):
        done(name, root, work)
    return next(disk.counter)


def fail_and_mend(disk, monkeypatch, name, root, work, *, at, kind, number):
    """Fail at one operation; hold what is left against before, run again, and after."""
    before, after = (
        published(name, root / when / name) for when in ("before", "after")
    )
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root / "before" / name, work)
    with disk.failing(work, monkeypatch, at=at, kind=kind, number=number):
        result = call(name, root, work)
    assert disk.failed
    if result.exit_code == 0:  # what failed was to be cleared away
        assert published(name, work) == after
    else:
        assert result.exit_code == 1, result.output
        (line,) = told(result)
        assert line.startswith("Error: ")
        assert os.strerror(number).lower() in line.lower()
    if name == "train":
        assert saved_iteration(work / "runs/one/checkpoint.pt") in (2, 4)
        load_generator(work / "runs/one")
    elif name == "enhance":
        assert published(name, work).items() <= after.items()
    elif not (work / PUBLISHED[name]).exists() and before:
        # Between the renames of the old and the new folder: the next run ends them.
        assert_whole_or_absent(work / SCRATCH / f"{PUBLISHED[name]}-build")
        assert_whole_or_absent(work / SCRATCH / f"{PUBLISHED[name]}-build-old")
    else:
        assert published(name, work) in (before, after)
    if kind == "full":
        assert temporaries(work / PUBLISHED[name]) == []
    done(name, root, work)
    assert published(name, work) == after
    if kind == "full" or name != "enhance":
        assert temporaries(work) == []
        assert leftovers(work) == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_disk_that_refuses_anything_at_any_instant_damages_nothing(
    root, disk, monkeypatch, tmp_path, name
):
    total = count_operations(disk, monkeypatch, name, root, tmp_path / "count")
    assert total > 2
    kinds = itertools.cycle(KINDS)
    for at in sorted({total * n // TRIED for n in range(TRIED)}):
        kind, number = next(kinds)
        work = tmp_path / "work"
        fail_and_mend(
            disk, monkeypatch, name, root, work, at=at, kind=kind, number=number
        )


@pytest.mark.soak
@pytest.mark.parametrize("kind, number", KINDS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_disk_that_refuses_at_every_instant_damages_nothing(
    root, disk, monkeypatch, tmp_path, name, kind, number
):
    total = count_operations(disk, monkeypatch, name, root, tmp_path / "count")
    for at in range(total):
        work = tmp_path / "work"
        fail_and_mend(
            disk, monkeypatch, name, root, work, at=at, kind=kind, number=number
        )


def limit_files(limit):
    """Let this process write no file beyond `limit` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    "name, limit", [("patches", 60_000), ("patches", 150_000), ("train", 40_000)]
)
def test_a_file_that_is_refused_in_the_middle_is_told_in_a_line(
    root, tmp_path, name, limit
):
    work = shutil.copytree(root / "before" / name, tmp_path / "work")
    before = published(name, work)
    run = Command(
        tmp_path / "said",
        *arguments(name, root, work),
        preexec_fn=lambda: limit_files(limit),
    )
    assert run.end() == 1
    (line,) = run.told()
    assert line.startswith("Error: ")
    assert "cannot be written (file too large)" in line.lower()
    assert name == "train" or published(name, work) == before
    assert temporaries(work) == []
    done(name, root, work)
    assert published(name, work) == published(name, root / "after" / name)


def test_hdf5_outlives_a_disk_that_is_full_at_any_byte(tmp_path):
    code = """
import resource, signal, sys
import h5py, numpy as np
from dped_build.workspace.durable import patient_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rows = np.arange(60_000, dtype="u1").reshape(20, 3000)
for limit in range(0, 70_000, 1_777):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with patient_file(sys.argv[1]) as raw, h5py.File(raw, "w") as file:
            file.create_dataset("x", rows.shape, "u1", chunks=(1, 3000))[:] = rows
    except OSError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        print("refused" if error.errno == 27 else error)
    else:
        print("written")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.h5"], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = ran.stdout.splitlines()
    assert said[0] == "refused"
    assert said[-1] == "written"
    assert set(said) == {"refused", "written"}


def test_a_patient_file_holds_what_a_plain_one_would(tmp_path):
    with patient_file(tmp_path / "a") as file:
        file.write(b"abc")
        file.seek(10)
        file.write(b"def")
        file.truncate(12)
    assert (tmp_path / "a").read_bytes() == b"abc" + bytes(7) + b"de"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, left):
    """Leave so many bytes free."""
    with (disk / "filler").open("wb") as file:
        free = shutil.disk_usage(disk).free
        file.write(bytes(max(free - left, 0)))


@pytest.mark.parametrize("name", ["align", "patches"])
def test_a_disk_that_fills_up_while_running_is_told(
    root, small_disk, monkeypatch, name
):
    work = shutil.copytree(root / "before" / name, small_disk / "work")
    shutil.rmtree(work / PUBLISHED[name])
    original = resolve(WORKER[name])

    def then_full(task):
        result = original(task)
        fill(small_disk, 0)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(WORKER[name], then_full)
        result = call(name, root, work)
    assert result.exit_code == 1
    (line,) = told(result)
    assert "No space left on device" in line
    assert not (work / PUBLISHED[name]).exists()
    (small_disk / "filler").unlink()
    done(name, root, work)
    assert_whole_or_absent(work / PUBLISHED[name])


def test_a_full_disk_stops_before_work(root, small_disk):
    work = shutil.copytree(root / "before/patches", small_disk / "work")
    fill(small_disk, 100_000)
    result = call("patches", root, work)
    assert result.exit_code == 1
    assert "GB needed" in result.stderr
    assert tree(work / "patches") == tree(root / "before/patches/patches")


def test_a_read_only_disk_is_told_by_every_command(root, small_disk):
    work = shutil.copytree(root / "before/patches", small_disk / "work")
    before = tree(work)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        for name in PUBLISHED:
            result = call(name, root, work)
            assert result.exit_code == 1, name
            (line,) = told(result)
            assert "Read-only file system" in line or "no permission" in line
        assert tree(work) == before
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    done("patches", root, work)


@pytest.mark.parametrize("name", ["align", "patches", "import"])
@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_workspace_that_goes_away_while_running_is_told(
    root, tmp_path, monkeypatch, name, how
):
    work = shutil.copytree(root / "before" / name, tmp_path / "work")
    shutil.rmtree(work / PUBLISHED[name], ignore_errors=True)
    elsewhere = tmp_path / "elsewhere"
    module = WORKER[name]
    calls = []

    def then_gone(task):
        result = original(task)
        if not calls:
            work.rename(elsewhere)
            if how == "removed":
                shutil.rmtree(elsewhere)
        calls.append(task)
        return result

    original = resolve(module)
    with monkeypatch.context() as patch:
        patch.setattr(module, then_gone)
        result = call(name, root, work)
    assert calls
    assert result.exit_code == 1, result.output
    (line,) = told(result)
    assert "run the same command again" in line
    assert not (work / PUBLISHED[name]).exists()
    if how == "moved":
        shutil.rmtree(work, ignore_errors=True)
        done(name, root, elsewhere)
        assert_whole_or_absent(elsewhere / PUBLISHED[name])


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(sys.modules[module], name)


@pytest.mark.parametrize("name", ["align", "patches", "import", "report"])
def test_a_second_run_at_the_same_time_is_refused(root, tmp_path, name):
    work = shutil.copytree(root / "before" / name, tmp_path / "work")
    before = tree(work)
    with FileLock(work / SCRATCH / "lock"):
        result = call(name, root, work)
    assert result.exit_code == 1
    (line,) = told(result)
    assert "another dped-build is at work in this workspace; wait for it" in line
    assert tree(work) == before
    done(name, root, work)


def test_a_lock_of_a_killed_run_holds_nobody_up(root, tmp_path):
    work = shutil.copytree(root / "before/patches", tmp_path / "work")
    code = "import sys, time; from filelock import FileLock; "
    code += "lock = FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); "
    code += "time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, work / SCRATCH / "lock"], stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        assert call("patches", root, work).exit_code == 1
        holder.kill()
    assert (work / SCRATCH / "lock").exists()
    done("patches", root, work)


def test_a_killed_writers_files_are_cleared_by_the_next(tmp_path):
    folder = tmp_path / "work/runs/one"
    (tmp_path / "work" / SCRATCH).mkdir(parents=True)
    left = []
    for path in (folder / "checkpoint.pt", folder / "samples/1.png"):
        with durable(path) as temporary:
            left.append(temporary.with_name(temporary.name + "0"))
            left[-1].touch()
    with durable(tmp_path / "work/runs/two/checkpoint.pt") as other, held(folder):
        assert not any(path.exists() for path in left)
        assert other.exists()  # which another run is writing now


def test_idle_files_alone_are_cleared_where_several_write(tmp_path):
    with durable(tmp_path / "a.png") as busy:
        idle = busy.with_name(busy.name + "0")
        idle.touch()
        os.utime(idle, (time.time() - 7200,) * 2)
        drop_temporaries(tmp_path, idle_seconds=3600)
        assert busy.exists()
        assert not idle.exists()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "folder"
    (target / "file").mkdir(parents=True)
    refused = pytest.raises(DpedBuildError, match=r"folder: cannot be written .*run")
    with refused, durable(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.is_dir()
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("name", ["align", "patches", "import", "report"])
def test_one_flipped_bit_is_found_in_any_file_written(root, tmp_path, name):
    work = shutil.copytree(root / "after" / name, tmp_path / "work")
    if name == "import":  # verify looks at a workspace's patches
        shutil.rmtree(work / "patches")
        (work / "imported").rename(work / "patches")
    folder = work / ("patches" if name == "import" else PUBLISHED[name])
    assert verify_workspace(work).damage == []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS):
        data = path.read_bytes()
        for place in {0, len(data) // 3, len(data) - 1} if data else ():
            path.write_bytes(
                data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
            )
            (line,) = verify_workspace(work).damage
            assert line == f"{path}: its content is not what was written"
        path.write_bytes(data)


def other_shard(root, work):
    """A shard of another run, put in the place of one of this workspace."""
    other = work.with_name("other")
    shutil.copytree(root / "after/patches", other)
    lines = arguments("patches", root, other) + ["--min-corr", "0.5", "--force"]
    lines += ["--split-seed", "3"]
    assert CliRunner().invoke(cli, lines).exit_code == 0
    shutil.copy(other / "patches/train-00000.h5", work / "patches/train-00000.h5")


def test_a_shard_of_another_run_in_its_place_is_found(root, tmp_path):
    work = shutil.copytree(root / "after/patches", tmp_path / "work")
    other_shard(root, work)
    (line,) = verify_workspace(work).damage
    assert line.endswith("train-00000.h5: its content is not what was written")


def test_a_missing_shard_is_found(root, tmp_path):
    work = shutil.copytree(root / "after/patches", tmp_path / "work")
    (work / "patches/train-00000.h5").unlink()
    (line,) = verify_workspace(work).damage
    assert line.endswith("train-00000.h5: missing")


def test_a_manifest_of_another_run_is_found(root, tmp_path):
    work = shutil.copytree(root / "after/patches", tmp_path / "work")
    shutil.copy(
        root / "before/patches/patches/manifest.json", work / "patches/manifest.json"
    )
    (line,) = verify_workspace(work).damage
    assert line.endswith("manifest.json: its content is not what was written")
    write_sums(work / "patches")  # even where the sums are forged as well
    assert verify_workspace(work).damage
