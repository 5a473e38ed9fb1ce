"""Another tool's outputs are found, cut where the patches lie, and judged alike."""

import json

import cv2
import numpy as np
import pytest
from shards import write_shard
from torch import nn

from dped_build.patches.dataset import PatchDataset
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.evaluating.other_tools import parse_comparisons
from dped_build.train.evaluating.score_table import overall_table, photo_table
from dped_build.workspace.errors import DpedBuildError, UsageError

SIZE = 20  # of a patch, px
WIDTH, HEIGHT = 70, 30  # of a phone photo; its three windows lie side by side


@pytest.fixture
def folder(tmp_path):
    """A `patches` folder with three test photos of three patches."""
    folder = tmp_path / "work" / "patches"
    names = ["0001", "0002", "0010"]
    write_shard(folder, "test-00000.h5", names, split="test", size=SIZE)
    records = [
        {"pair": name, "status": "aligned", "phone_size": [WIDTH, HEIGHT]}
        for name in names
    ]
    aligned = folder.parent / "aligned"
    aligned.mkdir()
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (aligned / "alignment.jsonl").write_text(lines)
    return folder


def write_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, :, ::-1])


def write_photos(out, folder, *, side=1, suffix=".png"):
    """Whole photos that show the phone's (0) or the DSLR's (1) patches in place."""
    patches = PatchDataset(folder, "test")
    for name in dict.fromkeys(patches.photos):
        photo = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
        for row in np.flatnonzero(patches.photos == name):
            x, y = patches.window_xy[row]
            photo[y : y + SIZE, x : x + SIZE] = patches[int(row)][side]
        write_image(out / f"{name}{suffix}", photo)
    return out


def judged(folder, out, **options):
    """The evaluation with `tool=out`, and what was told."""
    told = []
    model = nn.Identity()
    report = evaluate(model, folder, compare={"tool": out}, tell=told.append, **options)
    return report, told


@pytest.mark.parametrize("suffix", [".png", "-enhanced.png", ".tif"])
def test_whole_photos_are_cut_where_the_patches_lie(folder, tmp_path, suffix):
    out = write_photos(tmp_path / "out", folder, side=0, suffix=suffix)
    report, told = judged(folder, out)
    assert told == []
    assert list(report) == ["n", "input", "output", "compare", "photos"]
    assert report["compare"] == {"tool": report["input"]}
    photo = report["photos"]["0002"]
    assert list(photo) == ["n", "input", "output", "compare"]
    assert photo["compare"] == {"tool": photo["input"]}


def test_the_dslrs_own_photos_are_perfect(folder, tmp_path):
    report, _ = judged(folder, write_photos(tmp_path / "out", folder))
    assert report["compare"]["tool"]["psnr_pirm"] is None
    assert report["compare"]["tool"]["ssim"] == pytest.approx(1)


def test_an_enhanced_photo_counts_where_the_photo_itself_lies_beside_it(
    folder, tmp_path
):
    out = write_photos(tmp_path / "out", folder, side=0)
    report, told = judged(folder, write_photos(out, folder, suffix="-enhanced.png"))
    assert told == []
    assert report["compare"]["tool"]["psnr_pirm"] is None


def test_patches_are_taken_in_natural_order_whatever_their_names(folder, tmp_path):
    patches = PatchDataset(folder, "test")
    for row in range(len(patches)):
        write_image(tmp_path / "out" / f"x{row + 2}.png", patches[row][1])  # x9, x10
    report, told = judged(folder, tmp_path / "out")
    assert told == []
    assert report["n"] == 9
    assert report["compare"]["tool"]["psnr_training"] is None


def test_a_missing_photo_counts_for_no_column(folder, tmp_path):
    out = write_photos(tmp_path / "out", folder, side=0)
    (out / "0002.png").unlink()
    report, told = judged(folder, out)
    assert told == [
        f"tool: 1 of 3 photos are missing in {out}: 0002",
        "6 of 9 patches are in every folder and count",
    ]
    assert report["n"] == 6
    assert list(report["photos"]) == ["0001", "0010"]
    assert report["compare"]["tool"] == report["input"]
    whole = evaluate(nn.Identity(), folder)
    assert report["photos"]["0010"]["input"] == whole["photos"]["0010"]["input"]
    assert report["input"] != whole["input"]


def test_two_tools_share_the_patches_that_both_have(folder, tmp_path):
    one = write_photos(tmp_path / "one", folder)
    two = write_photos(tmp_path / "two", folder, side=0)
    (one / "0001.png").unlink()
    (two / "0010.png").unlink()
    report = evaluate(nn.Identity(), folder, compare={"one": one, "two": two})
    assert report["n"] == 3
    assert list(report["compare"]) == ["one", "two"]
    assert report["compare"]["one"]["psnr_pirm"] is None
    assert report["compare"]["two"] == report["input"]


def test_photos_of_another_size_are_told_with_both_sizes(folder, tmp_path):
    out = write_photos(tmp_path / "out", folder)
    write_image(out / "0001.png", np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8))
    (out / "0002.png").write_bytes((out / "0002.png").read_bytes()[:60])
    report, told = judged(folder, out)
    assert report["n"] == 3
    assert told[0] == (
        "tool: 0001.png is 140x60 px, the phone photo 70x30 px: give it that size"
    )
    assert told[1].startswith("tool: 0002.png: ")
    assert len(told) == 3


def test_without_the_phone_photos_size_the_windows_must_fit(folder, tmp_path):
    out = write_photos(tmp_path / "out", folder)
    (folder.parent / "aligned" / "alignment.jsonl").unlink()
    write_image(out / "0001.png", np.zeros((HEIGHT, 50, 3), np.uint8))
    report, told = judged(folder, out)
    assert report["n"] == 6
    assert told[0] == (
        "tool: 0001.png is 50x30 px, too small for the window of 20 px at (40, 0): "
        "give outputs of the phone photo's upright size"
    )


def test_a_patch_of_another_size_costs_itself(folder, tmp_path):
    patches = PatchDataset(folder, "test")
    for row in range(len(patches)):
        write_image(tmp_path / "out" / f"{row}.png", patches[row][0])
    write_image(tmp_path / "out" / "4.png", np.zeros((10, 10, 3), np.uint8))
    report, told = judged(folder, tmp_path / "out")
    assert report["n"] == 8
    assert report["photos"]["0002"]["n"] == 2
    assert told[0] == "tool: 4.png is 10x10 px, its patch 20x20 px: give it that size"


def test_another_number_of_patches_is_refused(folder, tmp_path):
    patches = PatchDataset(folder, "test")
    for row in range(8):
        write_image(tmp_path / "out" / f"{row}.png", patches[row][0])
    with pytest.raises(DpedBuildError, match="holds 8 patches, the test split 9"):
        judged(folder, tmp_path / "out")


def test_a_folder_that_shows_nothing_is_refused(folder, tmp_path):
    write_image(tmp_path / "out" / "x.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(DpedBuildError, match=r"split \(0001, 0002, 0010\)") as caught:
        judged(folder, tmp_path / "out")
    told = f"patches of {SIZE} px; x.png is {WIDTH}x{HEIGHT} px"
    assert told in str(caught.value)
    (tmp_path / "out" / "x.png").unlink()
    with pytest.raises(DpedBuildError, match=rf"patches of {SIZE} px$"):
        judged(folder, tmp_path / "out")
    with pytest.raises(UsageError, match="no such folder"):
        judged(folder, tmp_path / "absent")


def test_two_images_of_one_name_are_refused(folder, tmp_path):
    out = write_photos(tmp_path / "out", folder)
    write_photos(out, folder, suffix=".tif")
    with pytest.raises(
        DpedBuildError, match=r"0001\.png and 0001\.tif have the same name"
    ):
        judged(folder, out)


def test_nothing_usable_is_an_error_and_no_crash(folder, tmp_path):
    write_image(tmp_path / "out" / "0001.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DpedBuildError, match="no test patch has a usable image"):
        judged(folder, tmp_path / "out")


def test_two_patch_folders_have_a_folder_each(folder, tmp_path):
    other = tmp_path / "other" / "patches"
    write_shard(other, "test-00000.h5", ["0001"], split="test", size=SIZE, seed=5)
    out = tmp_path / "out"
    write_photos(out / "1", folder, side=0)
    write_photos(out / "2", other, side=0)
    report, told = judged([folder, other], out)
    assert told == []
    assert list(report["photos"]) == ["1/0001", "1/0002", "1/0010", "2/0001"]
    assert report["compare"]["tool"] == report["input"]


def test_a_patch_folder_without_the_split_needs_no_outputs(folder, tmp_path):
    other = tmp_path / "other" / "patches"
    write_shard(other, "train-00000.h5", ["0001"], size=SIZE, seed=5)
    write_photos(tmp_path / "out" / "2", folder, side=0)
    report, _ = judged([other, folder], tmp_path / "out")
    assert list(report["photos"]) == ["2/0001", "2/0002", "2/0010"]
    assert report["compare"]["tool"] == report["input"]


def test_comparisons_are_named_once_and_have_a_folder():
    found = parse_comparisons(["apple=out/a=b", "artist = c"])
    assert {name: str(path) for name, path in found.items()} == {
        "apple": "out/a=b",
        "artist": "c",
    }
    for wrong in (["apple"], ["=out"], ["apple="], ["a=b", "a=c"], ["phone=out"]):
        with pytest.raises(UsageError, match="--compare"):
            parse_comparisons(wrong)


def test_tables_have_a_column_for_every_tool(folder, tmp_path):
    report, _ = judged(folder, write_photos(tmp_path / "out", folder))
    lines = [line.split() for line in overall_table(report).splitlines()]
    assert lines[0] == ["phone", "enhanced", "tool"]
    psnr = f"{report['input']['psnr_training']:.2f}"
    assert ["psnr_training", psnr, psnr, "inf"] in lines
    assert lines[4][0] == "ssim" and lines[4][3] == "1.0000"
    photos = photo_table(report).splitlines()
    assert len({len(line) for line in photos}) == 1
    of_photo = report["photos"]["0010"]["input"]
    shown = photos[3].split()
    assert shown[:3] == ["0010", "3", f"{of_photo['psnr_pirm']:.2f}"]
    assert shown[5] == f"{of_photo['ms_ssim_image']:.4f}"


def test_progress_ends_with_every_patch(folder):
    seen = []
    evaluate(nn.Identity(), folder, progress=lambda done, total: seen.append(done))
    assert seen == [3, 6, 9]
