"""Which questions a study asks, and the files that it makes of pictures."""

import json
from collections import Counter
from itertools import chain
from random import Random

import numpy as np
import pytest
from PIL import Image
from study_fixture import CLASSES, make, write_classes

from dped_build.photos.reading import read_photo
from dped_build.study import StudySettings, make_study
from dped_build.study.key import read_key
from dped_build.study.questions import couples_of_blocks, picture_name
from dped_build.study.scenes import find_scenes, parse_sources
from dped_build.workspace.errors import DpedBuildError, UsageError

SECRET = b"0123456789abcdef"


def questions_of(couples):
    return list(chain.from_iterable(chain.from_iterable(couples)))


@pytest.mark.parametrize(
    ("classes", "scenes"), [(2, 1), (2, 9), (3, 8), (5, 4), (4, 7)]
)
def test_every_two_classes_meet_once_in_every_scene(classes, scenes):
    couples = couples_of_blocks(
        "pairs", classes=classes, scenes=scenes, random=Random(1)
    )
    met = Counter((s, *sorted(pair)) for s, *pair in questions_of(couples))
    assert set(met.values()) == {1}
    assert len(met) == scenes * classes * (classes - 1) // 2


@pytest.mark.parametrize("scenes", [2, 8])
def test_a_couple_shows_each_class_as_often_left_as_right(scenes):
    for couple in couples_of_blocks(
        "pairs", classes=4, scenes=scenes, random=Random(2)
    ):
        questions = list(chain.from_iterable(couple))
        left = Counter((a, b) for _, a, b in questions)
        assert all(left[b, a] == number == 1 for (a, b), number in left.items())


def test_a_block_asks_every_comparison_once_on_scenes_of_its_own():
    for couple in couples_of_blocks("pairs", classes=3, scenes=6, random=Random(3)):
        for block in couple:
            assert len({frozenset(pair) for _, *pair in block}) == len(block) == 3
            assert len({scene for scene, *_ in block}) == 3


def test_rating_shows_every_picture_once():
    couples = couples_of_blocks("rating", classes=3, scenes=5, random=Random(4))
    assert sorted(questions_of(couples)) == [(s, c) for s in range(5) for c in range(3)]


def test_names_of_pictures_depend_on_the_secret_and_on_what_they_show():
    names = {
        picture_name(secret, name, scene)
        for secret in (SECRET, b"another")
        for name, scene in (("a", "b c"), ("a b", "c"), ("a", "b"))
    }
    assert len(names) == 6


def test_scenes_are_what_all_classes_show_whatever_enhance_appended(tmp_path):
    texts = write_classes(tmp_path, 4)
    (tmp_path / "yak/wombat2.png").rename(tmp_path / "yak/wombat2-enhanced.png")
    (tmp_path / "yak/wombat3.png").unlink()
    Image.new("RGB", (8, 8)).save(tmp_path / "xerus/wombat4.jpg")
    found = find_scenes(parse_sources(texts, at_least=2))
    assert list(found.files) == ["wombat1", "wombat2"]
    assert found.left_out["wombat3"] == "missing in yak"
    assert "wombat4.jpg, wombat4.png" in found.left_out["wombat4"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("a",), "NAME=FOLDER"),
        (("=x", "b=y"), "NAME=FOLDER"),
        (("a=x",), "2 to 50 classes"),
        (("a=x", "A=y"), "named twice"),
        (("a\nc=x", "b=y"), "NAME=FOLDER"),
        (("a" * 61 + "=x", "b=y"), "at most 60"),
    ],
)
def test_classes_that_cannot_be_meant_are_refused(texts, said):
    with pytest.raises(UsageError, match=said):
        parse_sources(texts, at_least=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "other"},
        {"scenes": 0},
        {"repeats": -1},
        {"mode": "rating", "ties": True},
        {"seed": -1},
        {"quality": 101},
        {"title": ""},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(UsageError):
        StudySettings(**wrong)


def test_the_key_resolves_every_picture_to_the_same_pixels(tmp_path):
    study = make(tmp_path, 3)
    key = read_key(study.key_file)
    assert (key.classes, key.scenes) == (CLASSES, ("wombat1", "wombat2", "wombat3"))
    assert len(key.pictures) == 9
    for name, (of, scene) in key.places.items():
        shown = read_photo(study.page.parent / "pictures" / f"{name}.png")
        source = tmp_path / "raw" / CLASSES[of] / f"{key.scenes[scene]}.png"
        np.testing.assert_array_equal(shown, read_photo(source))


def test_what_is_handed_out_names_no_class_and_no_scene(tmp_path):
    study = make(tmp_path, 3)
    for path in study.page.parent.rglob("*"):
        told = f"{path.name} {path.read_bytes() if path.is_file() else ''}".lower()
        for word in (*CLASSES, "wombat", str(tmp_path).lower()):
            assert word not in told


def test_photos_are_turned_upright_and_lose_what_is_private(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "SECRETMAKER"
        exif.get_ifd(0x8825)[1] = "N"
        photo = Image.new("RGB", (64, 32), "red")
        photo.save(tmp_path / name / "1.jpg", exif=exif, comment=b"SECRETNOTE")
    sources = parse_sources([f"a={tmp_path}/a", f"b={tmp_path}/b"], at_least=2)
    for settings in (StudySettings(), StudySettings(quality=95)):
        study = make_study(sources, tmp_path / "s", settings=settings, force=True)
        files = list((study.page.parent / "pictures").iterdir())
        assert len(files) == 2
        for path in files:
            assert b"SECRET" not in path.read_bytes()
            with Image.open(path) as picture:
                assert picture.size == (32, 64)
                assert not picture.getexif()
                assert "icc_profile" not in picture.info


def test_all_pictures_of_a_study_are_of_one_kind(tmp_path):
    texts = write_classes(tmp_path, 2, classes=("a", "b"))
    for path in (tmp_path / "a").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    study = make_study(parse_sources(texts, at_least=2), tmp_path / "study")
    suffixes = {p.suffix for p in (study.page.parent / "pictures").iterdir()}
    assert suffixes == {".png"}


def test_a_damaged_picture_costs_its_scene_and_another_takes_its_place(tmp_path):
    texts = write_classes(tmp_path, 4)
    broken = tmp_path / "yak" / "wombat2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    sources = parse_sources(texts, at_least=2)
    study = make_study(sources, tmp_path / "s", settings=StudySettings(scenes=3))
    assert study.key.scenes == ("wombat1", "wombat3", "wombat4")
    study = make_study(sources, tmp_path / "all")
    assert "wombat2.png" in study.left_out["wombat2"]


def test_a_seed_gives_the_same_bytes_and_none_gives_others(tmp_path):
    def content(name, **settings):
        study = make(tmp_path / name, 2, **settings)
        return study.page.read_bytes(), study.key_file.read_bytes()

    assert content("a", seed=5) == content("b", seed=5)
    assert content("c", seed=6)[0] != content("d")[0] != content("e")[0]


def test_other_pictures_of_the_same_names_are_another_study(tmp_path):
    first = make(tmp_path / "a", 2, seed=5)
    second = make(tmp_path / "b", 2, seed=5, size=(70, 50))
    assert first.key.pictures == second.key.pictures
    assert first.key.study != second.key.study


def test_a_study_is_not_replaced_without_force(tmp_path):
    study = make(tmp_path, 2)
    before = study.key_file.read_bytes()
    sources = parse_sources(
        [f"{name}={tmp_path}/raw/{name}" for name in CLASSES], at_least=2
    )
    with pytest.raises(DpedBuildError, match="--force"):
        make_study(sources, tmp_path / "study")
    assert study.key_file.read_bytes() == before
    make_study(sources, tmp_path / "study", force=True)
    assert study.key_file.read_bytes() != before


def test_somebodys_file_in_the_folder_is_kept(tmp_path):
    study = make(tmp_path, 2)
    mine = study.key_file.with_name("answers-1.json")
    mine.write_text("{}")
    sources = parse_sources(
        [f"{name}={tmp_path}/raw/{name}" for name in CLASSES], at_least=2
    )
    with pytest.raises(DpedBuildError, match=r"answers-1\.json"):
        make_study(sources, tmp_path / "study", force=True)
    assert mine.exists()


def test_pictures_of_different_shape_are_named(tmp_path):
    texts = write_classes(tmp_path, 2, classes=("a", "b"))
    Image.new("RGB", (96, 96)).save(tmp_path / "a/wombat2.png")
    study = make_study(parse_sources(texts, at_least=2), tmp_path / "study")
    assert study.shapes == ("wombat2",)


def test_folders_without_a_common_scene_are_an_error(tmp_path):
    texts = write_classes(tmp_path, 1, classes=("a", "b"))
    (tmp_path / "a/wombat1.png").rename(tmp_path / "a/other.png")
    with pytest.raises(DpedBuildError, match="missing in"):
        make_study(parse_sources(texts, at_least=2), tmp_path / "study")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"study": "short"},
        {"study": 5},
        {"classes": []},
        {"classes": ["zebra", "zebra"]},
        {"classes": [str(n) for n in range(51)]},
        {"scenes": ["x\ny"]},
        {"pictures": {"../x": {"class": "zebra", "scene": "wombat1"}}},
        {"pictures": {"0" * 16: {"class": "other", "scene": "wombat1"}}},
        {"pictures": {"0" * 16: {"class": ["zebra"], "scene": "wombat1"}}},
        {"pictures": []},
        {"ties": 1},
        {"mode": "other"},
        {"settings": 3},
    ],
)
def test_a_damaged_key_is_told_in_one_line(tmp_path, change):
    path = make(tmp_path, 1).key_file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DpedBuildError, match="--key") as told:
        read_key(path)
    assert "\n" not in str(told.value)
