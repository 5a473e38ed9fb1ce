"""The networks are the original code's: sizes, outputs, logits and starting weights."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from dped_build.exchange.tensorflow_checkpoint import (
    discriminator_state,
    read_generator,
)
from dped_build.train.architecture import Architecture
from dped_build.train.discriminator import Discriminator
from dped_build.train.layers import InstanceNorm, initialize, moments
from dped_build.train.networks import SRCNN, FastGenerator, Generator, build_generator
from dped_build.workspace.errors import DpedBuildError

THIN = (
    Architecture("dped", channels=8, blocks=1),
    Architecture("dped", channels=4, blocks=2, kernel=5, prelu=True),
    Architecture("fast", channels=4),
    Architecture("fast", channels=4, blocks=1, kernel=4, prelu=True),
    Architecture("fast", channels=4, strided_kernel=3),
    Architecture("johnson", channels=8, blocks=2),
    Architecture("srcnn"),
)


@pytest.mark.parametrize(
    "network, parameters",
    [(Generator, 401_475), (FastGenerator, 243_011), (Discriminator, 7_361_122)],
)
def test_parameters_number_as_in_the_original_code(network, parameters):
    assert sum(weights.numel() for weights in network().parameters()) == parameters


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (18, 21), (19, 5), (1, 1)])
@pytest.mark.parametrize("architecture", THIN, ids=str)
def test_any_size_comes_out_as_it_went_in(architecture, size):
    generator = build_generator(architecture)
    initialize(generator, seed=0)
    photos = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    enhanced = generator(photos)
    assert enhanced.shape == photos.shape
    assert torch.isfinite(enhanced).all()


@pytest.mark.parametrize("architecture", THIN, ids=str)
def test_every_weight_gets_a_gradient(architecture):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = build_generator(architecture)
    random = torch.Generator().manual_seed(0)
    photos = torch.rand(1, 3, 15, 16, generator=random)
    weights = torch.rand(1, 3, 15, 16, generator=random)
    (generator(photos) * weights).sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_memory_layout_does_not_change_the_result():
    generator = Generator(channels=16, blocks=2)
    photos = torch.rand(2, 3, 33, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = generator(photos)
        generator.to(memory_format=torch.channels_last)
        found = generator(photos.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 10.0])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_norm_gives_zero_mean_and_unit_variance_then_scale_and_shift(layout, offset):
    random = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 90, 80, generator=random) * 5 + offset
    norm = InstanceNorm(3)
    nn.init.constant_(norm.weight, 2.0)
    nn.init.constant_(norm.bias, 0.5)
    mean, variance = moments(norm(features.to(memory_format=layout)).detach())
    torch.testing.assert_close(mean, torch.full_like(mean, 0.5), rtol=0, atol=1e-4)
    spread = features.double().var(dim=(2, 3), correction=0, keepdim=True)
    expected = (4 * spread / (spread + 1e-3)).float()
    torch.testing.assert_close(variance, expected, rtol=1e-4, atol=0)


def test_norm_accepts_moments_from_elsewhere():
    features = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    norm = InstanceNorm(3)
    whole = norm(features)
    tile = norm.normalize(features[:, :, :7, :9], *moments(features))
    torch.testing.assert_close(tile, whole[:, :, :7, :9])


@pytest.mark.parametrize(
    "kind, model, photo, output",
    [
        pytest.param(
            *("generator", "iphone_orig", "china", "china_iphone"),
            marks=pytest.mark.long,
        ),
        ("generator", "blackberry_orig", "coffee", "coffee_blackberry"),
        (
            "fast_generator",
            "iphone_convdeconv16_iteration_40000.ckpt",
            "china",
            "china_fpie_iphone",
        ),
    ],
)
def test_released_weights_give_the_original_codes_output(
    shared_data, kind, model, photo, output
):
    pixels = cv2.imread(str(shared_data / "oracle" / kind / f"{photo}.png"))
    rgb = torch.from_numpy(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    architecture, state = read_generator(shared_data / "dped" / "models_orig" / model)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    with torch.inference_mode():
        enhanced = generator(rgb.permute(2, 0, 1)[None] / 255)
    expected = np.load(shared_data / "oracle" / kind / f"{output}.npy")
    np.testing.assert_allclose(
        enhanced[0].permute(1, 2, 0), expected, rtol=0, atol=1e-4
    )


def test_given_weights_give_the_original_discriminators_logits(shared_data):
    folder = shared_data / "oracle" / "discriminator"
    discriminator = Discriminator()
    discriminator.load_state_dict(
        discriminator_state(np.load(folder / "disc_weights.npz"))
    )
    reference = np.load(folder / "disc_ref.npz")
    patches = torch.from_numpy(reference["input_rgb_uint8"]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        logits = discriminator(patches)
    np.testing.assert_allclose(logits, reference["logits"], rtol=0, atol=1e-4)


def test_discriminator_refuses_other_sizes():
    with pytest.raises(
        ValueError, match=r"\(1, 3, 64, 64\) are not \(B, 3, 100, 100\)"
    ):
        Discriminator()(torch.zeros(1, 3, 64, 64))


def test_starting_weights_are_normal_within_two_sigma():
    generator = Generator()
    initialize(generator, seed=0)
    kernel = generator.layers[1].convolution.weight
    assert kernel.abs().max() <= 0.02
    assert kernel.std().item() == pytest.approx(0.00880, rel=0.02)  # 0.88 sigma is left
    assert torch.all(generator.layers[1].convolution.bias == 0.01)
    assert torch.all(generator.layers[1].norm.weight == 1)
    assert torch.all(generator.layers[1].norm.bias == 0)


def test_a_seed_decides_the_starting_weights_and_nothing_else():
    networks = [FastGenerator(channels=4) for _ in range(3)]
    before = torch.random.get_rng_state()
    for network, seed in zip(networks, (5, 5, 6), strict=True):
        initialize(network, seed=seed)
    assert torch.equal(before, torch.random.get_rng_state())
    first, same, other = (network.layers[1].convolution.weight for network in networks)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_sizes_left_out_are_the_models_own():
    dped, fast = Architecture(), Architecture("fast")
    assert (dped.channels, dped.blocks, dped.kernel) == (64, 4, 3)
    assert (fast.channels, fast.blocks, fast.strided_kernel) == (16, 2, 4)
    assert isinstance(build_generator(dped), Generator)
    assert isinstance(build_generator(fast), FastGenerator)
    assert isinstance(build_generator(Architecture("srcnn")), SRCNN)


@pytest.mark.parametrize("architecture", THIN, ids=str)
def test_an_architecture_survives_being_stored(architecture):
    assert Architecture.from_dict(architecture.to_dict()) == architecture


@pytest.mark.parametrize(
    "stored, message",
    [
        (
            {"model": "unet"},
            "unknown model 'unet'; choose from dped, fast, johnson, srcnn",
        ),
        ({"model": "dped", "depth": 3}, "depth = 3"),
        ({"model": "dped", "channels": "64"}, "channels = '64'"),
        ({"model": "dped", "blocks": True}, "blocks = True"),
        ({"model": "dped", "channels": -1}, "--channels must be 1 or more, not -1"),
        ({"model": "srcnn", "blocks": 2}, "model srcnn has no --blocks"),
        ({"model": "dped", "strided_kernel": 4}, "model dped has no --strided-kernel"),
        ({"model": "srcnn", "prelu": True}, "model srcnn has no --prelu"),
    ],
)
def test_a_wrong_architecture_is_named(stored, message):
    with pytest.raises(DpedBuildError, match=message):
        Architecture.from_dict(stored)
