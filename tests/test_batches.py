"""Batches hold the shards' pixels, and validation photos are held out whole."""

import numpy as np
import pytest
import torch
from shards import write_patches, write_shard

from dped_build.patches.dataset import PatchDataset
from dped_build.train import batches as batches_module
from dped_build.train.batches import Batches, held_out_photos, training_and_validation

CPU = torch.device("cpu")


@pytest.fixture
def patches(tmp_path):
    return write_patches(tmp_path, size=20)


def test_batches_are_the_same_from_memory_and_from_disk(patches, monkeypatch):
    dataset = PatchDataset(patches)
    resident = Batches(dataset, device=CPU)
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 0)
    from_disk = Batches(dataset, device=CPU)
    for one, two in zip(
        resident.in_order(size=5), from_disk.in_order(size=5), strict=True
    ):
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    phone = resident.take(np.array([7]))[0]
    expected = torch.from_numpy(dataset[7][0]).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(phone, expected, rtol=0, atol=1e-7)


def test_validation_photos_are_held_out_whole_where_there_is_no_split(tmp_path):
    photos = [f"{number:03d}" for number in range(40)]
    write_shard(tmp_path / "patches", "train-00000.h5", photos, size=10)
    dataset = PatchDataset(tmp_path / "patches")
    learn, validate = training_and_validation(dataset, None, device=CPU)
    assert (len(learn), len(validate)) == (114, 6)  # 2 of 40 photos, 3 patches each
    held_out = held_out_photos(photos)
    assert len(held_out) == 2
    assert set(held_out_photos([*photos, "zzz"])) <= {*held_out, "zzz"}
    assert held_out_photos(photos[:2]) == []
