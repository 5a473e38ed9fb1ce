"""A known translation is found and undone; without one, nothing is gained."""

import pytest
import torch
from detail_images import blurred, displaced, pictures, shown

from dped_build.train.metrics import psnr
from dped_build.train.translation import filled, find_translation, translate


@pytest.fixture(scope="module")
def target():
    return pictures(softness=1.0)


@pytest.mark.parametrize("x, y", [(0, 0), (0.4, -0.3), (-0.9, 0.05), (1, 1)])
def test_a_known_translation_is_found_whatever_the_tone(x, y, target):
    noise = torch.randn(8, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    moved = shown(displaced(blurred(target, 0.7), -x, -y))
    image = 0.15 + 0.6 * moved + 0.01 * noise
    found = find_translation(image, shown(target))
    expected = torch.tensor([[x, y]], dtype=torch.float64).expand(8, 2)
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)


def test_a_translation_beyond_the_limit_is_undone_up_to_it(target):
    found = find_translation(shown(displaced(target, -1.6, 0.5)), shown(target))
    assert found[:, 0].tolist() == [1] * 8
    assert found[:, 1].tolist() == pytest.approx([-0.5] * 8, abs=0.1)


def test_what_is_flat_or_has_one_direction_is_not_moved_along_it():
    rows = 0.5 + 0.3 * torch.sin(torch.arange(60.0) / 3)
    stripes, lower = (part.expand(1, 3, 50, -1).mT for part in (rows[:50], rows[1:51]))
    found = find_translation(lower, stripes)
    assert found[0].tolist() == pytest.approx([0, -1], abs=0.02)
    flat = torch.full((1, 3, 50, 50), 0.2)
    for target in (flat, stripes):
        assert find_translation(flat, target).abs().max() < 1e-9


def test_translating_back_restores_the_picture_and_blurs_no_noise(target):
    shift = torch.tensor([[0.5, -0.3]], dtype=torch.float64).expand(8, 2)
    moved, images = shown(displaced(target, -0.5, 0.3)), shown(target)
    inner = (..., slice(5, -5), slice(5, -5))
    restored = translate(moved, shift)
    before, after = (psnr(s[inner], images[inner]) for s in (moved, restored))
    assert (after > before + 20).all()
    torch.testing.assert_close(translate(images, 0 * shift), images)
    noise = torch.randn(8, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    assert float(translate(noise, shift)[inner].std()) == pytest.approx(1, abs=0.02)


def test_invalid_pixels_neither_lead_nor_leak(target):
    image, images = shown(displaced(target, -0.4, 0.3)), shown(target)
    valid = torch.ones(8, 1, 100, 100, dtype=torch.bool)
    valid[:, :, :35] = valid[:, :, 60:64, 50:] = False
    random = torch.Generator().manual_seed(0)
    scrambled = torch.where(valid, image, torch.rand(image.shape, generator=random))
    found = find_translation(scrambled, images, valid=valid)
    assert torch.equal(found, find_translation(image, images, valid=valid))
    expected = torch.tensor([[0.4, -0.3]], dtype=torch.float64).expand(8, 2)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    assert torch.equal(filled(scrambled, valid), filled(image, valid))
    after = psnr(translate(filled(scrambled, valid), found), images, valid=valid)
    assert (after > psnr(image, images, valid=valid) + 3).all()
