"""Which files of a folder are photos, and which of them are one shot."""

import os
from pathlib import Path

import pytest
from PIL import Image

from dped_build.photos.listing import list_photos, look_into, stems_beside, unlisted
from dped_build.photos.names import original_of, shot_name
from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import PhotoError

JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


def fill(folder, names, data=JPEG):
    for name in names.split():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(listing, folder):
    return [path.relative_to(folder).as_posix() for path in listing.photos]


@pytest.mark.parametrize(
    "system",
    [
        "@eaDir/0001.jpg",
        ".@__thumb",
        "@Recycle",
        "#recycle",
        "#snapshot/daily",
        "$RECYCLE.BIN",
        "__MACOSX",
        "lost+found",
        "System\N{NO-BREAK SPACE}Volume",
        ".thumbnails",
        ".Trash-1000/files",
        "Catalog Previews.lrdata/0",
        "Photos Library.photoslibrary/resources/derivatives",
        "trashbox",
        "PRIVATE/M4ROOT/THMBNL",
    ],
)
def test_thumbnails_and_what_was_thrown_away_are_left_out_and_counted(folder, system):
    system = system.replace("\N{NO-BREAK SPACE}Volume", " Volume Information")
    fill(folder, "day1/0001.jpg")
    for name in ("SYNOPHOTO_THUMB_XL.jpg", "0001.jpg"):
        path = folder / "day1" / system / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
    found = look_into(folder, recursive=True)
    assert names(found, folder) == ["day1/0001.jpg"]
    (note,) = found.notes()
    assert note.startswith("2 pictures in 1 system folder (")


def test_a_folder_that_people_name_alike_is_none_of_the_systems(folder):
    fill(folder, "#1/a.jpg @home/b.jpg $5/c.jpg recycling/d.jpg")
    assert len(look_into(folder, recursive=True).photos) == 4


@pytest.mark.parametrize(
    "files, jpeg, raw",
    [
        (
            "PXL_1.RAW-01.COVER.jpg PXL_1.RAW-02.ORIGINAL.dng",
            "PXL_1.RAW-01.COVER.jpg",
            "PXL_1.RAW-02.ORIGINAL.dng",
        ),
        (
            "PXL_1.RAW-01.MP.COVER.jpg PXL_1.RAW-02.ORIGINAL.dng",
            "PXL_1.RAW-01.MP.COVER.jpg",
            "PXL_1.RAW-02.ORIGINAL.dng",
        ),
        ("JPG/DSC_1.JPG RAW/DSC_1.NEF", "JPG/DSC_1.JPG", "RAW/DSC_1.NEF"),
        ("DSC_1.JPG NEF/DSC_1.NEF", "DSC_1.JPG", "NEF/DSC_1.NEF"),
        ("day1-jpeg/1.jpg day1_RAW/1.arw", "day1-jpeg/1.jpg", "day1_RAW/1.arw"),
        ("100MEDIA/1.jpg 100MEDIA/1_RAW.dng", "100MEDIA/1.jpg", "100MEDIA/1_RAW.dng"),
        ("IMG_1.JPG img_1.dng", "IMG_1.JPG", "img_1.dng"),
        ("PXL_1.MP.jpg PXL_1.dng", "PXL_1.MP.jpg", "PXL_1.dng"),
        ("JPGs/1.jpg NEFs/1.nef", "JPGs/1.jpg", "NEFs/1.nef"),
        ("DSC_1.NEF DSC_1.NEF.jpg", "DSC_1.NEF.jpg", "DSC_1.NEF"),
        ("WP_1.jpg WP_1__highres.dng", "WP_1.jpg", "WP_1__highres.dng"),
        ("1.jpg 1.SRW", "1.jpg", "1.SRW"),
        ("IMG_1.HEIC IMG_1.jpg", "IMG_1.jpg", "IMG_1.jpg"),
        ("JPG/IMG_1.jpg IMG_1.HEIC", "JPG/IMG_1.jpg", "JPG/IMG_1.jpg"),
    ],
)
def test_the_files_of_one_shot_are_one_photo(folder, files, jpeg, raw):
    fill(folder, files)
    for prefer, wanted in ((None, jpeg), ("jpeg", jpeg), ("raw", raw)):
        found = look_into(folder, recursive=True, prefer=prefer)
        assert names(found, folder) == [wanted]
        assert list(found.notes()) == ["1 file beside another of the same shot"]


def test_what_only_looks_like_one_shot_is_two(folder):
    fill(folder, "day1/1.jpg day2/1.dng bay/2.jpg 2.dng 3.jpg 3-1.dng raw.jpg 4raw.dng")
    assert len(look_into(folder, recursive=True).photos) == 8


def test_a_set_is_of_one_kind_where_every_shot_has_it(folder):
    fill(folder, "1.jpg 1.dng 2.dng 3.dng 3.jpg")
    found = look_into(folder)
    assert names(found, folder) == ["1.dng", "2.dng", "3.dng"]
    assert found.companions[folder / "1.dng"] == [folder / "1.jpg"]
    assert names(look_into(folder, prefer="jpeg"), folder) == [
        "1.jpg",
        "2.dng",
        "3.jpg",
    ]


def test_jpeg_content_is_a_photo_under_any_name(folder):
    named = "1.jfif 2.jpe 3.JIF 4.mpo 5.dat 6 7.JPG_large 8.pjpeg"
    fill(folder, f"{named} a.thm b.xmp c.jpg_original e.bak", JPEG)
    fill(folder, "f.dat g", b"text")
    os.mkfifo(folder / "pipe")
    assert names(look_into(folder), folder) == named.split()
    Image.new("RGB", (40, 30), "red").save(folder / "9.dat", "JPEG")
    assert read_photo(folder / "9.dat").shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_webp_and_avif_are_read_whole_or_refused(folder, textured, suffix):
    folder.mkdir()
    path = folder / f"1.{suffix}"
    photo = textured(1, (320, 240))
    photo[:] = photo[..., :1]  # what is left of colour is not the point
    Image.fromarray(photo).save(path, quality=95)
    assert names(look_into(folder), folder) == [path.name]
    decoded = read_photo(path)
    assert abs(decoded.astype(int) - photo).mean() < 2  # grey levels
    data = path.read_bytes()
    for share in (0.2, 0.6, 0.9, 0.999):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(PhotoError) as caught:
            read_photo(path)
        assert caught.value.reason == "truncated"


def test_raw_suffixes_of_all_makers_are_photos(folder):
    files = "a.srw b.NRW c.3fr d.crw e.iiq f.rwl g.mrw h.erf i.kdc j.mef"
    fill(folder, files, b"raw")
    assert names(look_into(folder), folder) == files.split()


def test_what_is_not_read_is_named_once_with_its_kinds(folder):
    fill(folder, "1.jpg " + " ".join(f"{n}.jxl" for n in range(10)) + " a.gpr b.GPR")
    found = look_into(folder)
    assert list(found.notes()) == ["12 files are not read: 10 .jxl, 2 .gpr"]
    assert unlisted(found)["3"].startswith("3.jxl is not read; save it as JPEG")


def test_photos_that_are_not_here_yet_are_named(folder):
    fill(folder, "1.jpg .IMG_3.HEIC.icloud 4.jpg.crdownload 5.jpg.part 6.dng.cloud")
    found = look_into(folder)
    assert names(found, folder) == ["1.jpg"]
    (note,) = found.notes()
    assert note.startswith("4 photos not on this disk yet (") and "download" in note
    assert ".IMG_3.HEIC.icloud is not on this disk" in unlisted(found)["img_3"]


def test_results_of_enhance_are_listed_for_people_and_left_out_of_sets(folder):
    fill(folder, "1.jpg 1-enhanced.png")
    found = look_into(folder)
    assert names(found, folder) == ["1.jpg"]
    assert list(found.notes()) == ["1 result of enhance"]
    assert len(list_photos(folder)) == 2


@pytest.mark.parametrize(
    "name, original, what",
    [
        ("IMG_1-edited", "IMG_1", "edit"),
        ("IMG_1-bearbeitet", "IMG_1", "edit"),
        ("IMG_1-modifie\u0301", "IMG_1", "edit"),
        ("IMG_1-EFFECTS-edited", "IMG_1", "edit"),
        ("IMG_1-COLLAGE", "IMG_1", "edit"),
        ("IMG_1-Edit-2", "IMG_1", "edit"),
        ("IMG_1-edited(1)", "IMG_1", "edit"),
        ("IMG_1 (edited)", "IMG_1", "edit"),
        ("IMG_1-Modifier", "IMG_1", "edit"),
        ("IMG_1-відредаговано", "IMG_1", "edit"),
        ("IMG_1-Enhanced-SR", "IMG_1", "edit"),
        ("IMG_1-DxO_DeepPRIME XD", "IMG_1", "edit"),
        ("IMG_E0102", "IMG_0102", "edit"),
        ("IMG_E0102 (1)", "IMG_0102", "edit"),
        ("PXL_1.PORTRAIT-01.COVER", "PXL_1.PORTRAIT-02.ORIGINAL", "edit"),
        ("PXL_1.LONG_EXPOSURE-01.COVER", "PXL_1.LONG_EXPOSURE-02.ORIGINAL", "edit"),
        ("0002 2", "0002", "copy"),
        ("0002 (1)", "0002", "copy"),
        ("0002(12)", "0002", "copy"),
        ("0002~2", "0002", "copy"),
        ("0002 copy", "0002", "copy"),
        ("0002 copy 2", "0002", "copy"),
        ("0002 - Copy (3)", "0002", "copy"),
        ("0002 - Kopie", "0002", "copy"),
        ("0002 (copy)", "0002", "copy"),
        ("Kopie von 0002", "0002", "copy"),
        ("Copy of 0002", "0002", "copy"),
        ("Kopie (2) von 0002", "0002", "copy"),
        ("0002 (3rd copy)", "0002", "copy"),
        ("0002 (copy 2)", "0002", "copy"),
        ("0002_copy", "0002", "copy"),
        ("0002 \u2014 копия", "0002", "copy"),
        ("0002のコピー", "0002", "copy"),
        ("0002[1]", "0002", "copy"),
    ],
)
def test_names_of_edits_and_copies_lead_to_the_original(name, original, what):
    known = {original.casefold()}
    assert original_of(name, known) == (what, original.casefold())
    assert original_of(name, {"other"}) is None


@pytest.mark.parametrize("name", ["IMG_2", "0002-1", "0002_1", "0002b", "IMG_0001_BW"])
def test_names_of_other_photos_lead_nowhere(name):
    assert original_of(name, {"img_1", "0002", "img_0001", "img", "0"}) is None


def test_a_shot_is_called_without_what_names_its_kind():
    paths = ("JPG/a b/IMG_1.JPG", "RAW/a b/img_1_RAW.dng")
    assert {shot_name(Path(path)) for path in paths} == {"a b-img_1"}
    parts = ("PXL_1.jpg", "PXL_1.PORTRAIT-02.ORIGINAL.jpg", "PXL_1.RAW-01.COVER.jpg")
    assert {shot_name(Path(path)) for path in parts} == {"pxl_1"}


def test_of_a_portrait_both_files_are_listed_and_one_is_an_edit(folder):
    fill(folder, "P.PORTRAIT-01.COVER.jpg P.PORTRAIT-02.ORIGINAL.jpg")
    photos = look_into(folder).photos
    assert len(photos) == 2
    known = stems_beside(photos)[folder]
    assert original_of(photos[0].stem, known) == ("edit", "p.portrait-02.original")
