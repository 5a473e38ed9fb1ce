"""The curves of figure 6 have the values that a known picture and shift give."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from shards import write_patches

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from loss_shift import Curves, measure, paper_blur, report, shifted

SCRIPT = Path(__file__).parents[1] / "bench" / "loss_shift.py"


@pytest.fixture
def patches(textured):
    """Eight parts of a picture with detail at every scale, 80 px."""
    picture = textured(0, (320, 160))
    rows = picture.reshape(2, 80, 4, 80, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(rows.reshape(8, 80, 80, 3))


def test_whole_shifts_move_pixels_and_change_none(textured):
    picture = textured(1, (40, 30))
    moved = shifted(picture, np.array([3.0, -2.0]))
    np.testing.assert_array_equal(moved[:-2, 3:], picture[2:, :-3])


def test_opposite_sub_pixel_shifts_bring_a_smooth_picture_back(textured):
    picture = cv2.GaussianBlur(textured(1, (60, 50)), (0, 0), 2)
    there = shifted(picture, np.array([0.4, -0.3]))
    back = shifted(there, np.array([-0.4, 0.3]))
    assert np.abs(there.astype(int) - picture)[8:-8, 8:-8].max() > 3
    assert np.abs(back.astype(int) - picture)[8:-8, 8:-8].max() <= 1


def test_equation_4_is_a_gaussian_of_1_7_px_that_sums_to_one():
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = paper_blur(point)[0, 0].double()
    assert float(spread.sum()) == pytest.approx(0.999, abs=1e-3)
    places = torch.arange(41, dtype=torch.float64) - 20
    variance = float((spread.sum(dim=0) * places**2).sum() / spread.sum())
    assert variance == pytest.approx(3, rel=0.01)


def test_losses_start_at_nothing_and_grow_and_blur_makes_them_smaller(patches):
    curves = measure(patches, np.arange(6.0), seed=0)
    assert curves.values[0].tolist() == [0, 0, 0]
    assert (np.diff(curves.values, axis=0) > 0).all()
    mse, code, paper = curves.values[1:].T
    assert (code < paper).all() and (paper < mse).all()
    np.testing.assert_allclose(curves.relative()[-1], 1)


def test_a_wave_is_dimmed_as_its_blur_says():
    """Shift n of a wave of period p: mean 2 (a sin(pi n / p))^2, dimmed by the blur."""
    period, amplitude = 12, 0.3
    wave = np.cos(2 * np.pi * np.arange(150) / period)
    levels = np.rint(255 * (0.5 + amplitude * wave)).astype(np.uint8)
    picture = np.repeat(np.repeat(levels[None, :, None], 150, axis=0), 3, axis=2)
    whole = np.stack([picture])
    curves = measure(np.repeat(whole, 50, axis=0), np.array([3.0]), seed=0)
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 50)
    expected = 2 * (amplitude * np.sin(np.pi * 3 * np.cos(angles) / period)) ** 2
    assert curves.values[0, 0] == pytest.approx(expected.mean(), rel=0.15)
    dimmed = np.exp(-3 * (2 * np.pi / period) ** 2)  # of the square, sigma^2 = 3
    assert 1 / curves.ratio(2)[0] == pytest.approx(dimmed, rel=0.03)


def test_the_report_states_both_of_the_papers_claims():
    shifts = np.arange(0, 11.0)
    values = np.stack([shifts, shifts / 8, shifts / 4], axis=1)
    text = "\n".join(report(Curves(shifts, values, 7)))
    assert "7 patches" in text
    assert "| 2 | 2.00e+00 | 2.50e-01 | 5.00e-01 | 8.0 | 4.0 |" in text
    assert "colour loss, code: at 2 px 20% of its value at 10 px" in text
    assert "8.0 to 8.0 times" in text
    assert "nan" not in text


@pytest.mark.long
def test_the_script_reads_a_patches_folder_and_draws(tmp_path):
    folder = write_patches(tmp_path)
    command = [sys.executable, SCRIPT, folder, "--out", tmp_path / "plots" / "a.png"]
    command += ["--step", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "12 patches" in ran.stdout
    assert cv2.imread(str(tmp_path / "plots" / "a.png")).std() > 10
    command += ["--largest", "40"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.strip() == (
        "loss_shift: patches of 100 px leave 12 px: lower --largest"
    )
