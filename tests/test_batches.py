"""Batches hold the shards' pixels, and validation photos are held out whole."""

import numpy as np
import pytest
import torch
from shards import write_patches, write_shard

from dped_build.patches.dataset import PatchDataset
from dped_build.train import batches as batches_module
from dped_build.train.batches import (
    Batches,
    held_out_photos,
    pool_rows,
    training_and_validation,
)

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


def test_a_pool_holds_every_run_once_before_any_comes_again(monkeypatch):
    monkeypatch.setattr(batches_module, "RUN_PATCHES", 10)
    pools = [pool_rows(115, number, seed=3, wanted=45) for number in range(6)]
    assert all((np.diff(rows) > 0).all() for rows in pools[:2])  # in order
    first_epoch = np.concatenate(pools[:3])  # 12 runs, the last of 5 rows
    assert sorted(first_epoch) == list(range(115))
    assert sorted(np.concatenate(pools[3:])) == list(range(115))
    assert not np.array_equal(pools[0], pools[3])
    again = pool_rows(115, 4, seed=3, wanted=45)
    assert np.array_equal(again, pools[4])
    assert not np.array_equal(pool_rows(115, 4, seed=4, wanted=45), pools[4])


def test_a_set_too_large_is_drawn_from_a_pool_that_changes(patches, monkeypatch):
    dataset = PatchDataset(patches)
    room = 8 * 20 * 20 * 3 * 2  # for four pairs and the next four
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", room)
    monkeypatch.setattr(batches_module, "RUN_PATCHES", 2)
    monkeypatch.setattr(batches_module, "POOL_ITERATIONS", 3)
    batches = Batches(dataset, device=CPU, seed=1)
    seen = {}
    for iteration in (1, 3, 4, 7, 1):  # the last: a run resumed there
        batches.turn_to(iteration)
        rows = pool_rows(len(dataset), (iteration - 1) // 3, seed=1, wanted=4)
        places = np.random.default_rng(5).integers(len(rows), size=6)
        drawn = batches.draw(np.random.default_rng(5), size=6)
        for place, phone, dslr in zip(places, drawn.phone, drawn.dslr, strict=True):
            for side, pixels in zip((phone, dslr), dataset[rows[place]], strict=True):
                expected = torch.from_numpy(pixels).permute(2, 0, 1) / 255
                torch.testing.assert_close(side, expected, rtol=0, atol=1e-7)
        seen[iteration] = set(rows)
    assert seen[1] == seen[3] and seen[1] | seen[4] | seen[7] == set(range(12))


def test_kept_features_are_those_of_the_drawn_targets(patches):
    batches = Batches(PatchDataset(patches), device=CPU)
    vgg = torch.nn.Conv2d(3, 2, 3)
    assert batches.draw(np.random.default_rng(0), size=5).features is None
    assert batches.keep_features(vgg, size=5)
    drawn = batches.draw(np.random.default_rng(0), size=5)
    torch.testing.assert_close(drawn.features, vgg(drawn.dslr).detach())


def test_features_that_do_not_fit_are_not_kept(patches, monkeypatch):
    batches = Batches(PatchDataset(patches), device=CPU)
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 100_000)
    assert not batches.keep_features(torch.nn.Conv2d(3, 64, 3), size=5)
    monkeypatch.setattr(batches_module, "RESIDENT_BYTES", 0)
    assert not Batches(PatchDataset(patches), device=CPU).keep_features(
        torch.nn.Conv2d(3, 1, 3), size=5
    )
