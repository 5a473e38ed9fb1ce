"""Shards and `windows.h5` come back as written; a damaged one is never read."""

import io
import json

import h5py
import numpy as np
import pytest

from dped_build.align.geometry import translation
from dped_build.compiled import loops
from dped_build.patches import chunks, shards
from dped_build.patches.folder import (
    read_keys,
    read_masks,
    read_pixels,
    read_rows,
    read_valid,
)
from dped_build.patches.masks import packed, whole_masks
from dped_build.patches.records import ACCEPTED, COLUMNS, Windows, empty_windows
from dped_build.patches.shards import (
    PhotoPatches,
    plan_shards,
    settings_text,
    write_shard,
    write_windows,
)
from dped_build.workspace.errors import DpedBuildError

SIZE = 16
ATTRIBUTES = {
    "phone_camera": "iphone",
    "dslr_camera": "canon",
    "settings": settings_text({"size": SIZE, "min_corr": 0.9}),
}


def random_windows(count, seed):
    """Windows with another value in every field, NaN and infinity among them."""
    rng = np.random.default_rng(seed)
    values = {
        name: rng.normal(size=(count, *shape)).astype(kind)
        for name, (kind, shape) in COLUMNS.items()
    }
    values["window_xy"] = rng.permutation(10 * count)[: 2 * count].reshape(-1, 2)
    values["window_xy"] = values["window_xy"].astype("i4")
    values["patch_to_phone"] = np.array(
        [translation(x, y) for x, y in values["window_xy"]]
    ).reshape(-1, 3, 3)
    values["sharpness_ratio"][:1] = np.nan
    values["sigma_px"][:1] = np.inf
    return Windows(**values)


def random_photo(pair, count, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (2, count, SIZE, SIZE, 3), dtype=np.uint8)
    valid = rng.random((count, SIZE, SIZE)) < 0.7
    return PhotoPatches(pair, random_windows(count, seed), *pixels, valid)


PHOTOS = [
    random_photo("7", 3, 0),
    random_photo("été 10", 1, 1),
    random_photo("x", 4, 2),
]


MASKS = {photo.pair: packed(photo.valid) for photo in PHOTOS}
MASKS |= dict.fromkeys(("nothing", "a", "b"), packed(whole_masks(0, SIZE)))


def written(path, photos=PHOTOS, *, compress="none"):
    write_shard(
        path,
        photos,
        count=sum(len(photo.windows) for photo in photos),
        size=SIZE,
        compress=compress,
        attributes={"split": "train", **ATTRIBUTES},
    )
    return path


def assert_same(found, expected):
    for name in COLUMNS:
        got, wanted = getattr(found, name), getattr(expected, name)
        assert got.dtype == wanted.dtype == np.dtype(COLUMNS[name][0])
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_every_column_comes_back(tmp_path, compress):
    path = written(tmp_path / "train-00000.h5", compress=compress)
    tables = read_rows(path).by_pair()
    assert list(tables) == [photo.pair for photo in PHOTOS]
    for photo in PHOTOS:
        assert_same(tables[photo.pair], photo.windows)
    phone, dslr = read_pixels([(path, row) for row in range(8)])
    np.testing.assert_array_equal(phone, np.concatenate([p.phone for p in PHOTOS]))
    np.testing.assert_array_equal(dslr, np.concatenate([p.dslr for p in PHOTOS]))
    valid = np.concatenate([photo.valid for photo in PHOTOS])
    rows = [0, 1, 2, 3, 4, 5, 6, 7, 2, 2]
    np.testing.assert_array_equal(read_valid(path, rows), valid[rows])


def test_a_shard_from_before_there_were_masks_is_valid_everywhere(tmp_path):
    path = written(tmp_path / "train-00000.h5")
    with h5py.File(path, "a") as file:
        del file["valid"], file["valid_share"]
    assert (read_rows(path).windows.valid_share == 1).all()
    ones = np.ones((2, SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(read_valid(path, [5, 0]), ones)


def test_rows_are_read_in_the_order_asked_for(tmp_path):
    one = written(tmp_path / "train-00000.h5", PHOTOS[:2])
    two = written(tmp_path / "train-00001.h5", PHOTOS[2:])
    phone, dslr = read_pixels([(two, 3), (one, 0), (two, 0)])
    np.testing.assert_array_equal(phone[0], PHOTOS[2].phone[3])
    np.testing.assert_array_equal(phone[1], PHOTOS[0].phone[0])
    np.testing.assert_array_equal(dslr[2], PHOTOS[2].dslr[0])
    stored = np.concatenate([photo.phone for photo in PHOTOS[:2]])
    rows = [1, 2, 3, 2, 0, 1, 1]  # runs, a step back, one twice
    phone, _ = read_pixels([(one, row) for row in rows])
    np.testing.assert_array_equal(phone, stored[rows])
    found = read_rows(one, ["window_xy"])
    assert found.pairs[3] == "été 10"
    wanted = PHOTOS[1].windows.window_xy[0]
    np.testing.assert_array_equal(found.windows.window_xy[3], wanted)


def test_no_rows_are_no_pixels():
    phone, dslr = read_pixels([])
    assert len(phone) == len(dslr) == 0


def test_h5py_alone_reads_what_the_format_promises(tmp_path):
    with h5py.File(written(tmp_path / "train-00000.h5")) as file:
        stated = dict(file.attrs)
        shapes = {name: (file[name].shape, file[name].dtype.str) for name in file}
        photos = list(file["photos"].asstr())
        owners = file["photo"][:]
    assert stated["format"] == "dped-build/patches"
    assert stated["version"] == 1
    assert (stated["split"], stated["phone_camera"]) == ("train", "iphone")
    assert stated["dslr_camera"] == "canon"
    assert json.loads(stated["settings"]) == {"size": SIZE, "min_corr": 0.9}
    assert stated["created_with"].startswith("dped-build ")
    assert set(shapes) == {"phone", "dslr", "valid", "photos", "photo", *COLUMNS}
    assert shapes["valid"] == ((8, SIZE, SIZE), "|u1")
    assert shapes["phone"] == shapes["dslr"] == ((8, SIZE, SIZE, 3), "|u1")
    assert shapes["patch_to_dslr"] == ((8, 3, 3), "<f8")
    assert shapes["photo"] == ((8,), "<i4")
    assert shapes["sigma_px"] == ((8,), "<f4")
    assert photos == ["7", "été 10", "x"]
    assert owners.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]


def test_pixels_lie_in_row_chunks_and_all_columns_have_checksums(tmp_path):
    with h5py.File(written(tmp_path / "train-00000.h5")) as file:
        for name in ("phone", "dslr"):
            assert file[name].chunks == (1, SIZE, SIZE, 3)
            assert file[name].compression is None
        for name in ("photo", *COLUMNS):
            assert file[name].chunks == file[name].shape
        names = ("phone", "dslr", "valid", "photo", *COLUMNS)
        assert all(file[name].fletcher32 for name in names)
        assert file["valid"].compression == "gzip"
    with h5py.File(written(tmp_path / "gzip.h5", compress="gzip")) as file:
        assert file["phone"].compression == "gzip"


@pytest.mark.parametrize("length", [1, 2, 3, 511, 512, 513, 1025, 30_000])
def test_chunks_have_the_checksums_of_hdf5(monkeypatch, length):
    rng = np.random.default_rng(length)
    rows = rng.integers(0, 256, (4, length), dtype=np.uint8)
    rows[1], rows[2] = 0, 255
    with h5py.File(io.BytesIO(), "w") as file:
        options = {"chunks": (1, length), "fletcher32": True}
        stored = file.create_dataset("rows", data=rows, **options).id
        wanted = [stored.read_direct_chunk((row, 0))[1] for row in range(len(rows))]
    assert [chunk.tobytes() for chunk in chunks.encoded(rows, "none")] == wanted
    monkeypatch.setattr(loops, "_library", lambda: None)
    assert [chunk.tobytes() for chunk in chunks.encoded(rows, "none")] == wanted


def test_the_same_patches_make_the_same_bytes(tmp_path):
    one, other = (written(tmp_path / name) for name in ("one.h5", "other.h5"))
    assert one.read_bytes() == other.read_bytes()


def test_a_shard_that_could_not_be_filled_gets_no_name(tmp_path):
    def broken():
        yield PHOTOS[0]
        raise OSError("the disk is gone")

    with pytest.raises(DpedBuildError, match="the disk is gone"):
        write_shard(
            tmp_path / "train-00000.h5",
            broken(),
            count=8,
            size=SIZE,
            compress="none",
            attributes={},
        )
    assert list(tmp_path.iterdir()) == []


def test_fewer_patches_than_stated_are_found_on_reading_back(tmp_path):
    with pytest.raises(DpedBuildError, match="does not hold 9 rows"):
        write_shard(
            tmp_path / "train-00000.h5",
            PHOTOS,
            count=9,
            size=SIZE,
            compress="none",
            attributes={},
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chunks_at_once", [1, 3, 64])
@pytest.mark.parametrize("side", ["phone", "dslr", "valid"])
def test_damage_in_any_row_is_found_before_a_shard_gets_its_name(
    tmp_path, monkeypatch, side, chunks_at_once
):
    path = written(tmp_path / "train-00000.h5")
    monkeypatch.setattr(chunks, "AT_ONCE", chunks_at_once)
    shards._read_back(path, 8)
    with h5py.File(path) as file:
        stored = file[side].id
        last = stored.get_chunk_info(stored.get_num_chunks() - 1).byte_offset
    data = bytearray(path.read_bytes())
    data[last + 5] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(OSError, match="a checksum is wrong"):
        shards._read_back(path, 8)


@pytest.mark.parametrize("column", ["phone", "dslr", "patch_to_dslr", "photo"])
def test_a_flipped_byte_is_an_error_when_read(tmp_path, column):
    path = written(tmp_path / "train-00000.h5")
    with h5py.File(path) as file:
        offset = file[column].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 5] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5 is damaged"):
        read_rows(path)
        read_pixels([(path, 0)])


def test_a_shard_cut_short_is_an_error_when_read(tmp_path):
    path = written(tmp_path / "train-00000.h5")
    path.write_bytes(path.read_bytes()[:-500])
    for read in (read_rows, read_keys, lambda path: read_pixels([(path, 0)])):
        with pytest.raises(DpedBuildError, match=r"train-00000\.h5 is damaged"):
            read(path)


def write_all_windows(path, tables):
    reasons = {
        pair: np.array([ACCEPTED, "low_ncc", "flat"])[np.arange(len(table)) % 3]
        for pair, table in tables.items()
    }
    keys = {pair: f"key of {pair}" for pair in tables}
    masks = (MASKS[pair] for pair in tables)
    write_windows(path, tables, reasons, keys, masks, ATTRIBUTES, size=SIZE)
    return reasons


def test_windows_come_back_with_pair_status_and_reason(tmp_path):
    tables = {photo.pair: photo.windows for photo in PHOTOS}
    tables["nothing"] = empty_windows()
    reasons = write_all_windows(tmp_path / "windows.h5", tables)
    found = read_rows(tmp_path / "windows.h5").by_pair()
    assert list(found) == list(tables)
    rows = read_rows(tmp_path / "windows.h5").rows_of_pairs()
    for pair, table in tables.items():
        assert_same(found[pair], table)
        bits = read_masks(tmp_path / "windows.h5", rows[pair], SIZE)
        np.testing.assert_array_equal(bits, MASKS[pair])
    assert read_keys(tmp_path / "windows.h5")["x"] == "key of x"
    with h5py.File(tmp_path / "windows.h5") as file:
        pairs, reason, status = (
            file[name].asstr()[:].tolist() for name in ("pair", "reason", "status")
        )
        assert file.attrs["format"] == "dped-build/windows"
        assert all(file[name].fletcher32 for name in ("valid_bits", *COLUMNS))
    assert pairs == ["7"] * 3 + ["été 10"] + ["x"] * 4
    assert reason == np.concatenate(list(reasons.values())).tolist()
    assert set(status) == {"accepted", "rejected"}
    assert [s == "accepted" for s in status] == [r == "accepted" for r in reason]


@pytest.mark.parametrize("pairs", [[], ["a"], ["a", "b"]])
def test_a_file_without_windows_can_be_read(tmp_path, pairs):
    path = tmp_path / "windows.h5"
    write_all_windows(path, {pair: empty_windows() for pair in pairs})
    found = read_rows(path).by_pair()
    assert list(found) == pairs
    assert all(len(table) == 0 for table in found.values())
    assert list(read_keys(path)) == pairs


def test_a_shard_without_patches_can_be_read(tmp_path):
    path = written(tmp_path / "train-00000.h5", [])
    assert read_rows(path).by_pair() == {}
    assert read_rows(path).pairs.tolist() == []


def test_photos_stay_together_where_they_fit():
    shards = plan_shards({"a": 4, "b": 5, "c": 0, "d": 2, "e": 8}, 10)
    assert shards == [
        {"a": slice(0, 4), "b": slice(0, 5)},
        {"d": slice(0, 2), "e": slice(0, 8)},
    ]


def test_only_a_photo_that_is_too_large_is_divided():
    shards = plan_shards({"a": 3, "b": 25, "c": 5, "d": 1}, 10)
    assert shards == [
        {"a": slice(0, 3)},
        {"b": slice(0, 10)},
        {"b": slice(10, 20)},
        {"b": slice(20, 25), "c": slice(0, 5)},
        {"d": slice(0, 1)},
    ]


def test_every_patch_is_planned_once_and_no_shard_is_too_full():
    rng = np.random.default_rng(0)
    counts = {str(n): int(c) for n, c in enumerate(rng.integers(0, 60, 200))}
    shards = plan_shards(counts, 40)
    planned = dict.fromkeys(counts, 0)
    for shard in shards:
        assert 0 < sum(rows.stop - rows.start for rows in shard.values()) <= 40
        for pair, rows in shard.items():
            assert rows.start == planned[pair]
            planned[pair] = rows.stop
    assert planned == counts


def test_nothing_to_store_needs_no_shard():
    assert plan_shards({}, 10) == plan_shards({"a": 0}, 10) == []
