"""A run learns, and comes out the same whether or not it was interrupted."""

import dataclasses
import json
import os
import shutil
import signal
import threading
import time

import pytest
import torch
from click.testing import CliRunner
from shards import write_patches, write_shard

from dped_build.cli import cli
from dped_build.train import TrainSettings, load_generator, train
from dped_build.train.checkpoint import saved_iteration
from dped_build.train.run_folder import held
from dped_build.train.step import discriminator_step, new_state, train_step
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import DpedBuildError, Interrupted
from dped_build.workspace.stage import write_sums

CPU = torch.device("cpu")
TINY = TrainSettings(
    channels=4,
    blocks=1,
    loss="color+mse",
    iterations=6,
    batch_size=3,
    log_every=3,
    checkpoint_every=2,
    device="cpu",
)
ADVERSARIAL = dataclasses.replace(TINY, loss="color+texture")


pytestmark = pytest.mark.usefixtures("one_thread")


def run(patches, run_dir, settings=TINY, **options):
    return train(patches, run_dir, settings, progress=False, **options)


def content(run_dir):
    """What must not differ between equal runs: weights and metrics."""
    states = {
        name: load_generator(run_dir / name).state_dict()
        for name in ("generator.pt", "best.pt")
    }
    return states, (run_dir / "metrics.jsonl").read_bytes()


def assert_equal_runs(one, two):
    (states, lines), (other_states, other_lines) = content(one), content(two)
    assert lines == other_lines
    for name, state in states.items():
        for key, value in state.items():
            assert torch.equal(value, other_states[name][key]), (name, key)


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    return write_patches(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def uninterrupted(one_thread, patches, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    run(patches, run_dir, ADVERSARIAL)
    return run_dir


def test_a_run_learns_the_tone_of_the_target(tmp_path):
    folder = write_patches(tmp_path, size=20)
    settings = TrainSettings(
        model="srcnn",
        loss="mse",
        iterations=300,
        batch_size=4,
        learning_rate=2e-3,
        log_every=100,
        device="cpu",
    )
    result = run(folder, tmp_path / "run", settings)
    psnrs = [line["psnr"] for line in result.metrics]
    assert [line["iteration"] for line in result.metrics] == [100, 200, 300]
    assert psnrs[-1] > psnrs[0] + 3  # dB


def test_a_run_leaves_every_file(uninterrupted):
    names = {path.name.split(".")[0] for path in uninterrupted.iterdir()}
    assert names == {
        *("config", "metrics", "checkpoint", "best", "generator", "events", "samples"),
        "SHA256SUMS",
    }
    samples = sorted(path.name for path in (uninterrupted / "samples").iterdir())
    assert samples == ["000003.png", "000006.png"]
    config = json.loads((uninterrupted / "config.json").read_text())
    assert config["loss_weights"] == {"color": 0.5, "texture": 1.0, "tv": 2000.0}
    assert str(uninterrupted.parent) not in (uninterrupted / "config.json").read_text()


def test_a_line_holds_the_losses_of_both_splits(uninterrupted):
    first = json.loads((uninterrupted / "metrics.jsonl").read_text().splitlines()[0])
    names = ("loss", "color", "texture", "tv", "discriminator_accuracy")
    expected = {f"{split}_{name}" for split in ("train", "val") for name in names}
    assert set(first) == {"iteration", "psnr", "ms_ssim", *expected}
    loss = 0.5 * first["val_color"] + first["val_texture"] + 2000 * first["val_tv"]
    assert first["val_loss"] == pytest.approx(loss, rel=1e-5)


def test_two_runs_with_one_seed_are_equal(patches, uninterrupted, tmp_path):
    run(patches, tmp_path / "again", ADVERSARIAL)
    assert_equal_runs(uninterrupted, tmp_path / "again")


def test_another_seed_gives_other_weights(patches, tmp_path):
    settings = dataclasses.replace(TINY, iterations=1)
    run(patches, tmp_path / "a", settings)
    run(patches, tmp_path / "b", dataclasses.replace(settings, seed=1))
    one, two = (load_generator(tmp_path / name).state_dict() for name in "ab")
    assert not all(torch.equal(one[key], two[key]) for key in one)


def test_a_resumed_run_equals_the_uninterrupted(patches, uninterrupted, tmp_path):
    shorter = dataclasses.replace(ADVERSARIAL, iterations=3)
    run(patches, tmp_path / "run", shorter)
    run(patches, tmp_path / "run", ADVERSARIAL, resume=True)
    assert_equal_runs(uninterrupted, tmp_path / "run")


def test_what_a_crash_left_behind_the_checkpoint_is_dropped(
    patches, uninterrupted, tmp_path
):
    run(patches, tmp_path / "run", dataclasses.replace(ADVERSARIAL, iterations=3))
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"iteration": 6, "psnr": 99}\n{"iterat')
    run(patches, tmp_path / "run", ADVERSARIAL, resume=True)
    assert_equal_runs(uninterrupted, tmp_path / "run")


def test_a_terminated_run_saves_and_goes_on(patches, uninterrupted, tmp_path):
    run_dir = tmp_path / "run"
    long = dataclasses.replace(ADVERSARIAL, checkpoint_every=100_000)

    def terminate_after_the_first_line():
        while not (run_dir / "metrics.jsonl").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=terminate_after_the_first_line)
    killer.start()
    with pytest.raises(Interrupted, match=r"iteration \d; .* Continue with --resume"):
        run(patches, run_dir, long)
    killer.join()
    assert (run_dir / "checkpoint.pt").exists()
    result = run(patches, run_dir, ADVERSARIAL, resume=True)
    assert result.iteration == 6
    assert_equal_runs(uninterrupted, run_dir)


def test_a_run_interrupted_while_the_discriminator_learns_goes_on(patches, tmp_path):
    settings = dataclasses.replace(ADVERSARIAL, pretrain_discriminator=5, ema=0.5)
    run(patches, tmp_path / "whole", settings)

    def steps_then_stop(state, *arguments, **options):
        discriminator_step(state, *arguments, **options)
        if state.pretrained == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dped_build.train.loop.discriminator_step", steps_then_stop)
        with pytest.raises(Interrupted, match="iteration 0; the checkpoint is saved"):
            run(patches, tmp_path / "run", settings)
    with pytest.raises(DpedBuildError, match="0 of 6 iterations"):
        run(patches, tmp_path / "run", settings)
    run(patches, tmp_path / "run", settings, resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_averaged_weights_are_kept_where_asked_for(patches, uninterrupted, tmp_path):
    settings = dataclasses.replace(ADVERSARIAL, ema=0.9)
    run(patches, tmp_path / "run", settings)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    last = load_generator(uninterrupted).state_dict()
    averaged = load_generator(tmp_path / "run").state_dict()
    for name, weight in last.items():  # the average does not change the training
        assert torch.equal(saved["generator"][name], weight)
        assert torch.equal(saved["average"][name], averaged[name])
    assert not all(torch.equal(averaged[name], last[name]) for name in last)


def test_kept_features_give_the_losses_of_computing_them_each_time(
    patches, shared_data, tmp_path
):
    vgg = shared_data / "oracle/losses/vgg19_thin8_random.mat"
    settings = dataclasses.replace(TINY, loss="content", iterations=2, vgg=vgg)
    runs = {
        choice: run(
            patches,
            tmp_path / choice,
            dataclasses.replace(settings, cache_features=choice, log_every=1),
        )
        for choice in ("on", "off")
    }
    for one, other in zip(runs["on"].metrics, runs["off"].metrics, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_run_states_whose_features_it_compares(
    patches, shared_data, tmp_path, capsys
):
    given = {"VGG-16": tmp_path / "thin.pth"}
    given["VGG-19"] = shared_data / "oracle/losses/vgg19_thin8_random.mat"
    write_thin_vgg16(given["VGG-16"])
    settings = dataclasses.replace(TINY, loss="content", iterations=1, log_every=1)
    for network, weights in given.items():
        used = dataclasses.replace(settings, vgg=weights)
        found = train(patches, tmp_path / network, used)
        assert found.metrics[0]["train_content"] > 0
        assert run_config(tmp_path / network)["vgg"] == network
        assert f"content loss by {network}" in capsys.readouterr().err
    train(patches, tmp_path / "none", dataclasses.replace(settings, loss="mse"))
    assert run_config(tmp_path / "none")["vgg"] is None
    assert "content loss" not in capsys.readouterr().err
    changed = dataclasses.replace(used, vgg=given["VGG-16"], iterations=2)
    with pytest.raises(DpedBuildError, match="--vgg names other weights"):
        train(patches, tmp_path / "VGG-19", changed, resume=True)


def run_config(folder):
    return json.loads((folder / "config.json").read_text())


def write_thin_vgg16(path):
    """Random weights of two channels everywhere, in torchvision's layout."""
    random, inputs, state = torch.Generator().manual_seed(0), 3, {}
    for position in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28):
        kernel = torch.randn(2, inputs, 3, 3, generator=random) / inputs
        state[f"features.{position}.weight"] = kernel
        state[f"features.{position}.bias"] = torch.full((2,), 0.1)
        inputs = 2
    torch.save(state, path)


def test_an_unfinished_run_asks_for_resume(patches, tmp_path):
    run(patches, tmp_path / "run", TINY)
    longer = dataclasses.replace(TINY, iterations=8)
    with pytest.raises(DpedBuildError, match=r"6 of 8 iterations.*--resume"):
        run(patches, tmp_path / "run", longer)
    assert run(patches, tmp_path / "run", longer, resume=True).iteration == 8


def test_a_finished_run_is_left_as_it_is(patches, uninterrupted):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.iterdir()}
    for resume in (True, False):
        result = run(patches, uninterrupted, ADVERSARIAL, resume=resume)
        assert result.iteration == 6
    assert {p: p.stat().st_mtime_ns for p in uninterrupted.iterdir()} == before


def test_resume_without_a_run_starts_one(patches, tmp_path):
    settings = dataclasses.replace(TINY, iterations=1)
    assert run(patches, tmp_path / "run", settings, resume=True).iteration == 1


@pytest.mark.parametrize(
    "change, told",
    [
        ({"batch_size": 2}, "--batch-size 3 there, 2 here"),
        ({"color_weight": 1.0}, "--color-weight 0.5 there, 1.0 here"),
        ({"iterations": 5}, "can only be raised"),
    ],
)
def test_other_settings_are_refused_by_name(patches, uninterrupted, change, told):
    settings = dataclasses.replace(ADVERSARIAL, **change)
    with pytest.raises(DpedBuildError, match=told):
        run(patches, uninterrupted, settings, resume=True)


def test_a_size_given_as_published_is_the_same_architecture(patches, tmp_path):
    settings = dataclasses.replace(TINY, model="fast", blocks=0, iterations=1)
    run(patches, tmp_path / "run", settings)
    longer = dataclasses.replace(settings, blocks=2, iterations=2)
    assert run(patches, tmp_path / "run", longer, resume=True).iteration == 2
    other = dataclasses.replace(longer, blocks=1, iterations=3)
    with pytest.raises(DpedBuildError, match="--blocks 2 there, 1 here"):
        run(patches, tmp_path / "run", other, resume=True)


def test_other_patches_are_refused(uninterrupted, tmp_path):
    folder = write_patches(tmp_path, per_photo=2)
    with pytest.raises(DpedBuildError, match=r"patches have changed: put exclude\.csv"):
        run(folder, uninterrupted, ADVERSARIAL, resume=True)


def test_a_folder_with_other_things_is_never_written_into(patches, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("mine")
    with pytest.raises(DpedBuildError, match="not a training run"):
        run(patches, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_a_diverged_run_keeps_its_last_good_checkpoint(patches, tmp_path):
    settings = dataclasses.replace(
        TINY, loss="mse", learning_rate=1e30, checkpoint_every=1
    )
    with pytest.raises(DpedBuildError, match="NaN or infinite") as caught:
        run(patches, tmp_path / "run", settings)
    good = saved_iteration(tmp_path / "run/checkpoint.pt")
    assert good >= 1
    assert f"the last good one, of iteration {good};" in str(caught.value)
    assert str(caught.value).endswith("--learning-rate under another --out")
    for weights in load_generator(tmp_path / "run").state_dict().values():
        assert torch.isfinite(weights).all()


def test_a_discriminator_that_diverged_beforehand_is_not_kept(patches, tmp_path):
    settings = dataclasses.replace(
        ADVERSARIAL, pretrain_discriminator=3, learning_rate=1e30
    )
    with pytest.raises(DpedBuildError, match="no checkpoint had been written"):
        run(patches, tmp_path / "run", settings)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_line_of_metrics_that_is_not_ours_is_told(patches, tmp_path):
    run(patches, tmp_path / "run", dataclasses.replace(TINY, iterations=3))
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 3}\n')
    with pytest.raises(DpedBuildError, match=r"metrics\.jsonl is damaged"):
        run(patches, tmp_path / "run", TINY, resume=True)


def test_a_resumed_run_needs_no_option_again(patches, tmp_path):
    command = ["train", str(patches), "--out", str(tmp_path / "run")]
    options = "--model srcnn --loss mse --batch-size 2 --log-every 2 --iterations 2"
    first = CliRunner().invoke(cli, [*command, *options.split()])
    assert first.exit_code == 0, first.output
    assert f"next: dped-build evaluate {tmp_path / 'run'} {patches}" in first.output
    more = [*command, "--resume", "--iterations", "4"]
    assert CliRunner().invoke(cli, more).exit_code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (config["model"], config["loss"]) == ("srcnn", "mse")
    assert (config["batch_size"], config["log_every"]) == (2, 2)
    assert config["iterations"] == 4
    other = CliRunner().invoke(cli, [*more, "--loss", "mse+texture"])
    assert other.exit_code == 1
    assert "--loss mse there" in other.output


def test_a_run_that_fell_before_its_first_checkpoint_starts_anew(
    patches, tmp_path, monkeypatch
):
    def step_then_want_a_petabyte(state, *arguments, **options):
        if state.iteration == 1:
            torch.empty(2**50, dtype=torch.uint8)
        train_step(state, *arguments, **options)

    large = dataclasses.replace(TINY, log_every=1, checkpoint_every=100)
    with monkeypatch.context() as patch:
        patch.setattr("dped_build.train.loop.train_step", step_then_want_a_petabyte)
        with pytest.raises(DpedBuildError, match="too little memory for --batch-size"):
            run(patches, tmp_path / "run", large)
    assert (tmp_path / "run/best.pt").exists()
    small = dataclasses.replace(TINY, batch_size=2)
    run(patches, tmp_path / "run", small)
    run(patches, tmp_path / "at once", small)
    assert_equal_runs(tmp_path / "run", tmp_path / "at once")
    samples = sorted(path.name for path in (tmp_path / "run/samples").iterdir())
    assert samples == ["000003.png", "000006.png"]


def test_a_generator_without_its_checkpoint_is_not_trained_over(patches, tmp_path):
    run(patches, tmp_path / "run", TINY)
    (tmp_path / "run/checkpoint.pt").unlink()
    with pytest.raises(DpedBuildError, match="--resume"):
        run(patches, tmp_path / "run", TINY)
    with pytest.raises(DpedBuildError, match="other settings"):
        run(patches, tmp_path / "run", dataclasses.replace(TINY, batch_size=2))


@pytest.mark.parametrize("workspace", [True, False])
def test_two_processes_never_train_in_one_folder(patches, tmp_path, workspace):
    if workspace:
        (tmp_path / SCRATCH).mkdir()
    with held(tmp_path / "runs/one"):
        with pytest.raises(DpedBuildError, match="another dped-build trains"):
            run(patches, tmp_path / "runs/one")
        assert not (tmp_path / "runs/one").exists()
        run(patches, tmp_path / "runs/two", dataclasses.replace(TINY, iterations=1))
    run(patches, tmp_path / "runs/one", dataclasses.replace(TINY, iterations=1))
    visible = {path.name for path in (tmp_path / "runs").glob("[!.]*")}
    assert visible == {"one", "two"}


def test_the_lock_lies_in_the_workspaces_scratch_also_where_that_is_yet_to_be_made(
    patches, tmp_path
):
    shutil.copytree(patches, tmp_path / "work/patches")
    write_sums(tmp_path / "work/patches")
    shorter = dataclasses.replace(TINY, iterations=1)
    run(tmp_path / "work/patches", tmp_path / "work/runs/one", shorter)
    assert [path.name for path in (tmp_path / "work/runs").iterdir()] == ["one"]
    assert (tmp_path / "work" / SCRATCH / ".one.lock").exists()
    run(patches, tmp_path / "elsewhere/one", shorter)
    assert not (tmp_path / SCRATCH).exists()
    assert not (tmp_path / "elsewhere" / SCRATCH).exists()


def test_without_texture_there_is_no_discriminator(patches, tmp_path):
    run(patches, tmp_path / "run", dataclasses.replace(TINY, iterations=1))
    saved = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    assert "discriminator" not in saved
    assert new_state(ADVERSARIAL, CPU).discriminator is not None


def test_texture_needs_patches_of_its_size(tmp_path):
    folder = write_patches(tmp_path, size=60)
    with pytest.raises(DpedBuildError, match="100 px, these have 60"):
        run(folder, tmp_path / "run", ADVERSARIAL)


def test_a_gpu_that_is_not_there_is_an_error(patches, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DpedBuildError, match="--device cpu"):
        run(patches, tmp_path / "run", dataclasses.replace(TINY, device="cuda"))


def test_a_set_without_validation_photos_trains_all_the_same(tmp_path):
    write_shard(tmp_path / "patches", "train-00000.h5", ["only"])
    settings = dataclasses.replace(TINY, iterations=1)
    result = run(tmp_path / "patches", tmp_path / "run", settings)
    assert "psnr" not in result.metrics[0]
    assert not (tmp_path / "run/best.pt").exists()
