"""Levels: the same pixels whatever the strips; no gradient along an edge."""

import cv2
import numpy as np
import pytest
from scipy.special import erf

from dped_build.compiled.loops import are_compiled
from dped_build.patches.refinement import pyramid as levels
from dped_build.patches.refinement.pyramid import (
    COARSE_SIGMA,
    SLOPE,
    SMOOTH,
    filtered,
    reduced,
    strips_of_levels,
)

SIZE = 50


def all_levels(phone, dslr, windows, reduction=1):
    return list(
        strips_of_levels(phone, dslr, windows, SIZE, reduction=reduction, reach=10)
    )


def oblique_edge(degrees):
    """A step that a lens has blurred by 0.8 px, (64, 64)."""
    y, x = np.indices((64, 64)) - 31.5
    normal = np.radians(degrees)
    across = x * np.cos(normal) + y * np.sin(normal)
    return (100 + 50 * erf(across / (0.8 * np.sqrt(2)))).astype(np.float32)


def energy_along(edge, degrees, slopes):
    """Gradient energy along an edge over that across it."""
    inner = (slice(8, -8), slice(8, -8))
    gx, gy = (cv2.sepFilter2D(edge, cv2.CV_32F, *taps)[inner] for taps in slopes)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return ((cos * gy - sin * gx) ** 2).sum() / ((cos * gx + sin * gy) ** 2).sum()


@pytest.mark.parametrize("degrees", [10, 25, 40, 65])
def test_an_edge_has_no_gradient_along_itself(degrees):
    edge = oblique_edge(degrees)
    matched = energy_along(edge, degrees, ((SLOPE, SMOOTH), (SMOOTH, SLOPE)))
    plain, one = np.array([-0.5, 0, 0.5]), np.ones(1)
    smooth = cv2.GaussianBlur(edge, (0, 0), 0.7)
    differences = energy_along(smooth, degrees, ((plain, one), (one, plain)))
    assert matched < 1.5e-3
    assert matched < differences / 2


@pytest.mark.parametrize("reduction", [1, 2])
def test_strips_hold_the_pixels_of_the_whole_photo(monkeypatch, textured, reduction):
    phone = cv2.cvtColor(textured(1, (300, 700)), cv2.COLOR_RGB2GRAY)
    dslr = cv2.cvtColor(textured(2, (300, 700)), cv2.COLOR_RGB2GRAY)
    windows = [(x, y) for y in range(20, 640, SIZE) for x in range(10, 240, SIZE)]
    windows = np.array(windows, dtype=np.int32)
    [(everything, whole)] = all_levels(phone, dslr, windows, reduction)
    monkeypatch.setattr(levels, "STRIP_PIXELS", 1)
    strips = all_levels(phone, dslr, windows, reduction)
    assert len(strips) > 3
    assert sorted(np.concatenate([rows for rows, _ in strips])) == list(everything)
    side = 5 * whole.block
    for rows, strip in strips:
        for own, row in enumerate(rows):
            x, y = strip.corners[own]
            left, top = whole.corners[row]
            for one, other in zip(
                (strip.target, *strip.source),
                (whole.target, *whole.source),
                strict=True,
            ):
                np.testing.assert_allclose(
                    one[y : y + side, x : x + side],
                    other[top : top + side, left : left + side],
                    atol=0.02,  # grey levels: the coarse blur is of a smaller picture
                )
            np.testing.assert_allclose(
                strip.corners[own] - strip.centres[own],
                whole.corners[row] - whole.centres[row],
            )


def test_reducing_averages_whole_squares():
    luma = np.random.default_rng(0).integers(0, 256, (203, 101)).astype(np.uint8)
    found = reduced(luma, 4)
    expected = luma[:200, :100].reshape(50, 4, 25, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.skipif(not are_compiled(), reason="nothing is compiled here")
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(203, 101), (120, 200), (9, 7)])
@pytest.mark.parametrize("reduction", [1, 2])
def test_both_ways_make_the_same_bands(nothing_compiled, kind, shape, reduction):
    luma = (255 * np.random.default_rng(0).random(shape)).astype(kind)
    sigma = COARSE_SIGMA / reduction
    found = filtered(luma, sigma, 3)
    (target,) = filtered(luma, sigma, 1)
    nothing_compiled()
    expected = filtered(luma, sigma, 3)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # grey levels
    np.testing.assert_allclose(target, expected[0], atol=1e-3)
