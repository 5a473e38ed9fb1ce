"""Which photos are enhanced, and where the results go."""

from pathlib import Path

import pytest

from dped_build.train.enhancing.photo_list import list_targets
from dped_build.workspace.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    """Photos, an earlier result, other files, a subfolder and a hidden one."""
    for name in (
        "IMG_10.jpg",
        "IMG_2.JPG",
        "IMG_2-enhanced.png",
        "notes.txt",
        "IMG_2.xmp",
        "day 2/IMG_2.tif",
        ".trash/IMG_1.jpg",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def targets(*requested, out=None, suffix=".png", recursive=False):
    found = list_targets(requested, out=out, suffix=suffix, recursive=recursive)
    return [(str(photo), str(path)) for photo, path in found.targets.items()]


def test_a_folders_photos_come_in_natural_order_without_earlier_results(folder):
    assert targets(folder) == [
        (f"{folder}/IMG_2.JPG", f"{folder}/IMG_2-enhanced.png"),
        (f"{folder}/IMG_10.jpg", f"{folder}/IMG_10-enhanced.png"),
    ]
    found = list_targets([folder], out=None, suffix=".png")
    assert found.enhanced == [folder / "IMG_2-enhanced.png"]


def test_below_a_folder_the_results_keep_their_subfolder(folder):
    found = targets(folder, out="out", suffix=".jpg", recursive=True)
    assert [path for _, path in found] == [
        "out/IMG_2-enhanced.jpg",
        "out/IMG_10-enhanced.jpg",
        "out/day 2/IMG_2-enhanced.jpg",
    ]


def test_files_are_taken_as_named_and_once(folder):
    named = [folder / "IMG_10.jpg", folder / "notes.txt", folder / "IMG_10.jpg"]
    assert [photo for photo, _ in targets(*named)] == [str(path) for path in named[:2]]
    assert targets(folder / "IMG_10.jpg", folder)[0][0] == str(folder / "IMG_10.jpg")


def test_what_a_pattern_names_of_earlier_results_is_passed_over(folder):
    named = [folder / "IMG_2-enhanced.png", folder / "IMG_2.JPG"]
    found = list_targets(named, out=None, suffix=".png")
    assert found.enhanced == named[:1] and list(found.targets) == named[1:]


def test_a_folder_without_photos_is_named(folder):
    empty = folder.parent / "empty"
    empty.mkdir()
    found = list_targets([empty, folder], out=None, suffix=".png")
    assert found.empty == [empty] and len(found.targets) == 2


def test_two_photos_never_become_one_file():
    paths = [Path("a/1.jpg"), Path("b/1.png")]
    with pytest.raises(UsageError, match=r"a/1.jpg and b/1.png .* out/1-enhanced"):
        targets(*paths, out="out")
    assert len(targets(*paths)) == 2


def test_two_photos_of_a_folder_that_would_become_one_file_cost_only_one(folder):
    (folder / "IMG_10.png").touch()
    found = list_targets([folder], out=None, suffix=".png")
    assert found.clashing == {folder / "IMG_10.png": folder / "IMG_10.jpg"}
    assert set(found.targets) == {folder / "IMG_2.JPG", folder / "IMG_10.jpg"}
