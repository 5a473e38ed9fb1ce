"""Long checks, run by `make soak`: a run killed at any instant loses nothing."""

import json
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

from dped_build.selftest.demo_set import DSLR, PHONE, write_demo_set
from dped_build.train import load_generator
from dped_build.train.checkpoint import saved_iteration

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
KILLS = 25  # of each command
PAIRS = 30
TRAINING = "--model srcnn --loss mse --batch-size 2 --iterations 120 --log-every 10"
TRAINING += " --checkpoint-every 3 --device cpu --resume --json"
STEPS = {  # command → the step before it, and the folder that it writes
    "align": (None, "aligned"),
    "patches": ("align", "patches"),
    "import": (None, "imported"),
    "report": ("patches", "report"),
    "export": ("patches", "export/png"),
    "train": ("patches", "runs/one"),
    "enhance": ("train", "enhanced"),
}


def arguments(name, root, work):
    raw = root / "raw"
    lines = {
        "align": ["align", raw / "iphone", raw / "canon", "-w", work, "--jobs", 2],
        "patches": ["patches", "-w", work, "--size", 48, "--jobs", 2],
        "import": ["import", root / "pairs", "--out", work / "imported", "--jobs", 2],
        "report": ["report", "-w", work, "--jobs", 2],
        "export": ["export", work, "--format", "png"],
        "train": ["train", work / "patches", "--out", work / "runs/one"]
        + TRAINING.split(),
        "enhance": ["enhance", work / "runs/one", raw / "iphone", "--skip-existing"]
        + ["--out", work / "enhanced"],
    }
    return lines[name]


@pytest.fixture(scope="module")
def root(tmp_path_factory, textured):
    """Photos, patches, what every command makes of them, and how long it takes."""
    root = tmp_path_factory.mktemp("soak")
    make_pairs(root / "raw", textured, PAIRS)
    make_patch_pairs(root / "pairs", 1500)
    (root / "empty").mkdir()
    seconds = {}
    for name, (earlier, _) in STEPS.items():
        shutil.copytree(root / (earlier or "empty"), root / name)
        started = time.monotonic()
        finish(root / "said", *arguments(name, root, root / name))
        seconds[name] = time.monotonic() - started
    (root / "seconds.json").write_text(json.dumps(seconds))
    return root


def contents(name, folder):
    """What must be equal: of a run, weights and metrics."""
    found = tree(folder)
    if name != "train":
        return found
    models = ("generator.pt", "best.pt")
    states = {
        model: {
            k: v.tolist()
            for k, v in load_generator(folder / model).state_dict().items()
        }
        for model in models
    }
    return states, found["metrics.jsonl"]


def check_after_kill(name, folder, reached):
    """What a kill must leave; returns how far a training run came."""
    if name in ("align", "patches", "import", "report", "export"):
        assert_whole_or_absent(folder)
    if name == "train":
        now = saved_iteration(folder / "checkpoint.pt") or 0  # it loads
        assert now >= reached
        return now
    return 0


@pytest.mark.parametrize("name", STEPS)
def test_a_command_killed_at_random_instants_ends_in_the_same_bytes(
    root, tmp_path, name
):
    seed = random.randrange(2**32)
    rng, seconds = random.Random(seed), json.loads((root / "seconds.json").read_text())
    earlier, written = STEPS[name]
    wanted = contents(name, root / name / written)
    said, kills, rounds = tmp_path / "said", 0, 0
    while kills < KILLS:
        work, log = tmp_path / f"{rounds}/work", tmp_path / f"{rounds}/log"
        shutil.copytree(root / (earlier or "empty"), work)
        reached, ended = 0, False
        while not ended:
            run = Command(
                said, *arguments(name, root, work), env={"DPED_BUILD_LOG": str(log)}
            )
            ended = not kill_at_random(run, rng, 1.2 * seconds[name])
            assert run.leaves_no_process()
            reached = check_after_kill(name, work / written, reached)
            kills += not ended
        assert run.end() == 0, run.said.read_text()
        assert contents(name, work / written) == wanted
        if name != "enhance":
            assert leftovers(work) == []
            assert temporaries(work) == []
        assert finished_twice(log) == []
        shutil.rmtree(work)
        rounds += 1
    print(f"{name}: {kills} kills, {rounds} rounds, seed {seed}")


@pytest.mark.parametrize("name", ["align", "patches", "import", "report", "enhance"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("group", [True, False], ids=["group", "alone"])
def test_a_command_interrupted_at_random_instants_says_one_line(
    root, tmp_path, name, number, group
):
    rng, seconds = random.Random(), json.loads((root / "seconds.json").read_text())
    earlier, written = STEPS[name]
    work, said, stopped = tmp_path / "work", tmp_path / "said", 0
    shutil.copytree(root / (earlier or "empty"), work)
    for attempt in range(4):
        log = tmp_path / f"log {attempt}"
        run = Command(
            said, *arguments(name, root, work), env={"DPED_BUILD_LOG": str(log)}
        )
        assert run.wait_for(log.exists)
        time.sleep(rng.uniform(0, seconds[name] / 2))
        run.send(number, group=group)
        code = run.end()
        assert run.leaves_no_process()
        if code:
            stopped += 1
            assert code == 130, run.said.read_text()
            assert [line[:11] for line in run.told()] == ["Interrupted"]
        if name != "enhance":
            assert_whole_or_absent(work / written)
    assert stopped
    finish(said, *arguments(name, root, work))
    assert contents(name, work / written) == contents(name, root / name / written)


def test_the_demos_photos_killed_at_random_instants_end_in_the_same_bytes(tmp_path):
    rng = random.Random(0)
    write_demo_set(tmp_path / "raw")
    photos = tmp_path / "raw" / PHONE, tmp_path / "raw" / DSLR
    for work in ("whole", "killed"):
        for command in (("align", *photos), ("patches",)):
            line = (*command, "-w", tmp_path / work)
            for _ in range(12 if work == "killed" else 0):
                run = Command(tmp_path / "said", *line)
                kill_at_random(run, rng, 6)
            finish(tmp_path / "said", *line)
    for stage in ("aligned", "patches"):
        whole, killed = (tree(tmp_path / w / stage) for w in ("whole", "killed"))
        assert len(whole) > 5
        assert killed == whole
