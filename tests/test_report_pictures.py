"""Drawn pictures must show what they were given, where it was."""

import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from report_fixture import scene

from dped_build.report.figures import (
    INK,
    acceptance_figure,
    curves_figure,
    field_figure,
)
from dped_build.report.gallery import read_crop
from dped_build.report.pictures import (
    ACCEPTED_RGB,
    PAPER,
    jpeg,
    luma_difference,
    shrink,
    side_by_side,
    windows_overlay,
)

CELLS = {
    "columns": 2,
    "rows": 1,
    "candidates": [4, 0],
    "accepted": [3, 0],
    "mean_shift_px": [[0.5, 0.25], None],
    "left_out": 0,
}


def test_windows_are_drawn_where_they_lie_and_the_rest_is_untouched():
    crop = np.full((100, 200, 3), 200, np.uint8)
    drawn = windows_overlay(
        crop,
        box=(50, 10, 400, 200),  # the crop is half as large as in the phone photo
        xy=np.array([[250, 110]]),
        reasons=["accepted"],
        size=40,
    )
    changed = np.argwhere((drawn[:100, :200] != 200).any(axis=2))
    assert changed.min(axis=0) == pytest.approx((50, 100), abs=1.5)
    assert changed.max(axis=0) == pytest.approx((70, 120), abs=1.5)
    edge = drawn[60, changed[:, 1].min()].astype(int)
    assert np.abs(edge - ACCEPTED_RGB).max() <= 3


def test_windows_outside_the_crop_enlarge_the_picture():
    crop = np.full((100, 200, 3), 200, np.uint8)
    drawn = windows_overlay(
        crop, box=(50, 10, 200, 100), xy=np.array([[10, 0]]), reasons=["flat"], size=20
    )
    assert drawn.shape[0] >= 110
    assert drawn.shape[1] >= 240
    assert (drawn[60, 5] == PAPER).all()
    assert (drawn[60, 100] == 200).all()


def test_difference_ignores_exposure_and_shows_misalignment():
    photo = scene(0)[:100, :100]
    darker = (photo * 0.5 + 20).astype(np.uint8)
    equal = luma_difference(photo, darker)
    assert np.abs(equal.astype(int) - 128).max() <= 4  # rounding to levels, amplified
    moved = luma_difference(photo, np.roll(darker, 5, axis=1))
    assert moved.std() > 10 * equal.std()


def test_difference_of_flat_patches_is_grey():
    flat = np.full((20, 20, 3), 250, np.uint8)
    assert (luma_difference(flat, flat) == 128).all()


def test_shrinking_keeps_the_aspect_and_never_enlarges():
    assert shrink(scene(0), 120).shape == (90, 120, 3)
    assert shrink(scene(0), 9999).shape == scene(0).shape


def test_pictures_side_by_side_take_the_first_ones_size():
    joined = side_by_side(scene(0), scene(1)[:100, :100], scene(2))
    assert joined.shape[0] == 360
    np.testing.assert_array_equal(joined[:, :480], scene(0))
    np.testing.assert_array_equal(joined[:, -480:], scene(2))


@pytest.mark.parametrize("side", [480, 100, 20])
def test_crop_is_read_reduced_and_in_rgb(tmp_path, side):
    photo = np.zeros((360, 480, 3), np.uint8) + np.array([220, 30, 60], np.uint8)
    (tmp_path / "0001.jpg").write_bytes(jpeg(photo, quality=95))
    crop = read_crop(tmp_path, "0001", 480, side)
    assert crop is not None
    assert crop.shape == (side * 3 // 4, side, 3)
    assert np.abs(crop.astype(int) - (220, 30, 60)).max() <= 4


def test_names_with_folders_are_not_followed(tmp_path):
    (tmp_path / "crops").mkdir()
    cv2.imwrite(str(tmp_path / "secret.png"), scene(0))
    assert read_crop(tmp_path, "secret", 480, 100) is not None
    assert read_crop(tmp_path / "crops", "../secret", 480, 100) is None


@pytest.mark.parametrize("draw", [field_figure, acceptance_figure])
def test_charts_are_svg_that_follows_the_dark_scheme_without_a_date(draw):
    svg = draw(CELLS).decode()
    assert ET.fromstring(svg.split("?>", 1)[1].split(">", 1)[1]).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in svg
    assert f"fill: {INK}" in svg
    assert "<dc:date>" not in svg
    assert draw(CELLS) == svg.encode()


def test_cells_without_windows_have_no_percentage():
    svg = acceptance_figure(CELLS).decode()
    assert ">75</text>" in svg
    assert ">nan</text>" not in svg


def test_names_of_curves_are_not_taken_for_formulas():
    svg = curves_figure({"loss": {"a$_b^c$": [[1, 2.0], [2, 1.0]]}}).decode()
    assert "a$_b^c$" in svg
