"""Other tools read our exports: `webdataset`, `datasets`, LMDB as BasicSR does."""

import gc
import json

import cv2
import numpy as np
import pytest
from shards import write_patches

from dped_build.exchange.export_patches import export_patches
from dped_build.patches import PatchDataset

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Shards of 12, 4 and 4 rows of 40 px."""
    return write_patches(tmp_path_factory.mktemp("source"), size=40)


@pytest.fixture
def small_files(monkeypatch):
    """Files of 8 rows, so that a split of 12 has two."""
    for module in ("web_dataset", "parquet_files"):
        monkeypatch.setattr(f"dped_build.exchange.{module}.ROWS_A_FILE", 8)
    monkeypatch.setattr("dped_build.exchange.parquet_files.ROWS_A_GROUP", 4)


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    """The library `datasets`, without a network."""
    pytest.importorskip("datasets", reason="the extra `test` is not installed")
    import datasets

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return datasets


def assert_same(rows, found):
    """All patches of `rows` are the (phone, dslr, columns) of `found`, in order."""
    found = list(found)
    assert len(found) == len(rows)
    for (phone, dslr), (one, other, columns), pair in zip(
        rows, found, rows.photos, strict=True
    ):
        assert np.array_equal(np.asarray(one), phone)
        assert np.array_equal(np.asarray(other), dslr)
        assert columns["pair"] == pair


# It closes the tar files that it reads when they are collected, not before.
@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
def test_webdataset_reads_every_pair_with_its_columns(source, tmp_path, small_files):
    webdataset = pytest.importorskip("webdataset", reason="the extra `test`")
    out = tmp_path / "out"
    export_patches(source, out, form="webdataset")
    assert len(list(out.glob("train-*.tar"))) == 2
    for split in SPLITS:
        files = [str(path) for path in sorted(out.glob(f"{split}-*.tar"))]
        rows = webdataset.WebDataset(files, shardshuffle=False).decode("rgb8")
        rows = rows.to_tuple("phone.png", "dslr.png", "json")
        assert_same(PatchDataset(source, split), rows)
    gc.collect()  # while its warnings are ignored


def test_datasets_reads_parquet_with_decoded_pictures_and_features(
    source, tmp_path, small_files, datasets
):
    out = tmp_path / "out"
    export_patches(source, out, form="parquet")
    assert len(list(out.glob("train-*-of-00002.parquet"))) == 2
    files = {split: str(out / f"{split}-*.parquet") for split in SPLITS}
    found = datasets.load_dataset("parquet", data_files=files)
    for split in SPLITS:
        rows = PatchDataset(source, split)
        assert_same(rows, ((row["phone"], row["dslr"], row) for row in found[split]))
        places = [row["window_xy"] for row in found[split]]
        assert places == rows.window_xy.tolist()
    features = found["train"].features
    assert features["phone"] == features["dslr"] == datasets.Image()
    assert features["ncc"].dtype == "float32"
    assert np.isnan(found["test"][0]["depth_px"])  # a column that these shards lack


@pytest.mark.parametrize("form", ["parquet", "png"])
def test_datasets_finds_the_splits_by_the_card_alone(source, tmp_path, form, datasets):
    out = tmp_path / "out"
    export_patches(source, out, form=form)
    found = datasets.load_dataset(str(out))
    assert list(found) == list(SPLITS)
    for split in SPLITS:
        rows = ((row["phone"], row["dslr"], row) for row in found[split])
        assert_same(PatchDataset(source, split), rows)


def test_datasets_reads_the_tar_files_too(source, tmp_path, datasets):
    out = tmp_path / "out"
    export_patches(source, out, form="webdataset")
    for split in SPLITS:
        files = {split: str(out / f"{split}-*.tar")}
        found = datasets.load_dataset("webdataset", data_files=files, split=split)
        rows = ((row["phone.png"], row["dslr.png"], row["json"]) for row in found)
        assert_same(PatchDataset(source, split), rows)


def test_lmdb_holds_what_basicsr_looks_for(source, tmp_path):
    """BasicSR wants old versions of torchvision: its steps are taken here one by one.

    Both folders end in .lmdb and list the same names in meta_info.txt; a name up to its
    first dot is the key, ASCII; the value is decoded by OpenCV, BGR.
    """
    lmdb = pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    out = tmp_path / "out"
    export_patches(source, out, form="lmdb")
    for split in SPLITS:
        folders = [out / f"{split}_{side}.lmdb" for side in ("lq", "gt")]
        listed = [(folder / "meta_info.txt").read_text() for folder in folders]
        assert listed[0] == listed[1]
        lines = listed[0].splitlines()
        assert all(line.split(" ")[1:] == ["(40,40,3)", "1"] for line in lines)
        names = [line.split(".")[0] for line in lines]
        sides = []
        for folder in folders:
            with (
                lmdb.open(str(folder), readonly=True, lock=False) as database,
                database.begin(write=False) as transaction,
            ):
                values = [transaction.get(name.encode("ascii")) for name in names]
                assert database.stat()["entries"] == len(names)
            pictures = [np.frombuffer(value, np.uint8) for value in values]
            sides.append(
                [cv2.imdecode(p, cv2.IMREAD_COLOR)[..., ::-1] for p in pictures]
            )
        text = (out / f"{split}_metadata.jsonl").read_text()
        columns = [json.loads(line) for line in text.splitlines()]
        assert [line["key"] for line in columns] == names
        assert_same(PatchDataset(source, split), zip(*sides, columns, strict=True))
