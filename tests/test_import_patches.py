"""Ready-made patches become shards: their pixels, their split, what is assumed."""

import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

from dped_build.commands.import_ import summary_text
from dped_build.curate.verify import verify_workspace
from dped_build.exchange import import_patches as importing
from dped_build.exchange.import_patches import import_patches
from dped_build.exchange.import_settings import ImportSettings
from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.patches.folder import read_rows
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.patches.split import parse_split
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import write_sums

SIZE = 32
FLAT = 3  # the number of a pair of white patches
UNKNOWN = ("shift_px", "rotation_deg", "sigma_px", "depth_px")


def write_pairs(folder, count, *, phone="iphone", dslr="canon", suffix=".jpg", seed=0):
    """Numbered patches, the DSLR's a darker one of the phone's; number 3 is white."""
    rng = np.random.default_rng(seed)
    for name in (phone, dslr):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise = rng.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)
        patch = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.uint8)
        for name, pixels in ((phone, patch), (dslr, patch // 2)):
            pixels = np.full_like(patch, 255) if number == FLAT else pixels
            Image.fromarray(pixels).save(folder / name / f"{number}{suffix}")
    return folder


@pytest.fixture(scope="module")
def dped(tmp_path_factory):
    """120 training and 60 test pairs in DPED's layout; never changed."""
    source = tmp_path_factory.mktemp("source") / "iphone"
    write_pairs(source / "training_data", 120)
    write_pairs(source / "test_data/patches", 60, seed=1)
    return source


@pytest.fixture(scope="module")
def imported(dped, tmp_path_factory):
    """A workspace with the import of `dped`; never changed."""
    workspace = tmp_path_factory.mktemp("imported")
    import_patches(dped, workspace / "patches", jobs=1)
    return workspace


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_pixels_are_those_of_the_files_in_the_order_of_their_numbers(dped, imported):
    for split, part, count in (
        ("train", "training_data", 120),
        ("test", "test_data/patches", 60),
    ):
        patches = PatchDataset(imported / "patches", split)
        assert len(patches) == count
        for number in range(count):
            for camera, pixels in zip(
                ("iphone", "canon"), patches[number], strict=True
            ):
                file = cv2.imread(str(dped / part / camera / f"{number}.jpg"))
                np.testing.assert_array_equal(pixels, file[:, :, ::-1])
    with pytest.raises(NoPatchesError, match="imported from a source without any"):
        PatchDataset(imported / "patches", "val")


def test_pseudo_photos_are_fifty_neighbours_and_stay_in_the_split_given(imported):
    folder = imported / "patches"
    names, counts = np.unique(PatchDataset(folder).photos, return_counts=True)
    assert names.tolist() == ["train-00000", "train-00001", "train-00002"]
    assert counts.tolist() == [50, 50, 20]
    rows = parse_split((folder / "split.csv").read_text())
    assert [(row.pair, row.split) for row in rows] == [
        *((name, "train") for name in names),
        ("test-00000", "test"),
        ("test-00001", "test"),
    ]
    assert manifest_of(folder)["splits"] == {
        "train": {"photos": 3, "patches": 120},
        "val": {"photos": 0, "patches": 0},
        "test": {"photos": 2, "patches": 60},
    }


@pytest.mark.parametrize("name", ["train-00000.h5", "windows.h5"])
def test_columns_say_what_the_pixels_say_and_nothing_else(imported, name):
    table = read_rows(imported / "patches" / name).by_pair()["train-00000"]
    with h5py.File(imported / "patches/train-00000.h5") as file:
        phone, dslr = (lumas(file[side][:50]) for side in ("phone", "dslr"))
    expected = normalised_cross_correlation(phone, dslr)
    np.testing.assert_allclose(table.ncc, expected, atol=1e-6)
    assert np.flatnonzero(np.isnan(table.ncc)).tolist() == [FLAT]
    assert (np.delete(table.ncc, FLAT) > 0.9).all()
    assert table.clipped_phone[FLAT] == 1
    assert np.isfinite(table.color_fit_psnr).all()
    for matrices in (table.patch_to_phone, table.patch_to_dslr):
        np.testing.assert_array_equal(matrices, np.tile(np.eye(3), (50, 1, 1)))
    assert not table.window_xy.any()
    for column in UNKNOWN:
        assert np.isnan(getattr(table, column)).all(), column


def test_the_manifest_says_where_the_patches_come_from_but_names_no_path(
    dped, imported
):
    folder = imported / "patches"
    manifest = manifest_of(folder)
    settings = manifest["settings"]
    assert (manifest["phone_camera"], manifest["dslr_camera"]) == ("iphone", "canon")
    assert settings["imported_from"] == "dped-folders"
    assert settings["pairs"] == {"train": 120, "test": 60}
    assert settings["files"] == {".jpg": 360}
    assert (settings["size"], settings["split"]) == (SIZE, "as in the source")
    with h5py.File(folder / "test-00000.h5") as file:
        assert json.loads(file.attrs["settings"]) == settings
    for data in content(folder).values():
        assert str(dped.parent).encode() not in data


def test_verify_finds_an_import_as_stated_and_a_forged_ncc(imported, tmp_path):
    found = verify_workspace(imported)
    assert (found.files, found.patches, found.damage) == (5, 180, [])
    folder = tmp_path / "patches"
    folder.mkdir()
    for name, data in content(imported / "patches").items():
        (folder / name).write_bytes(data)
    with h5py.File(folder / "test-00000.h5", "r+") as file:
        file["ncc"][7] = np.nan
    write_sums(folder)
    (line,) = verify_workspace(tmp_path).damage
    assert "row 7: NCC is not as stated" in line


def test_bytes_depend_neither_on_jobs_nor_on_interruptions(dped, imported, tmp_path):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    whole = content(imported / "patches")
    import_patches(dped, tmp_path / "two", jobs=2, backend="threading")
    with pytest.raises(KeyboardInterrupt):
        import_patches(dped, tmp_path / "again", jobs=1, progress=stop)
    assert not (tmp_path / "again").exists()
    again = import_patches(dped, tmp_path / "again", jobs=1)
    assert again.newly_done == 130  # without the first fifty
    assert content(tmp_path / "two") == content(tmp_path / "again") == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "two"]


def test_a_block_on_which_a_worker_died_is_tried_again(
    dped, imported, tmp_path, monkeypatch
):
    def lose_the_second(function, tasks, workers):
        for index, task in enumerate(tasks):
            yield index, None if index == 1 else function(task)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(importing, "run_all", lose_the_second)
        lost = import_patches(dped, out, jobs=1)
    assert {line["reason"] for line in lost.failed} == {"worker_lost"}
    assert len(lost.failed) == 50
    again = import_patches(dped, out, jobs=1)
    assert (again.newly_done, again.failed) == (180, [])
    assert content(out) == content(imported / "patches")
    assert import_patches(dped, out, jobs=1).newly_done == 0


def interrupted(dped, out):
    """The folder of the finished pieces of an import that was stopped."""

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_patches(dped, out, jobs=1, progress=stop)
    return out.parent / ".dped-build/out-work"


def without(name):
    return lambda arrays: {k: v for k, v in arrays.items() if k != name}


def with_windows(change):
    return lambda arrays: arrays | {"windows": change(arrays["windows"])}


def other_reason(windows):
    windows["reason"] = b"../x"
    return windows


def one_less(arrays):
    """Without the last row of the phone's pixels."""
    *lengths, last = arrays["phone_lengths"]
    chunks = arrays["phone_chunks"][:-last]
    return arrays | {"phone_lengths": np.array(lengths), "phone_chunks": chunks}


def flipped(arrays):
    arrays["dslr_chunks"][1000] ^= 1
    return arrays


DAMAGE = {  # of a piece's arrays
    "no table": without("windows"),
    "a column is missing": with_windows(
        lambda table: table[[name for name in table.dtype.names if name != "ncc"]]
    ),
    "the table is deep": with_windows(lambda table: table[None]),
    "another reason": with_windows(other_reason),
    "masks are missing": lambda a: a | {"masks": a["masks"][1:]},
    "patches are missing": one_less,
    "bytes are missing": lambda a: a | {"dslr_chunks": a["dslr_chunks"][:-1]},
    "a bit has flipped": flipped,
    "lengths below zero": lambda a: a | {"phone_lengths": -a["phone_lengths"]},
    "patches of floats": lambda a: a | {"dslr_chunks": a["dslr_chunks"] / 255},
}


@pytest.mark.parametrize("damage", [*DAMAGE, "compressed", "torn"])
def test_a_damaged_piece_is_named_and_done_again_once_it_is_deleted(
    dped, imported, tmp_path, damage
):
    out = tmp_path / "out"
    (piece,) = interrupted(dped, out).glob("*.h5")
    with h5py.File(piece) as file:
        arrays = {name: file[name][()] for name in file}
    if damage == "torn":
        piece.write_bytes(piece.read_bytes()[:-3000])
    else:
        arrays = DAMAGE.get(damage, dict)(arrays)
        squeezed = {"compression": "gzip"} if damage == "compressed" else {}
        with h5py.File(piece, "w") as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, **squeezed)
    with pytest.raises(DpedBuildError, match=r"h5: damaged; delete it") as error:
        import_patches(dped, out, jobs=1)
    assert "\n" not in str(error.value)
    piece.unlink()
    import_patches(dped, out, jobs=1)
    assert content(out) == content(imported / "patches")


def test_pairs_refused_before_an_interruption_are_still_listed(tmp_path):
    source = write_pairs(tmp_path / "set", 120)
    (source / "canon/7.jpg").write_text("not a picture")
    whole = import_patches(source, tmp_path / "whole", jobs=1)
    interrupted(source, tmp_path / "again")
    again = import_patches(source, tmp_path / "again", jobs=1)
    assert again.newly_done == 120  # only the run that ended knew what was wrong
    assert [line["pair"] for line in again.failed] == ["iphone/7"]
    assert again.failed == whole.failed
    assert content(tmp_path / "again") == content(tmp_path / "whole")


@pytest.mark.parametrize("lost", ["settings", "failed", "splits"])
def test_a_manifest_without_a_part_is_named_and_force_makes_it_again(
    dped, imported, tmp_path, lost
):
    shutil.copytree(imported / "patches", tmp_path / "out")
    path = tmp_path / "out/manifest.json"
    stated = manifest_of(path.parent)
    del stated[lost]
    path.write_text(json.dumps(stated))
    with pytest.raises(
        DpedBuildError, match=rf"out: damaged \({lost} is missing\); add --force"
    ):
        import_patches(dped, tmp_path / "out", jobs=1)
    import_patches(dped, tmp_path / "out", jobs=1, force=True)
    assert content(tmp_path / "out") == content(imported / "patches")


def test_links_are_as_good_as_files(dped, imported, tmp_path):
    source, out = tmp_path / "linked", tmp_path / "out"
    for part in ("training_data", "test_data/patches"):
        (source / part / "canon").mkdir(parents=True)
        (source / part / "iphone").symlink_to(dped / part / "iphone")
        for file in (dped / part / "canon").iterdir():
            (source / part / "canon" / file.name).symlink_to(file)
    import_patches(source, out, jobs=1)
    assert content(out) == content(imported / "patches")


def test_a_finished_import_is_left_alone_and_another_source_needs_force(
    imported, dped, tmp_path
):
    out = tmp_path / "out"
    assert import_patches(dped, out, jobs=1).newly_done == 180
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = import_patches(dped, out, jobs=1)
    assert (again.newly_done, again.splits["test"]["patches"]) == (0, 60)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    other = write_pairs(tmp_path / "other", 10)
    with pytest.raises(DpedBuildError, match=r"other patches.*--force.*--out"):
        import_patches(other, out, jobs=1)
    assert content(out) == content(imported / "patches")
    import_patches(other, out, jobs=1, force=True)
    assert len(PatchDataset(out)) == 10
    (other / "canon/1.jpg").write_bytes((other / "canon/2.jpg").read_bytes())
    with pytest.raises(DpedBuildError, match="files of other names or sizes"):
        import_patches(other, out, jobs=1)
    import_patches(other, out, jobs=1, force=True)
    with pytest.raises(DpedBuildError, match="now drawn: test photos 0"):
        import_patches(other, out, jobs=1, settings=ImportSettings(test_photos=0))


def test_a_folder_with_other_things_is_never_written_into(dped, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(DpedBuildError, match=r"notes\.txt: not written.*another --out"):
        import_patches(dped, tmp_path / "out", jobs=1, force=True)
    assert content(tmp_path / "out") == {"notes.txt": b"mine"}


def test_what_cannot_be_used_is_named_and_costs_itself_alone(tmp_path):
    source = write_pairs(tmp_path / "set", 60)
    phone, dslr = source / "iphone", source / "canon"
    (phone / "5.jpg").write_bytes((phone / "6.jpg").read_bytes()[:-200])
    (dslr / "7.jpg").write_text("not a picture")
    Image.new("RGB", (SIZE, SIZE + 1)).save(dslr / "8.jpg")
    for path in (phone / "9.jpg", dslr / "9.jpg"):
        Image.new("RGB", (SIZE + 1, SIZE + 1)).save(path)
    (phone / "10.jpg").unlink()
    (phone / "10.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (dslr / "11.jpg").unlink()
    Image.new("RGB", (SIZE, SIZE)).save(phone / "12.png")
    summary = import_patches(source, tmp_path / "out", jobs=1)
    found = {line["pair"]: line["reason"] for line in summary.failed}
    assert found == {
        "iphone/11": "no_partner",
        "iphone/12.jpg (phone)": "ambiguous_partner",
        "iphone/12.png (phone)": "ambiguous_partner",
        "canon/12.jpg (DSLR)": "ambiguous_partner",
        "iphone/5": "truncated",
        "iphone/7": "unreadable",
        "iphone/8": "other_size",
        "iphone/9": "other_size",
        "iphone/10": "unreadable",
    }
    messages = {line["pair"]: line["message"] for line in summary.failed}
    assert messages["iphone/7"].startswith("canon/7.jpg: not a JPEG")
    assert "32x32 px, its partner 32x33 px" in messages["iphone/8"]
    assert sum(split["patches"] for split in summary.splits.values()) == 53
    assert manifest_of(tmp_path / "out")["failed"] == summary.failed
    assert "2 other_size" in summary_text(summary)


def test_a_long_list_of_failures_is_cut_on_the_terminal(tmp_path):
    source = write_pairs(tmp_path / "set", 30)
    for number in range(20):
        (source / "canon" / f"{number}.jpg").write_bytes(b"")
    text = summary_text(import_patches(source, tmp_path / "out", jobs=1))
    assert "20 unreadable" in text
    assert "canon/9.jpg: the file is empty" in text
    assert "canon/10.jpg" not in text
    assert "and 10 more: see manifest.json" in text


def test_paired_folders_are_split_by_pseudo_photo(tmp_path):
    source = write_pairs(tmp_path / "set", 400, suffix=".png")
    settings = ImportSettings(test_photos=2, val_photos=1)
    summary = import_patches(source, tmp_path / "a", settings=settings, jobs=1)
    assert [s["photos"] for s in summary.splits.values()] == [5, 1, 2]
    photos = [set(PatchDataset(tmp_path / "a", s).photos) for s in summary.splits]
    assert set.union(*photos) == {f"group-{n:05d}" for n in range(8)}
    settings = ImportSettings(split="test")
    summary = import_patches(source, tmp_path / "b", settings=settings, jobs=1)
    assert [s["patches"] for s in summary.splits.values()] == [0, 0, 400]
    assert manifest_of(tmp_path / "b")["settings"]["split"] == "all test"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a_phone", "canon"),
        ("sony", "Canon70D"),
        ("iPhoneX", "NikonD5500"),
        ("input", "target"),
        ("x", "x_gt"),
        ("low", "high_quality"),
        ("LR", "HR"),
        ("blackberry", "dslr"),
    ],
)
def test_the_dslrs_folder_is_told_by_its_name(tmp_path, one, other):
    source = write_pairs(tmp_path / "set", 2, phone=one, dslr=other)
    assert import_patches(source, tmp_path / "out", jobs=1).cameras == (one, other)


def test_folders_that_do_not_say_which_they_are_need_the_options(tmp_path):
    source = write_pairs(tmp_path / "set", 2, phone="left", dslr="right")
    out = tmp_path / "out"
    with pytest.raises(
        DpedBuildError, match=r"left/, right/.*--phone NAME --dslr NAME"
    ):
        import_patches(source, out, jobs=1)
    with pytest.raises(UsageError, match=r"not in middle/ \(--dslr\)"):
        import_patches(source, out, settings=ImportSettings(dslr="middle"), jobs=1)
    settings = ImportSettings(dslr="left")
    summary = import_patches(source, out, settings=settings, jobs=1)
    assert summary.cameras == ("right", "left")
    write_pairs(source, 2, phone="thumbs", dslr="canon")
    with pytest.raises(DpedBuildError, match="--phone NAME --dslr NAME"):
        import_patches(source, out, settings=settings, jobs=1)
    settings = ImportSettings(phone="left", dslr="canon")
    summary = import_patches(source, out, settings=settings, jobs=1, force=True)
    assert summary.cameras == ("left", "canon")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("..", r"holds DPED's folders of iphone: name one of them, such as .*iphone"),
        ("training_data", r"name \S*/iphone, whose.*training_data with --split train"),
        ("test_data", r"name \S*/iphone, .*/test_data/patches with --split test"),
        ("test_data/patches", r"name \S*/iphone, .*patches with --split test"),
        ("training_data/iphone", "not hold two folders of JPEG, PNG or TIFF patches"),
    ],
)
def test_a_neighbour_of_the_layout_points_to_what_is_meant(dped, tmp_path, place, told):
    with pytest.raises(DpedBuildError, match=told):
        import_patches(dped / place, tmp_path / "out", jobs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_layout_is_taken_where_its_split_is_named(dped, tmp_path):
    settings = ImportSettings(split="train")
    source = dped / "training_data"
    summary = import_patches(source, tmp_path / "out", settings=settings, jobs=1)
    assert summary.splits["train"] == {"photos": 3, "patches": 120}
    with pytest.raises(UsageError, match=r"--split: .*layout, whose split is kept"):
        import_patches(dped, tmp_path / "out", settings=settings, jobs=1)


def test_sources_without_patches_are_refused_before_anything_is_written(tmp_path):
    broken = write_pairs(tmp_path / "broken", 3)
    for path in (broken / "canon").iterdir():
        path.write_bytes(b"")
    wide = tmp_path / "wide"
    for name in ("phone", "dslr"):
        (wide / name).mkdir(parents=True)
        Image.new("RGB", (64, 48)).save(wide / name / "1.png")
    lonely = write_pairs(tmp_path / "lonely", 1)
    (lonely / "canon/0.jpg").rename(lonely / "canon/1.jpg")
    before = sorted(tmp_path.rglob("*"))
    for source, told in (
        (broken, "none of 3 pairs can be read"),
        (wide, "images are 64x48 px; patches are square.*dped-build align"),
        (lonely, "no image in iphone/ has a partner"),
    ):
        with pytest.raises(DpedBuildError, match=told):
            import_patches(source, tmp_path / "out", jobs=1)
    assert sorted(tmp_path.rglob("*")) == before


def test_shards_are_not_imported_again(imported, tmp_path):
    with pytest.raises(DpedBuildError, match="already holds shards"):
        import_patches(imported / "patches", tmp_path / "out", jobs=1)


def test_the_folder_is_named_after_the_source_and_lies_here(
    dped, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert import_patches(dped, jobs=1).folder == Path("iphone-patches")
    assert import_patches(dped, jobs=1).newly_done == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "iphone-patches"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"split": "all"}, "--split all: choose one of train, val, test"),
        ({"split": "test", "test_photos": 1}, "leaves nothing for --test-photos"),
        ({"val_photos": -1}, "--val-photos must not be negative"),
        ({"phone": "a", "dslr": "a"}, "name the same folder"),
        ({"compress": "zip"}, "--compress zip: choose one of none, gzip"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, told):
    with pytest.raises(UsageError, match=told):
        ImportSettings(**options)
