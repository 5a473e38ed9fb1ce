"""What makes networks fast hardly changes their results, and never their names."""

import dataclasses

import pytest
import torch

from dped_build.train import TrainSettings
from dped_build.train.acceleration import (
    accelerate,
    choose_acceleration,
    reproducible,
)
from dped_build.train.layers import initialize
from dped_build.train.networks import FastGenerator
from dped_build.workspace.errors import DpedBuildError

CPU = torch.device("cpu")
SETTINGS = TrainSettings(model="fast", device="cpu")


def network():
    generator = FastGenerator(channels=4, blocks=1)
    initialize(generator, seed=0)
    return generator


def photos():
    return torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))


def test_on_a_cpu_nothing_is_changed_unasked():
    how = choose_acceleration(SETTINGS, CPU)
    assert how.to_dict() == {
        "device": "cpu",
        "precision": "fp32",
        "compiled": False,
        "keeps_features": False,
        "processes": 1,
    }


def test_bf16_gives_float32_close_to_the_networks_own():
    plain, fast = network(), network()
    accelerate(fast, choose_acceleration(with_settings(precision="bf16"), CPU))
    expected, found = plain(photos()), fast(photos())
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    assert list(fast.state_dict()) == list(plain.state_dict())
    found.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in fast.parameters())


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch
def test_a_compiled_network_gives_the_same_and_keeps_its_names():
    plain, fast = network(), network()
    settings = with_settings(compile="on", batch_size=3)
    accelerate(fast, choose_acceleration(settings, CPU))
    for batch in (photos(), photos()[:1]):  # both are filled up to three
        found = fast(batch)
        torch.testing.assert_close(found, plain(batch), rtol=0, atol=1e-5)
        found.sum().backward()
    assert list(fast.state_dict()) == list(plain.state_dict())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch
def test_without_a_compiler_asking_for_one_is_an_error(monkeypatch):
    def broken(function):
        raise RuntimeError("no compiler")

    monkeypatch.setattr("torch.compile", broken)
    with pytest.raises(DpedBuildError, match="--compile on: no compiler works"):
        choose_acceleration(with_settings(compile="on"), CPU)
    assert not choose_acceleration(SETTINGS, CPU).compiled


def test_reproducible_algorithms_are_demanded_for_as_long_as_wanted():
    with reproducible(True):
        assert torch.are_deterministic_algorithms_enabled()
        with reproducible(False):
            assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def with_settings(**changes):
    return dataclasses.replace(SETTINGS, **changes)
