"""docs/make_gallery.py: crops where the detail is, pictures of what was enhanced."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[1] / "docs"
GREY = np.full((300, 480, 3), 128, np.uint8)


@pytest.fixture
def make_gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_gallery

    return make_gallery


def noisy(left, top):
    """Grey but for 60x60 px of noise."""
    photo = GREY.copy()
    rng = np.random.default_rng(0)
    photo[top : top + 60, left : left + 60] = rng.integers(0, 256, (60, 60, 3))
    return photo


@pytest.mark.parametrize("corner", [(170, 110), (300, 150)])
def test_the_crop_has_the_detail_in_its_middle(make_gallery, corner):
    left, top = make_gallery.most_detailed(noisy(*corner), (200, 120))
    assert abs(left + 100 - (corner[0] + 30)) <= 4
    assert abs(top + 60 - (corner[1] + 30)) <= 4


def test_each_enhanced_crop_becomes_a_picture_of_three_columns(make_gallery, tmp_path):
    aligned, enhanced = tmp_path / "aligned", tmp_path / "enhanced"
    cameras = {"phone_camera": "iphone", "dslr_camera": "canon"}
    levels = {aligned / "iphone/a.png": 50, aligned / "canon/a.png": 200}
    levels |= {aligned / "iphone/b.png": 50, enhanced / "a-enhanced.png": 120}
    for path, level in levels.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full_like(GREY, level)).save(path)
    (aligned / "manifest.json").write_text(json.dumps(cameras))
    make_gallery.write_pictures(aligned, enhanced, tmp_path / "out")
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "gallery-a.jpg"
    picture = np.asarray(Image.open(made)).astype(int)
    columns = [picture[:, x + 20 : x + 280] for x in (0, 304, 608)]
    for column, level in zip(columns, (50, 120, 200), strict=True):
        assert np.median(column) == pytest.approx(level, abs=2)
