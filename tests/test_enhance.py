"""An enhanced photo is the network's output, also in strips and from file to file."""

import json

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from PIL.ExifTags import Base

from dped_build.cli import cli
from dped_build.exchange.tensorflow_checkpoint import read_generator
from dped_build.photos.reading import read_photo
from dped_build.train import enhance
from dped_build.train.architecture import Architecture
from dped_build.train.devices import enough_memory
from dped_build.train.enhancing.enhance import enhance_files
from dped_build.train.enhancing.enhance_settings import EnhanceSettings
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.workspace.errors import DpedBuildError, Interrupted, UsageError

ARCHITECTURES = {
    "dped": Architecture(channels=6, blocks=2),
    "kernel 5": Architecture(channels=6, blocks=1, kernel=5, prelu=True),
    "fast": Architecture(model="fast", channels=4),
    "fast kernel 3": Architecture(model="fast", channels=4, strided_kernel=3),
    "srcnn": Architecture(model="srcnn"),
}


pytestmark = pytest.mark.usefixtures("one_thread")


def generator(architecture):
    """Random weights, large enough for every layer to matter."""
    torch.manual_seed(0)
    return build_generator(architecture).eval()


def photo(height, width, *, seed=0):
    """Blobs on a gradient: its parts have other statistics than the whole."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    ramp = np.linspace(0, 200, height)[:, None, None]
    return np.clip(ramp + 400 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype("u1")


def test_the_result_is_the_networks_output_clipped_and_rounded():
    model, before = generator(ARCHITECTURES["dped"]), photo(30, 42)
    with torch.no_grad():
        images = torch.from_numpy(before).permute(2, 0, 1)[None] / 255
        expected = model(images)[0].permute(1, 2, 0).clamp(0, 1) * 255
    after = enhance(model, before)
    assert after.dtype == np.uint8 and after.shape == before.shape
    np.testing.assert_allclose(after, expected.numpy(), atol=0.5001)


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (50, 63), (7, 90)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_strips_give_the_whole_photos_result(name, size):
    model, before = generator(ARCHITECTURES[name]), photo(*size)
    whole = enhance(model, before).astype(int)
    for tile in (16, 23):
        strips = enhance(model, before, tile=tile).astype(int)
        assert np.abs(strips - whole).max() <= 1
    assert whole.std() > 1  # a flat picture would prove nothing


@pytest.mark.parametrize(
    "checkpoint", ["iphone_orig", "iphone_convdeconv16_iteration_40000.ckpt"]
)
def test_released_weights_agree_in_strips(shared_data, checkpoint):
    architecture, state = read_generator(shared_data / "dped/models_orig" / checkpoint)
    model = build_generator(architecture)
    model.load_state_dict(state)
    image = cv2.imread(str(shared_data / "dped/photos_720p/0.png"))[:75, :91, ::-1]
    whole = enhance(model, image).astype(int)
    strips = enhance(model, image, tile=32).astype(int)
    assert np.abs(strips - whole).max() <= 1


def test_a_tile_too_small_is_refused():
    with pytest.raises(UsageError, match="--tile 4"):
        enhance(generator(ARCHITECTURES["srcnn"]), photo(20, 20), tile=4)


def test_only_rgb_uint8_is_taken():
    with pytest.raises(ValueError, match="must be RGB uint8"):
        enhance(generator(ARCHITECTURES["srcnn"]), np.zeros((4, 4, 3)))


class Hungry(torch.nn.Module):
    """Wants a petabyte."""

    def forward(self, images):
        """Allocate more than any machine addresses."""
        return torch.empty(2**50, dtype=torch.uint8)


def test_a_cpu_without_enough_memory_asks_for_a_tile():
    with pytest.raises(DpedBuildError, match=r"31 x 20 px: give a --tile"):
        enhance(Hungry(), photo(20, 31))


def test_another_fault_is_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("too little"):
        raise RuntimeError("shapes differ")


@pytest.fixture
def model_path(tmp_path):
    architecture = ARCHITECTURES["fast"]
    save_generator(tmp_path / "generator.pt", generator(architecture), architecture)
    return tmp_path / "generator.pt"


def write_photo(path, pixels):
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


def run(model_path, *photos, out=None, **settings):
    """Enhance photos on the CPU."""
    chosen = EnhanceSettings(device="cpu", **settings)
    return enhance_files(model_path, photos, out=out, settings=chosen)


def read_picture(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]


def test_files_are_written_beside_their_photos_or_into_out(tmp_path, model_path):
    path = write_photo(tmp_path / "in" / "a.b.png", photo(20, 31))
    beside = run(model_path, path)
    moved = run(model_path, path, out=tmp_path / "out")
    assert beside.written == [tmp_path / "in" / "a.b-enhanced.png"]
    assert moved.written == [tmp_path / "out" / "a.b-enhanced.png"]
    expected = enhance(generator(ARCHITECTURES["fast"]), photo(20, 31))
    for written in (*beside.written, *moved.written):
        np.testing.assert_array_equal(read_picture(written), expected)


@pytest.mark.parametrize("tile", [None, 16])
def test_16_bits_are_the_networks_own(tile):
    model, before = generator(ARCHITECTURES["dped"]), photo(30, 42)
    with torch.no_grad():
        images = torch.from_numpy(before).permute(2, 0, 1)[None] / 255
        expected = model(images)[0].permute(1, 2, 0).clamp(0, 1) * 65535
    after = enhance(model, before, tile=tile, bits=16)
    assert after.dtype == np.uint16
    np.testing.assert_allclose(after, expected.numpy(), atol=1 if tile is None else 8)
    assert len(np.unique(after)) > 256


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="bits=10: 8 or 16"):
        enhance(generator(ARCHITECTURES["srcnn"]), photo(20, 20), bits=10)


def test_every_format_holds_the_same_picture(tmp_path, model_path):
    path = write_photo(tmp_path / "a.png", photo(20, 31))
    expected = enhance(generator(ARCHITECTURES["fast"]), photo(20, 31), bits=16) / 257
    for name, dtype, off in (("png", "u1", 1), ("png16", "u2", 0.01), ("jpg", "u1", 5)):
        (written,) = run(model_path, path, format=name, quality=100).written
        found = read_picture(written)
        assert found.dtype == dtype
        scale = 257 if found.dtype == np.uint16 else 1
        np.testing.assert_allclose(found / scale, expected, atol=off)


def test_a_turned_photo_comes_out_upright_with_its_camera_named(tmp_path, model_path):
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Make] = 6, "Acme"
    Image.fromarray(photo(20, 32)).save(tmp_path / "a.jpg", exif=exif)
    (written,) = run(model_path, tmp_path / "a.jpg").written
    upright = enhance(generator(ARCHITECTURES["fast"]), read_photo(tmp_path / "a.jpg"))
    with Image.open(written) as image:
        assert image.size == (20, 32)
        assert image.getexif()[Base.Orientation] == 1
        assert image.getexif()[Base.Make] == "Acme"
    np.testing.assert_array_equal(read_picture(written), upright)


def test_a_folder_is_enhanced_once_however_often_it_is_named(tmp_path, model_path):
    folder = tmp_path / "in"
    for name in ("IMG_10.png", "IMG_2.png"):
        write_photo(folder / name, photo(16, 16))
    (folder / "notes.txt").write_text("no photo")
    expected = [folder / "IMG_2-enhanced.png", folder / "IMG_10-enhanced.png"]
    steps = []
    done = enhance_files(
        model_path,
        [folder, folder / "IMG_2.png"],
        settings=EnhanceSettings(device="cpu"),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert done.written == expected
    assert steps == [(0, 2), (1, 2), (2, 2)]
    again = run(model_path, folder)
    assert again.written == expected and again.passed_over == expected
    assert len(list(folder.iterdir())) == 5
    nothing = run(model_path, *expected)
    assert (nothing.written, nothing.passed_over) == ([], expected)


def test_existing_results_are_replaced_or_left_as_asked(tmp_path, model_path):
    path = write_photo(tmp_path / "a.png", photo(16, 16))
    target = tmp_path / "a-enhanced.png"
    target.write_bytes(b"another model's")
    left = run(model_path, path, skip_existing=True)
    assert (left.written, left.skipped) == ([], [target])
    assert target.read_bytes() == b"another model's"
    assert run(model_path, path).written == [target]
    assert read_picture(target).shape == (16, 16, 3)


def test_a_broken_photo_is_told_and_the_rest_goes_on(tmp_path, model_path):
    good = write_photo(tmp_path / "good.png", photo(16, 16))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo")
    missing = tmp_path / "missing.jpg"
    (tmp_path / "empty").mkdir()
    done = run(model_path, broken, missing, tmp_path / "empty", good)
    assert done.written == [tmp_path / "good-enhanced.png"]
    assert set(done.failed) == {str(broken), str(missing), str(tmp_path / "empty")}


@pytest.mark.parametrize("skip_existing", [False, True])
@pytest.mark.parametrize("out", [None, "yet/to/be/made"])
def test_a_name_too_long_for_the_result_costs_that_photo_alone(
    tmp_path, model_path, out, skip_existing
):
    good = write_photo(tmp_path / "good.png", photo(16, 16))
    long = write_photo(tmp_path / f"{'a' * 243}.png", photo(16, 16))  # + -enhanced
    longest = write_photo(tmp_path / f"{'b' * 242}.png", photo(16, 16))  # 255 bytes
    out = out and tmp_path / out
    done = run(model_path, good, long, longest, out=out, skip_existing=skip_existing)
    assert [path.stem[:4] for path in done.written] == ["good", "bbbb"]
    assert list(done.failed) == [str(long)]
    assert "its name is too long for this disk; rename it" in done.failed[str(long)]


def test_damaged_exif_is_noted_and_the_photo_enhanced(tmp_path, model_path):
    pixels = Image.fromarray(photo(16, 16))
    pixels.save(tmp_path / "a.jpg", exif=b"Exif\0\0garbage" * 5)
    done = run(model_path, tmp_path / "a.jpg")
    assert len(done.written) == 1
    assert "damaged" in done.notes[str(tmp_path / "a.jpg")]


def test_dropped_transparency_is_noted(tmp_path, model_path):
    image = Image.fromarray(photo(16, 16))
    image.save(tmp_path / "b.png")
    image.putalpha(128)
    image.save(tmp_path / "a.png")
    done = run(model_path, tmp_path / "a.png", tmp_path / "b.png")
    assert done.notes == {str(tmp_path / "a.png"): "a.png: transparency is dropped"}


def test_an_interruption_says_how_to_go_on_and_leaves_whole_files(tmp_path, model_path):
    photos = [write_photo(tmp_path / f"{n}.png", photo(16, 16)) for n in range(3)]

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"2 of 3 photos .* --skip-existing"):
        enhance_files(
            model_path,
            photos,
            settings=EnhanceSettings(device="cpu"),
            progress=interrupt,
        )
    assert sorted(path.name for path in tmp_path.glob("*-enhanced.png")) == [
        "0-enhanced.png",
        "1-enhanced.png",
    ]
    rest = run(model_path, *photos, skip_existing=True)
    assert rest.written == [tmp_path / "2-enhanced.png"] and len(rest.skipped) == 2


def test_a_full_disk_for_temporary_files_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("dped_build.train.enhancing.strips.BUDGET", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(DpedBuildError, match="set TMPDIR"):
        enhance(generator(ARCHITECTURES["fast"]), photo(20, 20), tile=16)


def test_large_photos_go_through_files_on_a_cpu(monkeypatch, tmp_path, model_path):
    """Shown by where the temporary files are wanted: strips need them, a whole not."""
    monkeypatch.setattr("dped_build.train.enhancing.strips.BUDGET", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr("dped_build.train.enhancing.enhance.WHOLE_PIXELS", 500)
    large = write_photo(tmp_path / "large.png", photo(20, 26))
    small = write_photo(tmp_path / "small.png", photo(20, 20))
    assert run(model_path, small).written
    with pytest.raises(DpedBuildError, match="set TMPDIR"):
        run(model_path, large)


def command(*arguments, code=0):
    """Run `dped-build enhance`; what it printed to stdout and stderr."""
    result = CliRunner().invoke(cli, ["enhance", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_the_command_sums_up_and_fails_only_without_a_result(tmp_path, model_path):
    write_photo(tmp_path / "in" / "good.png", photo(16, 16))
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    asked = (model_path, tmp_path / "in", "--device", "cpu")
    said, problems = command(*asked)
    assert "good-enhanced.png" in said and "1 enhanced, 1 failed" in said
    following = f"dped-build study phone={tmp_path / 'in'} enhanced=FOLDER)"
    assert said.endswith(f"(next, with --out FOLDER: {following}\n")
    assert "failed: bad.png: the file is empty" in problems
    summary = json.loads(command(*asked, "--json", "--format", "jpg")[0])
    assert summary["written"] == [str(tmp_path / "in" / "good-enhanced.jpg")]
    assert list(summary["failed"]) == [str(tmp_path / "in" / "bad.png")]
    said, _ = command(*asked, "--skip-existing")
    assert "1 kept as before, 2 earlier results passed over, 1 failed" in said
    _, problems = command(model_path, tmp_path / "in" / "bad.png", code=1)
    assert "no photo was enhanced" in problems
    _, problems = command(model_path, tmp_path / "in" / "good-enhanced.png", code=1)
    assert "rename" in problems


def test_the_command_refuses_options_that_cannot_be_meant(tmp_path, model_path):
    asked = (model_path, tmp_path / "a.png")
    for options in (("--quality", 0), ("--format", "gif"), ("--max-megapixels", -1)):
        assert options[0].strip("-") in command(*asked, *options, code=2)[1]
