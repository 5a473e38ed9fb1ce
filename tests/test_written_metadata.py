"""An enhanced photo says what viewers need and nothing about its owner."""

import io
import random

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from dped_build.photos.written_metadata import (
    EXIF_ERRORS,
    HEADER_BYTES,
    MAX_EXIF_BYTES,
    parse_exif,
    picture_exif,
    srgb_profile,
)

PHOTO = {Base.Make: "Acme", Base.Model: "Phone 7", Base.DateTime: "2024:06:01 12:00:00"}
EXPOSURE = {
    Base.ExifVersion: b"0231",
    Base.DateTimeOriginal: "2024:06:01 11:59:58",
    Base.OffsetTimeOriginal: "+02:00",
    Base.ExposureTime: IFDRational(1, 125),
    Base.FNumber: IFDRational(18, 10),
    Base.ExposureBiasValue: IFDRational(-1, 3),
    Base.ISOSpeedRatings: 64,
    Base.FocalLength: IFDRational(425, 100),
    Base.LensModel: "Acme 4.25mm f/1.8",
}
PERSONAL = {
    Base.Artist: "Ann Artist",
    Base.Copyright: "Ann Copyright",
    Base.ImageDescription: "Ann at home",
    Base.HostComputer: "Anns Laptop",
}
SECRET = {
    Base.BodySerialNumber: "BODY-4711",
    Base.LensSerialNumber: "LENS-0815",
    Base.CameraOwnerName: "Ann Owner",
    Base.ImageUniqueID: "UNIQUE-77",
    Base.UserComment: b"ASCII\0\0\0Ann comment",
    Base.MakerNote: b"MAKER Ann note",
}
PLACE = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (47.0, 22.0, 34.5)}
PLANTED = (b"Ann", b"BODY", b"LENS-", b"UNIQUE", b"MAKER")


def camera_exif(*, orientation=6, more=(), exposure=()):
    """EXIF data of a photo of 40 x 30 px as a camera writes it, all secrets planted."""
    exif = Image.Exif()
    layout = {Base.ImageWidth: 40, Base.YCbCrPositioning: 1, Base.Software: "7.1"}
    exif.update({**PHOTO, **PERSONAL, **layout, Base.Orientation: orientation})
    exif.update(more)
    size = {Base.ExifImageWidth: 40, Base.ExifImageHeight: 30, Base.ColorSpace: 0xFFFF}
    exif.get_ifd(IFD.Exif).update({**EXPOSURE, **SECRET, **size, **dict(exposure)})
    exif.get_ifd(IFD.GPSInfo).update(PLACE)
    return exif


def kept(exif, *, keep_all=False):
    """What a picture of 30 x 40 px states, read back by Pillow, and its bytes."""
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    source = parse_exif(io.BytesIO(data))
    written = picture_exif(source, size=(30, 40), keep_all=keep_all)
    found = Image.Exif()
    found.load(written)
    return found, written


def assert_ours(found):
    """The picture is upright, sRGB, of its own size, by us and without thumbnail."""
    assert found[Base.Orientation] == 1
    assert found[Base.Software].startswith("dped-build ")
    exposure = found.get_ifd(IFD.Exif)
    assert exposure[Base.ColorSpace] == 1
    assert (exposure[Base.ExifImageWidth], exposure[Base.ExifImageHeight]) == (30, 40)
    assert not found.get_ifd(IFD.IFD1)


def test_what_viewers_show_is_kept():
    found, _ = kept(camera_exif())
    assert_ours(found)
    assert {tag: found[tag] for tag in PHOTO} == PHOTO
    exposure = found.get_ifd(IFD.Exif)
    assert {tag: exposure[tag] for tag in EXPOSURE} == EXPOSURE


def test_nothing_tells_of_places_and_people():
    found, written = kept(camera_exif())
    assert IFD.GPSInfo not in found and not found.get_ifd(IFD.GPSInfo)
    assert not any(word in written for word in PLANTED)
    assert not {Base.ImageWidth, Base.YCbCrPositioning} & set(found)


def test_all_of_it_is_kept_on_request():
    found, _ = kept(camera_exif(), keep_all=True)
    assert_ours(found)
    assert {tag: found[tag] for tag in PERSONAL} == PERSONAL
    exposure = found.get_ifd(IFD.Exif)
    assert {tag: exposure[tag] for tag in SECRET} == SECRET
    assert found.get_ifd(IFD.GPSInfo) == PLACE
    assert Base.ImageWidth not in found  # the layout of another file


def test_types_and_byte_order_stay_as_the_camera_wrote_them():
    for first in (b"II", b"MM"):
        exif = camera_exif()
        exif.endian = "<" if first == b"II" else ">"
        data = exif.tobytes().removeprefix(b"Exif\0\0")
        before = parse_exif(io.BytesIO(data))
        written = picture_exif(before, size=(30, 40), keep_all=True)
        after = parse_exif(io.BytesIO(written))
        assert written.startswith(first)
        for tag in (*EXPOSURE, *SECRET):
            assert after.exposure.tagtype[tag] == before.exposure.tagtype[tag]
            assert after.exposure[tag] == before.exposure[tag]


def test_text_keeps_its_bytes_and_ends_at_its_end():
    exif = camera_exif(more={Base.Make: "Jörg & Söhne".encode(), Base.Model: b"7\0Ann"})
    found, _ = kept(exif)
    assert found[Base.Make].encode("latin-1").decode() == "Jörg & Söhne"
    assert found[Base.Model] == "7"


def test_a_photo_without_exif_data_states_its_orientation_all_the_same():
    found = Image.Exif()
    found.load(picture_exif(None, size=(30, 40)))
    assert_ours(found)
    assert set(found) == {Base.Orientation, Base.Software, IFD.Exif}


def test_endless_values_are_left_out():
    exif = camera_exif(
        more={Base.Model: "x" * 30_000},
        exposure={Base.MakerNote: b"y" * 60_000, Base.UserComment: b"z" * 30_000},
    )
    found, _ = kept(exif)
    assert Base.Model not in found and found[Base.Make] == "Acme"
    found, written = kept(exif, keep_all=True)
    assert MAX_EXIF_BYTES / 3 < len(written) <= MAX_EXIF_BYTES
    assert Base.MakerNote not in found.get_ifd(IFD.Exif)
    assert found.get_ifd(IFD.Exif)[Base.BodySerialNumber] == "BODY-4711"


@pytest.mark.filterwarnings("ignore")  # as whoever reads a photo's data does
def test_damaged_data_never_stops_a_photo():
    whole = camera_exif().tobytes().removeprefix(b"Exif\0\0")
    randomness, read = random.Random(0), 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(randomness.choice((1, 3, 20))):
            place = randomness.randrange(HEADER_BYTES, len(data))
            data[place] = randomness.choice((0, 255, randomness.randrange(256)))
        try:
            source = parse_exif(io.BytesIO(data[: randomness.randrange(20, 900)]))
        except EXIF_ERRORS:
            continue
        for keep_all in (False, True):
            found = Image.Exif()
            found.load(picture_exif(source, size=(30, 40), keep_all=keep_all))
            assert_ours(found)
        read += 1
    assert read > 250


def test_the_colour_profile_is_srgb_and_always_the_same():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    picture = Image.linear_gradient("L").convert("RGB")
    there = ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"))
    assert there.tobytes() == picture.tobytes()
    assert srgb_profile()[24:36].hex() == "07d000010001000000000000"
