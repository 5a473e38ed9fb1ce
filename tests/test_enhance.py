"""An enhanced photo is the network's output, also in strips and from file to file."""

import cv2
import numpy as np
import pytest
import torch

from dped_build.align.errors import DpedBuildError, UsageError
from dped_build.train import enhance
from dped_build.train.architecture import Architecture
from dped_build.train.devices import enough_memory
from dped_build.train.enhancement import WHOLE_PIXELS, enhance_files
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.train.tensorflow_checkpoint import read_generator

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
    with pytest.raises(ValueError, match="is not uint8"):
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


def test_files_are_written_beside_their_photos_or_into_out(tmp_path, model_path):
    path = write_photo(tmp_path / "in" / "a.b.png", photo(20, 31))
    beside = enhance_files(model_path, [path], device="cpu")
    moved = enhance_files(model_path, [path], out=tmp_path / "out", device="cpu")
    assert beside.written == [tmp_path / "in" / "a.b-enhanced.png"]
    assert moved.written == [tmp_path / "out" / "a.b-enhanced.png"]
    expected = enhance(generator(ARCHITECTURES["fast"]), photo(20, 31))
    for written in (*beside.written, *moved.written):
        stored = cv2.cvtColor(cv2.imread(str(written)), cv2.COLOR_BGR2RGB)
        np.testing.assert_array_equal(stored, expected)


def test_a_broken_photo_is_told_and_the_rest_goes_on(tmp_path, model_path):
    good = write_photo(tmp_path / "good.png", photo(16, 16))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo")
    missing = tmp_path / "missing.jpg"
    done = enhance_files(model_path, [broken, missing, good], device="cpu")
    assert done.written == [tmp_path / "good-enhanced.png"]
    assert list(done.failed) == [str(broken), str(missing)]


def test_two_photos_never_become_one_file(tmp_path, model_path):
    paths = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg"]
    with pytest.raises(UsageError, match=r"1-enhanced\.png"):
        enhance_files(model_path, paths, out=tmp_path)


def test_a_full_disk_for_temporary_files_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(DpedBuildError, match="set TMPDIR"):
        enhance(generator(ARCHITECTURES["srcnn"]), photo(20, 20), tile=16)


def test_large_photos_go_through_files_on_a_cpu(monkeypatch, tmp_path, model_path):
    """Shown by where the temporary files are wanted: strips need them, a whole not."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    wide = np.zeros((1000, WHOLE_PIXELS // 1000 + 1, 3), np.uint8)
    large = write_photo(tmp_path / "large.png", wide)
    small = write_photo(tmp_path / "small.png", photo(20, 20))
    assert enhance_files(model_path, [small], device="cpu").written
    with pytest.raises(DpedBuildError, match="set TMPDIR"):
        enhance_files(model_path, [large], device="cpu")
