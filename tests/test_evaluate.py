"""The figures of an evaluation, held against the metrics themselves and the papers'."""

import math

import cv2
import h5py
import numpy as np
import pytest
import torch
from detail_images import displaced, pictures, shown
from shards import write_patches, write_shard
from torch import nn

from dped_build.exchange.tensorflow_checkpoint import read_generator
from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.train.detail import coherent_transfer, sharpness_ratio
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.evaluating.scores import FIGURES
from dped_build.train.metrics import ms_ssim, psnr, ssim
from dped_build.train.networks import build_generator


class Brighten(nn.Module):
    """A generator whose output is known."""

    def forward(self, images):
        """Brighter by a fifth, beyond 1 too."""
        return images * 1.2


def batch_of(patches):
    """All pairs of a dataset as two (B, 3, H, W) tensors."""
    pairs = [patches[row] for row in range(len(patches))]
    return [
        torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) / 255
        for side in zip(*pairs, strict=True)
    ]


def test_figures_are_those_of_the_metrics(tmp_path):
    folder = tmp_path / "patches"
    photos = ["a", "b", "c"]
    write_shard(folder, "test-00000.h5", photos, split="test", per_photo=20, size=20)
    report = evaluate(Brighten(), folder)
    phone, dslr = batch_of(PatchDataset(folder, "test"))
    assert list(report) == ["n", "input", "output", "photos"]
    assert report["n"] == 60
    assert list(report["photos"]) == photos
    for side, images in (("input", phone), ("output", phone * 1.2)):
        figures = report[side]
        assert list(figures) == list(FIGURES)
        clipped = images.clamp(0, 1)
        assert figures["psnr_pirm"] == pytest.approx(float(psnr(clipped, dslr).mean()))
        assert figures["ssim"] == pytest.approx(float(ssim(clipped, dslr).mean()))
        transfer = coherent_transfer(clipped, dslr).tolist()
        assert [figures[f"transfer_{f}"] for f in ("015", "025", "040")] == transfer
        median = float(sharpness_ratio(clipped, dslr).quantile(0.5))
        assert figures["sharpness_ratio"] == pytest.approx(median)
        assert figures["psnr_aligned"] >= figures["psnr_pirm"]
        image_ms_ssim = float(ms_ssim(images, dslr).mean())
        assert figures["ms_ssim_image"] == pytest.approx(image_ms_ssim)
        for name, metric in (("psnr_training", psnr), ("ms_ssim_batch", ms_ssim)):
            first, last = (
                float(metric(images[part], dslr[part], per_batch=True))
                for part in (slice(50), slice(50, 60))
            )
            assert figures[name] == pytest.approx((50 * first + 10 * last) / 60)
    of_b = report["photos"]["b"]
    expected = float(psnr(phone[20:40], dslr[20:40], per_batch=True))
    assert of_b["n"] == 20
    assert of_b["input"]["psnr_training"] == pytest.approx(expected)


def test_the_phones_patches_are_their_own_output_for_an_idle_network(tmp_path):
    report = evaluate(nn.Identity(), write_patches(tmp_path, size=20))
    assert report["n"] == 4
    assert report["input"] == report["output"]
    assert report["photos"] == {"0005": {"n": 4, **_sides(report)}}


def _sides(report):
    return {side: report[side] for side in ("input", "output")}


def test_what_is_infinite_becomes_null(tmp_path):
    folder = write_patches(tmp_path, size=20)
    phone, dslr = batch_of(PatchDataset(folder, "test"))

    class Perfect(nn.Module):
        def forward(self, images):
            return dslr

    report = evaluate(Perfect(), folder)
    assert report["output"]["psnr_pirm"] is None
    assert report["output"]["psnr_training"] is None
    assert report["output"]["ssim"] == pytest.approx(1)
    assert math.isfinite(report["input"]["psnr_pirm"])
    assert not torch.equal(phone, dslr)


def test_alignment_takes_out_a_displacement_and_no_more(tmp_path):
    folder = tmp_path / "patches"
    write_shard(folder, "test-00000.h5", ["a"], split="test", per_photo=8)
    planes = pictures(softness=1.0)
    with h5py.File(folder / "test-00000.h5", "r+") as file:
        for key, side in (("phone", displaced(planes, 0.6, 0.3)), ("dslr", planes)):
            levels = (shown(side) * 255).round().clamp(0, 255).byte()
            file[key][:] = levels.permute(0, 2, 3, 1).numpy()
    figures = evaluate(nn.Identity(), folder)["input"]
    assert figures["psnr_aligned"] > figures["psnr_pirm"] + 6
    assert figures["ssim_aligned"] > 0.99 > figures["ssim"] + 0.02
    assert figures["transfer_025"] < 0.8
    assert figures["sharpness_ratio"] == pytest.approx(1, abs=0.01)


def test_another_split_and_an_absent_one(tmp_path):
    folder = write_patches(tmp_path, size=20)
    assert evaluate(nn.Identity(), [folder], split="train")["n"] == 12
    (folder / "test-00000.h5").unlink()
    with pytest.raises(NoPatchesError, match=r"no test patches.*--split-seed"):
        evaluate(nn.Identity(), folder)


@pytest.fixture
def real_patches(shared_data, tmp_path):
    """The 400 real pairs as one shard of pseudo-photos of 50."""
    names = sorted(
        (shared_data / "dped/patches/iphone").iterdir(), key=lambda p: int(p.stem)
    )
    folder = tmp_path / "patches"
    write_shard(
        folder,
        "test-00000.h5",
        [f"{n:03d}" for n in range(8)],
        split="test",
        per_photo=50,
    )
    with h5py.File(folder / "test-00000.h5", "r+") as file:
        for row, phone in enumerate(names):
            canon = shared_data / "dped/patches/canon" / phone.name
            for key, path in (("phone", phone), ("dslr", canon)):
                file[key][row] = cv2.imread(str(path))[:, :, ::-1]
    return folder


@pytest.mark.long
def test_the_released_fast_generator_has_its_published_figures(
    shared_data, real_patches
):
    """Made by running the original code, to the tolerance of rounding."""
    name = "iphone_convdeconv16_iteration_40000.ckpt"
    architecture, state = read_generator(shared_data / "dped/models_orig" / name)
    model = build_generator(architecture)
    model.load_state_dict(state)
    report = evaluate(model, real_patches)
    phone, fast = report["input"], report["output"]
    assert report["n"] == 400
    assert phone["psnr_pirm"] is None  # four pairs are identical
    for figures, expected in (
        (phone, (15.236, 0.84868, 0.84551)),
        (fast, (20.268, 0.92518, 0.92435)),
    ):
        assert figures["psnr_training"] == pytest.approx(expected[0], abs=0.02)
        assert figures["ms_ssim_batch"] == pytest.approx(expected[1], abs=0.0005)
        assert figures["ms_ssim_image"] == pytest.approx(expected[2], abs=0.0005)
    assert fast["psnr_pirm"] == pytest.approx(22.551, abs=0.02)
