"""RAW photos of any camera are developed alike; damaged ones have their reason."""

import io
import struct
from datetime import datetime

import numpy as np
import pytest
from PIL import Image
from raw_files import BLACK, WHITE, colour_chart, directory, dng, in_srgb, mosaic
from test_photos import UPRIGHT

from dped_build.photos.capture_time import raw_exif, taken
from dped_build.photos.reading import capture_time, photo_size, read_photo
from dped_build.workspace.errors import PhotoError

CELL = 24  # px of a chart's colours
TAKEN = ("2025:07:14 18:30:59", "25")
AT = datetime(2025, 7, 14, 18, 30, 59, 250_000)


@pytest.fixture
def written(tmp_path):
    """Writes bytes under a name and returns the path."""

    def write(data, name="a.dng"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def reason(path, **options):
    with pytest.raises(PhotoError) as caught:
        read_photo(path, **options)
    assert str(caught.value).isprintable()
    assert path.name in str(caught.value)
    return caught.value.reason


def flat(chart):
    """Where a colour's neighbours are of the same colour."""
    y, x = np.mgrid[: chart.shape[0], : chart.shape[1]] % CELL
    return ((y > 4) & (y < CELL - 5)) & ((x > 4) & (x < CELL - 5))


@pytest.mark.parametrize("name", ["a.dng", "a.DNG", "a.nef"])
@pytest.mark.parametrize("order", "<>")
def test_the_scene_comes_out_in_srgb(written, name, order):
    chart = colour_chart()
    photo = read_photo(written(dng(mosaic(chart), order=order), name))
    assert photo.shape == chart.shape and photo.dtype == np.uint8
    assert photo.flags.c_contiguous
    assert np.abs(photo - in_srgb(chart))[flat(chart)].max() < 1.5  # levels


@pytest.mark.parametrize("brightest", [0.1, 0.5, 0.8])
def test_exposure_does_not_depend_on_the_content(written, brightest):
    """Neither brightness nor white point is stretched to the brightest value."""
    chart = colour_chart(brightest=brightest)
    photo = read_photo(written(dng(mosaic(chart))))
    assert np.abs(photo - in_srgb(chart))[flat(chart)].max() < 1.5  # levels


@pytest.mark.parametrize("neutral", [(0.4, 1.0, 0.8), (0.9, 1.0, 0.35)])
def test_the_white_balance_is_the_cameras(written, neutral):
    chart = colour_chart()
    photo = read_photo(written(dng(mosaic(chart, neutral), neutral=neutral)))
    assert np.abs(photo - in_srgb(chart))[flat(chart)].max() < 1.5  # levels


def test_without_a_white_balance_none_is_guessed_from_the_content(written):
    """A red scene stays red: the camera's daylight, where it names no other."""
    chart = np.full((96, 96, 3), 0.1)
    chart[..., 0] = 0.5
    daylight = (1.0, 1.0, 1.0)  # the test camera's filters are those of sRGB
    photo = read_photo(written(dng(mosaic(chart, daylight), neutral=None)))
    centre = photo[40:56, 40:56].reshape(-1, 3).mean(axis=0)
    assert np.abs(centre - in_srgb(chart[0, 0])).max() < 2  # levels


def test_light_beyond_the_sensor_is_white(written):
    plane = np.full((64, 64), WHITE, np.uint16)
    photo = read_photo(written(dng(plane)))
    assert photo[8:-8, 8:-8].min() >= 254
    dark = read_photo(written(dng(np.full((64, 64), BLACK, np.uint16))))
    assert dark.max() <= 1


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_is_applied_exactly_once(written, orientation):
    plane = mosaic(colour_chart())
    plain = read_photo(written(dng(plane)))
    path = written(dng(plane, orientation=orientation))
    photo = read_photo(path)
    np.testing.assert_array_equal(photo, UPRIGHT[orientation](plain))
    assert photo_size(path) == photo.shape[1::-1]


def test_capture_time_is_read_with_its_fraction(written):
    plane = mosaic(colour_chart(cells=(2, 2)))
    for order in "<>":
        assert capture_time(written(dng(plane, taken=TAKEN, order=order))) == AT
    assert capture_time(written(dng(plane))) is None


def tiff(entries):
    return b"II*\0" + struct.pack("<L", 8) + directory(entries, 8)


def exposure():
    return {36867: (2, TAKEN[0]), 37521: (2, TAKEN[1])}


def box(kind, content):
    return struct.pack(">L4s", 8 + len(content), kind) + content


def test_capture_times_of_other_makers_are_found(written):
    """By the published layouts of CR3, RAF, ORF and RW2 files."""
    block = box(b"CMT1", tiff({271: (2, "Nobody")})) + box(b"CMT2", tiff(exposure()))
    movie = box(b"moov", box(b"uuid", bytes(16) + block))
    cr3 = box(b"ftyp", b"crx \0\0\0\1crx isom") + movie + box(b"mdat", bytes(64))
    picture, exif = io.BytesIO(), Image.Exif()
    for tag, value in zip((36867, 37521), TAKEN, strict=True):
        exif.get_ifd(0x8769)[tag] = value
    Image.new("RGB", (16, 16)).save(picture, "JPEG", exif=exif)
    jpeg = picture.getvalue()
    raf = b"FUJIFILMCCD-RAW".ljust(84, b"\0") + struct.pack(">LL", 100, len(jpeg))
    raf = raf.ljust(100, b"\0") + jpeg
    below = {34665: (4, [0])}
    start = 8 + len(directory(below, 8))
    tree = directory({34665: (4, [start])}, 8) + directory(exposure(), start)
    for name, data in {
        "a.cr3": cr3,
        "a.raf": raf,
        "a.orf": b"IIRO" + struct.pack("<L", 8) + tree,
        "a.rw2": b"IIU\0" + struct.pack("<L", 8) + tree,
    }.items():
        assert taken(raw_exif(written(data, name))).time == AT, name


def test_a_file_cut_anywhere_is_truncated(written, capfd):
    data = dng(mosaic(colour_chart()), taken=TAKEN)
    for length in (12, 300, *(len(data) * i // 8 for i in range(1, 8)), len(data) - 1):
        assert reason(written(data[:length])) in ("truncated", "unreadable")
        if length >= len(data) // 8:
            assert reason(written(data[:length])) == "truncated"
    assert capfd.readouterr().err == ""


def test_a_thousand_megapixels_are_refused_by_the_header(written):
    plane = mosaic(colour_chart())
    assert reason(written(dng(plane, size=(31_250, 32_000)))) == "too_large"
    path = written(dng(plane))  # 20,160 px
    assert read_photo(path, max_megapixels=0.02016).shape == (120, 168, 3)
    assert reason(path, max_megapixels=0.020159) == "too_large"


def test_damaged_files_are_photos_or_have_a_reason(written):
    plane = mosaic(colour_chart(cells=(2, 3)))
    data = np.frombuffer(dng(plane, taken=TAKEN), np.uint8)
    rng, outcomes = np.random.default_rng(0), set()
    for _ in range(100):
        damaged = data.copy()
        places = rng.integers(0, 900, size=rng.integers(1, 12))  # the directory
        damaged[places] = rng.integers(0, 256, size=len(places))
        path = written(damaged.tobytes())
        try:
            photo = read_photo(path, max_megapixels=1)
        except PhotoError as error:
            assert error.reason in ("unreadable", "truncated", "too_large")
            assert str(error).isprintable()
            outcomes.add(error.reason)
        else:
            assert photo.dtype == np.uint8 and photo.shape[2:] == (3,)
            assert photo_size(path, max_megapixels=1) == photo.shape[1::-1]
            outcomes.add("photo")
        capture_time(path)
    assert outcomes >= {"photo", "unreadable"}


def test_text_called_raw_is_unreadable(written):
    for data in (b"no photo at all\n" * 20, b"II*\0" + bytes(400), bytes(400)):
        assert reason(written(data, "a.cr2")) == "unreadable"


def test_without_the_extra_the_photo_names_the_command(written, monkeypatch):
    path = written(dng(mosaic(colour_chart(cells=(2, 2)))))
    monkeypatch.setattr("dped_build.photos.formats.find_spec", lambda name: None)
    with pytest.raises(PhotoError, match=r"pip install 'dped-build\[raw\]'") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"
    assert capture_time(path) is None
