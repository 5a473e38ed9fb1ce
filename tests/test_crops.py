"""Both crops of a pair show the same thing at one size; the phone's is untouched."""

import numpy as np
import pytest
from PIL import Image

from dped_build.align.records import Alignment
from dped_build.align.worker import crop_pair, write_crop

BOX = (20, 10, 100, 80)


@pytest.fixture(scope="module")
def pair(textured):
    """A DSLR photo of which every second pixel, from (-20, -10) on, is the phone's."""
    dslr = np.repeat(np.repeat(textured(0, (140, 110)), 2, axis=0), 2, axis=1)
    phone = dslr[::2, ::2]
    to_dslr = ((2.0, 0.0, 0.5), (0.0, 2.0, 0.5), (0.0, 0.0, 1.0))
    record = Alignment("a", "aligned", phone_to_dslr=to_dslr, phone_box=BOX)
    return phone, dslr, record


def test_phone_crop_is_the_phones_own_pixels_and_both_have_one_size(pair):
    phone, dslr, record = pair
    left, top, width, height = BOX
    phone_crop, dslr_crop = crop_pair(phone, dslr, record)
    assert phone_crop.shape == dslr_crop.shape == (height, width, 3)
    own = phone[top : top + height, left : left + width]
    np.testing.assert_array_equal(phone_crop, own)


def test_dslr_crop_lies_on_the_phones_grid(pair):
    phone_crop, dslr_crop = crop_pair(*pair)
    error = dslr_crop.astype(float) - phone_crop
    assert np.sqrt((error**2).mean()) < 6  # levels, of a picture with a spread of 40
    for shifted in (np.roll(dslr_crop, 1, axis=0), np.roll(dslr_crop, 1, axis=1)):
        other = shifted.astype(float) - phone_crop
        assert (other**2).mean() > 9 * (error**2).mean()


def test_pair_without_intersection_is_the_callers_mistake(pair):
    phone, dslr, _ = pair
    with pytest.raises(ValueError, match="pair b has no intersection"):
        crop_pair(phone, dslr, Alignment("b", "rejected"))


def test_png_is_lossless_and_jpeg_nearly(pair, tmp_path):
    crop, _ = crop_pair(*pair)
    write_crop(tmp_path / "a.png", crop)
    write_crop(tmp_path / "a.jpg", crop)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), crop)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"
        error = np.asarray(image).astype(float) - crop
    assert np.sqrt((error**2).mean()) < 4  # levels
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png"]
