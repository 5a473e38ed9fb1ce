"""Nothing that a photo tells about its owner is in anything that is written."""

import io
import json
import re
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from dped_build.cli import cli

SECRETS = {
    "owner": "Owner Zaphod",
    "artist": "Artist Trillian",
    "copyright": "Rights Marvin",
    "serial": "SERIAL-4711-0815",
    "lens serial": "LENS-0042-1138",
    "host": "Zaphods-Phone",
    "description": "Kitchen at home",
    "comment": "comment of Arthur",
    "maker note": "MAKERNOTE-ford-prefect",
    "unique": "deadbeefcafe0123456789abcdef0042",
    "xmp": "xmp-slartibartfast",
    "iptc": "iptc-byline-eddie",
    "thumbnail": "thumb-position-agrajag",
    "text": "png-text-hotblack",
    "date stamp": "1979:10:12",
}
POSITION = ((51, 1), (28, 1), (193827, 5000))  # degrees, minutes, seconds

pytestmark = pytest.mark.usefixtures("one_thread")


def all_exif() -> bytes:
    """Everything that cameras write about who took a photo, with what and where."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = SECRETS["description"], SECRETS["artist"]
    exif[0x8298], exif[0x013C] = SECRETS["copyright"], SECRETS["host"]
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    inner = exif.get_ifd(0x8769)
    inner[0x9003] = "2024:06:01 12:00:00"
    inner[0x927C] = SECRETS["maker note"].encode()
    inner[0x9286] = b"ASCII\0\0\0" + SECRETS["comment"].encode()
    inner[0xA420], inner[0xA430] = SECRETS["unique"], SECRETS["owner"]
    inner[0xA431], inner[0xA435] = SECRETS["serial"], SECRETS["lens serial"]
    place = exif.get_ifd(0x8825)
    place[1], place[3] = "N", "W"
    place[2] = place[4] = tuple(IFDRational(*value) for value in POSITION)
    place[29] = SECRETS["date stamp"]
    thumbnail, own = io.BytesIO(), Image.Exif()
    own[0x010E], own.get_ifd(0x8825)[2] = SECRETS["thumbnail"], place[2]
    Image.new("RGB", (16, 12)).save(thumbnail, "jpeg", exif=own)
    return exif.tobytes() + thumbnail.getvalue()


def segment(number: int, payload: bytes) -> bytes:
    return bytes([0xFF, number]) + (len(payload) + 2).to_bytes(2, "big") + payload


def plant(path: Path) -> None:
    """Give a photo every kind of metadata."""
    image = Image.open(path)
    image.load()
    if path.suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", SECRETS["text"])
        texts.add_itxt("XML:com.adobe.xmp", f"<x>{SECRETS['xmp']}</x>")
        image.save(path, pnginfo=texts, exif=all_exif())
        return
    image.save(path, quality=95, exif=all_exif(), comment=SECRETS["comment"])
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x>" + SECRETS["xmp"].encode() + b"</x>"
    name = SECRETS["iptc"].encode()
    record = b"\x1c\x02\x50" + len(name).to_bytes(2, "big") + name
    block = b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    iptc = b"Photoshop 3.0\0" + block + b"\0" * (len(record) % 2)
    content = path.read_bytes()
    planted = content[:2] + segment(0xE1, xmp) + segment(0xED, iptc) + content[2:]
    path.write_bytes(planted)


def forms(text: str) -> set[bytes]:
    return {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")}


def needles(*folders: Path) -> dict[str, set[bytes]]:
    """What must be found nowhere, by what it is."""
    wanted = {name: forms(text) for name, text in SECRETS.items()}
    for order in ("little", "big"):
        seconds = b"".join(number.to_bytes(4, order) for number in POSITION[-1])
        wanted[f"position, {order}-endian"] = {seconds}
    wanted |= {f"folder {number}": forms(str(f)) for number, f in enumerate(folders)}
    return wanted


def contents(path: Path) -> bytes:
    """A file's bytes, and what is packed in them."""
    parts = [path.read_bytes()]
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            for item in file.values():
                parts.append(np.asarray(item[()]).astype("S").tobytes())
            parts += [str(value).encode() for value in file.attrs.values()]
    if path.suffix == ".png":
        for packed in re.finditer(
            rb"(?:zTXt|iTXt|iCCP)[^\0]*\0+(x.{20,})", parts[0], 16
        ):
            try:
                parts.append(zlib.decompressobj().decompress(packed[1]))
            except zlib.error:
                continue
    return b"\n".join(parts)


def leaks(folder: Path, wanted: dict[str, set[bytes]]) -> list[str]:
    """File and kind of everything found in a folder, names included."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = contents(path) + str(path.relative_to(folder)).encode()
        found += [
            f"{path.relative_to(folder)}: {kind}"
            for kind, texts in wanted.items()
            if any(text in content for text in texts)
        ]
    return found


def run(*arguments) -> str:
    ran = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


@pytest.fixture(scope="module")
def photos(photo_set, tmp_path_factory):
    """`photo_set`, in which every photo has all metadata."""
    folder = tmp_path_factory.mktemp("planted-photos")
    for camera in ("phone", "dslr"):
        shutil.copytree(photo_set / "raw" / camera, folder / camera)
    for path in folder.rglob("*.*"):
        plant(path)
    return folder


@pytest.fixture(scope="module")
def outputs(photos, tmp_path_factory):
    """A workspace after every command, and enhanced photos in `enhanced/`."""
    folder = tmp_path_factory.mktemp("whole-way") / "workspace"
    at = ("--workspace", folder)
    run("align", photos / "phone", photos / "dslr", "--jobs", 1, *at)
    run("patches", "--size", 32, "--max-per-photo", 4, "--jobs", 1, *at)
    tiny = ("--channels", 2, "--blocks", 1, "--loss", "mse", "--iterations", 2)
    often = ("--log-every", 1, "--checkpoint-every", 1, "--batch-size", 2)
    model = folder / "runs/tiny"
    run("train", *tiny, *often, "--device", "cpu", "--out", model, *at)
    run("report", *at)
    ready = photos / "ready"
    for camera in ("phone", "dslr"):
        (ready / camera).mkdir(parents=True)
        for number in range(3):
            patch = Image.new("RGB", (32, 32), (40 * number, 90, 30))
            patch.save(ready / camera / f"{number}.jpg")
            plant(ready / camera / f"{number}.jpg")
    run("import", ready, "--out", folder / "imported", "--jobs", 1)
    phone = sorted((photos / "phone").iterdir())[0]
    dslr = sorted((photos / "dslr").iterdir())[0]
    for kind in ("png", "png16", "jpg"):
        for camera, photo in (("phone", phone), ("dslr", dslr)):
            out = ("--format", kind, "--out", folder / "enhanced" / kind / camera)
            run("enhance", model, photo, *out, "--device", "cpu")
    told = run("evaluate", model, "--split", "train", "--json", *at)
    (folder / "evaluation.json").write_text(told)
    return folder


def test_the_photos_hold_all_that_is_searched_for(photos):
    """Else the search could not find anything."""
    found = leaks(photos, needles())
    kinds = {line.partition(": ")[2] for line in found}
    assert kinds >= set(SECRETS)
    assert any(kind.startswith("position") for kind in kinds)
    for path in (p for p in photos.rglob("*.*") if p.is_file()):
        name = path.relative_to(photos).as_posix()
        assert sum(line.startswith(f"{name}: ") for line in found) > 10, name


def test_nothing_private_is_written(photos, outputs):
    """Every byte of every file, HDF5, PNG and JPEG unpacked; `local.json` aside."""
    local = outputs / "aligned/local.json"
    stated = json.loads(local.read_text())
    assert stated["phone_root"] == str((photos / "phone").resolve())
    wanted = needles(photos, outputs)
    found = leaks(outputs, wanted)
    assert [line for line in found if not line.startswith("aligned/local.json")] == []


def test_the_search_finds_what_is_there(photos, tmp_path):
    """A shard and a picture into which a secret was put on purpose."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "photos",
            data=np.array([SECRETS["owner"]], "S"),
            chunks=(1,),
            compression="gzip",
        )
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRETS["text"], zip=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=texts)
    assert leaks(tmp_path, needles()) == ["a.h5: owner", "a.png: text"]


def test_every_step_of_the_way_wrote_something(outputs):
    for name in ("aligned", "patches", "imported", "report", "runs/tiny", "enhanced"):
        assert any(path.is_file() for path in (outputs / name).rglob("*")), name
    assert json.loads((outputs / "evaluation.json").read_text())["n"] > 0


def test_enhanced_photos_keep_the_camera_but_not_the_position(outputs):
    written = list((outputs / "enhanced").rglob("*-enhanced.*"))
    assert len(written) == 6
    for path in written:
        with Image.open(path) as image:
            exif = image.getexif()
            assert exif.get_ifd(0x8825) == {}
            assert exif.get(0x0110) == "Model"
