"""Strips give the network's own output, wherever features wait and whoever computes."""

import gc

import cv2
import numpy as np
import pytest
import torch

from dped_build.exchange.tensorflow_checkpoint import read_generator
from dped_build.train.architecture import Architecture
from dped_build.train.enhancing import strips as tiles
from dped_build.train.enhancing.row_store import FileStore, MemoryStore, Room
from dped_build.train.enhancing.strips import forward_in_strips
from dped_build.train.networks import build_generator

CPU = torch.device("cpu")
LEVELS = 65_535
ARCHITECTURES = (
    Architecture(channels=5, blocks=2),
    Architecture(channels=17, blocks=1, kernel=4, prelu=True),
    Architecture("fast", channels=4, prelu=True),
    Architecture("fast", channels=4, strided_kernel=1),
    Architecture("fast", channels=4, strided_kernel=3),
    Architecture("fast", channels=4, strided_kernel=7),
    Architecture("johnson", channels=6, blocks=2),
    Architecture("srcnn"),
)


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2  # whatever ran has left them as they were
    torch.set_num_threads(before)


def build(architecture):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_generator(architecture).eval()


def photo(height, width):
    """Blobs on a ramp: parts have other statistics than the whole."""
    noise = np.random.default_rng(0).normal(size=(height, width, 3))
    ramp = np.linspace(0, 200, height)[:, None, None]
    return np.clip(ramp + 400 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype("u1")


def whole(model, pixels):
    """What the network itself makes, in levels of 16 bits and not rounded."""
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        return model(images)[0].permute(1, 2, 0).clamp(0, 1).numpy() * LEVELS


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (31, 22), (24, 33)])
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_strips_of_any_height_are_the_networks_output(monkeypatch, architecture, size):
    model, pixels = build(architecture), photo(*size)
    expected = whole(model, pixels)
    monkeypatch.setattr(tiles, "STRIP_BYTES", 1)
    for rows in (1, 2, 9):
        monkeypatch.setattr(tiles, "MIN_ROWS", rows)
        found = forward_in_strips(model, pixels, tile=None, device=CPU, bits=16)
        assert found.dtype == np.uint16
        np.testing.assert_allclose(found, expected, rtol=0, atol=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_features_on_disk_and_in_memory_give_the_same(monkeypatch, architecture):
    model, pixels = build(architecture), photo(41, 29)
    in_memory = forward_in_strips(model, pixels, tile=None, device=CPU, bits=16)
    for budget in (0, 20_000):
        monkeypatch.setattr(tiles, "BUDGET", budget)
        on_disk = forward_in_strips(model, pixels, tile=64, device=CPU, bits=16)
        np.testing.assert_array_equal(on_disk, in_memory)


def test_8_bits_are_the_nearest_levels():
    model, pixels = build(ARCHITECTURES[0]), photo(30, 20)
    bytes_ = forward_in_strips(model, pixels, tile=None, device=CPU)
    assert bytes_.dtype == np.uint8
    expected = whole(model, pixels) / 257
    np.testing.assert_allclose(bytes_, expected, rtol=0, atol=0.501)


def test_the_number_of_threads_does_not_show():
    model, pixels = build(ARCHITECTURES[2]), photo(64, 48)
    two = forward_in_strips(model, pixels, tile=None, device=CPU, bits=16)
    torch.set_num_threads(1)
    one = forward_in_strips(model, pixels, tile=None, device=CPU, bits=16)
    torch.set_num_threads(2)
    assert np.abs(one.astype(int) - two).max() <= 1


def test_threads_are_left_as_they_were_after_an_error_too(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(tiles, "to_levels", fail)
    with pytest.raises(RuntimeError, match="broken"):
        forward_in_strips(build(ARCHITECTURES[2]), photo(20, 20), tile=None, device=CPU)


@pytest.mark.long
@pytest.mark.parametrize(
    "kind, model, photo, output",
    [
        ("generator", "iphone_orig", "china", "china_iphone"),
        (
            "fast_generator",
            "iphone_convdeconv16_iteration_40000.ckpt",
            "china",
            "china_fpie_iphone",
        ),
    ],
)
def test_released_weights_give_the_original_codes_output(
    shared_data, kind, model, photo, output
):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    architecture, state = read_generator(shared_data / "dped" / "models_orig" / model)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    pixels = cv2.imread(str(shared_data / "oracle" / kind / f"{photo}.png"))[..., ::-1]
    expected = np.load(shared_data / "oracle" / kind / f"{output}.npy").clip(0, 1)
    found = forward_in_strips(generator, pixels, tile=None, device=CPU, bits=16)
    np.testing.assert_allclose(found / LEVELS, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("budget, kind", [(None, MemoryStore), (0, FileStore)])
def test_a_store_gives_back_what_was_written(budget, kind):
    features = torch.rand(1, 5, 20, 7, generator=torch.Generator().manual_seed(0))
    store = Room(budget=budget).store(5, (20, 7))
    assert isinstance(store, kind)
    for top in (12, 0, 6):
        store.write(top, features[:, :, top : top + 8])
    assert torch.equal(store.read(0, 20), features)
    assert torch.equal(store.read(7, 9), features[:, :, 7:9])


def test_memory_is_kept_to_the_budget_and_used_again():
    room = Room(budget=4 * 100)
    first = room.store(1, (10, 6))
    second = room.store(1, (10, 4))
    assert isinstance(first, MemoryStore) and isinstance(second, MemoryStore)
    assert isinstance(room.store(1, (1, 1)), FileStore)
    place = second.read(0, 1).data_ptr()
    del second
    gc.collect()
    again = room.store(2, (5, 4))
    assert again.read(0, 1).data_ptr() == place
