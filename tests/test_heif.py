"""HEIF photos come out upright in sRGB, once; damaged ones with their reason."""

import io
import struct
from datetime import datetime

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from test_photos import P3_TO_XYZ, UPRIGHT, p3_as_srgb, p3_profile

from dped_build.photos.heif_colours import coded_profile
from dped_build.photos.reading import capture_time, photo_size, read_photo
from dped_build.workspace.errors import PhotoError

RAMP = (np.arange(40 * 60 * 3) % 251).reshape(40, 60, 3).astype(np.uint8)
EXACT = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
P3, SRGB_CURVE, PQ = 12, 13, 16  # ITU-T H.273


@pytest.fixture
def saved(tmp_path):
    """Saves an array without loss under a name and returns its path."""

    def save(picture, name="a.heic", **options):
        mode = {2: "L", 3: "RGB"}.get(picture.ndim)
        if picture.ndim == 3 and picture.shape[2] == 4:
            mode = "RGBA"
        file = pillow_heif.from_bytes(mode, picture.shape[1::-1], picture.tobytes())
        file.save(tmp_path / name, **{**EXACT, **options})
        return tmp_path / name

    return save


def colours():
    return np.random.default_rng(0).integers(40, 216, (40, 60, 3), dtype=np.uint8)


def exif(orientation=1):
    data = Image.Exif()
    data[0x0112] = orientation
    data.get_ifd(0x8769)[0x9003] = "2025:07:14 18:30:59"
    data.get_ifd(0x8769)[0x9291] = "25"
    return data.tobytes()


def reason(path, **options):
    with pytest.raises(PhotoError) as caught:
        read_photo(path, **options)
    assert str(caught.value).isprintable()
    assert path.name in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.hif", "a.jpg"])
def test_values_come_out_as_stored_whatever_the_suffix(saved, name):
    photo = read_photo(saved(RAMP, name))
    np.testing.assert_array_equal(photo, RAMP)
    assert photo.flags.c_contiguous and photo.flags.writeable


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_is_applied_exactly_once(saved, orientation):
    """The encoder writes it as EXIF data and as the container's own turn."""
    path = saved(RAMP, exif=exif(orientation))
    photo = read_photo(path)
    np.testing.assert_array_equal(photo, UPRIGHT[orientation](RAMP))
    assert photo_size(path) == photo.shape[1::-1]


def test_grey_has_three_equal_channels_and_alpha_is_dropped(saved):
    grey = read_photo(saved(RAMP[..., 0], matrix_coefficients=1))
    np.testing.assert_array_equal(grey, np.repeat(RAMP[..., :1], 3, axis=2))
    alpha = np.dstack([RAMP, RAMP[..., 0]])
    np.testing.assert_array_equal(read_photo(saved(alpha)), RAMP)


def test_an_embedded_profile_is_converted_to_srgb(saved, tmp_path):
    path = saved(colours(), icc_profile=p3_profile(), icc_profile_type="prof")
    png = tmp_path / "a.png"
    Image.fromarray(colours()).save(png, icc_profile=p3_profile())
    np.testing.assert_array_equal(read_photo(path), read_photo(png))
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours())


def test_display_p3_without_a_profile_is_converted_to_srgb(saved):
    path = saved(colours(), color_primaries=P3, transfer_characteristics=SRGB_CURVE)
    photo, expected = read_photo(path), p3_as_srgb(colours().astype(float))
    assert np.abs(expected - colours()).max() > 20  # levels
    inside = ((expected > 8) & (expected < 250)).all(axis=-1)  # of what sRGB can show
    assert np.abs(photo - expected)[inside].max() < 1.5  # levels
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours())


def test_primaries_become_the_colorants_of_display_p3():
    made, found = coded_profile(P3, SRGB_CURVE), {}
    for i in range(struct.unpack_from(">I", made, 128)[0]):
        tag, offset = struct.unpack_from(">4sI", made, 132 + 12 * i)
        found[tag] = np.array(struct.unpack_from(">3i", made, offset + 8)) / 65536
    columns = np.column_stack([found[tag] for tag in (b"rXYZ", b"gXYZ", b"bXYZ")])
    assert np.abs(columns - P3_TO_XYZ).max() < 3e-4


def test_an_hdr_photo_is_refused_unless_its_values_are_kept(saved):
    path = saved(colours(), color_primaries=9, transfer_characteristics=PQ)
    with pytest.raises(PhotoError, match="PQ cannot be converted to sRGB") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"
    assert photo_size(path) == (60, 40)
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours())


def test_ten_bits_keep_their_upper_eight(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (40, 60, 3), dtype=np.uint16)
    file = pillow_heif.from_bytes("RGB;16", (60, 40), deep.tobytes())
    file.save(tmp_path / "a.heic", **EXACT)
    assert pillow_heif.open_heif(tmp_path / "a.heic").info["bit_depth"] == 10
    photo = read_photo(tmp_path / "a.heic")
    assert np.abs(photo.astype(int) - (deep >> 8)).max() <= 1  # level


def test_deep_grey_keeps_its_upper_eight_bits(tmp_path, monkeypatch):
    deep = np.random.default_rng(0).integers(0, 65536, (40, 60), dtype=np.uint16)
    for is_twelve in (False, True):
        monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", is_twelve)
        file = pillow_heif.from_bytes("I;16", (60, 40), deep.tobytes())
        file.save(tmp_path / "a.heic", **{**EXACT, "matrix_coefficients": 1})
        photo = read_photo(tmp_path / "a.heic")
        np.testing.assert_array_equal(photo, np.repeat(deep[..., None] >> 8, 3, axis=2))


def test_of_several_photos_the_primary_is_read(tmp_path):
    file = pillow_heif.from_bytes("RGB", (60, 40), RAMP.tobytes())
    file.add_frombytes("RGB", (60, 40), (255 - RAMP).tobytes())
    for primary, expected in ((0, RAMP), (1, 255 - RAMP)):
        path = tmp_path / f"{primary}.heic"
        file.save(path, primary_index=primary, **EXACT)
        np.testing.assert_array_equal(read_photo(path), expected)


def test_capture_time_is_read_with_its_fraction(saved):
    expected = datetime(2025, 7, 14, 18, 30, 59, 250_000)
    assert capture_time(saved(RAMP, exif=exif())) == expected
    assert capture_time(saved(RAMP, "b.heic")) is None


def test_a_file_cut_anywhere_is_truncated(saved):
    path = saved(RAMP)
    data = path.read_bytes()
    for length in (40, *(len(data) * i // 8 for i in range(1, 8)), len(data) - 1):
        path.write_bytes(data[:length])
        assert reason(path) == "truncated"


def with_size(data, width, height):
    """A HEIF file whose header claims another size."""
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


def test_a_thousand_megapixels_are_refused_by_the_header(saved):
    path = saved(np.zeros((64, 64, 3), np.uint8))  # no block needs filling up
    path.write_bytes(with_size(path.read_bytes(), 31_250, 32_000))
    assert reason(path) == "too_large"


def test_a_large_picture_cannot_hide_behind_a_crop(saved):
    path = saved(RAMP)  # cropped from 64x64
    path.write_bytes(with_size(path.read_bytes(), 31_250, 32_000))
    with pytest.raises(PhotoError, match="far larger than the photo") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"


def test_the_limit_on_megapixels_is_inclusive(saved):
    assert read_photo(saved(RAMP), max_megapixels=0.0024).shape == RAMP.shape
    assert reason(saved(RAMP), max_megapixels=0.002399) == "too_large"


def test_a_picture_larger_than_its_header_says_is_refused(saved):
    path = saved(np.zeros((800, 800, 3), np.uint8))
    path.write_bytes(with_size(path.read_bytes(), 64, 64))
    assert reason(path) == "unreadable"


def test_damaged_files_are_photos_or_have_a_reason(saved):
    path, rng, outcomes = saved(RAMP, exif=exif()), np.random.default_rng(0), set()
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(200):
        damaged = data.copy()
        places = rng.integers(0, len(data), size=rng.integers(1, 12))
        damaged[places] = rng.integers(0, 256, size=len(places))
        path.write_bytes(damaged.tobytes())
        try:
            photo = read_photo(path, max_megapixels=1)
        except PhotoError as error:
            assert error.reason in ("unreadable", "truncated", "too_large")
            assert str(error).isprintable()
            outcomes.add(error.reason)
        else:
            assert photo.dtype == np.uint8 and photo.shape[2:] == (3,)
            outcomes.add("photo")
        capture_time(path)
    assert outcomes >= {"photo", "unreadable"}


@pytest.mark.parametrize("brand", [b"avif", b"crx ", b"mp42"])
def test_other_kinds_of_such_files_are_unreadable(tmp_path, brand):
    path = tmp_path / "a.heic"
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", brand, 0) + bytes(64))
    assert reason(path) == "unreadable"


def test_without_the_extra_the_photo_names_the_command(saved, monkeypatch):
    path = saved(RAMP)
    monkeypatch.setattr("dped_build.photos.formats.find_spec", lambda name: None)
    with pytest.raises(PhotoError, match=r"pip install 'dped-build\[heif\]'") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"
    assert capture_time(path) is None


def test_a_jpeg_called_heic_is_read_without_the_extra(tmp_path, monkeypatch):
    data = io.BytesIO()
    Image.fromarray(RAMP).save(data, "JPEG")
    for name in ("a.heic", "b.jpg", "c.dng"):
        (tmp_path / name).write_bytes(data.getvalue())
    monkeypatch.setattr("dped_build.photos.formats.find_spec", lambda name: None)
    expected = read_photo(tmp_path / "b.jpg")
    for name in ("a.heic", "c.dng"):
        np.testing.assert_array_equal(read_photo(tmp_path / name), expected)
