"""Detail that is known to arrive is measured as such."""

import numpy as np
import pytest
import torch
from detail_images import SOFTNESS, blurred, displaced, gaussian, pictures, shown
from shards import half_masks

from dped_build.patches.quality import lumas
from dped_build.patches.quality import sharpness_ratio as of_stored
from dped_build.train.detail import (
    FREQUENCIES,
    RING,
    coherent_transfer,
    sharpness_ratio,
    transfer_of,
    transfer_sums,
)
from dped_build.train.pixels import to_unit


@pytest.fixture(scope="module")
def target():
    return pictures()


def over_rings(response):
    """Mean of `response(fx, fy)` over each ring, weighted by the pictures' power."""
    plane = np.linspace(-0.5, 0.5, 801)
    x, y = plane, plane[:, None]
    values, power = response(x, y) + 0 * y, gaussian(x, y, SOFTNESS) ** 2
    near = [abs(np.hypot(x, y) - frequency) <= RING for frequency in FREQUENCIES]
    return [np.average(values[ring], weights=power[ring]) for ring in near]


def test_the_target_itself_arrives_whole_and_a_gain_counts(target):
    images = shown(target)
    assert coherent_transfer(images, images).tolist() == pytest.approx([1, 1, 1])
    dimmed = 0.2 + 0.7 * images.clamp(0, 1)
    assert coherent_transfer(dimmed, images).tolist() == pytest.approx([0.7] * 3)


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.2])
def test_of_a_blur_its_mtf_arrives(sigma, target):
    found = coherent_transfer(shown(blurred(target, sigma)), shown(target))
    expected = over_rings(lambda x, y: gaussian(x, y, sigma))
    assert found.tolist() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("x, y", [(0.5, 0), (0.6, -0.8), (0, 1.5)])
def test_of_a_displacement_the_cosine_arrives(x, y, target):
    found = coherent_transfer(shown(displaced(target, x, y)), shown(target))
    expected = over_rings(lambda fx, fy: np.cos(2 * np.pi * (fx * x + fy * y)))
    assert found.tolist() == pytest.approx(expected, abs=0.02)


def test_noise_is_no_detail_that_arrives(target):
    images = shown(target)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    found = coherent_transfer(0.5 * images + 0.25 + 0.05 * noise, images)
    assert found.tolist() == pytest.approx([0.5] * 3, abs=0.02)
    assert sharpness_ratio(images + 0.05 * noise, images).min() > 1.05


def test_sets_are_pooled_as_sums():
    images = shown(pictures(4))
    images[2:] = 0.5 + 0.1 * (images[2:] - 0.5)  # little detail, little weight
    found = images.clone()
    found[:2] = 0.75 * images[:2]
    sums = transfer_sums(found, images)
    assert sums.shape == (4, 6)
    torch.testing.assert_close(transfer_of(sums), coherent_transfer(found, images))
    assert 0.75 < float(transfer_of(sums)[0]) < 0.76


def test_only_windows_without_an_invalid_pixel_count(target):
    images = shown(blurred(target, 0.8))
    valid = torch.ones(len(images), 100, 100, dtype=torch.bool)
    whole = coherent_transfer(images, shown(target))
    assert torch.equal(coherent_transfer(images, shown(target), valid=valid), whole)
    valid[:, :, :37] = False
    masked = coherent_transfer(images, shown(target), valid=valid)
    assert masked.tolist() == pytest.approx(whole.tolist(), abs=0.02)
    scrambled = torch.where(valid[:, None], images, torch.rand(images.shape).double())
    assert torch.equal(coherent_transfer(scrambled, shown(target), valid=valid), masked)
    valid[:, ::20] = False
    assert coherent_transfer(images, shown(target), valid=valid).isnan().all()


@pytest.mark.parametrize("height, width", [(16, 16), (33, 20), (8, 50)])
def test_windows_of_any_size(height, width):
    images = shown(pictures(2))[:, :, :height, :width]
    found = coherent_transfer(0.8 * images, images)
    assert found.tolist() == pytest.approx([0.8] * 3)
    assert sharpness_ratio(images, images).tolist() == pytest.approx([1, 1])


def test_where_the_target_is_flat_there_is_nothing_to_arrive():
    flat = torch.full((2, 3, 40, 40), 0.3)
    images = shown(pictures(2))[:, :, :40, :40]
    assert coherent_transfer(images, flat).isnan().all()
    assert sharpness_ratio(images, flat).isnan().all()
    assert sharpness_ratio(flat, images).isnan().all()


@pytest.mark.parametrize("masked", [False, True])
def test_sharpness_is_as_the_shards_state_it(masked, target):
    grey = shown(target).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    pixels = [
        (side.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for side in (grey, shown(blurred(target, 0.8)).mean(1, True).expand_as(grey))
    ]
    masks = half_masks(len(grey), 100) == 1 if masked else None
    expected = of_stored(*map(lumas, pixels), masks)
    assert expected.max() < 0.9
    sides = [to_unit(torch.from_numpy(side)) for side in reversed(pixels)]
    valid = None if masks is None else torch.from_numpy(masks)
    found = sharpness_ratio(*sides, valid=valid)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
