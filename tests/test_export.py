"""`export` writes every patch once, with all that is known of it, always alike."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from shards import write_patches, write_shard

from dped_build.exchange import export_patches as exporting
from dped_build.exchange.export_patches import default_folder, export_patches
from dped_build.exchange.export_settings import PATCH_FORMATS, ExportSettings
from dped_build.exchange.patch_source import keys, open_source
from dped_build.exchange.windows_table import export_windows
from dped_build.patches import PatchDataset
from dped_build.patches.dataset import NoPatchesError
from dped_build.patches.folder import read_rows
from dped_build.patches.records import COLUMNS
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import read_sums, sha256


def files_of(folder):
    """Every file below a folder and its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def workspace(patched_set, tmp_path):
    """A copy of a finished workspace."""
    return Path(shutil.copytree(patched_set, tmp_path / "work"))


@pytest.fixture
def plain(tmp_path):
    """Shards without manifest, windows and split; 12, 4 and 4 rows of 40 px."""
    return write_patches(tmp_path / "plain", size=40)


def test_png_folders_hold_the_pixels_and_columns_of_every_row(patched_set, tmp_path):
    out = tmp_path / "png"
    export_patches(patched_set / "patches", out, form="png", jobs=2)
    for split in ("train", "val", "test"):
        rows = PatchDataset(patched_set / "patches", split)
        lines = lines_of(out / split / "metadata.jsonl")
        assert [line["pair"] for line in lines] == rows.photos.tolist()
        for line, (phone, dslr), place in zip(lines, rows, rows.window_xy, strict=True):
            assert line["key"] == f"{line['pair']}_{place[0]}_{place[1]}"
            assert line["phone_file_name"] == f"phone/{line['key']}.png"
            for name, pixels in (("phone", phone), ("dslr", dslr)):
                found = pixels_of(out / split / line[f"{name}_file_name"])
                assert np.array_equal(found, pixels)
    shards = sorted((patched_set / "patches").glob("test-*.h5"))
    stored = [table for path in shards for table in read_rows(path).by_pair().values()]
    lines = lines_of(out / "test/metadata.jsonl")
    for name, (kind, _) in COLUMNS.items():
        column = np.concatenate([getattr(table, name) for table in stored])
        assert np.array_equal(np.array([line[name] for line in lines], kind), column)


def test_dped_folders_are_numbered_as_the_original_code_reads_them(
    patched_set, tmp_path
):
    out = tmp_path / "dped"
    summary = export_patches(patched_set, out, form="dped-folders")
    counts = {name: split["patches"] for name, split in summary.splits.items()}
    for place, count in (
        ("training_data", counts["train"] + counts["val"]),
        ("test_data/patches", counts["test"]),
    ):
        for camera in ("phone", "dslr"):
            found = {path.name for path in (out / "phone" / place / camera).iterdir()}
            assert found == {f"{number}.jpg" for number in range(count)}
    first = PatchDataset(patched_set / "patches")[0][1].astype(float)
    again = pixels_of(out / "phone/training_data/dslr/0.jpg")
    psnr = 10 * np.log10(255**2 / np.mean((again - first) ** 2))
    assert summary.psnr_db == pytest.approx(psnr, abs=3)
    lower = ExportSettings(quality=60)
    worse = export_patches(
        patched_set, out, form="dped-folders", settings=lower, force=True
    )
    assert worse.psnr_db < summary.psnr_db - 3
    assert f"{worse.psnr_db:.1f} dB" in (out / "README.md").read_text()


def test_dped_folders_of_png_lose_nothing(plain, tmp_path):
    settings = ExportSettings(pictures="png")
    out = tmp_path / "out"
    summary = export_patches(plain, out, form="dped-folders", settings=settings)
    assert summary.psnr_db is None
    rows = PatchDataset(plain, "test")
    for number, (phone, _) in enumerate(rows):
        path = out / f"phone/test_data/patches/phone/{number}.png"
        assert np.array_equal(pixels_of(path), phone)


@pytest.mark.parametrize("form", PATCH_FORMATS)
def test_the_same_shards_give_the_same_bytes_on_any_number_of_threads(
    form, plain, tmp_path, monkeypatch
):
    for module in ("export_files", "web_dataset", "parquet_files"):
        monkeypatch.setattr(f"dped_build.exchange.{module}.ROWS_A_FILE", 8)
    monkeypatch.setattr("dped_build.exchange.parquet_files.ROWS_A_GROUP", 4)
    for name, jobs in (("a", 1), ("b", 3)):
        export_patches(plain, tmp_path / name, form=form, jobs=jobs)
    found = files_of(tmp_path / "a")
    assert found == files_of(tmp_path / "b")
    assert any(b"0001_40_0" in content for content in found.values())
    assert str(tmp_path).encode() not in b"".join(found.values())


@pytest.mark.parametrize("form", PATCH_FORMATS)
def test_sums_name_every_other_file_with_its_content(form, plain, tmp_path):
    out = tmp_path / "out"
    export_patches(plain, out, form=form)
    sums = read_sums(out)
    assert set(sums) == set(files_of(out)) - {"SHA256SUMS"}
    assert all(sha256(out / name) == digest for name, digest in sums.items())
    assert not (tmp_path / ".dped-build").exists()


def test_what_is_excluded_by_hand_is_left_out_and_counted(workspace, tmp_path):
    rows = PatchDataset(workspace / "patches")
    gone, (x, y) = rows.photos[0], rows.window_xy[-1]
    own = int(np.sum(rows.photos == gone))
    lines = f"pair,x,y\n{gone},,\n{rows.photos[-1]},{x},{y}\n"
    (workspace / "exclude.csv").write_text(lines)
    out = tmp_path / "out"
    summary = export_patches(workspace, out, form="png")
    found = lines_of(out / "train/metadata.jsonl")
    assert len(found) == len(rows) - own - 1 == summary.splits["train"]["patches"]
    assert summary.excluded == own + 1
    assert gone not in {line["pair"] for line in found}
    assert f"{own + 1} more were left out by hand" in (out / "README.md").read_text()


def test_a_finished_export_is_kept_and_another_is_refused(workspace, tmp_path):
    out = tmp_path / "out"
    assert export_patches(workspace, out, form="png").newly_done
    before = (out / "SHA256SUMS").stat().st_mtime_ns
    assert export_patches(workspace, out, form="png").newly_done == 0
    with pytest.raises(DpedBuildError, match=r"another format.*--force"):
        export_patches(workspace, out, form="lmdb")
    licensed = ExportSettings(license="MIT")
    with pytest.raises(DpedBuildError, match="another --license"):
        export_patches(workspace, out, form="png", settings=licensed)
    pair = PatchDataset(workspace / "patches").photos[0]
    (workspace / "exclude.csv").write_text(f"pair\n{pair}\n")
    with pytest.raises(DpedBuildError, match="other patches"):
        export_patches(workspace, out, form="png")
    assert (out / "SHA256SUMS").stat().st_mtime_ns == before
    export_patches(workspace, out, form="png", force=True)
    assert pair not in {line["pair"] for line in lines_of(out / "train/metadata.jsonl")}


def test_a_folder_with_a_file_of_ones_own_is_never_replaced(plain, tmp_path):
    out = tmp_path / "out"
    export_patches(plain, out, form="png")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DpedBuildError, match=r"notes\.txt: not written by dped-build"):
        export_patches(plain, out, form="png", force=True)


def test_an_export_that_fails_leaves_nothing_and_the_one_before(plain, tmp_path):
    out = tmp_path / "out"
    export_patches(plain, out, form="png")
    before = files_of(out)
    shard = plain / "test-00000.h5"
    data = bytearray(shard.read_bytes())
    at = data.index(PatchDataset(plain, "test")[3][1].tobytes()[:200])
    data[at] ^= 255
    shard.write_bytes(data)
    with pytest.raises(DpedBuildError, match=r"test-00000\.h5 is damaged"):
        export_patches(plain, out, form="png", force=True)
    assert files_of(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"out", "plain"}


def test_only_the_chosen_splits_are_exported(plain, tmp_path):
    settings = ExportSettings(splits="test,val")
    out = tmp_path / "out"
    summary = export_patches(plain, out, form="webdataset", settings=settings)
    assert list(summary.splits) == ["val", "test"]
    assert not list(out.glob("train-*"))
    (plain / "val-00000.h5").unlink()
    with pytest.raises(NoPatchesError, match="no patches of val"):
        export_patches(
            plain, tmp_path / "b", form="png", settings=ExportSettings(splits="val")
        )


@pytest.mark.parametrize(
    ("options", "form", "told"),
    [
        ({"splits": "train,all"}, "png", "--splits train,all"),
        ({"splits": "test,test"}, "png", "--splits test,test"),
        ({"quality": 0}, "dped-folders", "--quality"),
        ({"quality": 90, "pictures": "png"}, "dped-folders", "leave --pictures"),
        ({"quality": 90}, "png", "--quality is for --format dped-folders"),
        ({"precision": "fp16"}, "lmdb", "--precision is for --format onnx"),
        ({"license": "MIT"}, "csv", "--license is for"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, form, told):
    with pytest.raises(UsageError, match=told):
        ExportSettings(**options).require_fit(form)


def test_keys_are_unique_and_fit_every_file_archive_and_database():
    pairs = ["a.b", "a", "a", "a_0", "Straße 7", "x" * 300, "x" * 299 + "y", "a+2"]
    places = [(1, 2), (0, 0), (0, 0), (0, 0), (1, 0), (0, 0), (0, 0), (0, 0)]
    found = list(keys(pairs, np.array(places, np.int32)))
    assert found[:5] == [
        "a%2Eb_1_2",
        "a_0_0",
        "a_0_0+2",
        "a_0_0_0",
        "Stra%C3%9Fe%207_1_0",
    ]
    assert len(set(found)) == len(found)
    assert all(len(f"{key}.phone.png".encode("ascii")) < 255 for key in found)
    assert not any(set(key) & set("./\\ ") for key in found)


@pytest.mark.parametrize("form", PATCH_FORMATS)
def test_photos_of_any_name_are_exported(form, tmp_path):
    names = ["Straße 7", "v1.2", "語" * 60, "--force", "a%b"]
    source = tmp_path / "patches"
    write_shard(source, "train-00000.h5", names, per_photo=1, size=20)
    out = tmp_path / "out"
    export_patches(source, out, form=form)
    listed = json.loads((out / "manifest.json").read_text())["splits"]
    assert listed == {"train": {"photos": 5, "patches": 5}}


def test_the_card_states_licence_credits_counts_and_what_hugging_face_reads(
    patched_set, tmp_path
):
    settings = ExportSettings(license="CC-BY-4.0", credits='A. "Bee" Lee\n# no heading')
    for form in PATCH_FORMATS:
        out = tmp_path / form
        summary = export_patches(patched_set, out, form=form, settings=settings)
        text = (out / "README.md").read_text()
        _, front, body = text.split("---\n", 2)
        stated = yaml.safe_load(front)
        assert stated["license"] == "cc-by-4.0"
        assert stated["task_categories"] == ["image-to-image"]
        assert stated["size_categories"] == ["n<1K"]
        assert "- Licence: CC-BY-4.0\n" in body
        assert '- Credits: A. "Bee" Lee # no heading\n' in body
        for name, split in summary.splits.items():
            assert f"| {name} | {split['photos']} | {split['patches']} |" in body
        assert all(f"| `{name}` |" in body for name in COLUMNS)
        assert '"min_corr": 0.9' in body
        for configs in stated.get("configs", []):
            for line in configs["data_files"]:
                assert list(out.glob(line["path"])), line


def test_a_licence_of_ones_own_and_none_are_said_to_be_just_that(plain, tmp_path):
    own = ExportSettings(license="Ask: me")
    export_patches(plain, tmp_path / "a", form="png", settings=own)
    export_patches(plain, tmp_path / "b", form="png")
    fronts = [
        yaml.safe_load((tmp_path / name / "README.md").read_text().split("---\n")[1])
        for name in "ab"
    ]
    assert (fronts[0]["license"], fronts[0]["license_name"]) == ("other", "Ask: me")
    assert fronts[1]["license"] == "unknown"
    assert "Licence: not stated" in (tmp_path / "b/README.md").read_text()


def test_where_an_export_goes_follows_its_source(plain, tmp_path):
    workspace = plain.parent
    for source, expected in (
        (workspace, workspace / "export/png"),
        (plain, workspace / "export/png"),
        (tmp_path / "iphone-patches", tmp_path / "iphone-patches-png"),
    ):
        assert default_folder(source, "png") == expected


@pytest.mark.parametrize("name", ["", "sub/dir", ".."])
def test_cameras_that_are_no_folder_names_are_refused(name, plain):
    shards = [
        {"file": f"{split}-00000.h5", "split": split, "patches": count}
        for split, count in (("train", 12), ("val", 4), ("test", 4))
    ]
    manifest = {"phone_camera": name, "dslr_camera": "dslr", "shards": shards}
    (plain / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DpedBuildError, match="no plain names"):
        open_source(plain, ["train"])


def test_a_source_without_shards_says_what_to_give(tmp_path):
    for source, told in ((tmp_path, "no shards in it"), (tmp_path / "x", "no such")):
        with pytest.raises(DpedBuildError, match=f"{told}.*data/patches"):
            export_patches(source, form="png")


def test_too_small_a_disk_is_noticed_before_the_work(plain, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(DpedBuildError, match="choose another --out"):
        export_patches(plain, tmp_path / "out", form="png")


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    plain, tmp_path, monkeypatch
):
    for form, package in (("lmdb", "lmdb"), ("parquet", "pyarrow")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(
            DpedBuildError, match=rf"pip install 'dped-build\[{form}\]'"
        ):
            export_patches(plain, tmp_path / form, form=form)
        assert not (tmp_path / form).exists()


def test_every_patch_is_counted_for_the_progress_bar(plain, tmp_path):
    told = []
    export_patches(
        plain, tmp_path / "a", form="png", progress=lambda *now: told.append(now)
    )
    assert told == [(done, 20) for done in range(1, 21)]
    assert exporting.VERSION == 1


def test_every_window_is_a_line_of_the_csv_with_its_reason(patched_set, tmp_path):
    out = tmp_path / "windows.csv"
    summary = export_windows(patched_set, out)
    lines = list(csv.DictReader(io.StringIO(out.read_text())))
    stored = read_rows(patched_set / "patches/windows.h5").by_pair()
    assert summary.windows == len(lines) == sum(map(len, stored.values()))
    reasons = json.loads((patched_set / "patches/manifest.json").read_text())["windows"]
    for reason, count in reasons.items():
        found = [line for line in lines if line["reason"] == reason]
        assert len(found) == count
        status = "accepted" if reason == "accepted" else "rejected"
        assert {line["status"] for line in found} == {status}
    rows = {(line["pair"], int(line["x"]), int(line["y"])): line for line in lines}
    for pair, table in stored.items():
        for row, place in enumerate(table.window_xy.tolist()):
            line = rows[pair, *place]
            for cell, value in (
                ("ncc", table.ncc[row]),
                ("shift_y_px", table.shift_px[row, 1]),
                ("sigma_px", table.sigma_px[row]),
                ("patch_to_dslr_02", table.patch_to_dslr[row, 0, 2]),
            ):
                found = np.array(line[cell] or "nan", value.dtype)
                assert np.array_equal(found, value, equal_nan=True), cell


def test_the_csv_replaces_its_like_and_nothing_else(patched_set, tmp_path):
    out = tmp_path / "windows.csv"
    export_windows(patched_set, out)
    content = out.read_text()
    out.write_text(content.splitlines()[0] + "\nold\n")
    export_windows(patched_set / "patches", out)
    assert out.read_text() == content
    out.write_text("pair,mine\n")
    with pytest.raises(DpedBuildError, match="another file; add --force"):
        export_windows(patched_set, out)
    export_windows(patched_set, out, force=True)
    assert out.read_text() == content


def test_shards_without_their_windows_have_no_csv(plain, tmp_path):
    with pytest.raises(DpedBuildError, match="without their windows"):
        export_windows(plain, tmp_path / "windows.csv")
    (plain / "windows.h5").write_bytes(b"no HDF5")
    with pytest.raises(DpedBuildError, match=r"windows\.h5 is damaged"):
        export_windows(plain, tmp_path / "windows.csv")
