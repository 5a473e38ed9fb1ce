"""What `export` wrote in folders, `import` reads again: pixels, photos, geometry."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dped_build.curate.verify import verify_workspace
from dped_build.exchange.export_patches import export_patches
from dped_build.exchange.export_settings import ExportSettings
from dped_build.exchange.exported_folders import GEOMETRY
from dped_build.exchange.import_patches import import_patches
from dped_build.exchange.import_settings import ImportSettings
from dped_build.patches import PatchDataset
from dped_build.patches.folder import read_rows
from dped_build.patches.records import COLUMNS
from dped_build.patches.split import parse_split
from dped_build.workspace.errors import DpedBuildError, UsageError

SPLITS = ("train", "val", "test")
LOSSLESS = ExportSettings(pictures="png")


def tables_of(folder, split):
    """Pair → columns of a split, whatever its shards."""
    found = [read_rows(path).by_pair() for path in sorted(folder.glob(f"{split}-*.h5"))]
    return {pair: table for tables in found for pair, table in tables.items()}


def assert_same_tables(folder, other, names):
    for split in SPLITS:
        one, two = tables_of(folder, split), tables_of(other, split)
        assert list(one) == list(two)
        for pair, table in one.items():
            for name in names:
                values = getattr(table, name), getattr(two[pair], name)
                assert np.array_equal(*values, equal_nan=True), (pair, name)


@pytest.fixture(scope="module")
def exported(patched_set, tmp_path_factory):
    """png/ and dped/ of the finished workspace; never changed."""
    folder = tmp_path_factory.mktemp("exported")
    export_patches(patched_set, folder / "png", form="png")
    export_patches(patched_set, folder / "dped", form="dped-folders", settings=LOSSLESS)
    return folder


@pytest.fixture
def png(exported, tmp_path):
    """A copy of png/, to be changed."""
    return Path(shutil.copytree(exported / "png", tmp_path / "png"))


def change_line(folder, change, number=0):
    """Let `change` alter one line of the test split's metadata."""
    path = folder / "test/metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[number])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("place", ["png", "dped", "dped/phone"])
def test_a_lossless_round_trip_gives_every_pixel_and_column_back(
    exported, patched_set, tmp_path, place
):
    out = tmp_path / "again"
    summary = import_patches(exported / place, out, jobs=1)
    assert summary.source == "exported-folders"
    assert not summary.failed
    for split in SPLITS:
        before, after = (
            PatchDataset(patched_set / "patches", split),
            PatchDataset(out, split),
        )
        assert before.photos.tolist() == after.photos.tolist()
        for one, two in zip(before, after, strict=True):
            assert np.array_equal(one, two)
    assert_same_tables(patched_set / "patches", out, COLUMNS)
    known = parse_split((patched_set / "patches/split.csv").read_text())
    again = parse_split((out / "split.csv").read_text())
    assert set(again) <= set(known)
    assert {row.pair for row in again} == {
        pair for split in SPLITS for pair in tables_of(out, split)
    }
    assert not verify_workspace(out).damage


def test_a_second_export_of_the_import_is_the_first(exported, tmp_path):
    import_patches(exported / "png", tmp_path / "patches", jobs=1)
    export_patches(tmp_path / "patches", tmp_path / "png", form="png")
    for path in sorted((exported / "png").rglob("*")):
        if path.is_file() and path.parent != exported / "png":
            again = tmp_path / "png" / path.relative_to(exported / "png")
            assert again.read_bytes() == path.read_bytes()


def test_jpeg_keeps_the_geometry_and_measures_its_pixels_again(patched_set, tmp_path):
    summary = export_patches(patched_set, tmp_path / "dped", form="dped-folders")
    out = tmp_path / "again"
    import_patches(tmp_path / "dped", out, jobs=1)
    assert_same_tables(patched_set / "patches", out, GEOMETRY)
    squares, count = 0, 0
    for split in SPLITS:
        before, after = (
            PatchDataset(patched_set / "patches", split),
            PatchDataset(out, split),
        )
        for one, two in zip(before, after, strict=True):
            off = np.subtract(one, two, dtype=float)
            squares, count = squares + np.sum(off**2), count + off.size
    psnr = 10 * np.log10(255**2 * count / squares)
    assert psnr == pytest.approx(summary.psnr_db, abs=0.02)
    assert not verify_workspace(out).damage  # NCC is that of the pixels now


def test_without_its_manifest_it_is_any_paired_folders(png, tmp_path):
    (png / "manifest.json").unlink()
    summary = import_patches(png / "train", tmp_path / "out", jobs=1)
    assert summary.source == "paired-folders"
    assert PatchDataset(tmp_path / "out").photos[0] == "group-00000"


def test_one_broken_picture_costs_itself_and_is_named(png, patched_set, tmp_path):
    lines = (png / "test/metadata.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    (png / f"test/dslr/{keys[0]}.png").write_bytes(b"no PNG")
    (png / f"test/phone/{keys[1]}.png").unlink()
    Image.new("RGB", (64, 64)).save(png / "test/phone/stranger.png")
    out = tmp_path / "out"
    summary = import_patches(png, out, jobs=1)
    found = {line["pair"].split("/")[-1]: line["reason"] for line in summary.failed}
    assert set(found) == {"stranger", *keys[:2]}
    assert found["stranger"] == "not_listed"
    before = PatchDataset(patched_set / "patches", "test")
    after = PatchDataset(out, "test")
    assert after.window_xy.tolist() == before.window_xy[2:].tolist()
    assert np.array_equal(after[0][1], before[2][1])


def test_a_finished_import_is_kept_and_other_metadata_are_noticed(png, tmp_path):
    out = tmp_path / "out"
    assert import_patches(png, out, jobs=1).newly_done
    assert import_patches(png, out, jobs=1).newly_done == 0
    change_line(png, lambda line: line.update(sigma_px=0.125))
    with pytest.raises(DpedBuildError, match="holds other patches"):
        import_patches(png, out, jobs=1)
    import_patches(png, out, jobs=1, force=True)
    assert 0.125 in next(iter(tables_of(out, "test").values())).sigma_px


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pair": "../a"}, "no name of a pair"),
        ({"pair": 7}, "pair: expected str, got int"),
        ({"split": "all"}, "split: invalid enum value 'all'"),
        ({"group": None}, "group: expected str, got null"),
        ({"phone_file_name": "../../secret.png"}, "no path below the folder"),
        ({"phone_file_name": "/etc/passwd"}, "no path below the folder"),
        ({"dslr_file_name": "x.png"}, "two neighbouring folders"),
        ({"phone_file_name": "other/x.png"}, "pairs of folders"),
        ({"window_xy": [1]}, "window_xy: expected array of length 2"),
        ({"window_xy": [1.5, 2]}, "expected int, got float"),
        ({"window_xy": [2**40, 2]}, "expected int <= 2147483647"),
        (
            {"patch_to_dslr": [[1, 0, 0], [0, 1, 0], [0, 0]]},
            "expected array of length >= 3",
        ),
        ({"patch_to_dslr": [[1, 0, 0], [0, 1, 0], [0, 0, "1"]]}, "got str"),
        ({"sigma_px": True}, "got bool"),
        ({"sigma_px": 1e300}, "sigma_px: expected float < 2147483648"),
        ({"split": "train"}, "two splits"),
    ],
)
def test_metadata_that_we_would_not_write_are_refused_in_one_line(
    png, tmp_path, change, told
):
    change_line(png, lambda line: line.update(change))
    with pytest.raises(DpedBuildError, match=told) as caught:
        import_patches(png, tmp_path / "out", jobs=1)
    assert "export it again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"{", b"[]\n", b"\xff\n", b'{"pair": "a"}\n', b""])
def test_files_that_are_no_metadata_are_refused(png, tmp_path, content):
    for split in SPLITS:
        (png / split / "metadata.jsonl").write_bytes(content)
    with pytest.raises(DpedBuildError, match="its metadata is damaged"):
        import_patches(png, tmp_path / "out", jobs=1)


@pytest.mark.parametrize("listed", [["../x.jsonl"], [7], "abc", ["nowhere.jsonl"]])
def test_a_manifest_that_names_no_metadata_of_its_own_is_refused(png, tmp_path, listed):
    path = png / "manifest.json"
    manifest = {**json.loads(path.read_text()), "metadata": listed}
    path.write_text(json.dumps(manifest))
    with pytest.raises(DpedBuildError, match="its metadata is damaged"):
        import_patches(png, tmp_path / "out", jobs=1)


def test_a_picture_that_two_lines_claim_is_refused(png, tmp_path):
    path = png / "test/metadata.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    with pytest.raises(DpedBuildError, match="a picture is listed twice"):
        import_patches(png, tmp_path / "out", jobs=1)


def test_options_for_what_the_metadata_say_are_refused(exported, tmp_path):
    for option in ({"split": "test"}, {"phone": "phone"}, {"val_photos": 1}):
        with pytest.raises(UsageError, match="whose metadata already says so"):
            import_patches(
                exported / "png", tmp_path / "out", settings=ImportSettings(**option)
            )


def test_formats_without_folders_of_pictures_say_which_can_be_imported(
    patched_set, tmp_path
):
    export_patches(patched_set, tmp_path / "out", form="webdataset")
    with pytest.raises(DpedBuildError, match="only png and dped-folders"):
        import_patches(tmp_path / "out", tmp_path / "again", jobs=1)


def test_an_imported_set_is_exported_and_imported_with_its_groups(tmp_path):
    """All its patches have the place (0, 0): keys count them, and their order stays."""
    rng = np.random.default_rng(0)
    for name in ("iphone", "canon"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(0, 255, (20, 20, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    import_patches(tmp_path / "set", tmp_path / "patches", jobs=1)
    export_patches(tmp_path / "patches", tmp_path / "png", form="png")
    import_patches(tmp_path / "png", tmp_path / "again", jobs=1)
    one, two = (PatchDataset(tmp_path / name) for name in ("patches", "again"))
    assert one.photos.tolist() == two.photos.tolist()
    assert len(two) == 60
    for before, after in zip(one, two, strict=True):
        assert np.array_equal(before, after)
    assert (tmp_path / "png/train/phone/group-00000_0_0+50.png").is_file()
    manifest = json.loads((tmp_path / "again/manifest.json").read_text())
    assert (manifest["phone_camera"], manifest["dslr_camera"]) == ("iphone", "canon")
