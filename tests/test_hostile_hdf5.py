"""Shards from strangers: nothing is followed, nothing bursts."""

import random
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from strangers import SHARD, finished, told, work

from dped_build.curate.verify import verify_workspace
from dped_build.patches import PatchDataset
from dped_build.patches.build import patch_stage
from dped_build.patches.folder import read_pixels, read_rows, read_valid
from dped_build.patches.previous import read_previous
from dped_build.workspace.errors import DpedBuildError

pytestmark = pytest.mark.usefixtures("one_thread")
__all__ = ["finished", "work"]


def replaced(path, name, make):
    """Put what `make(file, data)` creates in the place of a dataset."""
    with h5py.File(path, "r+") as file:
        data = file[name][()]
        del file[name]
        make(file, data)


def by_external_link(name):
    def make(file, data):
        with h5py.File(Path(file.filename).parent / "elsewhere.h5", "w") as other:
            other[name] = data
        file[name] = h5py.ExternalLink("elsewhere.h5", name)

    return make


def by_soft_link(name):
    def make(file, data):
        file["own"] = data
        file[name] = h5py.SoftLink("/own")

    return make


def by_external_storage(name):
    def make(file, data):
        raw = Path(file.filename).with_name("private.bin")
        raw.write_bytes(data.tobytes())
        where = [(str(raw), 0, data.nbytes)]
        file.create_dataset(name, data.shape, data.dtype, external=where)

    return make


def by_virtual_data(name):
    def make(file, data):
        with h5py.File(Path(file.filename).with_name("else.h5"), "w") as other:
            other["data"] = data
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        layout[...] = h5py.VirtualSource("else.h5", "data", data.shape)
        file.create_virtual_dataset(name, layout)

    return make


def with_options(name, **options):
    def make(file, data):
        file.create_dataset(name, data=data, chunks=data.shape, **options)

    return make


def of_shape(name, shape, kind, **options):
    return lambda file, data: file.create_dataset(name, shape, kind, **options)


def of_references(name):
    def make(file, data):
        file[name] = np.array([file.ref] * len(data), h5py.ref_dtype)

    return make


def of_names(name, names):
    return lambda file, data: file.create_dataset(
        name, data=np.array(names, dtype=h5py.string_dtype())
    )


def bursting(name):
    """Chunks of a few kilobytes that unpack to 64 MB."""

    def make(file, data):
        chunk = (1, *data.shape[1:])
        found = file.create_dataset(name, data.shape, "u1", chunks=chunk, compression=9)
        for row in range(len(data)):
            start = (row, *[0] * (data.ndim - 1))
            found.id.write_direct_chunk(start, zlib.compress(bytes(2**26)))

    return make


HOSTILE_MASKS = {
    "external link": ("valid", by_external_link("valid")),
    "virtual data": ("valid", by_virtual_data("valid")),
    "masks of other patches": ("valid", of_shape("valid", (9, 31, 31), "u1")),
    "petabytes of masks": ("valid", of_shape("valid", (2**40, 32, 32), "u1")),
    "floats for masks": ("valid", of_shape("valid", (9, 32, 32), "f4")),
    "flat masks": ("valid", of_shape("valid", (9,), "u1")),
    "a bursting chunk": ("valid", bursting("valid")),
    "a share of each pixel": ("valid_share", of_shape("valid_share", (9, 4), "f4")),
}


@pytest.mark.parametrize("what", HOSTILE_MASKS)
def test_masks_of_a_stranger_are_refused(work, what):
    name, make = HOSTILE_MASKS[what]
    replaced(work / SHARD, name, make)
    read = {"valid": lambda path: read_valid(path, [0]), "valid_share": read_rows}[name]
    with pytest.raises(DpedBuildError, match="damaged") as error:
        read(work / SHARD)
    assert "train-00000.h5" in told(error)
    assert verify_workspace(work).damage


@pytest.mark.parametrize("shape", [(1, 128), (9, 127), (9,), (2**40, 128)])
def test_packed_masks_of_a_stranger_are_refused(work, shape):
    path = work / "patches/windows.h5"
    replaced(path, "valid_bits", of_shape("valid_bits", shape, "u1"))
    previous = read_previous(patch_stage(work))
    for masks in previous.masks.values():
        with pytest.raises(DpedBuildError, match=r"windows\.h5 is damaged"):
            masks()


HOSTILE_DATASETS = {
    "external link": ("phone", by_external_link("phone")),
    "external link of a column": ("photo", by_external_link("photo")),
    "soft link": ("window_xy", by_soft_link("window_xy")),
    "external storage": ("dslr", by_external_storage("dslr")),
    "external storage of a column": ("window_xy", by_external_storage("window_xy")),
    "virtual data": ("phone", by_virtual_data("phone")),
    "another filter": ("window_xy", with_options("window_xy", compression="lzf")),
    "a packed column": ("window_xy", with_options("window_xy", compression="gzip")),
    "8 TB of rows": ("window_xy", of_shape("window_xy", (2**40, 2), "i4")),
    "8 TB of chunks": (
        "window_xy",
        of_shape("window_xy", (2**40, 2), "i4", chunks=(4, 2)),
    ),
    "petabytes of pixels": ("phone", of_shape("phone", (2**40, 32, 32, 3), "u1")),
    "a large patch": ("phone", of_shape("phone", (9, 2**15, 2**15, 3), "u1")),
    "floats for pixels": ("phone", of_shape("phone", (9, 32, 32, 3), "f4")),
    "flat pixels": ("phone", of_shape("phone", (9,), "u1")),
    "references": ("photo", of_references("photo")),
    "a table of numbers": ("photos", of_shape("photos", (3,), "i4")),
    "a group": ("photo", lambda file, data: file.create_group("photo")),
    "a path as a name": ("photos", of_names("photos", ["../../a", "b", "c"])),
    "one name twice": ("photos", of_names("photos", ["a", "a", "a"])),
    "too few names": ("photos", of_names("photos", [])),
    "a bursting chunk": ("phone", bursting("phone")),
}


@pytest.mark.parametrize("what", HOSTILE_DATASETS)
def test_a_shard_of_a_stranger_is_refused(work, what):
    name, make = HOSTILE_DATASETS[what]
    replaced(work / SHARD, name, make)
    with pytest.raises(DpedBuildError) as error:
        PatchDataset(work / "patches", "train")
    assert "train-00000.h5" in told(error)
    if name in ("photo", "photos", "window_xy"):
        with pytest.raises(DpedBuildError, match="damaged"):
            read_rows(work / SHARD)
    else:
        with pytest.raises(DpedBuildError, match="damaged"):
            read_pixels([(work / SHARD, 0)])
    assert verify_workspace(work).damage


@pytest.mark.parametrize("value", [["a", "b"], 1.5, h5py.Empty("f4"), b"\xff", 3])
def test_wild_attributes_are_refused(work, value):
    with h5py.File(work / SHARD, "r+") as file:
        del file.attrs["format"]
        file.attrs["format"] = value
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5") as error:
        PatchDataset(work / "patches", "train")
    told(error)


def test_one_long_name_that_counts_a_thousand_times_is_not_read(work):
    """Texts of any length lie in a heap: many rows may name the same megabyte."""
    long = "a" * 2**20
    replaced(work / SHARD, "photos", of_names("photos", [long, *map(str, range(999))]))
    with h5py.File(work / SHARD) as file:
        start = file["photos"].id.get_offset()
    content = bytearray((work / SHARD).read_bytes())
    content[start : start + 16_000] = content[start : start + 16] * 1000
    (work / SHARD).write_bytes(content)
    with h5py.File(work / SHARD) as file:
        assert len(file["photos"][999]) == 2**20
    with pytest.raises(DpedBuildError, match="damaged"):
        PatchDataset(work / "patches", "train")


def test_rows_that_were_never_written_are_not_taken_for_pixels(work):
    replaced(
        work / SHARD,
        "phone",
        of_shape("phone", (2**30, 32, 32, 3), "u1", chunks=(1, 32, 32, 3)),
    )
    with pytest.raises(DpedBuildError, match="never written"):
        read_pixels([(work / SHARD, row) for row in range(2**10)])


@pytest.mark.parametrize("name", [SHARD, "patches/windows.h5"])
def test_flipped_and_cut_files_are_refused_or_read(work, name):
    """Many random damages of the HDF5 structure: an error of ours or sound values."""
    whole, rng = (work / name).read_bytes(), random.Random(0)
    refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 4, 64])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        (work / name).write_bytes(content)
        try:
            PatchDataset(work / "patches", "train")[0]
            read_previous(patch_stage(work))
        except DpedBuildError:
            refused += 1
    assert refused > 10
