"""The losses have the original code's values, and a whole step its gradients."""

import json
import math

import numpy as np
import pytest
import torch
from oracle import first_discriminator, real_patches

from dped_build.exchange.tensorflow_checkpoint import generator_state
from dped_build.train import losses
from dped_build.train.losses import (
    BLUR_KERNEL,
    blur,
    color_loss,
    content_loss,
    discriminator_loss,
    mse_loss,
    texture_loss,
    total_variation_loss,
)
from dped_build.train.networks import build_generator
from dped_build.train.vgg import load_vgg

BATCHES = ("random", "patches", "out_of_range")


@pytest.fixture(params=BATCHES)
def reference(shared_data, request):
    """A fixed batch as (B, 3, H, W) tensors, and the original code's values for it."""
    folder = shared_data / "oracle" / "losses"
    arrays = np.load(folder / f"{request.param}.npz")
    batch = {
        name: torch.from_numpy(arrays[name]).permute(0, 3, 1, 2) for name in arrays
    }
    return batch, json.loads((folder / "losses.json").read_text())[request.param]


@pytest.fixture(scope="module")
def vgg(shared_data):
    return load_vgg(shared_data / "oracle" / "losses" / "vgg19_thin8_random.mat")


def test_blur_is_the_original_codes(reference):
    batch, _ = reference
    torch.testing.assert_close(
        blur(batch["enhanced"]), batch["blur"], rtol=1e-5, atol=1e-5
    )


def test_losses_are_the_original_codes(reference, vgg):
    batch, expected = reference
    enhanced, target = batch["enhanced"], batch["target"]
    found = {
        "content": content_loss(enhanced, target, vgg),
        "color": color_loss(enhanced, target),
        "tv": total_variation_loss(enhanced),
        "mse": mse_loss(enhanced, target),
    }
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name], rel=1e-5), name
    ones = torch.ones_like(target[:, 0])
    assert content_loss(enhanced, target, vgg, valid=ones) == found["content"]
    assert color_loss(enhanced, target, valid=ones) == found["color"]
    assert mse_loss(enhanced, target, valid=ones) == found["mse"]


def test_blur_kernel_is_the_original_codes(shared_data):
    kernel = np.load(shared_data / "oracle" / "losses" / "gauss_kernel.npz")
    np.testing.assert_allclose(
        np.outer(BLUR_KERNEL, BLUR_KERNEL), kernel["kernel64_1ch"], rtol=0, atol=1e-8
    )


def test_blur_kernel_sums_to_one_and_is_4_7_pixels_wide():
    assert sum(BLUR_KERNEL) == pytest.approx(1, abs=1e-12)
    assert pytest.approx(BLUR_KERNEL[::-1]) == BLUR_KERNEL
    falling = math.log(BLUR_KERNEL[10] / BLUR_KERNEL[0])  # at 10 px from the centre
    assert 10 / math.sqrt(2 * falling) == pytest.approx(4.7, abs=0.05)


def test_color_loss_of_a_flat_difference_is_half_its_square_per_pixel():
    target = torch.zeros(2, 3, 101, 101)
    difference = torch.zeros(2, 3, 101, 101)
    difference[:, :, 50, 50] = 1.0
    spread = sum(tap**2 for tap in BLUR_KERNEL) ** 2
    loss = color_loss(target + difference, target).item()
    assert loss == pytest.approx(3 * spread / 2, rel=1e-5)


def test_total_variation_of_ramps_is_their_squared_step():
    down = 0.1 * torch.arange(5.0).view(1, 1, 5, 1).expand(2, 3, 5, 7)
    right = 0.2 * torch.arange(7.0).view(1, 1, 1, 7).expand(2, 3, 5, 7)
    assert total_variation_loss(down).item() == pytest.approx(0.01)
    assert total_variation_loss(right).item() == pytest.approx(0.04)
    assert total_variation_loss(down + right).item() == pytest.approx(0.05)


def test_adversarial_losses_sum_over_the_batch():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])  # real with 1/2 and 3/4
    fake = math.log(1 / 2) + math.log(1 / 4)
    assert texture_loss(logits).item() == pytest.approx(fake)
    mixed = discriminator_loss(logits, torch.tensor([False, True])).item()
    assert mixed == pytest.approx(-math.log(1 / 2) - math.log(3 / 4))
    weights = torch.tensor([0.0, 1.0])
    assert discriminator_loss(logits, weights).item() == pytest.approx(mixed)


def test_probabilities_are_clipped_where_the_discriminator_is_sure():
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    loss = texture_loss(logits)
    assert loss.item() == pytest.approx(math.log(1e-10))
    loss.backward()
    assert torch.all(logits.grad == 0)


def test_the_target_gets_no_gradient_from_the_content_loss():
    enhanced = torch.rand(1, 3, 8, 8, requires_grad=True)
    target = torch.rand(1, 3, 8, 8, requires_grad=True)
    content_loss(enhanced, target, torch.nn.Conv2d(3, 2, 3)).backward()
    assert enhanced.grad.abs().max() > 0
    assert target.grad is None


def test_the_first_training_step_has_the_original_losses_and_gradients(
    shared_data, vgg
):
    folder = shared_data / "oracle" / "train_step"
    log = json.loads((folder / "trainstep_thin.json").read_text())
    expected, weights = log["steps"][0], log["weights"]
    start = dict(np.load(folder / "trainstep_thin_gen_init.npz"))
    architecture, state = generator_state(start)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    discriminator = first_discriminator(shared_data, start)

    phone, dslr = (
        real_patches(shared_data, camera, expected["idx_gen"])
        for camera in ("iphone", "canon")
    )
    enhanced = generator(phone)
    losses = {
        "content": content_loss(enhanced, dslr, vgg),
        "color": color_loss(enhanced, dslr),
        "texture": texture_loss(discriminator(enhanced)),
        "tv": total_variation_loss(enhanced),
    }
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[f"loss_{name}"], rel=1e-5), name
    total = sum(weights[name] * loss for name, loss in losses.items())
    assert total.item() == pytest.approx(expected["loss_generator"], rel=1e-5)

    total.backward()
    stored = np.load(folder / "trainstep_thin_grads_gen_step0.npz")
    _, gradients = generator_state(stored)
    for name, parameter in generator.named_parameters():
        largest = gradients[name].abs().max().item()
        # A norm takes its convolution's bias away again: only rounding is left there.
        error = (parameter.grad - gradients[name]).abs().max().item()
        assert error < max(1e-3 * largest, 0.01 if largest < 1e-3 else 0), name


def test_the_first_discriminator_judges_real_patches_as_in_the_original(shared_data):
    folder = shared_data / "oracle" / "train_step"
    expected = json.loads((folder / "trainstep_thin.json").read_text())["steps"][0]
    start = dict(np.load(folder / "trainstep_thin_gen_init.npz"))
    discriminator = first_discriminator(shared_data, start)
    with torch.inference_mode():
        logits = discriminator(real_patches(shared_data, "canon", expected["idx_disc"]))
    real = torch.tensor(expected["swaps"]) == 1
    reference = torch.tensor(expected["disc_pred"])
    torch.testing.assert_close(
        logits.softmax(dim=1)[real], reference[real], rtol=0, atol=1e-5
    )


def test_the_blur_passes_gradients_also_after_use_without_any():
    losses._taps.cache_clear()
    images = torch.rand(1, 3, 30, 30, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        color_loss(images, 1 - images)
    images.requires_grad_()
    color_loss(images, 1 - images).backward()
    assert images.grad.abs().sum() > 0
