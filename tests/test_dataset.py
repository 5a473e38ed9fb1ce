"""Shards come back as written, from any process, in the order of their names."""

import json
import multiprocessing
import subprocess
import sys

import h5py
import numpy as np
import pytest
from shards import add_masks, half_masks, write_patches, write_shard

from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.workspace.errors import DpedBuildError, UsageError


def test_rows_come_in_the_order_of_the_shards_names(tmp_path):
    folder = tmp_path / "patches"
    second = write_shard(folder, "train-00001.h5", ["b"], seed=1)
    first = write_shard(folder, "train-00000.h5", ["a", "c"], seed=2)
    write_shard(folder, "test-00000.h5", ["d"], split="test", seed=3)
    patches = PatchDataset(folder)
    phones = np.concatenate([first[0], second[0]])
    dslrs = np.concatenate([first[1], second[1]])
    assert len(patches) == 9
    assert patches.patch_size == 100
    assert list(patches.photos) == ["a"] * 3 + ["c"] * 3 + ["b"] * 3
    for row in range(len(patches)):
        phone, dslr = patches[row]
        assert phone.dtype == dslr.dtype == np.uint8
        np.testing.assert_array_equal(phone, phones[row])
        np.testing.assert_array_equal(dslr, dslrs[row])


def test_rows_count_from_the_end_and_stop_there(tmp_path):
    patches = PatchDataset(write_patches(tmp_path))
    np.testing.assert_array_equal(patches[-1][0], patches[len(patches) - 1][0])
    with pytest.raises(IndexError):
        patches[len(patches)]
    assert len(list(patches)) == len(patches)


def test_several_folders_are_read_one_after_the_other(tmp_path):
    one, two = (write_patches(tmp_path / name) for name in ("one", "two"))
    both = PatchDataset([one, two])
    assert len(both) == 2 * len(PatchDataset(one))
    assert both.photos[0] == "1/0001"
    assert both.photos[-1] == "2/0003"


def test_excluded_photos_and_windows_are_left_out(tmp_path):
    folder = write_patches(tmp_path, per_photo=4)
    everything = PatchDataset(folder)
    lines = "pair,x,y,note\n0002,,,blurred\n0003,100,0,a bird\n"
    (tmp_path / "exclude.csv").write_text(lines)
    patches = PatchDataset(folder)
    kept = [0, 1, 2, 3, 8, 10, 11]
    assert len(patches) == len(kept)
    for row, original in enumerate(kept):
        np.testing.assert_array_equal(patches[row][0], everything[original][0])
    assert patches.identity != everything.identity


def test_an_exclusion_may_name_pairs_alone(tmp_path):
    folder = write_patches(tmp_path)
    (tmp_path / "exclude.csv").write_text("pair\n0001\n")
    assert set(PatchDataset(folder).photos) == {"0002", "0003"}


def test_an_exclusion_may_come_from_a_spreadsheet(tmp_path):
    folder = write_patches(tmp_path)
    (tmp_path / "exclude.csv").write_bytes("pair;note\n0001;x\n".encode("utf-16"))
    assert set(PatchDataset(folder).photos) == {"0002", "0003"}


def test_a_slice_says_what_to_do_and_the_set_what_it_holds(tmp_path):
    patches = PatchDataset(write_patches(tmp_path, per_photo=4))
    with pytest.raises(TypeError, match="one patch at a time"):
        patches[0:3]
    told = "<PatchDataset train: 12 pairs of patches, 100x100 px, from 3 photos>"
    assert repr(patches) == told


def test_fewer_scenes_than_splits_get_no_advice_to_draw_again(tmp_path):
    folder = tmp_path / "patches"
    write_shard(folder, "train-00000.h5", ["0001"])
    lines = "pair,group,split\n0001,0001,train\n"
    (folder / "split.csv").write_text(lines)
    with pytest.raises(NoPatchesError, match=r"1 scene cannot be split; .* 3 or more"):
        PatchDataset(folder, "test")


def test_a_split_that_is_excluded_as_a_whole_leads_to_exclude_csv(tmp_path):
    folder = tmp_path / "patches"
    write_shard(folder, "train-00000.h5", ["0001"])
    names = {"0001": "train", "0002": "test", "0003": "test", "0004": "val"}
    lines = "".join(f"{name},{name},{split}\n" for name, split in names.items())
    (folder / "split.csv").write_text(f"pair,group,split\n{lines}")
    (tmp_path / "exclude.csv").write_text("pair\n0002\n0003\n")
    with pytest.raises(NoPatchesError, match=r"every test photo .* see exclude\.csv"):
        PatchDataset(folder, "test")
    with pytest.raises(NoPatchesError, match=r"draw another"):
        PatchDataset(folder, "val")


@pytest.mark.parametrize(
    "text, message",
    [("photo\n0001\n", "first line must be"), ("pair,x,y\n0001,7,\n", "line 2")],
)
def test_an_exclusion_that_cannot_be_read_is_named(tmp_path, text, message):
    folder = write_patches(tmp_path)
    (tmp_path / "exclude.csv").write_text(text)
    with pytest.raises(DpedBuildError, match=message):
        PatchDataset(folder)


def test_the_manifest_says_which_shards_belong(tmp_path):
    folder = write_patches(tmp_path)
    write_shard(folder, "train-00009.h5", ["left over"])
    shards = [{"file": "train-00000.h5", "split": "train", "patches": 12, "photos": 3}]
    manifest = {"shards": shards, "dataset_id": "abc"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert len(PatchDataset(folder)) == 12
    shards[0]["patches"] = 13
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DpedBuildError, match="damaged"):
        PatchDataset(folder)


def test_missing_and_empty_say_what_to_run_first(tmp_path):
    with pytest.raises(DpedBuildError, match="run dped-build patches first"):
        PatchDataset(tmp_path / "patches")
    (tmp_path / "patches").mkdir()
    with pytest.raises(NoPatchesError, match="run dped-build patches first"):
        PatchDataset(tmp_path / "patches")
    folder = write_patches(tmp_path)
    (tmp_path / "exclude.csv").write_text("pair\n0004\n")
    with pytest.raises(NoPatchesError, match=r"excluded.*exclude\.csv"):
        PatchDataset(folder, "val")


def test_files_that_are_no_shards_are_named(tmp_path):
    folder = write_patches(tmp_path)
    (folder / "train-00001.h5").write_bytes(b"not HDF5")
    with pytest.raises(DpedBuildError, match=r"train-00001\.h5 is damaged"):
        PatchDataset(folder)
    with h5py.File(folder / "train-00001.h5", "w") as file:
        file["phone"] = np.zeros(3)
    with pytest.raises(DpedBuildError, match=r"train-00001\.h5 is no patch shard"):
        PatchDataset(folder)
    with h5py.File(folder / "train-00001.h5", "w") as file:
        file.attrs.update({"format": "dped-build/patches", "version": 2})
    with pytest.raises(DpedBuildError, match="version 2"):
        PatchDataset(folder)


def test_a_patch_whose_checksum_fails_is_an_error(tmp_path):
    folder = write_patches(tmp_path)
    path = folder / "train-00000.h5"
    with h5py.File(path) as file:
        offset = file["phone"].id.get_chunk_info(5).byte_offset
    with path.open("r+b") as file:
        file.seek(offset + 100)
        file.write(b"\x55\xaa\x55\xaa")
    patches = PatchDataset(folder)
    patches[4]
    with pytest.raises(DpedBuildError, match="damaged"):
        patches[5]


def test_patches_of_two_sizes_are_refused(tmp_path):
    folder = write_patches(tmp_path)
    write_shard(folder, "train-00001.h5", ["0009"], size=50)
    with pytest.raises(DpedBuildError, match=r"100 px in .*50 px in"):
        PatchDataset(folder)


def test_a_shard_replaced_meanwhile_is_not_read(tmp_path):
    folder = write_patches(tmp_path)
    patches = PatchDataset(folder)
    (folder / "train-00000.h5").unlink()
    write_shard(folder, "train-00000.h5", ["0001", "0002", "0003"], per_photo=4, seed=7)
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5 changed.*start again"):
        patches[0]


def test_a_shard_that_went_away_is_named(tmp_path):
    folder = write_patches(tmp_path)
    patches = PatchDataset(folder)
    (folder / "train-00000.h5").unlink()
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5 is missing"):
        patches[0]


def test_a_folder_is_read_once(tmp_path):
    folder = write_patches(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    for again in (folder, tmp_path / "link"):
        with pytest.raises(UsageError, match="given twice"):
            PatchDataset([folder, again])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same_rows(tmp_path, method):
    patches = PatchDataset(write_patches(tmp_path))
    expected = patches[7]  # the file is open here before the workers start
    with multiprocessing.get_context(method).Pool(2) as pool:
        for phone, dslr in pool.map(patches.__getitem__, [7] * 4):
            np.testing.assert_array_equal(phone, expected[0])
            np.testing.assert_array_equal(dslr, expected[1])


def test_reading_patches_needs_no_torch(tmp_path):
    program = (
        "import sys; from dped_build.patches.dataset import PatchDataset; "
        f"PatchDataset({str(write_patches(tmp_path))!r})[0]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def half_masked(tmp_path):
    """A folder whose 12 training patches are whole, but for the last seven."""
    folder = write_patches(tmp_path)
    valid = half_masks(12, 100, whole=5)
    valid[4, 0] = 0  # 99 % are enough
    add_masks(folder / "train-00000.h5", valid)
    return folder, valid


def test_patches_valid_in_part_come_with_their_masks_or_not_at_all(half_masked):
    folder, valid = half_masked
    whole, everything = PatchDataset(folder), PatchDataset(folder, masks=True)
    assert (len(whole), whole.left_out) == (5, 7)
    assert (len(everything), everything.left_out) == (12, 0)
    np.testing.assert_allclose(everything.valid_share, valid.mean((1, 2)), rtol=1e-6)
    for row in range(12):
        phone, dslr, mask = everything[row]
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, valid[row] == 1)
        if row < 5:
            np.testing.assert_array_equal(phone, whole[row][0])
            np.testing.assert_array_equal(dslr, whole[row][1])
    assert [len(pair) for pair in whole] == [2] * 5
    for dataset in (whole, everything):
        rows = len(dataset)
        assert len(dataset.photos) == len(dataset.window_xy) == rows
    assert list(whole.photos) == list(everything.photos[:5])


def test_a_shard_without_masks_is_valid_everywhere(tmp_path):
    folder = write_patches(tmp_path)
    plain = PatchDataset(folder)
    masked = PatchDataset(folder, masks=True)
    assert len(plain) == len(masked) == 12
    assert plain.identity == masked.identity
    valid = masked[3][2]
    assert valid.all() and valid.shape == (100, 100)


def test_exclusions_and_masks_both_leave_out(half_masked):
    folder, valid = half_masked
    (folder.parent / "exclude.csv").write_text("pair\n0001\n")
    assert len(PatchDataset(folder)) == 1
    everything = PatchDataset(folder, masks=True)
    np.testing.assert_array_equal(everything[2][2], valid[6] == 1)
    (folder.parent / "exclude.csv").write_text("pair\n0001\n0002\n")
    with pytest.raises(NoPatchesError, match=r"none of the 4 .*98% .*--masks"):
        PatchDataset(folder)


@pytest.mark.parametrize(
    "name, data",
    [
        ("valid_share", np.ones(11, "f4")),
        ("valid_share", np.ones(12, "i4")),
        ("valid", np.ones((12, 50, 50), "u1")),
        ("valid", np.ones((12, 100, 100), "f4")),
        ("valid", None),
        ("valid_share", None),
    ],
)
def test_masks_that_do_not_fit_are_named(half_masked, name, data):
    path = half_masked[0] / "train-00000.h5"
    with h5py.File(path, "r+") as file:
        del file[name]
        if data is not None:
            file[name] = data
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5 is damaged"):
        PatchDataset(half_masked[0])
