"""The benchmark of trainings with depth: exact targets, and what it trains on them."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from depth_targets import Patches, exact_patches, target
from depth_training import begin_as_identity, quarters, store
from scoring import SIZE

from dped_build.patches.dataset import PatchDataset
from dped_build.train.networks import SRCNN
from dped_build.workspace.errors import DpedBuildError

LEVELS = 2  # of 255: linear samples against means of the pixels themselves


def test_a_target_is_the_mean_over_each_phone_pixels_area(textured):
    dslr = cv2.GaussianBlur(textured(0, (300, 260)), (0, 0), 2)
    y, x = np.mgrid[: dslr.shape[0] // 2, : dslr.shape[1] // 2].astype(np.float32)
    points = np.stack([2 * x + 0.5, 2 * y + 0.5], axis=-1)
    half = cv2.resize(dslr, points.shape[1::-1], interpolation=cv2.INTER_AREA)
    part = np.s_[10 : 10 + SIZE, 20 : 20 + SIZE]
    found = target(dslr, points, part)
    np.testing.assert_allclose(found, half[part].astype(float), atol=LEVELS)


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(DpedBuildError, match="no scenes"):
        exact_patches(tmp_path)


def test_quarters_are_stored_with_their_masks(tmp_path):
    rng = np.random.default_rng(0)
    phone, dslr = rng.integers(256, size=(2, 3, SIZE, SIZE, 3), dtype=np.uint8)
    valid = rng.random((3, SIZE, SIZE)) < 0.5
    folder = store(quarters(Patches(phone, dslr, valid)), tmp_path, split="train")
    found = PatchDataset(folder, "train", masks=True)
    assert len(found) == 12
    half = SIZE // 2
    for side, whole in zip(found[3 * 2 + 1], (phone, dslr, valid), strict=True):
        np.testing.assert_array_equal(side, whole[1, half:, :half])


def test_the_network_begins_as_the_identity():
    torch.manual_seed(0)
    network, photo = SRCNN(), torch.rand(1, 3, 20, 30)
    begin_as_identity(network)
    torch.testing.assert_close(network(photo), photo)
