"""A known exposure and a known cast must come back in stops."""

import numpy as np
import pytest
from report_fixture import scene

from dped_build.report.exposure import linear, tone_difference


def encoded(light):
    """Linear light in [0, 1] as sRGB levels."""
    curve = np.where(
        light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055
    )
    return np.rint(255 * curve.clip(0, 1)).astype(np.uint8)


def test_linear_light_is_the_inverse_of_the_encoding():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(encoded(linear(levels)), levels)


@pytest.mark.parametrize("stops", [-1.5, 0.0, 0.7])
def test_exposure_comes_back_in_stops(stops):
    light = linear(scene(0))
    found = tone_difference(encoded(light), encoded(light * 2.0**stops))
    assert found.exposure_ev == pytest.approx(stops, abs=0.02)
    assert found.color_ev == pytest.approx(0, abs=0.02)


def test_colour_is_the_larger_of_red_and_blue_against_green():
    light = linear(scene(1)) * 0.5
    cast = light * 2.0 ** np.array([0.4, 0.0, -0.6])
    found = tone_difference(encoded(light), encoded(cast))
    assert found.color_ev == pytest.approx(0.6, abs=0.02)


def test_photos_without_comparable_pixels_have_no_tone():
    white = np.full((50, 50, 3), 255, np.uint8)
    assert tone_difference(white, white) == (None, None)
