"""Masks travel with their patches: cut, chosen again, merged, verified, exported."""

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from masking import hide_parts, mask_of
from merging import part_of
from PIL import Image

from dped_build.cli import cli
from dped_build.curate.merge import merge_workspaces
from dped_build.curate.verify import verify_workspace
from dped_build.exchange.export_patches import export_patches
from dped_build.exchange.import_patches import import_patches
from dped_build.exchange.windows_table import export_windows
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchSettings, build_shards, pieces
from dped_build.patches.dataset import NoPatchesError
from dped_build.patches.folder import read_masks, read_rows, read_valid
from dped_build.patches.masks import unpacked
from dped_build.patches.quality import lumas
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import write_sums

SIZE = 64
MASKED = PatchSettings(size=SIZE, shard_patches=20, min_valid=0.5)


def cut(workspace, *, force=False, backend="loky", jobs=1, **changes):
    settings = replace(MASKED, **changes)
    workers = Workers(jobs, backend)
    return build_shards(workspace, settings=settings, workers=workers, force=force)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stored(folder):
    """(pair, x, y) → (phone, dslr, valid, share, NCC) of all shards."""
    found = {}
    for path in sorted(folder.glob("*-0*.h5")):
        rows = read_rows(path)
        with h5py.File(path) as file:
            pixels = [file[name][:] for name in ("phone", "dslr", "valid")]
        places = rows.windows.window_xy.tolist()
        figures = rows.windows.valid_share, rows.windows.ncc
        for pair, (x, y), *values in zip(
            rows.pairs, places, *pixels, *figures, strict=True
        ):
            found[pair, x, y] = values
    return found


def grey(data):
    """The pixels of a picture without colours."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def masked(aligned_set, tmp_path_factory):
    """`aligned_set` cut with masks, whole patches and half ones; never changed."""
    workspace = tmp_path_factory.mktemp("masked")
    shutil.copytree(aligned_set / "aligned", workspace / "aligned")
    with pytest.MonkeyPatch.context() as patch:
        hide_parts(patch)
        cut(workspace)
    return workspace


@pytest.fixture
def workspace(masked, tmp_path):
    """A copy, to be changed."""
    return Path(shutil.copytree(masked, tmp_path / "work"))


def test_every_patch_has_its_mask_and_figures_of_the_valid_pixels(masked):
    found = stored(masked / "patches")
    for (_, x, y), (phone, dslr, valid, share, ncc) in found.items():
        shown = mask_of(x, y, SIZE)
        assert np.array_equal(valid, shown)
        assert share == np.float32(shown.mean()) >= 0.5
        one, other = (
            lumas(side[None])[0][shown].astype(float) for side in (phone, dslr)
        )
        assert ncc == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-6)
    assert {float(values[3]) for values in found.values()} == {1, 0.984375, 0.75}


def test_every_candidate_has_its_mask(masked):
    path = masked / "patches/windows.h5"
    table = read_rows(path, reasons=True)
    valid = unpacked(read_masks(path, np.arange(len(table)), SIZE), SIZE)
    outside = table.reasons == "outside"
    places = table.windows.window_xy.tolist()
    for mask, place, hidden in zip(valid, places, outside, strict=True):
        assert np.array_equal(mask, mask_of(*place, SIZE) & ~hidden)
    share = table.windows.valid_share
    assert np.array_equal(share[~outside], valid[~outside].mean(axis=(1, 2)))
    assert np.isnan(share[outside]).all()
    assert not (table.reasons[share < 0.5] == "accepted").any()
    assert not np.isin(table.reasons[share == 0], ("flat", "low_ncc")).any()


@pytest.mark.parametrize("least, reason", [(0.98, "low_valid"), (0.99, "low_valid")])
def test_another_share_selects_again_without_measuring(
    workspace, aligned_set, tmp_path, monkeypatch, least, reason
):
    shutil.copytree(aligned_set / "aligned", tmp_path / "fresh/aligned")
    with pytest.MonkeyPatch.context() as patch:
        hide_parts(patch)
        cut(tmp_path / "fresh", min_valid=least)
    before = contents(workspace / "patches")
    monkeypatch.setattr(pieces, "measure_windows", None)
    summary = cut(workspace, force=True, min_valid=least)
    assert summary.windows[reason] > 0
    fresh = contents(tmp_path / "fresh/patches")
    assert contents(workspace / "patches") == fresh != before
    shares = [values[3] for values in stored(workspace / "patches").values()]
    assert min(shares) >= least
    # Back: the patches left out are sampled again, by workers that read the masks.
    cut(workspace, force=True, jobs=2)
    assert contents(workspace / "patches") == before


def test_two_workers_write_the_same_masks(masked, aligned_set, tmp_path, monkeypatch):
    hide_parts(monkeypatch)
    shutil.copytree(aligned_set / "aligned", tmp_path / "aligned")
    cut(tmp_path, jobs=2, backend="threading")
    assert contents(tmp_path / "patches") == contents(masked / "patches")


def test_a_merged_set_has_the_masks_of_its_parts(masked, tmp_path, monkeypatch):
    parts = [tmp_path / "one", tmp_path / "other"]
    with pytest.MonkeyPatch.context() as patch:
        hide_parts(patch)
        for part, pairs in zip(parts, (["2", "10"], ["3", "11", "12"]), strict=True):
            cut(part_of(masked, part, pairs))
    monkeypatch.setattr(pieces, "measure_windows", None)
    merge_workspaces(parts, tmp_path / "all", new_split=True)
    merged, whole = stored(tmp_path / "all/patches"), stored(masked / "patches")
    assert merged.keys() == whole.keys()
    for place, values in merged.items():
        assert all(map(np.array_equal, values, whole[place]))
    path = "patches/windows.h5"
    rows = np.arange(len(read_rows(masked / path)))
    folders = masked, tmp_path / "all"
    assert np.array_equal(*(read_masks(f / path, rows, SIZE) for f in folders))


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda mask: mask * 2, "its mask is not of zeros and ones"),
        (lambda mask: mask[::-1] & mask.T, "valid_share is not that of its mask"),
        (lambda mask: mask[:, ::-1], "NCC is not as stated"),
    ],
)
def test_masks_that_are_not_as_stated_are_found(workspace, change, fault):
    assert not verify_workspace(workspace).damage
    path = workspace / "patches/train-00000.h5"
    row = int(np.flatnonzero(read_rows(path).windows.valid_share == 0.75)[0])
    with h5py.File(path, "r+") as file:
        file["valid"][row] = change(file["valid"][row])
    write_sums(workspace / "patches")
    assert f"{path}: row {row}: {fault}" in verify_workspace(workspace).damage


def test_a_damaged_mask_is_named(workspace):
    path = workspace / "patches/train-00000.h5"
    with h5py.File(path) as file:
        offset = file["valid"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 5] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DpedBuildError, match=r"train-00000\.h5 is damaged"):
        read_valid(path, [0])


def test_png_folders_give_every_mask_and_column_back(masked, tmp_path):
    export_patches(masked, tmp_path / "png", form="png")
    lines = [
        (split, json.loads(line))
        for split in ("train", "val", "test")
        for line in (tmp_path / f"png/{split}/metadata.jsonl").read_text().splitlines()
    ]
    for split, line in lines:
        assert line["valid_file_name"] == f"valid/{line['key']}.png"
        with Image.open(tmp_path / "png" / split / line["valid_file_name"]) as image:
            found = np.asarray(image)
        assert np.array_equal(found, 255 * mask_of(*line["window_xy"], SIZE))
    assert "`<split>/valid/<key>.png`" in (tmp_path / "png/README.md").read_text()
    import_patches(tmp_path / "png", tmp_path / "again", jobs=1)
    before, after = stored(masked / "patches"), stored(tmp_path / "again")
    assert before.keys() == after.keys() and len(before) == len(lines)
    for place, values in before.items():
        assert all(map(np.array_equal, values, after[place]))
    assert not verify_workspace(tmp_path / "again").damage


def test_a_mask_that_is_missing_or_of_another_size_costs_its_pair(masked, tmp_path):
    export_patches(masked, tmp_path / "png", form="png")
    gone, small = sorted((tmp_path / "png/train/valid").iterdir())[:2]
    gone.unlink()
    Image.new("L", (SIZE, SIZE - 1)).save(small)
    failed = import_patches(tmp_path / "png", tmp_path / "again", jobs=1).failed
    assert {line["reason"] for line in failed} == {"unreadable", "other_size"}
    assert any(f"valid/{small.name}: a mask of 64x63" in f["message"] for f in failed)


def test_masks_of_some_pairs_alone_are_refused(masked, tmp_path):
    export_patches(masked, tmp_path / "png", form="png")
    path = tmp_path / "png/test/metadata.jsonl"
    first, *others = path.read_text().splitlines()
    line = json.loads(first)
    del line["valid_file_name"]
    path.write_text("\n".join([json.dumps(line), *others]) + "\n")
    with pytest.raises(DpedBuildError, match="only some pairs have a mask"):
        import_patches(tmp_path / "png", tmp_path / "again", jobs=1)


def test_a_set_without_hidden_pixels_is_exported_without_masks(patched_set, tmp_path):
    export_patches(patched_set, tmp_path / "png", form="png")
    assert not list((tmp_path / "png").rglob("valid"))
    assert "mask" not in (tmp_path / "png/train/metadata.jsonl").read_text()


def test_dpeds_layout_takes_whole_patches_and_counts_the_others(masked, tmp_path):
    command = ["export", str(masked), "--format", "dped-folders", "--pictures", "png"]
    out = tmp_path / "dped"
    done = CliRunner().invoke(cli, [*command, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    shares = np.array([values[3] for values in stored(masked / "patches").values()])
    assert summary["masked_out"] == (shares < 0.98).sum() > 0
    assert f"{summary['masked_out']} patches left out: under 98% valid" in done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["masked_out"] == summary["masked_out"]
    lines = (out / "metadata.jsonl").read_text().splitlines()
    assert len(lines) == (shares >= 0.98).sum()
    assert min(json.loads(line)["valid_share"] for line in lines) >= 0.98
    assert "because they need a mask" in (out / "README.md").read_text()


def test_dpeds_layout_of_nothing_but_masked_patches_says_what_to_do(
    workspace, tmp_path
):
    for path in (workspace / "patches").glob("*-0*.h5"):
        with h5py.File(path, "r+") as file:
            file["valid_share"][:] = 0.5
    with pytest.raises(NoPatchesError, match=r"need their masks.*--format png"):
        export_patches(workspace, tmp_path / "dped", form="dped-folders")


def test_tar_files_hold_the_masks(masked, tmp_path):
    export_patches(masked, tmp_path / "out", form="webdataset")
    count = 0
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            files = {name: tar.extractfile(name).read() for name in names}
        assert len(names) % 4 == 0
        for key in {name.split(".")[0] for name in names}:
            place = json.loads(files[f"{key}.json"])["window_xy"]
            found = grey(files[f"{key}.valid.png"])
            assert np.array_equal(found, 255 * mask_of(*place, SIZE))
            count += 1
    assert count == len(stored(masked / "patches"))


def test_parquet_files_hold_the_masks(masked, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet`")
    export_patches(masked, tmp_path / "out", form="parquet")
    files = sorted((tmp_path / "out").glob("*.parquet"))
    rows = [row for path in files for row in parquet.read_table(path).to_pylist()]
    assert len(rows) == len(stored(masked / "patches"))
    for row in rows:
        found = grey(row["valid"]["bytes"])
        assert np.array_equal(found, 255 * mask_of(*row["window_xy"], SIZE))


def test_lmdb_holds_the_masks(masked, tmp_path):
    lmdb = pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    out = tmp_path / "out"
    export_patches(masked, out, form="lmdb")
    text = (out / "train_metadata.jsonl").read_text()
    with (
        lmdb.open(str(out / "train_valid.lmdb"), readonly=True, lock=False) as database,
        database.begin() as rows,
    ):
        for line in map(json.loads, text.splitlines()):
            found = grey(rows.get(line["key"].encode()))
            assert np.array_equal(found, 255 * mask_of(*line["window_xy"], SIZE))


def test_the_table_of_windows_has_the_share(masked, tmp_path):
    export_windows(masked, tmp_path / "windows.csv")
    text = (tmp_path / "windows.csv").read_text()
    assert "valid_share" in text.splitlines()[0].split(",")
    assert ",0.984375," in text


@pytest.mark.parametrize("form", ["parquet", "png"])
def test_datasets_reads_masks_as_pictures(masked, tmp_path, form, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="the extra `test`")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    export_patches(masked, tmp_path / "out", form=form)
    found = datasets.load_dataset(str(tmp_path / "out"))
    for row in found["train"]:
        expected = 255 * mask_of(*row["window_xy"], SIZE)
        assert np.array_equal(np.asarray(row["valid"]), expected)
