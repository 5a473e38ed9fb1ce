"""Pictures become files of their pixels, and say nothing that was not asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from dped_build.photos.encoding import encode
from dped_build.photos.reading import read_photo


def ramp(kind=np.uint8):
    """A view, 40 x 30 px, that is not contiguous, with other values in each channel."""
    rows, columns = np.mgrid[0:30, 0:80]
    levels = np.stack((rows * 8, columns * 3, rows + columns), axis=-1)
    return (levels * (np.iinfo(kind).max // 255)).astype(kind)[:, ::2]


@pytest.mark.parametrize("level", [None, 0, 1, 9])
def test_png_keeps_every_pixel(tmp_path, level):
    (tmp_path / "a.png").write_bytes(encode(ramp(), level=level))
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), ramp())


def test_a_higher_level_is_smaller():
    assert len(encode(ramp(), level=9)) < len(encode(ramp(), level=0)) / 2


def test_sixteen_bits_stay_sixteen():
    data = encode(ramp(np.uint16))
    assert data[24] == 16  # bit depth, in the header chunk


@pytest.mark.parametrize(("subsampled", "factor"), [(False, 1), (True, 2)])
def test_jpeg_has_the_colours_where_they_were(subsampled, factor):
    data = encode(ramp(), quality=95, subsampled=subsampled)
    with Image.open(io.BytesIO(data)) as image:
        assert image.layer[0][1:3] == (factor, factor)
        pixels = np.asarray(image).astype(int)
    assert np.abs(pixels - ramp()).max() < 25
    assert np.abs(pixels - ramp()).mean() < 2


@pytest.mark.parametrize("quality", [None, 80])
def test_nothing_else_is_in_the_file(quality):
    with Image.open(io.BytesIO(encode(ramp(), quality=quality))) as image:
        assert not {"exif", "icc_profile", "comment", "date"} & set(image.info)
        assert not image.getexif()
    assert encode(ramp(), quality=quality) == encode(ramp(), quality=quality)
