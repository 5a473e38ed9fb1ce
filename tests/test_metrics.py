"""The metrics give known values for known differences, and the original code's."""

import json
import math

import cv2
import numpy as np
import pytest
import torch

from dped_build.train.metrics import color_fit_psnr, ms_ssim, psnr, ssim

BATCHES = ("random", "patches", "out_of_range")


@pytest.fixture
def images():
    """Smooth (3, 3, 100, 100) images within [0.2, 0.8]."""
    noise = np.random.default_rng(0).random((3, 25, 25, 3)).astype(np.float32)
    large = [
        cv2.resize(one, (100, 100), interpolation=cv2.INTER_LINEAR) for one in noise
    ]
    return torch.from_numpy(np.stack(large)).permute(0, 3, 1, 2) * 0.6 + 0.2


@pytest.mark.parametrize("name", BATCHES)
def test_batch_protocol_is_the_original_codes(shared_data, name):
    folder = shared_data / "oracle" / "losses"
    expected = json.loads((folder / "losses.json").read_text())[name]
    batch = np.load(folder / f"{name}.npz")
    pair = [
        torch.from_numpy(batch[n]).permute(0, 3, 1, 2) for n in ("enhanced", "target")
    ]
    found = psnr(*pair, per_batch=True)
    assert found.item() == pytest.approx(expected["psnr"], rel=1e-5)
    found = ms_ssim(*pair, per_batch=True)
    assert found.item() == pytest.approx(expected["ms_ssim_batch"], abs=1e-6)
    per_image = expected["ms_ssim_per_image"]
    np.testing.assert_allclose(ms_ssim(*pair), per_image, rtol=0, atol=1e-6)


def _patches(shared_data, camera):
    folder = shared_data / "dped" / "patches" / camera
    pixels = [cv2.imread(str(folder / f"{number}.jpg")) for number in range(400)]
    rgb = np.stack([cv2.cvtColor(one, cv2.COLOR_BGR2RGB) for one in pixels])
    return torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255


@pytest.mark.long
def test_both_protocols_on_the_400_real_pairs(shared_data):
    phone, dslr = (_patches(shared_data, camera) for camera in ("iphone", "canon"))
    folder = shared_data / "oracle" / "losses"
    stored = np.load(folder / "msssim_per_image_phone_vs_canon.npz")["per_image"]
    expected = json.loads((folder / "eval400.json").read_text())["phone"]
    batches = list(zip(phone.split(50), dslr.split(50), strict=True))

    found = torch.cat([ms_ssim(a, b) for a, b in batches])
    np.testing.assert_allclose(found, stored, rtol=0, atol=1e-6)
    of_batches = torch.stack([ms_ssim(a, b, per_batch=True) for a, b in batches]).mean()
    training = "msssim_train_protocol(batch50 mean first)"
    assert of_batches.item() == pytest.approx(expected[training], abs=1e-6)
    of_batches = torch.stack([psnr(a, b, per_batch=True) for a, b in batches]).mean()
    training = "psnr_train_protocol(batch50, unclipped, mean of batch psnr)"
    assert of_batches.item() == pytest.approx(expected[training], rel=1e-6)
    assert torch.isinf(psnr(phone, dslr)).nonzero().flatten().tolist() == [
        *(103, 177, 221, 308)  # white on both sides
    ]


@pytest.mark.parametrize("step, decibels", [(0.1, 20.0), (0.01, 40.0)])
def test_psnr_of_a_known_difference(images, step, decibels):
    assert psnr(images, images + step).tolist() == pytest.approx([decibels] * 3)
    whole = psnr(images, images + step, per_batch=True)
    assert whole.item() == pytest.approx(decibels)


def test_psnr_clips_single_images_and_not_batches():
    black, beyond = torch.zeros(2, 3, 9, 9), torch.full((2, 3, 9, 9), -0.1)
    assert torch.all(torch.isinf(psnr(beyond, black)))
    assert psnr(beyond, black, per_batch=True).item() == pytest.approx(20)


def test_a_batchs_psnr_is_that_of_its_mean_error(images):
    other = images.clone()
    other[0] += 0.1  # a third of the batch
    expected = 10 * math.log10(3 / 0.01)
    assert psnr(images, other, per_batch=True).item() == pytest.approx(expected)


def test_identical_images_have_no_noise_and_full_similarity(images):
    assert torch.all(torch.isinf(psnr(images, images)))
    assert math.isinf(psnr(images, images, per_batch=True))
    assert torch.all(torch.isinf(color_fit_psnr(images, images)))
    for similarity in (ssim(images, images), ms_ssim(images, images)):
        assert similarity.tolist() == pytest.approx([1, 1, 1])
    assert ms_ssim(images, images, per_batch=True).item() == pytest.approx(1)


def test_a_color_cast_is_fitted_away(images):
    matrix = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.6, 0.1], [0.0, -0.1, 0.9]])
    cast = torch.einsum("ij,bjhw->bihw", matrix, images) + 0.05
    assert torch.all(psnr(images, cast) < 25)
    assert torch.all(color_fit_psnr(images, cast) > 100)


def test_what_no_color_fit_explains_stays(images):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * 0.01
    found = color_fit_psnr(images, images * 0.8 + 0.1 + noise)
    assert found.tolist() == pytest.approx([40] * 3, abs=0.1)


def test_grey_and_flat_images_can_be_fitted(images):
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.all(color_fit_psnr(grey, grey * 0.5 + 0.1) > 100)
    flat = torch.full((1, 3, 100, 100), 1.0)
    deviation = images[:1].double().var(dim=(2, 3), correction=0).mean()
    expected = -10 * torch.log10(deviation)
    torch.testing.assert_close(color_fit_psnr(flat, images[:1]), expected.view(1))


def test_ssim_of_flat_images_is_the_luminance_term():
    a, b = torch.full((1, 3, 20, 20), 0.2), torch.full((1, 3, 20, 20), 0.6)
    expected = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(expected, rel=1e-6)


def test_similarity_falls_with_noise_and_stays_a_number(images):
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=random)
    values = [
        ms_ssim(images, images + noise * level).mean() for level in (0, 0.05, 0.2)
    ]
    assert values == sorted(values, reverse=True)
    assert torch.all(ms_ssim(images, 1 - images) >= 0)


@pytest.mark.parametrize("size", [(33, 47), (5, 9), (160, 200)])
def test_any_size_can_be_compared(size):
    a, b = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(ms_ssim(a, b)).all()
    assert torch.isfinite(ssim(a, b)).all()


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim, color_fit_psnr])
def test_different_shapes_are_refused(metric):
    with pytest.raises(ValueError, match="do not match"):
        metric(torch.zeros(1, 3, 20, 20), torch.zeros(2, 3, 20, 20))


@pytest.mark.parametrize("size", [(160, 192), (161, 177)])
def test_of_flat_images_ms_ssim_knows_the_brightness_at_the_coarsest_scale_only(size):
    dark, bright = (torch.full((1, 3, *size), level) for level in (0.2, 0.6))
    brightness = (2 * 0.2 * 0.6 + 0.01**2) / (0.2**2 + 0.6**2 + 0.01**2)
    found = float(ms_ssim(dark, bright))
    assert found == pytest.approx(brightness**0.1333, abs=1e-6)


METRICS = [psnr, ssim, ms_ssim, color_fit_psnr]


@pytest.fixture
def valid():
    """Masks, bool (3, 1, 100, 100): whole, three quarters, and scattered holes."""
    valid = torch.ones(3, 1, 100, 100, dtype=torch.bool)
    valid[1, :, :50, :50] = False
    holes = torch.rand(100, 100, generator=torch.Generator().manual_seed(1)) < 0.3
    valid[2, 0, holes] = False
    return valid


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_not_valid_does_not_matter(images, valid, metric):
    other = (images * 0.8 + 0.05).square()
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(2))
    noisy = [torch.where(valid, side, noise) for side in (images, other)]
    expected = metric(images, other, valid=valid)
    torch.testing.assert_close(metric(*noisy, valid=valid), expected)
    torch.testing.assert_close(metric(*noisy, valid=valid[:, 0].float()), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_with_masks_of_ones_nothing_changes(images, metric):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    other = images + 0.05 * noise
    found = metric(images, other, valid=torch.ones(3, 100, 100))
    torch.testing.assert_close(found, metric(images, other), rtol=1e-12, atol=0)


@pytest.mark.parametrize("metric", [psnr, ms_ssim])
def test_with_masks_of_ones_no_batch_changes(images, metric):
    other = images * 0.8
    found = metric(images, other, per_batch=True, valid=torch.ones(3, 1, 100, 100))
    expected = metric(images, other, per_batch=True)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_psnr_is_that_of_the_valid_pixels(images, valid):
    other = images.clone()
    other[1, :, 60:] += 0.1  # 4,000 of 7,500 valid pixels
    found = psnr(images, other, valid=valid)
    assert found[1].item() == pytest.approx(10 * math.log10(7500 / 4000 / 0.01))
    whole = psnr(images, other, valid=valid, per_batch=True)
    share = 4000 / valid.sum().item()
    assert whole.item() == pytest.approx(-10 * math.log10(share * 0.01), rel=1e-6)


@pytest.mark.parametrize("metric", [ssim, ms_ssim])
def test_a_flaw_counts_where_it_is_valid_only(images, valid, metric):
    flawed = images.clone()
    flawed[1, :, 10:40, 10:40] = 0.5
    assert metric(images, flawed)[1] < 0.98
    assert metric(images, flawed, valid=valid)[1].item() == pytest.approx(1)
    flawed[1, :, 60:90, 60:90] = 0.5
    assert metric(images, flawed, valid=valid)[1] < 0.98


def test_an_image_without_valid_pixels_has_no_score(images):
    nowhere = torch.zeros(3, 100, 100)
    for metric in METRICS:
        assert torch.isnan(metric(images, images * 0.9, valid=nowhere)).all(), metric
