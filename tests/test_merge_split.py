"""Splits that were drawn apart become one, and nothing trained on is tested on."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from merging import align, cut, part_of, save, shoot
from PIL import Image

from dped_build.curate.merge import merge_workspaces
from dped_build.curate.merged_names import common_folder, labels_of, name_prefixes
from dped_build.patches.build import patch_stage
from dped_build.patches.previous import read_split
from dped_build.patches.scenes import Content
from dped_build.patches.split import SplitRow, extend_split, unite_splits
from dped_build.workspace.errors import DpedBuildError

NOON = datetime(2024, 6, 1, 12)


def at(**seconds):
    """Pair → capture time, from seconds after noon."""
    return {pair: NOON + timedelta(seconds=s) for pair, s in seconds.items()}


def test_splits_that_share_nothing_stay_as_they_are():
    one, other = [SplitRow("b", "b", "test")], [SplitRow("a", "a", "train")]
    assert unite_splits([one, other], {}) == [*other, *one]


@pytest.mark.parametrize(
    "one, other, wins",
    [
        ("train", "test", "train"),
        ("test", "train", "train"),
        ("test", "val", "val"),
        ("test", "test", "test"),
    ],
)
def test_of_a_scene_that_was_drawn_twice_train_wins(one, other, wins):
    drawn = [[SplitRow("a", "g", one)], [SplitRow("b", "g", other)]]
    assert [row.split for row in unite_splits(drawn, {})] == [wins, wins]


@pytest.mark.parametrize("gap, scenes", [(60, 1), (61, 2)])
def test_scenes_of_two_sources_within_a_minute_are_one(gap, scenes):
    drawn = [[SplitRow("a", "a", "test")], [SplitRow("b", "b", "train")]]
    rows = unite_splits(drawn, at(a=gap, b=0))
    assert len({row.group for row in rows}) == scenes
    assert {row.split for row in rows} == (
        {"train"} if scenes == 1 else {"train", "test"}
    )


def test_scenes_of_one_source_are_never_joined():
    drawn = [[SplitRow("a", "a", "test"), SplitRow("b", "b", "train")]]
    assert unite_splits(drawn, at(a=0, b=1)) == drawn[0]


@pytest.mark.parametrize(
    "content, times, scenes",
    [
        (Content(sha256="f" * 64), {}, 1),
        (Content(shown="0f" * 32), {}, 1),
        (Content(shown="0f" * 32), at(a=0, b=3600), 2),
        (Content(), {}, 2),
    ],
)
def test_scenes_of_two_sources_with_one_photo_are_one(content, times, scenes):
    drawn = [[SplitRow("a", "a", "test")], [SplitRow("b", "b", "train")]]
    rows = unite_splits(drawn, times, {"a": content, "b": content})
    assert len({row.group for row in rows}) == scenes


def test_all_photos_of_a_joined_scene_move_together():
    first = [SplitRow("a1", "a1", "test"), SplitRow("a2", "a1", "test")]
    second = [SplitRow("b1", "b1", "train"), SplitRow("b2", "b1", "train")]
    rows = unite_splits([first, second], at(a1=0, a2=30, b1=50, b2=90))
    assert {row.group for row in rows} == {"a1"}
    assert {row.split for row in rows} == {"train"}


def test_a_scene_begins_with_its_first_photo():
    one = [SplitRow("a1", "a1", "train"), SplitRow("a2", "a1", "train")]
    other = [SplitRow("b1", "b1", "test")]
    rows = unite_splits([one, other], at(a1=0, a2=55, b1=100))
    assert rows == [*one, *other]


def test_parts_that_cut_a_scene_in_two_do_not_test_on_what_they_train_on(
    tmp_path, textured
):
    names = [f"{number:02d}" for number in range(6)]
    raw = shoot(tmp_path / "raw", textured, names, gap=timedelta(seconds=70))
    for number, name in enumerate(names):  # 01 and 02, 03 and 04 are of one scene
        photo = raw / "canon" / f"{name}.jpg"
        retake(photo, NOON + timedelta(seconds=600 * ((number + 1) // 2) + 5 * number))
    whole = align(raw, tmp_path / "whole")
    parts = [part_of(whole, tmp_path / f"p{n}", names[n::2]) for n in (0, 1)]
    for part in parts:
        cut(part)
    found = merge_workspaces(parts, tmp_path / "all")
    rows = {row.pair: row for row in read_split(patch_stage(tmp_path / "all")).rows}
    for one, other in (("01", "02"), ("03", "04")):
        assert rows[one].group == rows[other].group
        assert rows[one].split == rows[other].split
    before = [
        {row.pair: row.split for row in read_split(patch_stage(part)).rows}
        for part in parts
    ]
    drawn = before[0] | before[1]
    assert found.moved == sum(rows[pair].split != drawn[pair] for pair in names)
    for pair in names:
        assert rows[pair].split == drawn[pair] or drawn[pair] != "train"


def retake(path, taken):
    """Give a photo another EXIF time."""
    with Image.open(path) as photo:
        save(path, np.asarray(photo), taken)


def test_photos_of_one_camera_hold_their_place_in_the_draw():
    pairs = [f"{number:03d}" for number in range(100)]
    options = {"test": None, "val": None, "seed": 0}
    whole = {row.pair: row for row in extend_split([], pairs, {}, **options)}
    missed = {pair for pair in pairs if int(pair) % 3 == 0}
    rows = extend_split([], pairs, {}, **options, unpaired=missed)
    assert rows == [whole[pair] for pair in pairs if pair not in missed]
    later = extend_split(rows, pairs, {}, **options)
    assert {row.pair: row for row in later} == whole


def test_names_stay_where_none_comes_twice(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    assert name_prefixes(folders, [["1", "2"], ["3"]]) == ["", ""]
    assert name_prefixes(folders, [["1"], ["1"]]) == ["a-", "b-"]


def test_names_that_cannot_be_kept_apart_are_refused(tmp_path):
    folders = [tmp_path / "a", tmp_path / "a-b"]
    with pytest.raises(DpedBuildError, match="rename one of these workspaces"):
        name_prefixes(folders, [["b-1", "2"], ["1", "2"]])
    with pytest.raises(DpedBuildError, match="too long"):
        name_prefixes(folders, [["x" * 250], ["x" * 250]])


def test_workspaces_are_told_apart_by_their_parents(tmp_path):
    folders = [tmp_path / "one/data", tmp_path / "two/data"]
    assert labels_of(folders) == ["one-data", "two-data"]


def test_photos_without_a_common_folder_are_refused(tmp_path):
    assert common_folder([tmp_path / "a/x", tmp_path / "b/x"]) == tmp_path
    assert common_folder([tmp_path, tmp_path]) == tmp_path
    with pytest.raises(DpedBuildError, match="no folder in common: move them below"):
        common_folder([tmp_path, Path("/elsewhere/photos")])
