"""What is saved comes back bit for bit, and nothing else is mistaken for it."""

import json
import pickle

import numpy as np
import pytest
import torch
from shards import write_patches

from dped_build.patches.dataset import PatchDataset
from dped_build.train import TrainSettings, load_generator
from dped_build.train.architecture import Architecture
from dped_build.train.batches import Batches
from dped_build.train.checkpoint import (
    restore_checkpoint,
    save_checkpoint,
    saved_iteration,
)
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.train.step import is_finite, new_state, train_step
from dped_build.workspace.errors import DpedBuildError

CPU = torch.device("cpu")
SETTINGS = TrainSettings(channels=4, blocks=1, loss="mse", device="cpu")


@pytest.fixture
def trained(tmp_path):
    """A state two iterations old, and a function that trains it further."""
    batches = Batches(PatchDataset(write_patches(tmp_path, size=20)), device=CPU)

    def advance(state):
        weights = SETTINGS.loss_weights()
        train_step(state, batches, batch_size=2, weights=weights, vgg=None)

    state = new_state(SETTINGS, CPU)
    advance(state)
    advance(state)
    return state, advance


def test_a_restored_state_continues_bit_for_bit(trained, tmp_path):
    state, advance = trained
    save_checkpoint(tmp_path / "checkpoint.pt", state, {})
    restored = new_state(TrainSettings(channels=4, blocks=1, loss="mse", seed=9), CPU)
    restore_checkpoint(tmp_path / "checkpoint.pt", restored)
    assert restored.iteration == saved_iteration(tmp_path / "checkpoint.pt") == 2
    advance(state)
    advance(restored)
    assert restored.sums == state.sums
    ours, theirs = state.generator.state_dict(), restored.generator.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert restored.random.integers(2**62) == state.random.integers(2**62)


def test_moments_saved_in_a_gpus_layout_continue_the_same(trained, tmp_path):
    state, advance = trained
    save_checkpoint(tmp_path / "checkpoint.pt", state, {})
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for moments in content["generator_optimizer"]["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            if moments[name].ndim == 4:
                moments[name] = moments[name].to(memory_format=torch.channels_last)
    torch.save(content, tmp_path / "checkpoint.pt")
    restored = new_state(SETTINGS, CPU)
    restore_checkpoint(tmp_path / "checkpoint.pt", restored)
    advance(state)
    advance(restored)
    ours, theirs = state.generator.state_dict(), restored.generator.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_is_read_without_running_code(trained, tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", trained[0], {"settings": {"seed": 0}})
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert json.loads(content["config"]) == {"settings": {"seed": 0}}


def test_a_checkpoint_of_another_network_is_refused(trained, tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", trained[0], {})
    other = new_state(TrainSettings(channels=8, blocks=1, loss="mse"), CPU)
    with pytest.raises(DpedBuildError, match="does not fit these settings"):
        restore_checkpoint(tmp_path / "checkpoint.pt", other)


def test_one_weight_that_is_nan_is_noticed(trained):
    state, _ = trained
    assert is_finite(state)
    with torch.no_grad():
        next(state.generator.parameters()).view(-1)[3] = torch.nan
    assert not is_finite(state)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(channels=4, blocks=2, prelu=True),
        Architecture(model="fast", channels=4),
        Architecture(model="srcnn"),
    ],
)
def test_a_generator_comes_back_with_its_architecture(tmp_path, architecture):
    generator = build_generator(architecture)
    save_generator(tmp_path / "generator.pt", generator, architecture)
    photo = torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    for path in (tmp_path, tmp_path / "generator.pt", str(tmp_path)):
        with torch.no_grad():
            assert torch.equal(load_generator(path)(photo), generator(photo))


def test_files_that_hold_no_generator_are_named(tmp_path):
    architecture = Architecture(model="srcnn")
    path = tmp_path / "generator.pt"
    with pytest.raises(DpedBuildError, match=r"holds no generator\.pt"):
        load_generator(tmp_path)
    with pytest.raises(DpedBuildError, match="no such file"):
        load_generator(path)
    with pytest.raises(DpedBuildError, match="is a photo: name the model before"):
        load_generator(tmp_path / "a.JPG")
    save_generator(path, build_generator(architecture), architecture)
    whole = path.read_bytes()
    for spoiled in (b"", whole[:100], whole[: len(whole) // 2], b"PNG" * 1000):
        path.write_bytes(spoiled)
        with pytest.raises(DpedBuildError, match=r"generator\.pt is"):
            load_generator(path)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(DpedBuildError, match="name a run folder"):
        load_generator(path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    architecture = Architecture(model="srcnn")
    generator = build_generator(architecture)
    with torch.no_grad():
        next(generator.parameters()).view(-1)[0] = torch.nan
    save_generator(tmp_path / "generator.pt", generator, architecture)
    with pytest.raises(DpedBuildError, match="weights are not finite"):
        load_generator(tmp_path)


def test_no_flipped_bit_loads_as_another_weight(tmp_path):
    path, rng = tmp_path / "generator.pt", np.random.default_rng(0)
    architecture = SETTINGS.architecture()
    save_generator(path, build_generator(architecture), architecture)
    whole, sound = path.read_bytes(), load_generator(path).state_dict()
    refused = 0
    for position in rng.integers(len(whole), size=200):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found = load_generator(path).state_dict()
        except DpedBuildError:
            refused += 1
        else:
            assert all(torch.equal(found[name], sound[name]) for name in sound)
    assert refused > 100  # torch alone refuses a third of them


def test_weights_that_do_not_fit_are_refused(tmp_path):
    generator = build_generator(Architecture(model="srcnn"))
    save_generator(tmp_path / "generator.pt", generator, Architecture(channels=4))
    with pytest.raises(DpedBuildError, match="do not fit its architecture"):
        load_generator(tmp_path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"format": np.random.default_rng}, tmp_path / "generator.pt")
    with pytest.raises(DpedBuildError, match=r"generator\.pt is no"):
        load_generator(tmp_path)
    (tmp_path / "generator.pt").write_bytes(pickle.dumps(print))
    with pytest.raises(DpedBuildError, match=r"generator\.pt is"):
        load_generator(tmp_path)
