"""Pictures on disk hold the pixels, their colours and the photo's EXIF data."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from test_written_metadata import PLANTED, assert_ours, camera_exif

from dped_build.photos.reading import read_photo
from dped_build.photos.written_metadata import picture_exif, srgb_profile
from dped_build.train.enhancing.enhance_settings import EnhanceSettings
from dped_build.train.enhancing.picture_files import (
    MAX_READ_BYTES,
    check_writable,
    picture_bytes,
    read_exif,
    write_picture,
)
from dped_build.workspace.errors import DpedBuildError

FORMATS = ("png", "png16", "jpg")


def gradient(bits=8):
    """A smooth picture of 40 x 30 px with other values in each channel."""
    rows, columns = np.mgrid[0:30, 0:40]
    unit = np.stack((rows / 29, columns / 39, (rows + columns) / 68), axis=-1)
    return (unit * (2**bits - 1)).round().astype(f"u{bits // 8}")


def write_photo(path, *, exif=None, **options):
    """A photo as a camera or an editor leaves it."""
    if isinstance(exif, Image.Exif):
        loaded = (
            Image.Exif()
        )  # of what was never read, Pillow's TIFF writer skips parts
        loaded.load(exif.tobytes())
        exif = loaded
    blocks = {} if exif is None else {"exif": exif}
    Image.fromarray(gradient()).save(path, **blocks, **options)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_pixels_colours_and_exif_come_back(name):
    settings, exif = EnhanceSettings(format=name), picture_exif(None, size=(40, 30))
    picture = gradient(settings.bits)
    data = picture_bytes(picture, exif=exif, settings=settings)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == ("JPEG" if name == "jpg" else "PNG")
        assert image.info["icc_profile"] == srgb_profile()
        assert image.info["exif"] == b"Exif\0\0" + exif
    encoded = np.frombuffer(data, np.uint8)
    found = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert found.dtype == picture.dtype
    difference = np.abs(found.astype(int) - picture.astype(int)).max()
    assert difference == 0 if name != "jpg" else difference <= 4
    assert data == picture_bytes(picture, exif=exif, settings=settings)


def test_our_own_reader_takes_the_colours_as_they_are(tmp_path):
    write_picture(
        tmp_path / "a.png", gradient(), source=None, settings=EnhanceSettings()
    )
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), gradient())


def test_a_jpeg_has_the_quality_asked_for_and_full_colour_resolution():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sizes = []
    for quality in (30, 95):
        settings = EnhanceSettings(format="jpg", quality=quality)
        data = picture_bytes(noise, exif=b"", settings=settings)
        with Image.open(io.BytesIO(data)) as image:
            assert {layer[1:3] for layer in image.layer} == {(1, 1)}
        sizes.append(len(data))
    assert sizes[0] < 0.5 * sizes[1]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_of_every_kind_of_photo_is_carried_over(tmp_path, suffix):
    photo = write_photo(tmp_path / f"a.{suffix}", exif=camera_exif())
    source, problem = read_exif(photo)
    assert problem is None
    upright, settings = gradient().transpose(1, 0, 2), EnhanceSettings()
    write_picture(tmp_path / "b.png", upright, source=source, settings=settings)
    with Image.open(tmp_path / "b.png") as image:
        found = image.getexif()
    assert_ours(found)
    assert found[Base.Make] == "Acme"
    assert found.get_ifd(IFD.Exif)[Base.ISOSpeedRatings] == 64
    data = (tmp_path / "b.png").read_bytes()
    assert not any(word in data for word in PLANTED)


def test_xmp_and_comments_are_not_carried_over(tmp_path):
    photo = tmp_path / "a.jpg"
    write_photo(photo, exif=camera_exif(), xmp=b"<x>Ann</x>", comment="Ann wrote")
    source, _ = read_exif(photo)
    settings = EnhanceSettings(format="jpg")
    write_picture(tmp_path / "b.jpg", gradient(), source=source, settings=settings)
    assert b"Ann" not in (tmp_path / "b.jpg").read_bytes()


def test_exif_behind_the_pixels_of_a_png_is_found(tmp_path):
    data = write_photo(tmp_path / "a.png", exif=camera_exif()).read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    (tmp_path / "b.png").write_bytes(moved)
    source, problem = read_exif(tmp_path / "b.png")
    assert problem is None and source.photo[Base.Make] == "Acme"


def test_photos_without_exif_have_none(tmp_path):
    for name in ("a.jpg", "a.png"):
        assert read_exif(write_photo(tmp_path / name)) == (None, None)


def test_damage_is_told_in_one_line(tmp_path):
    exif = camera_exif().tobytes()
    garbage = write_photo(tmp_path / "garbage.jpg", exif=b"Exif\0\0garbage" * 9)
    cut = write_photo(tmp_path / "cut.jpg", exif=exif[: len(exif) // 2])
    assert read_exif(garbage) == (
        None,
        "garbage.jpg: its EXIF data is damaged and was left out",
    )
    source, problem = read_exif(cut)
    assert problem.startswith("cut.jpg: a part of its EXIF data is damaged")
    assert source.photo[Base.Make] == "Acme"


def test_metadata_without_end_is_not_read(tmp_path):
    """Of a TIFF file, which may be as large as it likes."""
    exif = camera_exif(exposure={Base.MakerNote: bytes(MAX_READ_BYTES)})
    photo = write_photo(tmp_path / "a.tif", exif=exif)
    source, problem = read_exif(photo)
    assert source.photo[Base.Make] == "Acme"
    assert source.exposure[Base.ISOSpeedRatings] == 64
    assert Base.MakerNote not in source.exposure
    assert problem.startswith("a.tif: a part")


def test_an_unwritable_folder_is_told_before_the_work(tmp_path):
    check_writable([tmp_path, tmp_path / "new" / "below"])
    (tmp_path / "file").touch()
    with pytest.raises(DpedBuildError, match="file: not a folder"):
        check_writable([tmp_path / "file" / "below"])
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.geteuid() != 0:  # root may write anywhere
        with pytest.raises(DpedBuildError, match="locked: no permission"):
            check_writable([tmp_path / "locked"])


def test_a_picture_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_picture(
            tmp_path / "a.png", gradient(), source=None, settings=EnhanceSettings()
        )
    assert list(tmp_path.iterdir()) == []
