"""Drawn pictures must show what they were given, where it was."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from report_fixture import make_workspace, scene

from dped_build.report.charts import (
    INK,
    acceptance_figure,
    curves_figure,
    field_figure,
)
from dped_build.report.drawing import (
    halves,
    jpeg,
    luma_difference,
    shrink,
    side_by_side,
)
from dped_build.report.pair_files import crop_files, photo_files, read_reduced
from dped_build.report.record import Frame
from dped_build.report.workspace_reader import read_workspace

CELLS = Frame(
    columns=2,
    rows=1,
    candidates=[4, 0],
    accepted=[3, 0],
    mean_shift_px=[(0.5, 0.25), None],
    left_out=0,
)


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


def test_halves_are_what_was_put_side_by_side():
    phone, dslr = halves(side_by_side(scene(0), scene(1)))
    np.testing.assert_array_equal(phone, scene(0))
    np.testing.assert_array_equal(dslr, scene(1))


@pytest.mark.parametrize("side", [480, 100, 20])
def test_crop_is_read_reduced_and_in_rgb(tmp_path, side):
    photo = np.zeros((360, 480, 3), np.uint8) + np.array([220, 30, 60], np.uint8)
    (tmp_path / "0001.jpg").write_bytes(jpeg(photo, quality=95))
    crop = read_reduced(tmp_path / "0001.jpg", 480, side)
    assert crop is not None
    assert crop.shape == (side * 3 // 4, side, 3)
    assert np.abs(crop.astype(int) - (220, 30, 60)).max() <= 4


def test_names_with_folders_are_not_followed(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"])
    inputs = read_workspace(workspace)
    (record,) = inputs.pairs
    assert crop_files(inputs, record) is not None
    for camera in ("iphone", "canon"):
        (workspace / "aligned" / camera / "0001.jpg").rename(
            workspace / "aligned" / "0001.jpg"
        )
    assert crop_files(inputs, replace(record, pair="../0001")) is None


def test_photos_outside_of_their_folder_are_not_shown(tmp_path):
    inputs = read_workspace(make_workspace(tmp_path / "w", ["0001"]))
    (record,) = inputs.pairs
    raw = tmp_path / "raw"
    raw.mkdir()
    for folder in (tmp_path, raw):
        (folder / "0001.jpg").write_bytes(jpeg(scene(0)))
    inputs = replace(inputs, photo_roots=(raw, raw))
    record = replace(record, phone_sha256="a", dslr_sha256="b")
    assert photo_files(inputs, record) is not None
    assert photo_files(inputs, replace(record, dslr="../0001.jpg")) is None


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
    svg = curves_figure({"loss": {"a$_b^c$": [(1, 2.0), (2, 1.0)]}}).decode()
    assert "a$_b^c$" in svg
