"""Every kind of photo comes out upright in sRGB, or as an error with its reason."""

import errno
import io
import os
import struct
import zlib
from datetime import datetime, timedelta

import cv2
import numpy as np
import pytest
import simplejpeg
import tifffile
from mutations import png
from PIL import Image, ImageCms

from dped_build.photos.listing import list_photos
from dped_build.photos.reading import (
    MAX_SIDE,
    capture_time,
    photo_size,
    read_photo,
    when_taken,
)
from dped_build.workspace.errors import DpedBuildError, PhotoError, UsageError
from dped_build.workspace.text import natural_key

RAMP = (np.arange(40 * 60 * 3) % 251).reshape(40, 60, 3).astype(np.uint8)
UPRIGHT = {  # EXIF orientation → what undoes it
    1: lambda photo: photo,
    2: lambda photo: photo[:, ::-1],
    3: lambda photo: photo[::-1, ::-1],
    4: lambda photo: photo[::-1],
    5: lambda photo: photo.swapaxes(0, 1),
    6: lambda photo: np.rot90(photo, -1),
    7: lambda photo: photo[::-1, ::-1].swapaxes(0, 1),
    8: lambda photo: np.rot90(photo, 1),
}
# Colorants adapted to D50, as columns X, Y, Z (ICC specification; SMPTE EG 432-1).
SRGB_TO_XYZ = np.array(
    [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
)
P3_TO_XYZ = np.array(
    [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
)


@pytest.fixture
def saved(tmp_path):
    """Saves an array or image under a name and returns its path."""

    def save(picture, name, **options):
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def p3_profile():
    """The sRGB profile with the colorants of Display P3."""
    data = bytearray(srgb_profile())
    count = struct.unpack_from(">I", data, 128)[0]
    for i in range(count):
        tag, offset, _ = struct.unpack_from(">4sII", data, 132 + 12 * i)
        if tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
            column = P3_TO_XYZ[:, "rgb".index(chr(tag[0]))]
            fixed = np.rint(column * 65536).astype(int).tolist()
            struct.pack_into(">3i", data, offset + 8, *fixed)
    return bytes(data)


def p3_as_srgb(values):
    """Display P3 values as sRGB, by matrix and transfer curve; floats 0 to 255."""
    coded = values / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ (np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ).T, 0, 1)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, curve)


def reason(path, **options):
    with pytest.raises(PhotoError) as caught:
        read_photo(path, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_every_orientation_is_turned_upright(saved, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = RAMP if suffix != "jpg" else np.repeat(np.repeat(RAMP, 8, 0), 8, 1)
    plain = read_photo(saved(picture, f"plain.{suffix}"))
    path = saved(picture, f"turned.{suffix}", exif=exif)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo, UPRIGHT[orientation](plain))
    assert photo.flags.c_contiguous
    assert photo_size(path) == photo.shape[1::-1]


def test_plain_photos_keep_their_values(saved):
    np.testing.assert_array_equal(read_photo(saved(RAMP, "a.png")), RAMP)
    np.testing.assert_array_equal(read_photo(saved(RAMP, "a.tif")), RAMP)


def test_srgb_profile_leaves_the_values_alone(saved):
    path = saved(RAMP, "a.png", icc_profile=srgb_profile())
    np.testing.assert_array_equal(read_photo(path), RAMP)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_display_p3_is_converted_to_srgb(saved, name):
    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, size=(40, 60, 3), dtype=np.uint8)
    photo = read_photo(saved(colours, name, icc_profile=p3_profile()))
    expected = p3_as_srgb(colours.astype(float))
    assert np.abs(expected - colours).max() > 20  # levels
    inside = ((expected > 8) & (expected < 250)).all(axis=-1)  # of what sRGB can show
    assert inside.mean() > 0.8
    assert np.abs(photo - expected)[inside].max() < 1.5  # levels


def test_a_jpegs_profile_is_applied_to_all_of_its_rows(saved, textured):
    picture = textured(0, (60, 600))
    jpeg = saved(picture, "a.jpg", icc_profile=p3_profile())
    stored = read_photo(jpeg, color="keep")
    png = saved(stored, "a.png", icc_profile=p3_profile())
    np.testing.assert_array_equal(read_photo(jpeg), read_photo(png))
    assert np.abs(read_photo(jpeg).astype(int) - stored).max() > 5  # levels


def test_keep_leaves_a_profiles_values_as_stored(saved):
    path = saved(RAMP, "a.png", icc_profile=p3_profile())
    np.testing.assert_array_equal(read_photo(path, color="keep"), RAMP)


def test_damaged_profile_is_passed_over(saved):
    path = saved(RAMP, "a.png", icc_profile=b"no profile at all")
    np.testing.assert_array_equal(read_photo(path), RAMP)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"progressive": True},
        {"restart_marker_blocks": 3, "optimize": True},
        {"quality": 30},
        {"quality": 100, "keep_rgb": True},
    ],
)
def test_jpegs_have_the_pixels_that_pillow_decodes(saved, textured, mode, options):
    picture = Image.fromarray(textured(0, (61, 77))).convert(mode)
    path = saved(picture, "a.jpg", **options)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_photo(path), expected)


@pytest.mark.parametrize("subsampling", ["422", "420", "440", "411"])
def test_jpegs_of_any_colour_resolution_are_read(tmp_path, textured, subsampling):
    picture = textured(0, (61, 77))
    data = simplejpeg.encode_jpeg(picture, colorsubsampling=subsampling)
    (tmp_path / "a.jpg").write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.jpg"), expected)


def test_of_a_file_with_several_photos_the_first_is_read(saved):
    second = Image.fromarray(255 - RAMP)
    options = {"format": "MPO", "save_all": True, "append_images": [second]}
    path = saved(RAMP, "a.jpg", **options)
    with Image.open(path) as image:
        assert image.format == "MPO"
    np.testing.assert_array_equal(read_photo(path), read_photo(saved(RAMP, "b.jpg")))


def test_stray_bytes_that_cost_no_pixel_are_no_damage(saved, textured):
    path = saved(textured(0, (160, 120)), "a.jpg", restart_marker_blocks=3)
    whole, restart = read_photo(path), b"\xff\xd0"
    path.write_bytes(path.read_bytes().replace(restart, b"stray" + restart, 1))
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(path.read_bytes())
    np.testing.assert_array_equal(read_photo(path), whole)


def deep(picture, name, tmp_path, *options):
    """Saves 16-bit values (H, W), (H, W, 3) or (H, W, 4) by another library."""
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[np.atleast_3d(picture).shape[2]]
    path = tmp_path / name
    assert cv2.imwrite(str(path), np.atleast_3d(picture)[..., order], options)
    return path


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3), (40, 60, 4)])
@pytest.mark.parametrize(
    "name, options",
    [
        ("a.png", ()),
        ("a.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 1)),  # none
        ("a.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 5)),  # LZW with a predictor
        ("a.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 8)),  # deflate
    ],
)
def test_sixteen_bits_are_rounded_to_eight(tmp_path, shape, name, options):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, size=shape, dtype=np.uint16)
    colours = np.atleast_3d(np.rint(values / 257).astype(np.uint8))[..., :3]
    expected = np.broadcast_to(colours, (40, 60, 3))
    photo = read_photo(deep(values, name, tmp_path, *options))
    np.testing.assert_array_equal(photo, expected)


def test_deep_grey_with_alpha_is_rounded_and_its_alpha_dropped(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 2), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (tmp_path / "a.png").write_bytes(
        png(8, 8, pixels=zlib.compress(rows), bits=16, color=4)
    )
    grey = np.rint(values[..., :1] / 257)
    np.testing.assert_array_equal(
        read_photo(tmp_path / "a.png"), np.repeat(grey, 3, axis=2)
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_sixteen_bits_are_read_in_either_byte_order(tmp_path, order, options):
    values = np.random.default_rng(0).integers(0, 65536, (40, 60, 3), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", byteorder=order, **options)
    np.testing.assert_array_equal(read_photo(path), np.rint(values / 257))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_sixteen_bits_are_turned_upright_once(tmp_path, orientation):
    values = np.random.default_rng(0).integers(0, 65536, (40, 60, 3), dtype=np.uint16)
    path, tag = tmp_path / "a.tif", (274, "H", 1, orientation, True)
    tifffile.imwrite(path, values, photometric="rgb", extratags=[tag])
    photo = read_photo(path)
    expected = UPRIGHT[orientation](np.rint(values / 257).astype(np.uint8))
    np.testing.assert_array_equal(photo, expected)
    assert photo_size(path) == photo.shape[1::-1]


def test_a_sixteen_bit_photos_profile_is_applied(tmp_path, saved):
    colours = np.random.default_rng(0).integers(40, 216, (40, 60, 3), dtype=np.uint8)
    path, profile = tmp_path / "a.tif", p3_profile()
    deep_colours, tag = colours.astype(np.uint16) * 257, (34675, 7, len(profile))
    extra = [(*tag, profile, True)]
    tifffile.imwrite(path, deep_colours, photometric="rgb", extratags=extra)
    expected = read_photo(saved(colours, "b.png", icc_profile=profile))
    np.testing.assert_array_equal(read_photo(path), expected)
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours)


def test_white_is_zero_where_a_grey_tiff_says_so(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (40, 60), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    photo = read_photo(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo[..., 0], np.rint((65535 - values) / 257))


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_twelve_bits_in_sixteen_are_refused_or_scaled_as_stated(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 4096, shape, dtype=np.uint16)
    kind = "rgb" if len(shape) == 3 else "minisblack"
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric=kind)
    with pytest.raises(PhotoError, match="12-bit data not scaled to 16"):
        read_photo(path)
    assert read_photo(path, color="keep").max() == 16  # of 255: nearly black
    channels = values.size // (40 * 60)
    stated = [(281, "H", channels, (4095,) * channels, True)]
    tifffile.imwrite(path, values, photometric=kind, extratags=stated)
    expected = np.rint(values * (255 / 4095)).reshape(40, 60, -1)
    np.testing.assert_array_equal(
        read_photo(path), np.broadcast_to(expected, (40, 60, 3))
    )


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_deep_colours_in_planes_are_refused_and_never_noise(tmp_path, options):
    planes = np.random.default_rng(0).integers(0, 65536, (3, 40, 60), dtype=np.uint16)
    path = tmp_path / "a.tif"
    separate = {"planarconfig": "separate", "photometric": "rgb"}
    tifffile.imwrite(path, planes, **separate, **options)
    assert reason(path) == "unreadable"


def test_a_deep_photo_cut_in_half_is_called_truncated(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (40, 60, 3), dtype=np.uint16)
    for path in (deep(values, "a.png", tmp_path), deep(values, "b.tif", tmp_path)):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert reason(path) == "truncated"


def test_grey_photo_has_three_equal_channels(saved):
    photo = read_photo(saved(RAMP[..., 0], "a.png"))
    np.testing.assert_array_equal(photo, np.repeat(RAMP[..., :1], 3, axis=2))


@pytest.mark.parametrize("transparency", [None, bytes(range(8))])
def test_palette_becomes_its_colours(saved, transparency):
    index = Image.fromarray(RAMP[..., 0] % 8, mode=None).convert("P")
    colours = np.arange(24, dtype=np.uint8).reshape(8, 3) * 10
    index.putpalette(colours.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    photo = read_photo(saved(index, "a.png", **options))
    np.testing.assert_array_equal(photo, colours[RAMP[..., 0] % 8])


def test_cmyk_becomes_rgb(saved):
    ink = Image.new("CMYK", (64, 48), (0, 255, 255, 0))  # magenta and yellow: red
    photo = read_photo(saved(ink, "a.jpg"))
    assert photo.shape == (48, 64, 3)
    assert np.abs(photo.astype(int) - (255, 0, 0)).max() <= 3


def test_alpha_is_dropped_without_touching_colours(saved):
    alpha = np.dstack([RAMP, RAMP[..., 0]])
    np.testing.assert_array_equal(read_photo(saved(alpha, "a.png")), RAMP)


def test_floating_point_samples_are_refused_not_clipped(saved):
    assert reason(saved(np.full((40, 60), 0.5, np.float32), "a.tif")) == "unreadable"


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.jpg", {}),
        ("a.jpg", {"progressive": True}),
        ("a.png", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_adobe_deflate"}),
        ("a.tif", {"compression": "jpeg"}),
    ],
)
def test_cut_file_is_an_error_and_never_grey(saved, textured, name, options):
    path = saved(textured(0, (160, 120)), name, **options)
    whole, data = read_photo(path), path.read_bytes()
    cuts = [1, 2, 8, 20, 100, 300, 700, *(len(data) * i // 8 for i in range(1, 8))]
    cuts += [len(data) - rest for rest in (2000, 500, 100, 20, 13, 12, 4, 2, 1)]
    refused = 0
    for length in cuts:
        path.write_bytes(data[:length])
        try:
            photo = read_photo(path)
        except PhotoError as error:
            assert error.reason in ("truncated", "unreadable")
            refused += 1
        else:  # a PNG's last chunks hold no pixel
            np.testing.assert_array_equal(photo, whole)
    assert refused >= len(cuts) - 6


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_photo_cut_in_half_is_called_truncated(saved, textured, name):
    path = saved(textured(0, (160, 120)), name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert reason(path) == "truncated"


def test_empty_file_says_so(tmp_path):
    path = tmp_path / "a.jpg"
    path.touch()
    with pytest.raises(PhotoError, match="the file is empty; copy it again") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("text", [b"not a photo\n", b"\xff\xd8\xff", b"\x89PNG\r\n"])
def test_text_called_jpg_is_unreadable(tmp_path, text):
    path = tmp_path / "a.jpg"
    path.write_bytes(text)
    assert reason(path) in ("unreadable", "truncated")


def test_gif_called_jpg_is_unreadable(saved):
    path = saved(RAMP, "a.gif").rename(saved(RAMP, "b.jpg"))
    assert reason(path) == "unreadable"


def png_header(width, height):
    """A PNG that ends before its first pixel: nothing in it could be decoded."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)
    return start + body + struct.pack(">II", zlib.crc32(body), 1000) + b"IDAT"


def test_a_thousand_megapixels_are_refused_by_their_header(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(31_250, 32_000))
    with pytest.raises(PhotoError, match="raise --max-megapixels") as caught:
        read_photo(path)
    assert caught.value.reason == "too_large"


def test_side_beyond_what_can_be_resampled_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(MAX_SIDE + 1, 100))
    assert reason(path) == "too_large"


def test_limit_on_megapixels_is_inclusive(saved):
    path = saved(RAMP, "a.png")  # 2,400 px
    assert read_photo(path, max_megapixels=0.0024).shape == RAMP.shape
    assert reason(path, max_megapixels=0.002399) == "too_large"


def test_folders_pipes_and_dangling_links_are_no_photos(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    paths = list_photos(tmp_path)
    assert [path.name for path in paths] == ["folder.jpg", "link.jpg", "pipe.jpg"]
    assert [reason(path) for path in paths] == ["unreadable"] * 3


def test_a_failing_disk_is_told_without_the_folder(saved, monkeypatch):
    path = saved(RAMP, "a.png")

    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(PhotoError, match=r"^a\.png: .*Input/output error") as error:
        read_photo(path)
    assert str(path.parent) not in str(error.value)


def test_suffixes_count_in_either_case_and_other_files_do_not(tmp_path):
    for name in ("a.JPG", "b.jpeg", "c.Png", "d.TIF", "e.tiff", "f.txt", ".g.jpg", "h"):
        (tmp_path / name).touch()
    names = [path.name for path in list_photos(tmp_path)]
    assert names == ["a.JPG", "b.jpeg", "c.Png", "d.TIF", "e.tiff"]


def test_of_a_photo_in_several_kinds_the_plainest_is_listed(tmp_path):
    for name in ("a.JPG", "a.CR2", "b.dng", "b.heic", "c.nef", "d.jpg", "d.png"):
        (tmp_path / name).touch()
    names = [path.name for path in list_photos(tmp_path)]
    assert names == ["a.JPG", "b.heic", "c.nef", "d.jpg", "d.png"]


@pytest.mark.parametrize(
    "names, told",
    [
        (("a.heic", "b.HIF"), r"all of its photos are HEIF.*dped-build\[heif\]"),
        (("a.dng", "b.NEF"), r"all of its photos are RAW.*dped-build\[raw\]"),
        (("a.dng", "b.heic"), r"are HEIF and RAW.*'dped-build\[heif,raw\]'"),
    ],
)
def test_a_folder_of_which_nothing_can_be_read_names_the_extra(
    tmp_path, monkeypatch, names, told
):
    monkeypatch.setattr("dped_build.photos.formats.find_spec", lambda name: None)
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DpedBuildError, match=told):
        list_photos(tmp_path)
    (tmp_path / "c.jpg").touch()
    assert len(list_photos(tmp_path)) == 3


def test_numbers_in_names_sort_by_value():
    names = ["IMG_10", "IMG_2", "IMG_002", "10", "9", "IMG_2b", "a", "B"]
    ordered = sorted(names, key=natural_key)
    assert ordered == ["9", "10", "B", "IMG_002", "IMG_2", "IMG_2b", "IMG_10", "a"]


def test_missing_folder_and_a_file_in_its_place_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        list_photos(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: not a folder"):
        list_photos(tmp_path / "file")


@pytest.mark.parametrize(
    "name, told",
    [(b"caf\xe9.jpg", "caf\\xe9"), ("two\n\u2028lines.jpg", "two\\x0a\\u2028lines")],
)
def test_name_that_no_record_can_hold_is_a_reason(tmp_path, name, told):
    Image.fromarray(RAMP).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / os.fsdecode(name))
    (path,) = list_photos(tmp_path)
    with pytest.raises(PhotoError, match="rename it") as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"
    assert str(caught.value).startswith(f"{told}.jpg: ")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_capture_time_is_the_cameras_clock(saved, suffix):
    exif = Image.Exif()
    exif[0x0132] = "2026:01:01 00:00:00"  # last changed
    exif.get_ifd(0x8769)[0x9003] = "2025:07:14 18:30:59"
    path = saved(RAMP, f"a.{suffix}", exif=exif)
    assert capture_time(path) == datetime(2025, 7, 14, 18, 30, 59)


@pytest.mark.parametrize(
    "fraction, microsecond",
    [("5", 500_000), ("042 ", 42_000), ("1234567", 123_456), ("x", 0), ("", 0)],
)
def test_capture_time_keeps_fractions_of_a_second(saved, fraction, microsecond):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2025:07:14 18:30:59"
    exif.get_ifd(0x8769)[0x9291] = fraction
    expected = datetime(2025, 7, 14, 18, 30, 59, microsecond)
    assert capture_time(saved(RAMP, "a.jpg", exif=exif)) == expected
    changed = Image.Exif()
    changed[0x0132] = "2025:07:14 18:30:59"
    changed.get_ifd(0x8769)[0x9290] = fraction
    assert capture_time(saved(RAMP, "b.jpg", exif=changed)) == expected


def test_capture_time_falls_back_and_may_be_unknown(saved, tmp_path):
    exif = Image.Exif()
    exif[0x0132] = "2026:01:01 00:00:00"
    assert capture_time(saved(RAMP, "a.jpg", exif=exif)) == datetime(2026, 1, 1)
    exif[0x0132] = "    :  :     :  :  "
    assert capture_time(saved(RAMP, "b.jpg", exif=exif)) is None
    assert capture_time(saved(RAMP, "c.jpg")) is None
    (tmp_path / "d.jpg").write_bytes(b"text")
    assert capture_time(tmp_path / "d.jpg") is None
    assert capture_time(tmp_path / "missing.jpg") is None


def test_an_orientation_of_a_wrong_type_turns_nothing(tmp_path):
    path = tmp_path / "odd.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(path, exif=exif)
    # The tag's type, SHORT, becomes UNDEFINED: what reads it gets bytes.
    data = path.read_bytes()
    for order in (b"\x01\x12\x00\x03", b"\x12\x01\x03\x00"):
        data = data.replace(order, order.replace(b"\x03", b"\x07"))
    path.write_bytes(data)
    assert photo_size(path) == (40, 20)
    assert read_photo(path).shape == (20, 40, 3)


NOON = datetime(2024, 5, 6, 12, 4, 20)
ARABIC = "2024:05:06 12:04:20".translate({48 + n: 0x660 + n for n in range(10)})


@pytest.mark.parametrize(
    "text, time",
    [
        ("2024-05-06 12:04:20", NOON),
        ("2024/05/06 12:04:20", NOON),
        ("2024:05:06T12:04:20Z", NOON),
        ("2024:05:06 12:04:20+02:00", NOON),
        ("2024:05:06 12:04:20.5", NOON.replace(microsecond=500_000)),
        ("2024: 5: 6 12: 4:20", NOON),
        ("2024:05:06 24:04:20", NOON.replace(hour=0)),  # as named IMG_20240506_000420
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2024:05:06 25:04:20", None),
        ("2024:13:06 12:04:20", None),
        ("0001:01:01 00:00:00", None),
        ("2024:05:06 12:04", NOON.replace(second=0)),
        ("2024:05:06 12.04.20", NOON),
        ("2024:05:06:12:04:20", NOON),
        ("2024:05:06 12:04:20 p.m.", NOON),
        ("2024:05:06 12:04:20 AM", NOON.replace(hour=0)),
        ("2024:05:06 03:04:20 PM", NOON.replace(hour=15)),
        ("2024:05:06 3:04:20 p.\u00a0m.".encode(), NOON.replace(hour=15)),
        ("2024:05:06 下午 3:04:20".encode(), NOON.replace(hour=15)),
        ("2024年05月06日 12:04:20".encode(), NOON),
        (ARABIC.encode(), NOON),
        ("2024:05:06", None),
        ("", None),
    ],
)
def test_odd_times_are_read_or_left_to_the_next_tag(saved, text, time):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = text
    assert capture_time(saved(RAMP, "a.jpg", exif=exif)) == time
    exif.get_ifd(0x8769)[0x9004] = "2023:01:01 00:00:00"
    exif[0x0132] = "2025:01:01 00:00:00"
    found = when_taken(saved(RAMP, "b.jpg", exif=exif))
    assert (found.time, found.tag) == (
        (time, "original") if time else (datetime(2023, 1, 1), "digitised")
    )


@pytest.mark.parametrize(
    "tags, tag, hours",
    [
        ({0x9003: "2024:05:06 12:04:20", 0x9011: "+02:00"}, "original", 2),
        ({0x9004: "2024:05:06 12:04:20", 0x9012: "-03:30"}, "digitised", -3.5),
        ({0x9003: "2024:05:06 12:04:20Z"}, "original", 0),
        ({0x9003: "2024:05:06 12:04:20", 0x9011: "   :  "}, "original", None),
        ({0x9003: "2024:05:06 12:04:20", 0x9011: "+2"}, "original", 2),
        ({0x9003: "2024:05:06 12:04:20", 0x9011: "+99:00"}, "original", None),
        ({0x9003: "2024:05:06 12:04:20 GMT+02:00"}, "original", 2),
        ({0x9003: "2024:05:06 12:04:20-0700 PDT"}, "original", -7),
    ],
)
def test_the_zone_is_that_of_the_tag(saved, tags, tag, hours):
    exif = Image.Exif()
    for number, text in tags.items():
        exif.get_ifd(0x8769)[number] = text
    found = when_taken(saved(RAMP, "a.jpg", exif=exif))
    zone = None if hours is None else timedelta(hours=hours)
    assert (found.time, found.tag, found.zone) == (NOON, tag, zone)


def test_what_is_not_read_is_not_told_to_be_copied_again(tmp_path):
    (tmp_path / "a.png").write_bytes(b"MM\0\x2b\0\x08\0\0" + bytes(99))
    with pytest.raises(PhotoError, match="big-endian BigTIFF is not read") as caught:
        read_photo(tmp_path / "a.png")
    assert caught.value.reason == "unreadable"


def test_a_path_may_be_a_string(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    assert read_photo(str(tmp_path / "a.png")).shape == (8, 8, 3)
