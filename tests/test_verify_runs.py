"""`verify` holds training runs against what they state, without torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from shards import write_patches

from dped_build.cli import cli
from dped_build.curate.verify import verify_workspace
from dped_build.train import TrainSettings, train
from dped_build.train.step import train_step
from dped_build.train.torch_archive import is_sound_archive, stated_values
from dped_build.workspace.errors import Interrupted
from dped_build.workspace.stage import write_sums

ITERATIONS, STOP = 8, 5
SETTINGS = TrainSettings(
    channels=4,
    blocks=1,
    loss="color+mse",
    iterations=ITERATIONS,
    batch_size=2,
    log_every=2,
    checkpoint_every=3,
    device="cpu",
)
MODELS = ("checkpoint.pt", "generator.pt", "best.pt")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    return write_patches(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def finished(one_thread, patches, tmp_path_factory):
    """A workspace with one finished run; to be copied, not changed."""
    workspace = tmp_path_factory.mktemp("finished")
    train(patches, workspace / "runs/one", SETTINGS, progress=False)
    return workspace


@pytest.fixture(scope="module")
def stopped(one_thread, patches, tmp_path_factory):
    """A workspace whose run was asked to stop in iteration 5."""
    workspace = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Interrupted):
        run_until(STOP, patches, workspace / "runs/one", how=signal.SIGTERM)
    return workspace


@pytest.fixture
def workspace(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "w")


@pytest.fixture
def open_run(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "w") / "runs/one"


def run_until(iteration, patches, run_dir, *, how=None, checkpoint_every=3):
    """Train, and be stopped in this iteration: by a signal, or without a last word."""

    def step(state, *arguments, **options):
        train_step(state, *arguments, **options)
        if state.iteration == iteration:
            if how is None:
                raise SystemExit
            os.kill(os.getpid(), how)

    settings = SETTINGS.__class__(
        **{**vars(SETTINGS), "checkpoint_every": checkpoint_every}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dped_build.train.loop.train_step", step)
        train(patches, run_dir, settings, progress=False)


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def edit_json(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def damage_of(folder):
    return verify_workspace(folder).damage


def test_a_finished_run_is_as_stated(finished):
    found = verify_workspace(finished)
    assert (found.damage, found.notes, found.runs) == ([], [], 1)
    files = [path for path in (finished / "runs/one").rglob("*") if path.is_file()]
    assert found.files == len(files) - 1  # all but the sums themselves
    assert verify_workspace(finished / "runs/one") == found


@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_one_flipped_bit_is_found_in_every_file_of_a_finished_run(workspace, place):
    files = [path for path in (workspace / "runs/one").rglob("*") if path.is_file()]
    assert len(files) == 11
    for path in files:
        whole = path.read_bytes()
        flip(path, int(place * (len(whole) - 1)))
        damage = damage_of(workspace)
        assert damage, path
        assert all(str(workspace / "runs/one") in line for line in damage)
        path.write_bytes(whole)
    assert damage_of(workspace) == []


def test_a_missing_file_of_a_finished_run_is_named(workspace):
    path = workspace / "runs/one/samples/000004.png"
    path.unlink()
    assert damage_of(workspace) == [f"{path}: missing"]


def test_notes_of_ones_own_beside_a_finished_run_are_no_damage(workspace):
    (workspace / "runs/one/thoughts.txt").write_text("mine")
    (workspace / "runs/.one.lock").touch()
    (workspace / "runs/pictures").mkdir()
    found = verify_workspace(workspace)
    assert (found.damage, found.runs) == ([], 1)


@pytest.mark.parametrize("name", ["checkpoint.pt", "best.pt", "generator.pt"])
def test_what_was_damaged_before_it_was_summed_is_found(workspace, name):
    path = workspace / "runs/one" / name
    flip(path, path.stat().st_size // 2)
    write_sums(path.parent)
    (line,) = damage_of(workspace)
    assert line.startswith(f"{path}: its checksums do not fit")


def test_a_run_that_goes_on_is_unfinished_until_it_is_summed_again(patches, workspace):
    run, longer = workspace / "runs/one", {**vars(SETTINGS), "iterations": 10}
    before = (run / "SHA256SUMS").read_bytes()
    with pytest.MonkeyPatch.context() as patch:

        def stop(*arguments, **options):
            raise SystemExit

        patch.setattr("dped_build.train.loop.train_step", stop)
        with pytest.raises(SystemExit):
            train(patches, run, TrainSettings(**longer), resume=True, progress=False)
    found = verify_workspace(workspace)
    assert found.damage == []
    assert "unfinished, 8 of 10 iterations" in found.notes[0]
    train(patches, run, TrainSettings(**longer), resume=True, progress=False)
    found = verify_workspace(workspace)
    assert (found.damage, found.notes) == ([], [])
    assert (run / "SHA256SUMS").read_bytes() != before


def test_a_run_killed_before_its_sums_gets_them_when_run_again(patches, workspace):
    run = workspace / "runs/one"
    before = (run / "SHA256SUMS").read_bytes()
    (run / "SHA256SUMS").unlink()
    found = verify_workspace(workspace)
    assert found.damage == []
    assert "has no SHA256SUMS yet" in found.notes[0]
    train(patches, run, SETTINGS, resume=True, progress=False)
    assert (run / "SHA256SUMS").read_bytes() == before


def test_an_unfinished_run_is_no_damage(stopped):
    found = verify_workspace(stopped)
    assert found.damage == []
    assert found.notes == [
        f"{stopped / 'runs/one'}: unfinished, 5 of 8 iterations; go on with --resume"
    ]


@pytest.mark.parametrize("at", [1, 4, 5, 7])
@pytest.mark.parametrize("every", [1, 3])
def test_what_a_kill_leaves_is_no_damage(patches, tmp_path, at, every):
    run = tmp_path / "runs/one"
    with pytest.raises(SystemExit):
        run_until(at, patches, run, checkpoint_every=every)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"iterat')
    found = verify_workspace(tmp_path)
    assert found.damage == []
    assert "unfinished" in found.notes[0]


def test_an_unfinished_runs_archives_hide_no_flip_that_torch_would_load(open_run):
    rng = np.random.default_rng(0)
    for name in MODELS:
        path, changed = open_run / name, 0
        whole = path.read_bytes()
        before = torch.load(path, weights_only=True)
        for offset in rng.integers(0, len(whole), 150):
            flip(path, int(offset))
            damage = damage_of(open_run)
            assert all(str(path) in line for line in damage)
            if not damage:  # between the members
                assert loads_as(path, before)
            elif not loads_as(path, before):
                changed += 1
            path.write_bytes(whole)
        assert changed > 50  # torch alone would not have told


def test_a_member_that_torch_would_take_for_a_folder_is_found(open_run):
    path = open_run / "generator.pt"
    with zipfile.ZipFile(path) as archive:
        entry = archive.start_dir
    flip(path, entry + 38)  # "folder" in the first entry's attributes
    assert damage_of(open_run)


def loads_as(path, before):
    """Whether torch loads the same, or tells by itself that it cannot."""
    try:
        found = torch.load(path, weights_only=True)
    except Exception:  # as torch has no error of its own
        return True
    return equal(found, before)


def equal(one, other):
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and one.dtype == other.dtype
        return same and torch.equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["settings"].update(learning_rate=0.0004),
        lambda config: config["settings"].update(iterations=STOP - 1),
        lambda config: config["architecture"].update(channels=8),
        lambda config: config["loss_weights"].update(mse=1.0),
        lambda config: config["patches"].update(identity="0" * 64),
    ],
)
def test_a_config_of_another_run_is_found(open_run, change):
    edit_json(open_run / "config.json", change)
    damage = damage_of(open_run)
    assert f"{open_run / 'checkpoint.pt'}: of another run than" in damage[0]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": "dped-build/run"}', '{"a":' * 3000, "\0"],
)
def test_a_config_that_cannot_be_read_is_named(open_run, content):
    (open_run / "config.json").write_text(content)
    (line,) = damage_of(open_run)
    assert line.startswith(f"{open_run}: cannot be read (")


def test_lines_lost_before_the_checkpoint_are_counted(open_run):
    path = open_run / "metrics.jsonl"
    first, second = path.read_text().splitlines(keepends=True)
    for text, lost in ((first, 1), (second, 1), ("", 2), (second + first, 0)):
        path.write_text(text)
        (line,) = damage_of(open_run)
        told = f"{lost} lines before" if lost else "not in order"
        assert told in line


@pytest.mark.parametrize("line", ["{", "[]", '{"step": 1}', '{"iteration": -1}', "é"])
def test_a_line_of_metrics_that_is_not_ours_is_damage(open_run, line):
    path = open_run / "metrics.jsonl"
    path.write_text(f"{line}\n{path.read_text()}", encoding="latin-1")
    (told,) = damage_of(open_run)
    assert told.startswith(f"{open_run}: cannot be read (")


def test_metrics_that_end_elsewhere_than_a_finished_run_are_found(workspace):
    path = workspace / "runs/one/metrics.jsonl"
    with path.open("a") as file:
        file.write('{"iteration": 9}\n')
    write_sums(path.parent)
    (line,) = damage_of(workspace)
    assert line == f"{path}: does not end with the checkpoint's iteration 8"


def test_models_of_another_iteration_are_found(open_run, finished):
    shutil.copy(open_run / "checkpoint.pt", open_run / "kept")
    shutil.copy(finished / "runs/one/checkpoint.pt", open_run)
    damage = damage_of(open_run)  # the checkpoint of 8, all else of 5
    assert any("generator.pt: of iteration 5" in line for line in damage)
    assert any("metrics.jsonl: 2 lines" in line for line in damage)
    (open_run / "kept").replace(open_run / "checkpoint.pt")
    for name in ("generator.pt", "best.pt"):
        (open_run / name).unlink()
        assert f"{open_run / name}: missing" in damage_of(open_run)


def test_a_checkpoint_without_its_config_is_damage(open_run):
    (open_run / "config.json").unlink()
    assert "config.json" in damage_of(open_run)[0]


def test_an_imported_model_is_no_run_but_its_checksums_are_compared(tmp_path, finished):
    folder = tmp_path / "runs/imported"
    folder.mkdir(parents=True)
    shutil.copy(finished / "runs/one/generator.pt", folder)
    assert damage_of(tmp_path) == []
    flip(folder / "generator.pt", 8000)
    assert str(folder / "generator.pt") in damage_of(tmp_path)[0]


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\x02}.", b"x" * 1000])
def test_what_is_no_archive_is_not_sound(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    assert not is_sound_archive(path)
    with pytest.raises(ValueError):
        stated_values(path, ("iteration",))


def test_an_archive_that_unpacks_to_more_is_not_sound(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**20)
    assert not is_sound_archive(path)


@pytest.mark.filterwarnings("ignore:invalid escape")  # Python's, of a hostile text
def test_mutated_pickles_are_read_or_refused(stopped, tmp_path):
    with zipfile.ZipFile(stopped / "runs/one/checkpoint.pt") as archive:
        whole = archive.read("archive/data.pkl")
    rng, path, read = np.random.default_rng(1), tmp_path / "checkpoint.pt", 0
    for _ in range(500):
        data = bytearray(whole[: rng.choice([len(whole), rng.integers(1, len(whole))])])
        for offset in rng.integers(0, len(data), rng.integers(0, 6)):
            data[offset] = rng.integers(0, 256)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", bytes(data))
        try:
            stated_values(path, ("iteration", "config"))
            read += 1
        except ValueError:
            continue
    assert 0 < read < 500


def test_verify_of_a_run_does_without_torch(finished, stopped):
    code = (
        "import sys; from pathlib import Path\n"
        "from dped_build.curate.verify import verify_workspace\n"
        "for path in sys.argv[1:]:\n"
        "    if verify_workspace(Path(path)).damage: sys.exit('damage')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, finished, stopped], check=True)


def test_the_command_tells_of_damage_and_of_what_is_unfinished(stopped, tmp_path):
    folder = shutil.copytree(stopped / "runs/one", tmp_path / "anywhere")
    done = CliRunner().invoke(cli, ["verify", str(folder)])
    assert done.exit_code == 0, done.output
    assert "unfinished, 5 of 8 iterations" in done.output
    assert done.output.endswith("1 training run: intact\n")  # not to be evaluated yet
    flip(folder / "checkpoint.pt", 9000)
    done = CliRunner().invoke(cli, ["verify", str(folder)])
    assert done.exit_code == 1
    assert f"{folder / 'checkpoint.pt'}: its checksums" in done.output
    as_json = CliRunner().invoke(cli, ["verify", "-w", str(folder), "--json"])
    assert json.loads(as_json.stdout)["runs"] == 1
