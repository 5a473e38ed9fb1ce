"""No decoder hands out pixels that the file does not hold."""

import errno
import io
import os
import random
import re
import struct

import numpy as np
import pytest
import tifffile
from mutations import picture, saved, seeds, seeds_of_extras
from PIL import Image
from raw_files import colour_chart, directory, dng, mosaic

from dped_build.photos.c_words import caught_words
from dped_build.photos.heif_items import require_whole as require_whole_heif
from dped_build.photos.raw_bytes import require_whole as require_whole_raw
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import PhotoError

CUTS = 12  # of each photo, half of them near its end
JPEGS = {
    "baseline": {},
    "fine": {"quality": 95, "subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "grey": {},
    "progressive": {"progressive": True},
}


def tif(pixels=None, **options):
    stream = io.BytesIO()
    values = picture((96, 72)) if pixels is None else pixels
    tifffile.imwrite(stream, values, **{"photometric": "rgb", **options})
    return stream.getvalue()


def kinds():
    """Name → bytes of a photo of every kind."""
    rgb = Image.fromarray(picture((96, 72)))
    deep = (picture((96, 72)).astype(np.uint16) << 8) | 7
    planes = np.ascontiguousarray(picture((96, 72)).transpose(2, 0, 1))
    found = seeds() | seeds_of_extras()
    found |= {
        "plain.tif": tif(),
        "tiles.tif": tif(tile=(32, 32)),
        "rows.tif": tif(rowsperstrip=8),
        "deep.tif": tif(deep),
        "planes.tif": tif(planes, planarconfig="separate"),
        "big_endian.tif": tif(deep, byteorder=">"),
        "zlib.tif": tif(compression="zlib", rowsperstrip=8),
        "zlib_tiles.tif": tif(compression="zlib", tile=(32, 32)),
        "zlib_deep.tif": tif(deep, compression="zlib"),
    }
    for name in ("tiff_lzw", "packbits", "zstd", "lzma"):
        found[f"{name}.tif"] = saved(rgb, "TIFF", compression=name)
    for name in ("group3", "group4"):
        found[f"{name}.tif"] = saved(rgb.convert("1"), "TIFF", compression=name)
    for name, lossless in (("lossy", False), ("lossless", True)):
        found[f"{name}.webp"] = saved(rgb, "WEBP", lossless=lossless)
    found["a.avif"] = saved(rgb, "AVIF")
    for name, options in JPEGS.items():
        image = rgb.convert("L") if name == "grey" else rgb
        found[f"{name}2.jpg"] = saved(image, "JPEG", **options)
    return found


KINDS = kinds()


def write(path, data):
    path.write_bytes(data)
    return path


def outcome(path, whole):
    """`same`, `other`, or the reason of a refusal."""
    try:
        return "same" if np.array_equal(read_photo(path), whole) else "other"
    except PhotoError as error:
        return error.reason


def lengths(data, rng):
    """Where a file is cut, as often near its end as anywhere."""
    near = min(300, len(data) - 20)
    return [
        rng.randrange(16, len(data)) if n % 2 else len(data) - rng.randrange(1, near)
        for n in range(CUTS)
    ]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_at_random_is_truncated_or_the_same(tmp_path, capfd, name):
    data, rng = KINDS[name], random.Random(name)
    path = write(tmp_path / name, data)
    whole = read_photo(path)
    found = {
        outcome(write(path, data[:length]), whole) for length in lengths(data, rng)
    }
    assert found <= {"truncated", "same"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [n for n in KINDS if n[-4:] not in (".tif", "webp")])
def test_a_file_whose_rest_was_never_written_is_refused_or_the_same(tmp_path, name):
    """Its length was set first, as some copying programs do: the rest is zeros."""
    data = KINDS[name]
    path = write(tmp_path / name, data)
    whole = read_photo(path)
    for length in (len(data) * n // 16 for n in range(3, 15)):
        found = outcome(write(path, data[:length].ljust(len(data), b"\0")), whole)
        assert found in ("truncated", "unreadable", "same"), length


@pytest.mark.parametrize("name", [n for n in KINDS if n.endswith((".heic", ".avif"))])
def test_a_heif_whose_rest_is_erased_memory_is_refused(tmp_path, name):
    data = KINDS[name]
    for length in (len(data) * n // 16 for n in range(10, 15)):
        blob = data[:length].ljust(len(data), b"\xff")
        assert outcome(write(tmp_path / name, blob), None) in (
            "truncated",
            "unreadable",
        ), length


@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd", "lzma", "packbits"])
def test_libtiff_says_nothing_on_the_terminal(tmp_path, capfd, compression):
    data = KINDS[f"{compression}.tif"]
    path = write(tmp_path / "a.tif", data[: len(data) // 3].ljust(len(data), b"\0"))
    with pytest.raises(PhotoError):
        read_photo(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.4, 0.6, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize(
    "name",
    [
        "iphone7_grid.heic",
        "nokia_grid_960x640.heic",
        "cat.hif",
        "colorchart.dng",
        "canon_eos_6d.dng",
    ],
)
def test_cut_camera_files_are_truncated_or_the_same(
    camera_files, tmp_path, capfd, name, share
):
    data = (camera_files / name).read_bytes()
    path = write(tmp_path / name, data[: int(len(data) * share)])
    whole = read_photo(camera_files / name) if name == "canon_eos_6d.dng" else None
    assert outcome(path, whole) in ("truncated", "same")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name", ["pruned.dng", "pruned.rw2", "sony_pruned.hif", "truncated_tiny.heic"]
)
def test_camera_files_without_their_pixels_are_truncated(camera_files, capfd, name):
    with pytest.raises(PhotoError, match="the file ends early") as caught:
        read_photo(camera_files / name)
    assert caught.value.reason == "truncated"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name",
    [
        "iphone7_grid.heic",
        "samsung_s22.heic",
        "nokia83_hdr.heif",
        "cat.hif",
        "nokia_grid_960x640.heic",
        "colorchart.dng",
        "canon_eos_6d.dng",
        "olympus_ep3_adobe_rgb.jpg",
    ],
)
def test_whole_camera_files_are_read(camera_files, capfd, name):
    photo = read_photo(camera_files / name)
    assert photo[::8, ::8].std() > 10
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize(
    "rest", [b"", b"SEFT" * 10, b"more" + KINDS["baseline2.jpg"], bytes(500)]
)
def test_a_jpeg_that_lacks_nothing_but_its_end_marker_is_read(tmp_path, name, rest):
    data = KINDS[f"{name}2.jpg"]
    whole = read_photo(write(tmp_path / "a.jpg", data))
    path = write(tmp_path / "b.jpg", data[:-2] + rest)
    np.testing.assert_array_equal(read_photo(path), whole)


@pytest.mark.parametrize("name", ["baseline2.jpg", "restarts2.jpg", "cmyk.jpg"])
@pytest.mark.parametrize("end", [b"\xff\xd9", b"\xff\xd9" + bytes(99)])
def test_an_end_marker_does_not_make_a_cut_jpeg_whole(tmp_path, name, end):
    data = KINDS[name]
    for length in (len(data) // 2, len(data) * 3 // 4):
        path = write(tmp_path / "a.jpg", data[:length] + end)
        assert outcome(path, None) == "truncated"


def test_a_progressive_jpeg_without_its_last_scan_is_truncated(tmp_path):
    data = saved(Image.fromarray(picture((96, 72))), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert outcome(write(tmp_path / "a.jpg", data[:last]), None) == "truncated"


@pytest.mark.parametrize("name", ["rgb.png", "deep.png", "palette.png"])
def test_a_png_with_a_wrong_checksum_is_unreadable(tmp_path, name):
    data = bytearray(KINDS[name])
    data[data.index(b"IDAT") + 60] ^= 1
    assert outcome(write(tmp_path / "a.png", data), None) == "unreadable"


def test_a_heic_without_one_tile_is_truncated(tmp_path):
    """The rest of the file is there, boxes and all."""
    data = KINDS["grid.heic"]
    place = data.index(b"mdat") + 4
    hole = slice(place + 400, place + 900)
    path = write(
        tmp_path / "a.heic", data[: hole.start] + bytes(500) + data[hole.stop :]
    )
    assert outcome(path, None) == "truncated"


def test_a_heic_of_too_few_bytes_for_its_size_is_truncated():
    data = KINDS["grid.heic"]
    require_whole_heif(io.BytesIO(data), 128 * 128)
    with pytest.raises(EOFError):
        require_whole_heif(io.BytesIO(data), 50_000_000)


def test_raw_files_of_other_makers_reach_as_far_as_they_say(tmp_path):
    """By the published layouts of CR3, ORF, RAF and RW2 files."""
    strips = {273: (4, [400]), 279: (4, [600])}
    panasonic = {2: (3, [40]), 3: (3, [30]), 45: (3, [4]), 280: (4, [400])}
    files = {
        "a.orf": (own_tiff(b"IIRO", strips), 1000),
        "a.rw2": (own_tiff(b"IIU\0", panasonic), 400 + 40 * 30 * 8 // 7),
        "a.raf": (
            b"FUJIFILMCCD-RAW".ljust(84, b"\0")
            + struct.pack(">6L", 120, 80, 200, 100, 300, 700),
            1000,
        ),
        "a.cr3": (
            struct.pack(">L4s4sL", 16, b"ftyp", b"crx ", 1)
            + struct.pack(">L4s", 984, b"mdat"),
            1000,
        ),
    }
    for name, (head, length) in files.items():
        require_whole_raw(write(tmp_path / name, head.ljust(length, b"\1")))
        for short in (length - 1, length // 2):
            with pytest.raises(EOFError):
                require_whole_raw(
                    write(tmp_path / name, head.ljust(short, b"\1")[:short])
                )


def own_tiff(signature, entries):
    return signature + struct.pack("<L", 8) + directory(entries, 8)


def test_a_raw_file_whose_last_rows_are_empty_is_truncated(tmp_path):
    plane = mosaic(colour_chart(cells=(2, 3)))
    plane[-4:] = 0
    assert outcome(write(tmp_path / "a.dng", dng(plane)), None) == "truncated"


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.heic"])
def test_a_raw_file_is_raw_whatever_its_suffix(tmp_path, name):
    """Its preview would be taken for the photo."""
    data = dng(mosaic(colour_chart(cells=(2, 3))))
    whole = read_photo(write(tmp_path / "a.dng", data))
    path = write(tmp_path / name, data)
    np.testing.assert_array_equal(read_photo(path), whole)
    assert outcome(write(path, data[: len(data) // 2]), whole) == "truncated"


@pytest.mark.parametrize("name", ["colorchart.dng", "canon_eos_6d.dng"])
def test_a_cameras_dng_called_tiff_is_developed(camera_files, tmp_path, name):
    path = write(tmp_path / "a.tif", (camera_files / name).read_bytes())
    np.testing.assert_array_equal(read_photo(path), read_photo(camera_files / name))


def test_what_others_print_meanwhile_is_shown(capfd):
    with caught_words(re.compile("^LIB: ")) as words:
        os.write(2, b"LIB: a word\nsomebody's line\n")
    assert words == ["LIB: a word"]
    assert capfd.readouterr().err == "somebody's line\n"


def test_without_a_place_for_them_words_are_shown(capfd, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with caught_words(re.compile("^LIB: ")) as words:
        os.write(2, b"LIB: a word\n")
    assert words == []
    assert capfd.readouterr().err == "LIB: a word\n"


@pytest.mark.parametrize("lost", [0.3, 0.5, 0.7])
def test_a_jpeg_that_lacks_bytes_within_is_no_photo(tmp_path, lost):
    data = KINDS["restarts2.jpg"]
    place = int(len(data) * lost)
    path = write(tmp_path / "a.jpg", data[:place] + data[place + 200 :])
    assert outcome(path, None) in ("truncated", "unreadable")


def test_a_lossy_dng_that_lacks_bytes_within_is_no_photo(camera_files, tmp_path, capfd):
    data = (camera_files / "canon_eos_6d.dng").read_bytes()
    for place in (160_000, 200_000, 265_000):
        hole = data[:place] + bytes(4096) + data[place + 4096 :]
        path = write(tmp_path / "a.dng", hole)
        assert outcome(path, None) in ("truncated", "unreadable")
    assert capfd.readouterr() == ("", "")


def test_a_list_of_items_without_end_is_refused():
    """Of items whose parts take no bytes to list."""
    entry = struct.pack(">HHHH", 1, 0, 0, 65_535)
    table = struct.pack(">BxxxHH", 1, 0, 60_000) + entry * 60_000
    iloc = struct.pack(">L4s", 8 + len(table), b"iloc") + table
    meta = struct.pack(">L4sL", 12 + len(iloc), b"meta", 0) + iloc
    with pytest.raises(ValueError, match="without end"):
        require_whole_heif(io.BytesIO(meta), 100)
