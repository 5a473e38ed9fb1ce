"""The benchmark's scenes are what they are said to be."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from hard_cases import CASES, hard_scenes
from pictures import defocused, list_pictures, read_picture, repeated, with_objects
from scenes import Movement, Scene, photo_paths, random_scene, sizes_for, take, write
from scoring import dslr_px_per_phone_px

from dped_build.photos.reading import read_photo
from dped_build.selftest.simulated_cameras import Rig
from dped_build.workspace.errors import DpedBuildError

RIG = Rig((160, 120), (288, 192))


@pytest.fixture
def picture(tmp_path, textured):
    path = tmp_path / "picture.png"
    Image.fromarray(textured(0, (360, 240))).save(path)
    return path


def as_arrays(scene):
    return [np.asarray(Image.open(io.BytesIO(data))) for data in take(scene)]


def test_pictures_come_with_scikit_image_unless_a_folder_is_named(picture):
    assert len(list_pictures(None)) > 5
    assert list_pictures(picture.parent) == [picture]


def test_a_folder_without_photos_is_named(tmp_path):
    with pytest.raises(DpedBuildError, match="no photos"):
        list_pictures(tmp_path)


def test_a_small_picture_is_enlarged_and_keeps_its_detail(picture):
    small = read_picture(picture, crop=(0.5, 0.5, 1.0), width=100, seed=0)
    large = read_picture(picture, crop=(0.5, 0.5, 1.0), width=720, seed=0)
    assert small.shape == (240, 360, 3)
    assert large.shape == (480, 720, 3)
    blocks = large.astype(float).reshape(240, 2, 360, 2, 3)
    difference = blocks.mean(axis=(1, 3)) - small
    assert np.abs(difference).mean() < 6
    grain = blocks.std(axis=(1, 3)).mean()
    assert grain > 3


def test_a_portrait_picture_is_laid_on_its_side(tmp_path, textured):
    Image.fromarray(textured(0, (100, 150))).save(tmp_path / "a.png")
    seen = read_picture(tmp_path / "a.png", crop=(0, 0, 1), width=150, seed=0)
    assert seen.shape == (100, 150, 3)


def test_the_crop_is_a_share_of_the_picture(picture):
    whole = read_photo(picture)
    part = read_picture(picture, crop=(1.0, 0.0, 0.5), width=180, seed=0)
    np.testing.assert_array_equal(part, whole[:120, 180:])


def test_photos_of_a_scene_have_the_sizes_of_its_cameras(picture):
    phone, dslr = as_arrays(Scene("a", picture, RIG))
    assert (phone.shape, dslr.shape) == ((120, 160, 3), (192, 288, 3))


def test_the_same_scene_is_written_with_the_same_bytes(picture, tmp_path):
    scene = random_scene("a", picture, long_side=160, seed=3)
    first = [p.read_bytes() for p in write(scene, tmp_path)]
    assert [p.read_bytes() for p in photo_paths(scene, tmp_path)] == list(take(scene))
    assert first == list(take(scene))
    other = random_scene("a", picture, long_side=160, seed=4)
    assert first != list(take(other))


def test_a_photo_stored_on_its_side_is_upright_once_read(picture, tmp_path):
    upright = Scene("upright", picture, RIG, quality=95)
    turned = replace(upright, name="turned", orientation=6)
    photos = [read_photo(write(s, tmp_path)[0]) for s in (upright, turned)]
    assert photos[0].shape == photos[1].shape
    difference = photos[0].astype(float) - photos[1]
    assert np.abs(difference).mean() < 3  # JPEG blocks fall elsewhere


def test_only_the_disc_of_a_moving_object_changes(textured):
    still = textured(0, (300, 200))
    places = np.array([[150.0, 60.0]])
    change = (with_objects(still, places, 20) != still).any(axis=-1)
    y, x = np.nonzero(change)
    away = np.hypot(x - 150, y - 60)
    assert away.max() < 22
    assert change.sum() > 0.9 * np.pi * 20**2


def test_moving_objects_are_marked_where_either_camera_sees_them(picture):
    movement = Movement(count=2, radius_px=20, distance_px=15, seed=1)
    still = Scene("a", picture, RIG, quality=95)
    moving = replace(still, movement=movement)
    difference = as_arrays(moving)[0].astype(float) - as_arrays(still)[0]
    changed = np.abs(difference).max(axis=-1) > 40
    grid = np.stack(np.meshgrid(np.arange(160.0), np.arange(120.0)), axis=-1)
    marked = moving.moving(grid)
    assert not still.moving(grid).any()
    assert 0.02 < marked.mean() < 0.2
    assert changed.sum() > 50
    seen = changed & (RIG.dslr_points(grid) > 0).all(-1)
    seen &= (RIG.dslr_points(grid) < (287, 191)).all(-1)
    assert (marked & seen).sum() > 0.9 * seen.sum()


def test_a_defocused_background_leaves_the_foreground_sharp(textured):
    sharp = textured(0, (300, 200))
    seen = defocused(sharp, 6.0, seed=0)
    change = np.abs(seen.astype(float) - sharp).mean(axis=-1)
    assert 0.2 < (change < 1).mean() < 0.8
    assert 0.2 < (change > 5).mean() < 0.8


def test_a_repeated_picture_has_equal_tiles(textured):
    seen = repeated(textured(0, (480, 320))).astype(float)
    tile = seen[:, :40] - seen[:, :40].mean()
    other = seen[:, 40:80] - seen[:, 40:80].mean()
    likeness = (tile * other).sum() / np.sqrt((tile**2).sum() * (other**2).sum())
    assert 0.7 < likeness < 0.99


def test_sizes_follow_the_phones_long_side():
    assert sizes_for(2048) == ((2048, 1536), (3648, 2432))
    assert sizes_for(1024) == ((1024, 768), (1824, 1216))


def test_every_hard_case_is_made_of_the_same_scenes(picture):
    cases = hard_scenes([picture], each=2, long_side=160, seed=5)
    assert list(cases) == list(CASES)
    for name, scenes in cases.items():
        assert [s.seed for s in scenes] == [5, 6]
        assert name == "plain" or scenes[0] != cases["plain"][0]


@pytest.mark.parametrize("wanted", [1, 6, 12])
def test_the_resolution_ratio_is_the_one_named(picture, wanted):
    scene = hard_scenes([picture], each=1, long_side=2048, seed=5)[f"ratio {wanted}"]
    assert dslr_px_per_phone_px(scene[0].rig) == pytest.approx(wanted, rel=0.15)


def test_a_portrait_scene_overlaps_as_a_landscape_one_does(picture):
    cases = hard_scenes([picture], each=1, long_side=160, seed=5)
    upright, plain = (cases[name][0].rig for name in ("portrait, EXIF", "plain"))
    assert upright.phone_size == plain.phone_size[::-1]
    corner = upright.dslr_points(np.array([[30.0, 40.0], [90.0, 120.0]]))
    assert (corner > 0).all()
    assert (corner < upright.dslr_size).all()
