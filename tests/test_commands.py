"""Every command on the demo's photographs; `test_cli.py` starts them as processes."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dped_build.cli import cli
from dped_build.commands.demo import DEMO_TRAINING
from dped_build.patches.build import PatchSummary
from dped_build.selftest.demo_set import DSLR, PHONE, TRUTH, write_demo_set
from dped_build.selftest.truth import compare_with_truth
from dped_build.train.evaluating import evaluate as evaluating
from dped_build.train.evaluating.scores import FIGURES
from dped_build.workspace.errors import DpedBuildError, Interrupted

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments, code=0):
    """Run the command in this process; returns stdout and stderr together."""
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    assert isinstance(done.exception, (SystemExit, type(None))), done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def demo(made_once, one_thread):
    """The demo's photo set, aligned and cut."""

    def make(folder):
        write_demo_set(folder)
        run("align", folder / PHONE, folder / DSLR, "-w", folder)
        run("patches", "-w", folder)

    return made_once("a demo", make)


@pytest.fixture(scope="module")
def trained(demo):
    """A run of a few iterations on the demo's patches."""
    run(
        *("train", "-w", demo, "--model", "srcnn", "--loss", "mse+texture"),
        *("--iterations", 4, "--batch-size", 4, "--log-every", 2),
        *("--checkpoint-every", 2, "--device", "cpu"),
    )
    return demo / "runs" / "released-srcnn"


def test_the_demo_runs_what_it_says_to_the_report(tmp_path, monkeypatch):
    brief = {"iterations": 2, "checkpoint_every": 2, "log_every": 2}
    monkeypatch.setattr(
        "dped_build.commands.demo.DEMO_TRAINING", {**DEMO_TRAINING, **brief}
    )
    folder, log = tmp_path / "a demo", tmp_path / "log.jsonl"
    ran = CliRunner().invoke(
        cli, ["demo", str(folder), "--jobs", "2"], env={"DPED_BUILD_LOG": str(log)}
    )
    assert ran.exit_code == 0, ran.output
    said = [line[2:] for line in ran.output.splitlines() if line.startswith("$ ")]
    names = "align", "patches", "train", "evaluate", "enhance", "report"
    assert [shlex.split(line)[1] for line in said] == [*names]
    assert f"{folder / 'report' / 'index.html'}" in ran.output
    assert (folder / "report" / "index.html").is_file()
    assert "Against the truth: 154 patches" in ran.output
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("start") == events.count("end") == 1
    assert events.count("pair") == 9 + 7  # once each, by align and patches
    assert run(*shlex.split(said[-1])[1:])  # as a user would, again


@pytest.fixture
def workspace(demo, tmp_path):
    """A copy of the demo's workspace, to break."""
    return Path(shutil.copytree(demo, tmp_path / "w", copy_function=shutil.copy2))


def records(workspace):
    lines = (workspace / "aligned" / "alignment.jsonl").read_text().splitlines()
    return {record["pair"]: record for record in map(json.loads, lines)}


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself_with_an_example(name):
    text = run(name, "--help")
    assert "Example" in text
    assert f"dped-build {name}" in text


def test_help_and_align_and_patches_do_without_torch():
    code = (
        "import sys; from dped_build import align, patches; from dped_build.cli import "
        "cli; align.align_folders, patches.build_shards, patches.PatchDataset; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_loads_nothing_that_is_slow_to_load():
    code = (
        "import sys; from dped_build.cli import cli; "
        "sys.exit(bool({'torch', 'cv2', 'h5py', 'matplotlib', 'numpy'} "
        "& set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bad_pairs_of_the_demo_are_recorded_with_their_reasons(demo):
    found = {k: (v["status"], v["reason"]) for k, v in records(demo).items()}
    assert found.pop("two-scenes") == ("rejected", "too_few_matches")
    assert found.pop("damaged") == ("failed", "truncated")
    assert set(found.values()) == {("aligned", None)}
    assert len(found) == 7


def test_patches_of_the_demo_are_close_to_the_truth(demo):
    errors = compare_with_truth(demo / "patches", demo / TRUTH, size=100)
    assert errors.patches > 120
    assert errors.median_px < 0.2
    assert errors.p95_px < 0.5
    assert errors.worst_px < 1.5


def test_every_split_of_the_demo_has_patches(demo):
    manifest = json.loads((demo / "patches" / "manifest.json").read_text())
    assert all(split["patches"] > 0 for split in manifest["splits"].values())


def test_a_second_run_finds_nothing_to_do(workspace):
    folders = workspace / PHONE, workspace / DSLR
    run(
        "align", *folders, "-w", workspace
    )  # the photos were copied: states their place
    before = {p: p.stat().st_mtime_ns for p in workspace.rglob("*.*") if p.is_file()}
    assert "nothing new to do" in run("align", *folders, "-w", workspace)
    assert "nothing new to do" in run("patches", "-w", workspace)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_json_is_all_that_a_script_gets(workspace):
    folders = workspace / PHONE, workspace / DSLR
    aligned = json.loads(run("align", *folders, "-w", workspace, "--json"))
    assert (aligned["pairs"], aligned["aligned"]) == (9, 7)
    cut = json.loads(run("patches", "-w", workspace, "--json"))
    assert sum(cut["windows"].values()) > cut["accepted"] > 120
    report = json.loads(run("report", "-w", workspace, "--json"))
    stored = json.loads((workspace / "report" / "report.json").read_text())
    assert report == stored


def test_the_report_is_written_and_summed_up(demo, trained):
    text = run("report", "-w", demo)
    assert "too_few_matches 1, truncated 1" in text
    page = (demo / "report" / "index.html").read_text()
    assert "two-scenes" in page
    assert "released-srcnn" in page
    assert "http://" not in page


def test_training_leaves_all_its_files_and_resumes(demo, trained, tmp_path):
    names = {path.name for path in trained.iterdir()}
    assert {
        "config.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "best.pt",
        "generator.pt",
        "samples",
    } <= names
    copy = shutil.copytree(trained, tmp_path / "run")
    again = ("train", demo / "patches", "--out", copy, "--model", "srcnn")
    again += ("--loss", "mse+texture", "--batch-size", 4, "--log-every", 2)
    again += ("--checkpoint-every", 2, "--device", "cpu", "--iterations")
    run(*again, 4, "--resume")
    assert "--resume" in run(*again, 6, code=1)
    run(*again, 6, "--resume")
    lines = (copy / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [2, 4, 6]


def test_evaluation_compares_the_phone_with_the_model(demo, trained):
    result = json.loads(run("evaluate", trained, "-w", demo, "--json"))
    with h5py.File(demo / "patches" / "test-00000.h5") as shard:
        assert result["n"] == len(shard["phone"])
    assert set(result["input"]) == set(result["output"])
    assert 10 < result["input"]["psnr_training"] < 40


def test_photos_are_enhanced_at_their_own_size(demo, trained, tmp_path):
    photo = demo / PHONE / "cat.jpg"
    text = run(
        "enhance", trained, photo, demo / PHONE / "damaged.jpg", "--out", tmp_path
    )
    assert "damaged.jpg: the file ends early" in text
    written = np.asarray(Image.open(tmp_path / "cat-enhanced.png"))
    with Image.open(photo) as image:
        assert written.shape == (image.height, image.width, 3)
    run("enhance", trained / "generator.pt", photo, "--out", tmp_path, "--tile", 128)
    tiled = np.asarray(Image.open(tmp_path / "cat-enhanced.png"))
    assert np.abs(tiled.astype(int) - written.astype(int)).max() <= 1


def test_verify_finds_a_flipped_byte(workspace):
    sound = run("verify", "-w", workspace)
    assert f": intact  (next: dped-build train -w {workspace})" in sound
    shard = workspace / "patches" / "train-00000.h5"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    assert "train-00000.h5" in run("verify", "-w", workspace, code=1)


def test_a_folder_that_is_missing_empty_or_given_twice_is_named(demo, tmp_path):
    phone, empty = demo / PHONE, tmp_path / "empty"
    empty.mkdir()
    for folders, code, text in (
        ((tmp_path / "nowhere", phone), 2, "nowhere: no such folder"),
        ((phone, demo / "aligned" / "manifest.json"), 2, "not a folder"),
        ((phone, phone), 2, "given for both cameras"),
        ((phone, empty), 1, "empty: no photos in it"),
    ):
        out = run("align", *folders, "-w", tmp_path / "w", code=code)
        assert text in out
        assert len(out.strip().splitlines()[-1]) < 300


def test_folders_without_common_names_leave_records_and_say_what_to_do(demo, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(demo / DSLR / "cat.jpg", other / "DSC_0001.jpg")
    out = run("align", demo / PHONE, other, "-w", tmp_path / "w", code=1)
    assert "name both photos of a scene alike" in out
    reasons = {record["reason"] for record in records(tmp_path / "w").values()}
    assert reasons == {"no_partner"}


def test_swapped_folders_get_a_hint(demo, tmp_path):
    out = run("align", demo / DSLR, demo / PHONE, "-w", tmp_path / "w", code=1)
    assert "look swapped" in out
    found = records(tmp_path / "w")["coffee"]
    assert found["reason"] == "implausible_homography"
    assert "swapped" in found["message"]


def test_stages_out_of_order_say_which_comes_first(tmp_path):
    assert "dped-build align" in run("patches", "-w", tmp_path, code=1)
    assert "dped-build align" in run("report", "-w", tmp_path, code=1)
    text = run("train", "-w", tmp_path, "--loss", "mse", code=1)
    assert "dped-build patches" in text


def test_training_on_zero_patches_says_so(workspace):
    text = run("patches", "-w", workspace, "--min-corr", 1, "--force", code=1)
    assert "no window was accepted" in text
    text = run("train", "-w", workspace, "--loss", "mse", code=1)
    assert f"no train patches in {workspace / 'patches'}" in text


def test_training_without_vgg_weights_names_the_way_out(workspace, tmp_path):
    missing = tmp_path / "vgg.pth"
    text = run("train", "-w", workspace, "--vgg", missing, code=1)
    assert f"--vgg {missing}: no such file; fetch https://" in text


def test_other_settings_and_foreign_files_are_never_overwritten(workspace):
    folders = workspace / PHONE, workspace / DSLR
    text = run("align", *folders, "-w", workspace, "--crops", "png", code=1)
    assert "crops = jpg, now png" in text
    assert "--force" in text
    text = run("patches", "-w", workspace, "--min-corr", 0.8, code=1)
    assert "min-corr = 0.9, now 0.8" in text
    (workspace / "aligned" / "notes.txt").write_text("mine")
    text = run("align", *folders, "-w", workspace, "--force", code=1)
    assert "notes.txt: not written by dped-build" in text
    assert (workspace / "aligned" / "notes.txt").read_text() == "mine"


def test_a_dry_run_only_says_what_would_be_done(demo, tmp_path):
    folders = demo / PHONE, demo / DSLR
    text = run("align", *folders, "-w", tmp_path / "w", "--dry-run")
    assert "9 pairs, 9 to do" in text
    assert not (tmp_path / "w" / "aligned").exists()


def test_wrong_options_exit_with_2(tmp_path):
    text = run("patches", "-w", tmp_path, "--min-corr", 2, code=2)
    assert "--min-corr" in text
    text = run("train", "-w", tmp_path, "--loss", "beauty", code=2)
    assert "beauty" in text


@pytest.mark.parametrize(
    "name, kept",
    [("align", True), ("build", True), ("report", True), ("verify", False)],
)
def test_an_interruption_claims_kept_work_only_where_work_is_kept(
    name, kept, tmp_path, monkeypatch
):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.commands[name], "callback", interrupted)
    folders = [str(tmp_path), str(tmp_path)] if name in ("align", "build") else []
    result = CliRunner().invoke(cli, [name, *folders])
    assert result.exit_code == 130
    assert ("finished work is kept" in result.output) == kept
    assert "Interrupted" in result.output


def test_a_bare_resume_finds_the_only_unfinished_run(tmp_path, monkeypatch):
    resumed = []

    def train(_folders, run_dir, settings, **_):
        resumed.append((run_dir.name, settings.model))
        raise Interrupted("Interrupted.")

    monkeypatch.setattr("dped_build.train.train", train)
    bare = ["train", "--loss", "mse", "--resume", "-w", tmp_path]
    assert "to resume: train without --resume" in run(*bare, code=2)
    for name in ("released-dped", "mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    assert "several unfinished runs" in run(*bare, code=2)
    (tmp_path / "runs/released-dped/SHA256SUMS").touch()
    again = f"The command: dped-build train -w {tmp_path} --out {tmp_path}/runs/mine"
    assert f"{again} --resume" in run(*bare, code=130)
    (tmp_path / "runs/mine/SHA256SUMS").touch()
    (tmp_path / "runs/released-dped").rename(tmp_path / "runs/other")
    assert "several finished runs: add --out" in run(*bare, code=2)
    run("train", "--preset", "fast", "-w", tmp_path, code=130)
    assert resumed == [("mine", "dped"), ("fast", "fast")]


def test_a_merge_without_a_named_target_is_refused(tmp_path):
    text = run("merge", tmp_path / "a", tmp_path / "b", code=2)
    assert "name the new workspace, as in -w data/both-days" in text


@pytest.mark.parametrize("psnr, worse", [(20.0, True), (30.0, False), (None, False)])
def test_a_model_worse_than_the_phone_is_warned_of(psnr, worse, tmp_path, monkeypatch):
    scores = dict.fromkeys(FIGURES, 0.5)
    phone, output = ({**scores, "psnr_pirm": value} for value in (25.0, psnr))
    sides = {"input": phone, "output": output}
    result = {"n": 1, **sides, "photos": {"1": {"n": 1, **sides}}}
    monkeypatch.setattr("dped_build.train.load_generator", lambda _: None)
    monkeypatch.setattr(evaluating, "evaluate", lambda *_, **__: result)
    told = run("evaluate", tmp_path / "run")
    assert ("PSNR 20 is below the 25 of the unchanged phone" in told) == worse


def test_what_is_unfit_to_compare_is_told_before_the_failure(tmp_path, monkeypatch):
    def evaluate(*_, tell, **__):
        tell("other: 1.png is 8x8 px, the phone photo 9x9 px: give it that size")
        raise DpedBuildError("nothing to compare")

    monkeypatch.setattr("dped_build.train.load_generator", lambda _: None)
    monkeypatch.setattr(evaluating, "evaluate", evaluate)
    text = run("evaluate", tmp_path / "run", "--compare", "other=x", code=1)
    assert "8x8 px, the phone photo 9x9 px" in text


@pytest.mark.parametrize("train, few", [(2, True), (6, False)])
def test_a_small_share_for_training_is_warned_of(train, few, tmp_path, monkeypatch):
    splits = {
        "train": {"patches": train},
        "val": {"patches": 2},
        "test": {"patches": 2},
    }
    count = {"accepted": train + 4}
    summary = PatchSummary(tmp_path, 3, count, splits, [], 3)
    monkeypatch.setattr("dped_build.patches.build_shards", lambda *_, **__: summary)
    text = run("patches", "-w", tmp_path)
    assert ("for training (train 33%, val 33%, test 33%)" in text) == few


def test_report_takes_workspaces_as_arguments_too(tmp_path):
    one, two = (tmp_path / name for name in ("one", "two"))
    assert f"{one}" in run("report", one, "-w", two, code=1)
    assert "name more than one" in run("report", one, "--out", two, code=2)
