"""What the public API says to arguments of a wrong kind."""

import json

import numpy as np
import pytest
import torch
from shards import write_patches

from dped_build.align import AlignSettings, align_folders, align_pair
from dped_build.patches import (
    PatchDataset,
    PatchSettings,
    build_shards,
    extract_patches,
)
from dped_build.report import write_report
from dped_build.train import TrainSettings, enhance
from dped_build.train.losses import color_loss
from dped_build.train.metrics import ms_ssim, psnr, ssim
from dped_build.workspace.errors import DpedBuildError

PHOTO = np.zeros((40, 50, 3), dtype=np.uint8)
ALIGNMENT = align_pair(PHOTO, PHOTO)  # rejected: there is nothing to be seen
IMAGES = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: align_pair(PHOTO, PHOTO, settings={}), "settings must be AlignSett"),
        (lambda: extract_patches("x.jpg", PHOTO, ALIGNMENT), "phone must be an array"),
        (lambda: extract_patches(PHOTO, PHOTO / 255, ALIGNMENT), "dslr must be RGB ui"),
        (lambda: extract_patches(PHOTO, PHOTO, ALIGNMENT), "the pair is not aligned"),
        (
            lambda: extract_patches(PHOTO, PHOTO, ALIGNMENT, settings=AlignSettings()),
            "settings must be PatchSettings",
        ),
        (lambda: enhance("run", PHOTO), r"load_generator\(path\) returns one"),
        (lambda: enhance(torch.nn.Identity(), "x.jpg"), "photo must be an array"),
        (lambda: color_loss(IMAGES, IMAGES[:1]), "do not match"),
        (lambda: psnr(IMAGES.numpy(), IMAGES.numpy()), "must be float tensors"),
        (lambda: ssim(IMAGES.byte(), IMAGES.byte()), "must be float tensors"),
        (lambda: ms_ssim(IMAGES, PHOTO), "must be float tensors"),
    ],
)
def test_a_value_error_says_what_is_right(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "kind, wrong, message",
    [
        (PatchSettings, {"min_corr": "0.9"}, "min_corr must be a number, not '0.9'"),
        (PatchSettings, {"size": True}, "size must be a whole number, not True"),
        (PatchSettings, {"test_photos": "3"}, "test_photos must be a whole number"),
        (AlignSettings, {"min_inliers": "12"}, "min_inliers must be a whole number"),
        (TrainSettings, {"seed": 1.5}, r"seed must be a whole number, not 1\.5"),
        (TrainSettings, {"loss": ["mse"]}, "loss must be a text"),
        (TrainSettings, {"masks": 1}, "masks must be True or False, not 1"),
    ],
)
def test_settings_name_the_field_of_a_wrong_kind(kind, wrong, message):
    with pytest.raises(TypeError, match=message):
        kind(**wrong)


def test_numbers_of_numpy_are_numbers_and_none_the_default():
    given = PatchSettings(size=np.int64(64), min_corr=np.float32(0.5), test_photos=None)
    assert (given.size, given.min_corr) == (64, 0.5)
    assert json.loads(json.dumps(given.to_json()))["size"] == 64


@pytest.mark.parametrize("index", [slice(3), "a", 1.0, [1, 2], np.arange(2)])
def test_a_set_is_read_by_number(tmp_path, index):
    patches = PatchDataset(write_patches(tmp_path, size=20))
    with pytest.raises(TypeError, match="one patch at a time"):
        patches[index]
    assert np.array_equal(patches[np.int64(2)][0], patches[2][0])


def test_a_set_without_folders_or_of_a_workspace_says_what_to_name(tmp_path):
    with pytest.raises(DpedBuildError, match="name a folder of patches"):
        PatchDataset([])
    write_patches(tmp_path, size=20)
    with pytest.raises(DpedBuildError, match="has a folder patches: name that"):
        PatchDataset(tmp_path)


def test_folders_may_be_texts(camera_folders, tmp_path, charts_left_out):
    cameras = str(camera_folders / "iphone"), str(camera_folders / "canon")
    align_folders(*cameras, workspace=str(tmp_path), jobs=1)
    build_shards(str(tmp_path), settings=PatchSettings(size=64), jobs=1)
    assert write_report(str(tmp_path)).index.is_file()
