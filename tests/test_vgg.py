"""VGG gives its last ReLU from any file of weights, or says what is missing."""

import urllib.error

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.io import savemat

from dped_build.train.vgg import find_vgg, load_vgg
from dped_build.workspace.errors import DpedBuildError

POSITIONS = {
    "VGG-19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "VGG-16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
WIDTHS = {
    "VGG-19": (2, 2, 3, 3, *[4] * 4, *[5] * 8),
    "VGG-16": (2, 2, 3, 3, *[4] * 3, *[5] * 6),
}
POOLED_BEFORE = {"VGG-19": (5, 10, 19, 28), "VGG-16": (5, 10, 17, 24)}


@pytest.fixture(params=POSITIONS)
def network(request):
    return request.param


@pytest.fixture
def state(network):
    """A torchvision state dict of a very thin VGG."""
    random = torch.Generator().manual_seed(0)
    weights, inputs = {}, 3
    for position, outputs in zip(POSITIONS[network], WIDTHS[network], strict=True):
        kernel = torch.randn(outputs, inputs, 3, 3, generator=random)
        weights[f"features.{position}.weight"] = kernel * (2 / (9 * inputs)) ** 0.5
        weights[f"features.{position}.bias"] = torch.rand(outputs, generator=random) / 9
        inputs = outputs
    return weights


@pytest.fixture
def images():
    return torch.rand(2, 3, 50, 41, generator=torch.Generator().manual_seed(1))


def _expected(network, state, images, *, ceil_mode):
    features = images
    for position in POSITIONS[network]:
        if position in POOLED_BEFORE[network]:
            features = F.max_pool2d(features, 2, ceil_mode=ceil_mode)
        kernel, bias = (state[f"features.{position}.{n}"] for n in ("weight", "bias"))
        features = F.relu(F.conv2d(features, kernel, bias, padding=1))
    return features


def test_torchvision_weights_with_their_preparation(network, state, images, tmp_path):
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg.pth")
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = _expected(network, state, (images - mean) / deviation, ceil_mode=False)
    assert expected.shape == (2, 5, 3, 2)
    vgg = load_vgg(tmp_path / "vgg.pth")
    assert vgg.network == network
    torch.testing.assert_close(vgg(images), expected)


def test_features_alone_will_do(state, images, tmp_path):
    torch.save(state, tmp_path / "whole.pth")
    bare = {name.removeprefix("features."): value for name, value in state.items()}
    torch.save(bare, tmp_path / "bare.pth")
    whole, alone = (load_vgg(tmp_path / f"{n}.pth")(images) for n in ("whole", "bare"))
    assert torch.equal(whole, alone)


def test_matconvnet_weights_with_their_preparation(network, state, images, tmp_path):
    layers = np.empty((1, 43), dtype=object)
    for position in range(43):
        layers[0, position] = {"type": "relu", "weights": np.empty((1, 0), object)}
    for position in POSITIONS[network]:
        pair = np.empty((1, 2), dtype=object)
        kernel = state[f"features.{position}.weight"].numpy()
        pair[0, 0] = kernel.transpose(3, 2, 1, 0)
        pair[0, 1] = state[f"features.{position}.bias"].numpy()[None]
        layers[0, position] = {"weights": pair, "type": "conv"}
    savemat(tmp_path / "vgg.mat", {"layers": layers})
    mean = torch.tensor([123.68, 116.779, 103.939]).view(3, 1, 1)
    expected = _expected(network, state, images * 255 - mean, ceil_mode=True)
    assert expected.shape == (2, 5, 4, 3)
    vgg = load_vgg(tmp_path / "vgg.mat")
    assert vgg.network == network
    torch.testing.assert_close(vgg(images), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["random", "patches", "out_of_range"])
def test_features_are_those_that_the_original_code_reads(shared_data, name):
    folder = shared_data / "oracle" / "losses"
    reference = np.load(folder / f"{name}.npz")
    vgg = load_vgg(folder / "vgg19_thin8_random.mat")
    found = vgg(torch.from_numpy(reference["enhanced"]).permute(0, 3, 1, 2))
    assert found.shape == (4, 64, 7, 7)
    expected = reference["relu5_4"].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


def test_the_network_is_frozen_but_passes_gradients_on(state, images, tmp_path):
    torch.save(state, tmp_path / "vgg.pth")
    vgg = load_vgg(tmp_path / "vgg.pth")
    images.requires_grad_(True)
    vgg(images).sum().backward()
    assert not vgg.training
    assert not any(weights.requires_grad for weights in vgg.parameters())
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["vgg.pth", "vgg.mat"])
def test_a_damaged_file_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"nothing of the kind" * 50)
    accepted = rf"{name}: not VGG-19 or VGG-16 weights.*vgg19-dcbb.*vgg16-3979"
    with pytest.raises(DpedBuildError, match=accepted):
        load_vgg(tmp_path / name)


def test_another_networks_weights_are_refused(state, tmp_path):
    del state[list(state)[-1]]  # the bias of the last convolution
    torch.save(state, tmp_path / "vgg13.pth")
    with pytest.raises(DpedBuildError, match=r"vgg13.pth: not VGG-19 or VGG-16"):
        load_vgg(tmp_path / "vgg13.pth")


@pytest.mark.parametrize("function", [find_vgg, load_vgg])
def test_a_missing_file_is_named(function, tmp_path):
    with pytest.raises(DpedBuildError, match=r"absent.pth: no such file"):
        function(tmp_path / "absent.pth")


def test_the_given_file_comes_before_torchs_own(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    cached = tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth"
    for path in (cached, tmp_path / "mine.mat"):
        path.write_bytes(b"")
    assert find_vgg(tmp_path / "mine.mat") == tmp_path / "mine.mat"
    assert find_vgg() == cached


def test_an_absent_file_is_fetched_with_its_hash(tmp_path, monkeypatch):
    def fetch(url, target, hash_prefix, progress):
        with open(target, "w") as file:  # noqa: PTH123 - torch hands over a string
            file.write(f"{url} {hash_prefix}")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    text = find_vgg().read_text()
    assert text == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth dcbb9e9d"


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(DpedBuildError) as caught:
        find_vgg()
    remedies = ("--vgg FILE", "--loss mse+texture", "https://", "VGG-16")
    for part in ("no route to host", *remedies):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
