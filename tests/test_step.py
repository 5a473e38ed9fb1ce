"""One iteration does what the original code's does."""

import numpy as np
import pytest
import torch
from oracle import first_state, replay
from shards import write_patches

from dped_build.patches.dataset import PatchDataset
from dped_build.train import TrainSettings
from dped_build.train.batches import Batches
from dped_build.train.step import (
    BETAS,
    EPSILON,
    descend,
    find_gradients,
    follow,
    new_state,
    train_step,
)

CPU = torch.device("cpu")
ADVERSARIAL = TrainSettings(channels=4, blocks=1, loss="color+texture")


def test_adam_is_tensorflows():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=0.1, betas=BETAS, eps=EPSILON)
    expected, m, v = weight.detach().clone(), torch.zeros(2), torch.zeros(2)
    gradient = torch.tensor([3e-9, 0.5], dtype=torch.float64)  # 3e-9: epsilon matters
    for step in range(1, 6):
        find_gradients(optimizer, (weight * gradient).sum())
        descend(optimizer, iteration=step)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        rate = 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * m / (v.sqrt() + 1e-8)
    torch.testing.assert_close(weight.detach(), expected, rtol=1e-10, atol=0)


@pytest.mark.long
def test_losses_after_a_step_are_the_original_codes(shared_data):
    """Both optimizers and the discriminator's swaps show in the second iteration."""
    state = first_state(shared_data)
    steps = replay(shared_data, state)
    for rel, step in zip((1e-5, 2e-3), steps, strict=False):
        for name in ("content", "color", "texture", "tv"):
            value = float(state.sums[name])
            assert value == pytest.approx(step[f"loss_{name}"], rel=rel), name
        assert float(state.sums["discriminator_accuracy"]) == step["disc_acc"]


def test_the_generators_step_leaves_the_discriminator_alone(tmp_path):
    state = new_state(ADVERSARIAL, CPU)
    state.discriminator_optimizer = None  # so that only the generator steps
    before = [p.clone() for p in state.discriminator.parameters()]
    batches = Batches(PatchDataset(write_patches(tmp_path)), device=CPU)
    weights = ADVERSARIAL.loss_weights()
    train_step(state, batches, batch_size=2, weights=weights, vgg=None)
    for old, new in zip(before, state.discriminator.parameters(), strict=True):
        assert torch.equal(old, new) and new.grad is None


def test_a_gradient_is_shortened_to_the_norm_asked_for():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    find_gradients(optimizer, (weight * torch.tensor([3.0, 4.0])).sum())
    descend(optimizer, iteration=1, clip=1)
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.6, -0.8]))


def test_the_average_follows_the_generator_with_its_decay():
    average, generator = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    for parameter in average.parameters():
        torch.nn.init.zeros_(parameter)
    for parameter in generator.parameters():
        torch.nn.init.ones_(parameter)
    follow(average, generator, decay=0.9, iteration=1000)
    follow(average, generator, decay=0.9, iteration=1001)
    assert float(average.weight.detach()) == pytest.approx(1 - 0.9**2)
    follow(average, generator, decay=0.9, iteration=1)  # 2 / 11 of the past are kept
    assert float(average.weight.detach()) == pytest.approx(1 - 0.81 * 2 / 11)
