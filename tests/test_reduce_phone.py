"""Phones with more pixels than the DSLR are aligned once their photos are reduced."""

import shutil

import cv2
import numpy as np
import pytest
from merging import SETTINGS
from PIL import Image
from two_folders import GOOD, align, manifest_of, records

from dped_build.align.settings import AlignSettings
from dped_build.patches import PatchDataset, build_shards
from dped_build.photos.orientation import reduced
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import DpedBuildError, UsageError


@pytest.fixture
def enlarged(raw):
    """The phone's photos as of a sensor with nine times the pixels, odd by one."""
    for name in GOOD:
        path = raw / "iphone" / f"{name}.jpg"
        photo = np.asarray(Image.open(path))
        large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        large = np.pad(large, ((0, 1), (0, 1), (0, 0)), "edge")
        Image.fromarray(large).save(path, quality=98)
    return raw


def test_a_phone_of_more_pixels_is_told_the_way_on(enlarged, work):
    assert align(enlarged, work).aligned == 0
    for record in records(work).values():
        assert record["reason"] == "implausible_homography"
        assert record["message"].endswith("digital zoom): --reduce-phone 2")


def test_reduced_photos_align_and_their_pixels_are_block_means(enlarged, raw, work):
    settings = AlignSettings(reduce_phone=2)
    assert align(enlarged, work, settings=settings).aligned == 3
    record = records(work)["0001"]
    large = read_photo(enlarged / "iphone/0001.jpg")
    small = reduced(large, 2)
    assert record["phone_size"] == [288, 216] == list(small.shape[1::-1])
    assert manifest_of(work)["settings"]["reduce_phone"] == 2
    build_shards(work, settings=SETTINGS, jobs=1)
    dataset = PatchDataset(work / "patches", split="train")
    assert len(dataset)
    x, y = dataset.window_xy[0]
    name = dataset.photos[0]
    means = reduced(read_photo(enlarged / f"iphone/{name}.jpg"), 2)
    assert np.array_equal(dataset[0][0], means[y : y + 48, x : x + 48])
    with pytest.raises(DpedBuildError, match="reduce-phone = 2, now the default"):
        align(enlarged, work)


def test_without_a_reduction_nothing_is_recorded_of_it(raw, work):
    align(raw, work)
    assert "reduce_phone" not in manifest_of(work)["settings"]
    shutil.rmtree(work)
    with pytest.raises(UsageError, match="--reduce-phone must be from 1 to 8"):
        AlignSettings(reduce_phone=9)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_reduced_photo_holds_the_means(factor):
    photo = np.arange(7 * 8 * 3, dtype=np.uint8).reshape(7, 8, 3)
    small = reduced(photo, factor)
    assert small.shape == (7 // factor, 8 // factor, 3)
    mean = photo[:factor, :factor].astype(float).mean(axis=(0, 1))
    assert np.abs(small[0, 0] - mean).max() <= 0.5
