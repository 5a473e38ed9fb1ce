"""Every way of stating a colour space leads to the same sRGB values."""

import io
import json
import struct
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from mutations import chunk, with_chunks
from mutations import saved as saved_bytes
from PIL import Image, ImageCms
from raw_files import colour_chart, directory, dng, mosaic
from test_photos import P3_TO_XYZ, SRGB_TO_XYZ, p3_profile, srgb_profile

from dped_build.align import align_folders
from dped_build.photos.heif_colours import ADOBE_GAMMA, ADOBE_POINTS, made_profile
from dped_build.photos.heif_items import colour_codes
from dped_build.photos.icc import convert_to_srgb, name_of
from dped_build.photos.matrix_profiles import shaper_of
from dped_build.photos.reading import read_photo, read_with_colours
from dped_build.report import write_report
from dped_build.report.advice import look
from dped_build.workspace.errors import PhotoError

# Adapted to D50, as columns X, Y, Z (Adobe RGB (1998) colour image encoding, 4.3.6.2).
ADOBE_TO_XYZ = np.array(
    [
        [0.60974, 0.20528, 0.14919],
        [0.31111, 0.62567, 0.06322],
        [0.01947, 0.06087, 0.74457],
    ]
)
ADOBE_CHRM = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)  # white first
P3_CHRM = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB_CHRM = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3, SRGB_CURVE, LINEAR, PQ, HLG, GAMMA_22 = 12, 13, 8, 16, 18, 4  # ITU-T H.273
UNCALIBRATED = 65_535


def colours(size=(40, 60)):
    return np.random.default_rng(0).integers(40, 216, (*size, 3), dtype=np.uint8)


def srgb_curve(linear):
    linear = np.clip(linear, 0, 1)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, curve)


def linear_of(values, gamma):
    coded = values / 255
    if gamma is not None:
        return coded**gamma
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def as_srgb(values, to_xyz=SRGB_TO_XYZ, gamma=None):
    """Values of another space as sRGB, by curve and matrix; floats 0 to 255."""
    return srgb_curve(
        linear_of(values, gamma) @ (np.linalg.inv(SRGB_TO_XYZ) @ to_xyz).T
    )


def assert_shows(photo, expected):
    inside = ((expected > 8) & (expected < 250)).all(axis=-1)  # of what sRGB can show
    assert inside.mean() > 0.6
    assert np.abs(photo - expected)[inside].max() < 1.6  # levels


def dcf(color_space=UNCALIBRATED, index="R03"):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = color_space
    if index:
        exif.get_ifd(0x8769)[0xA005] = {1: index, 2: b"0100"}
    return exif


def saved(path, image, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def dcf_tiff():
    """A TIFF with the EXIF directories of a DSLR in Adobe RGB."""
    pixels = colours()
    picture = {256: (3, [60]), 257: (3, [40]), 258: (3, [8, 8, 8]), 259: (3, [1])}
    picture |= {262: (3, [2]), 277: (3, [3]), 278: (3, [40]), 279: (4, [pixels.size])}
    parts = [
        lambda at: picture | {273: (4, [at[3]]), 34665: (4, [at[1]])},
        lambda at: {0xA001: (3, [UNCALIBRATED]), 0xA005: (4, [at[2]])},
        lambda _: {1: (2, "R03")},
    ]
    places = [8, 0, 0, 0]
    for i, part in enumerate(parts):
        places[i + 1] = places[i] + len(directory(part(places), places[i]))
    tree = b"".join(
        directory(p(places), at) for p, at in zip(parts, places, strict=False)
    )
    return b"II*\0" + struct.pack("<L", 8) + tree + pixels.tobytes()


def png(path, *chunks):
    """A PNG with more chunks before its picture."""
    data = saved_bytes(Image.fromarray(colours()), "PNG")
    path.write_bytes(with_chunks(data, *(chunk(*named) for named in chunks)))
    return path


def gama(gamma):
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def chrm(numbers):
    return b"cHRM", struct.pack(">8I", *(round(n * 100_000) for n in numbers))


def cicp(primaries, curve, matrix=0, full=1):
    return b"cICP", bytes((primaries, curve, matrix, full))


def iccp(profile):
    return b"iCCP", b"any\0\0" + zlib.compress(profile)


SRGB_CHUNK = (b"sRGB", b"\0")
ADOBE = made_profile(ADOBE_POINTS, ADOBE_GAMMA)


@pytest.mark.parametrize(
    "color_space, index", [(UNCALIBRATED, "R03"), (2, None), (2, "R03")]
)
@pytest.mark.parametrize("name", ["_MG_0001.JPG", "a.jpg"])
def test_what_exif_calls_adobe_rgb_is_converted(tmp_path, name, color_space, index):
    options = {"quality": 100, "subsampling": 0, "exif": dcf(color_space, index)}
    path = saved(tmp_path / name, colours(), **options)
    photo, stated = read_with_colours(path)
    assert str(stated) == "Adobe RGB (1998) (EXIF)"
    stored = read_photo(path, color="keep")
    expected = as_srgb(stored.astype(float), ADOBE_TO_XYZ, ADOBE_GAMMA)
    assert np.abs(expected - stored).max() > 15  # levels
    assert_shows(photo, expected)


@pytest.mark.parametrize(
    "color_space, index", [(1, "R98"), (1, "R03"), (65_535, "R98")]
)
def test_other_marks_of_exif_leave_the_values_alone(tmp_path, color_space, index):
    path = saved(tmp_path / "a.jpg", colours(), exif=dcf(color_space, index))
    photo, stated = read_with_colours(path)
    np.testing.assert_array_equal(photo, read_photo(path, color="keep"))
    assert stated.space == "sRGB"


def test_a_tiff_of_a_camera_in_adobe_rgb_is_converted(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(dcf_tiff())
    expected = as_srgb(colours().astype(float), ADOBE_TO_XYZ, ADOBE_GAMMA)
    assert_shows(read_photo(path), expected)


def test_a_profile_counts_more_than_exif(tmp_path):
    path = saved(tmp_path / "a.jpg", colours(), exif=dcf(), icc_profile=srgb_profile())
    photo, stated = read_with_colours(path)
    np.testing.assert_array_equal(photo, read_photo(path, color="keep"))
    assert str(stated) == "sRGB (ICC)"


def test_a_damaged_profile_leaves_the_word_to_exif(tmp_path):
    path = saved(tmp_path / "a.jpg", colours(), exif=dcf(), icc_profile=b"nonsense")
    assert str(read_with_colours(path)[1]) == "Adobe RGB (1998) (EXIF)"


def test_a_real_photo_in_adobe_rgb_gains_saturation(camera_files):
    path = camera_files / "olympus_ep3_adobe_rgb.jpg"
    photo, stored = read_photo(path).astype(int), read_photo(path, color="keep")
    assert np.abs(photo - stored).mean() == pytest.approx(6.8, abs=0.3)
    expected = as_srgb(stored.astype(float), ADOBE_TO_XYZ, ADOBE_GAMMA)
    assert np.abs(photo - expected).mean() < 0.4


@pytest.mark.parametrize(
    "chunks, stated, to_xyz, gamma",
    [
        ([cicp(P3, SRGB_CURVE)], "Display P3 (cICP)", P3_TO_XYZ, None),
        ([cicp(1, LINEAR)], "sRGB, gamma 1 (cICP)", SRGB_TO_XYZ, 1.0),
        ([cicp(1, GAMMA_22)], "sRGB, gamma 2.2 (cICP)", SRGB_TO_XYZ, 2.2),
        ([cicp(P3, SRGB_CURVE), iccp(ADOBE)], "Display P3 (cICP)", P3_TO_XYZ, None),
        ([cicp(1, SRGB_CURVE), iccp(ADOBE)], "sRGB (cICP)", SRGB_TO_XYZ, None),
        ([iccp(ADOBE), gama(1.0)], None, ADOBE_TO_XYZ, ADOBE_GAMMA),
        (
            [SRGB_CHUNK, gama(1.0), chrm(P3_CHRM)],
            "sRGB (sRGB chunk)",
            SRGB_TO_XYZ,
            None,
        ),
        ([iccp(b"nonsense"), gama(1.0)], None, SRGB_TO_XYZ, 1.0),
        ([gama(1.0)], "sRGB primaries, gamma 1 (gAMA)", SRGB_TO_XYZ, 1.0),
        ([gama(1 / 1.8)], None, SRGB_TO_XYZ, 1.8),
        ([gama(1 / 2.2), chrm(ADOBE_CHRM)], None, ADOBE_TO_XYZ, 2.2),
        ([gama(1.0), chrm(P3_CHRM)], None, P3_TO_XYZ, 1.0),
        ([chrm(P3_CHRM)], "own primaries, sRGB's curve (cHRM)", P3_TO_XYZ, None),
        ([gama(1 / 2.2)], "sRGB (gAMA)", SRGB_TO_XYZ, None),
        ([gama(1 / 2.2), chrm(SRGB_CHRM)], "sRGB (gAMA and cHRM)", SRGB_TO_XYZ, None),
        ([gama(0.0), chrm((0,) * 8)], "sRGB (not stated)", SRGB_TO_XYZ, None),
        ([], "sRGB (not stated)", SRGB_TO_XYZ, None),
    ],
)
def test_a_pngs_chunks_count_in_the_order_of_the_standard(
    tmp_path, chunks, stated, to_xyz, gamma
):
    path = png(tmp_path / "a.png", *chunks)
    photo, found = read_with_colours(path)
    assert stated in (None, str(found))
    assert_shows(photo, as_srgb(colours().astype(float), to_xyz, gamma))
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours())


@pytest.mark.parametrize(
    "coded, words",
    [
        (cicp(9, PQ), "PQ cannot be converted"),
        (cicp(9, HLG), "HLG cannot be converted"),
        (cicp(1, 99), "transfer curve 99 cannot"),
        (cicp(77, SRGB_CURVE), "primaries 77 are not known"),
        (cicp(1, SRGB_CURVE, full=0), "colours of video"),
    ],
)
def test_what_is_not_done_is_refused_unless_values_are_kept(tmp_path, coded, words):
    path = png(tmp_path / "a.png", coded)
    with pytest.raises(PhotoError, match=words) as caught:
        read_photo(path)
    assert caught.value.reason == "unreadable"
    assert "copy it again" not in str(caught.value)
    np.testing.assert_array_equal(read_photo(path, color="keep"), colours())


def test_a_png_without_chunks_leaves_the_word_to_exif(tmp_path):
    path = saved(tmp_path / "a.png", colours(), exif=dcf().tobytes())
    assert str(read_with_colours(path)[1]) == "Adobe RGB (1998) (EXIF)"
    chunks = png(tmp_path / "b.png", SRGB_CHUNK, (b"eXIf", dcf().tobytes()[6:]))
    assert str(read_with_colours(chunks)[1]) == "sRGB (sRGB chunk)"


def test_points_on_a_line_are_no_primaries(tmp_path):
    line = (0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.4, 0.4)
    path = png(tmp_path / "a.png", chrm(line))
    np.testing.assert_array_equal(read_photo(path), colours())


@pytest.mark.parametrize("curve, gamma", [(GAMMA_22, 2.2), (LINEAR, 1.0)])
def test_a_heics_power_curve_is_converted(tmp_path, curve, gamma):
    file = pillow_heif.from_bytes("RGB", (60, 40), colours().tobytes())
    options = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    codes = {"color_primaries": 1, "transfer_characteristics": curve}
    file.save(tmp_path / "a.heic", **options, **codes)
    photo, stated = read_with_colours(tmp_path / "a.heic")
    assert str(stated) == f"sRGB, gamma {gamma:g} (nclx)"
    assert_shows(photo, as_srgb(colours().astype(float), gamma=gamma))


def avif(path, primaries, curve, **options):
    """An AVIF that states other codes than its encoder wrote."""
    data = saved_bytes(Image.fromarray(colours()), "AVIF", quality=100, **options)
    path.write_bytes(with_codes(data, primaries, curve))
    return path


def with_codes(data, primaries, curve):
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">2H", primaries, curve) + data[place + 4 :]


@pytest.mark.parametrize(
    "primaries, curve, to_xyz, gamma, space",
    [
        (P3, SRGB_CURVE, P3_TO_XYZ, None, "Display P3"),
        (P3, GAMMA_22, P3_TO_XYZ, 2.2, "Display P3, gamma 2.2"),
        (1, LINEAR, SRGB_TO_XYZ, 1.0, "sRGB, gamma 1"),
        (2, LINEAR, SRGB_TO_XYZ, 1.0, "sRGB, gamma 1"),
    ],
)
def test_an_avifs_codes_are_converted(tmp_path, primaries, curve, to_xyz, gamma, space):
    path = avif(tmp_path / "a.avif", primaries, curve)
    photo, stated = read_with_colours(path)
    assert str(stated) == f"{space} (nclx)"
    stored = read_photo(path, color="keep").astype(float)
    assert_shows(photo, as_srgb(stored, to_xyz, gamma))


def test_an_avifs_profile_counts_more_than_its_codes(tmp_path):
    path = avif(tmp_path / "a.avif", P3, SRGB_CURVE, icc_profile=srgb_profile())
    assert str(read_with_colours(path)[1]) == "sRGB (ICC)"


@pytest.mark.parametrize("primaries", [9, 2])
@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_hdr_is_refused_also_without_primaries(tmp_path, kind, primaries):
    if kind == "AVIF":
        path = avif(tmp_path / "a.avif", primaries, PQ)
    else:
        path = tmp_path / "a.heic"
        file = pillow_heif.from_bytes("RGB", (60, 40), colours().tobytes())
        codes = {"color_primaries": 1, "transfer_characteristics": SRGB_CURVE}
        file.save(path, matrix_coefficients=0, chroma=444, **codes)
        path.write_bytes(with_codes(path.read_bytes(), primaries, PQ))
    with pytest.raises(PhotoError, match="PQ cannot be converted to sRGB"):
        read_photo(path)
    assert read_photo(path, color="keep").shape == (40, 60, 3)


def test_the_codes_are_those_of_the_primary_item(tmp_path):
    path = avif(tmp_path / "a.avif", P3, SRGB_CURVE)
    with path.open("rb") as file:
        length = path.stat().st_size
        assert colour_codes(file, length) == (P3, SRGB_CURVE)
    data = path.read_bytes()
    place = data.index(b"pitm") + 8
    path.write_bytes(data[:place] + b"\0\7" + data[place + 2 :])  # has no properties
    with path.open("rb") as file:
        assert colour_codes(file, length) is None


def profile_of(kind, tags, connection=b"XYZ "):
    """An ICC profile of version 2 from its tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content = content.ljust(-(-len(content) // 4) * 4, b"\0")
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    kinds = 0x02400000, b"prtr", kind, connection, bytes(12), b"acsp"
    head = struct.pack(">I4sI4s4s4s12s4s", start + len(body), b"", *kinds)
    illuminant = struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    head = head.ljust(68, b"\0") + illuminant
    return head.ljust(128, b"\0") + table + body


D50 = b"XYZ \0\0\0\0" + struct.pack(
    ">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249))
)


def grey_gamma(gamma):
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return profile_of(b"GRAY", {b"wtpt": D50, b"kTRC": curve})


def dot_gain(power=1.75, entries=256):
    """A table, as Photoshop's Dot Gain 20 % has."""
    values = np.rint(65535 * (np.arange(entries) / (entries - 1)) ** power).astype(
        ">u2"
    )
    curve = b"curv\0\0\0\0" + struct.pack(">I", entries) + values.tobytes()
    return profile_of(b"GRAY", {b"wtpt": D50, b"kTRC": curve})


@pytest.mark.parametrize("profile, gamma", [(grey_gamma(1.8), 1.8), (dot_gain(), 1.75)])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_grey_photos_profile_is_converted(tmp_path, name, profile, gamma):
    grey = colours()[..., 0]
    options = {"quality": 100} if name == "a.jpg" else {}
    path = saved(tmp_path / name, grey, icc_profile=profile, **options)
    photo, stored = read_photo(path), read_photo(path, color="keep")
    expected = srgb_curve((stored / 255.0) ** gamma)
    assert np.abs(expected - stored).max() > 10  # levels
    assert np.abs(photo - expected).max() < 1.6
    assert (photo == photo[..., :1]).all()


def test_a_deep_grey_photos_profile_is_converted(tmp_path):
    grey, profile = colours()[..., 0].astype(np.uint16) * 257, grey_gamma(1.8)
    tag = (34675, 7, len(profile), profile, True)
    tifffile.imwrite(
        tmp_path / "a.tif", grey, photometric="minisblack", extratags=[tag]
    )
    expected = srgb_curve((grey / 65535) ** 1.8)
    assert np.abs(read_photo(tmp_path / "a.tif")[..., 0] - expected).max() < 1.6


def test_a_profile_of_other_colours_than_the_photos_is_passed_over(tmp_path):
    path = saved(tmp_path / "a.png", colours(), icc_profile=grey_gamma(1.8))
    photo, stated = read_with_colours(path)
    np.testing.assert_array_equal(photo, colours())
    assert str(stated) == "sRGB (not stated)"


def test_a_grey_photo_may_have_a_profile_of_colours(tmp_path):
    """What Photoshop does not, but converters do."""
    grey = np.repeat(colours()[..., :1], 3, axis=2)
    path = saved(tmp_path / "a.png", grey[..., 0], icc_profile=ADOBE)
    expected = as_srgb(grey.astype(float), ADOBE_TO_XYZ, ADOBE_GAMMA)
    assert np.abs(read_photo(path) - expected).max() < 1.6


def cmyk_profile():
    """Inks that all darken alike: a table of two steps an ink, CIELAB in 8 bits."""
    corners = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, -1).T
    lightness = np.rint(255 * (1 - corners.mean(axis=1)))
    grid = np.column_stack([lightness, *[np.full(16, 128)] * 2]).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint8).tobytes()
    one = [round(v * 65536) for v in np.eye(3).ravel()]
    head = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + struct.pack(">9i", *one)
    table = head + ramp * 4 + grid.tobytes() + ramp * 3
    return profile_of(b"CMYK", {b"wtpt": D50, b"A2B0": table}, connection=b"Lab ")


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_inks_are_converted_by_their_profile(tmp_path, name):
    ink = Image.new("CMYK", (64, 48), (0, 255, 255, 0))  # naively red
    options = {"quality": 100} if name == "a.jpg" else {}
    path = saved(tmp_path / name, ink, icc_profile=cmyk_profile(), **options)
    photo, stated = read_with_colours(path)
    assert stated.by == "ICC"
    assert np.abs(photo.astype(int) - 119).max() <= 2  # CIELAB's L* 50
    assert read_photo(path, color="keep")[0, 0].tolist() == pytest.approx(
        [255, 0, 0], abs=3
    )


def test_a_raw_photo_is_developed_into_srgb(tmp_path):
    (tmp_path / "a.dng").write_bytes(dng(mosaic(colour_chart(cells=(2, 2)))))
    assert str(read_with_colours(tmp_path / "a.dng")[1]) == "sRGB (developed)"


@pytest.mark.parametrize(
    "points, gamma", [(ADOBE_POINTS, ADOBE_GAMMA), (ADOBE_POINTS, None)]
)
@pytest.mark.parametrize("red", [0, 1, 60, 128, 254, 255])
def test_fast_conversion_has_littlecms_bytes(points, gamma, red):
    """Of a plane of the colour cube; any plane of any camera's profile."""
    for profile in (made_profile(points, gamma), p3_profile()):
        levels = np.arange(256, dtype=np.uint8)
        plane = np.stack(np.meshgrid([red], levels, levels, indexing="ij"), -1)[0]
        plane = plane.astype(np.uint8)
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
        expected = ImageCms.applyTransform(Image.fromarray(plane), transform)
        shaper = shaper_of(profile)
        assert shaper is not None
        shaper.convert(plane)
        np.testing.assert_array_equal(plane, np.asarray(expected))


def table_profile():
    """Display P3 whose curves are tables, as older cameras write them."""
    values = np.rint(65535 * (np.arange(64) / 63) ** 2.2).astype(">u2").tobytes()
    curve = b"curv\0\0\0\0" + struct.pack(">I", 64) + values
    tags = {b"wtpt": D50} | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3_TO_XYZ.T, strict=True):
        fixed = np.rint(column * 65536).astype(int).tolist()
        tags[kind] = b"XYZ \0\0\0\0" + struct.pack(">3i", *fixed)
    return profile_of(b"RGB ", tags)


def test_profiles_with_tables_are_left_to_littlecms():
    assert shaper_of(table_profile()) is None
    photo = colours()
    convert_to_srgb(photo, table_profile())
    assert_shows(photo, as_srgb(colours().astype(float), P3_TO_XYZ, 2.2))


def test_odd_matrix_profiles_have_no_fast_way():
    good = made_profile(ADOBE_POINTS, ADOBE_GAMMA)
    assert shaper_of(good) is not None
    assert shaper_of(made_profile(ADOBE_POINTS, -3.0)) is None
    assert shaper_of(good[:140]) is None
    assert shaper_of(good[:128]) is None


def test_profiles_have_names():
    assert name_of(srgb_profile()) == "sRGB"
    assert name_of(grey_gamma(1.8)) == "unnamed"


def test_records_and_report_say_what_photos_state(photo_set, tmp_path):
    """One phone photo in Adobe RGB among others that state nothing."""
    raw, work = tmp_path / "raw", tmp_path / "work"
    for camera in ("phone", "dslr"):
        (raw / camera).mkdir(parents=True)
    for pair in ("2", "10"):
        for name in (f"phone/{pair}.jpg", f"dslr/{pair}.png"):
            (raw / name).write_bytes((photo_set / "raw" / name).read_bytes())
    with Image.open(raw / "phone/2.jpg") as image:
        image.save(raw / "phone/2.jpg", quality=95, exif=dcf())
    align_folders(raw / "phone", raw / "dslr", workspace=work, jobs=1)
    lines = (work / "aligned/alignment.jsonl").read_text().splitlines()
    records = {record["pair"]: record for record in map(json.loads, lines)}
    assert records["2"]["phone_color"] == "Adobe RGB (1998) (EXIF)"
    assert records["10"]["phone_color"] == "sRGB (not stated)"
    assert records["10"]["dslr_color"] == "sRGB (not stated)"
    report = write_report(work).report
    assert report.pairs.phone_colors == {
        "Adobe RGB (1998) (EXIF)": 1,
        "sRGB (not stated)": 1,
    }
    warned = [w.text for w in report.warnings if "colour spaces" in w.text]
    assert len(warned) == 1
    assert "The phone photos" in warned[0] and "1 Adobe RGB (1998) (EXIF)" in warned[0]


@pytest.mark.parametrize(
    "colors, differ",
    [
        (["sRGB (not stated)", "sRGB (nclx)", "sRGB (ICC)"], False),
        (["sRGB (not stated)", "Display P3 (ICC)"], True),
        (["sRGB (EXIF)", "sRGB (developed)"], True),
        (["Adobe RGB (1998) (EXIF)", "Adobe RGB (1998) (ICC)"], False),
    ],
)
def test_one_space_stated_in_several_ways_is_no_difference(colors, differ):
    assert (len({look(color) for color in colors}) > 1) == differ


@pytest.mark.parametrize("largest", [65_535, 9000])
def test_linear_values_of_sixteen_bits_keep_their_shadows(tmp_path, largest):
    values = np.random.default_rng(0).integers(0, largest, (40, 60, 3), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "plain.png"), values[..., ::-1])
    data = (tmp_path / "plain.png").read_bytes()
    path = tmp_path / "a.png"
    path.write_bytes(with_chunks(data, chunk(*gama(1.0))))
    expected = srgb_curve(values / 65_535)
    assert np.abs(read_photo(path) - expected).max() < 0.6
