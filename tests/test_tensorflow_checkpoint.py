"""Checkpoints of the original code are recognised, converted, or refused by name."""

import sys

import numpy as np
import pytest
import torch

from dped_build.exchange.import_source import import_checkpoint, is_checkpoint
from dped_build.exchange.tensorflow_checkpoint import (
    discriminator_state,
    generator_state,
    read_generator,
)
from dped_build.train.architecture import Architecture
from dped_build.train.discriminator import Discriminator
from dped_build.train.model_file import load_generator
from dped_build.train.networks import Generator, build_generator
from dped_build.workspace.errors import DpedBuildError

RELEASED = {
    "iphone_orig": Architecture("dped"),
    "blackberry_orig": Architecture("dped"),
    "sony_orig": Architecture("dped"),
    "iphone_convdeconv16_iteration_40000.ckpt": Architecture("fast"),
}
ARCHITECTURES = (
    Architecture("dped", channels=4, blocks=2),
    Architecture("dped", channels=3, blocks=1, kernel=5),
    Architecture("fast", channels=2),
    Architecture("fast", channels=2, blocks=1, kernel=4, strided_kernel=4),
)


def _variables(network, scope):
    """The network's weights under TensorFlow's names, in the order of its layers."""
    variables, convolutions, unnamed = {}, 0, 0
    modules = dict(network.named_modules())
    for name, module in modules.items():
        if not name.endswith((".convolution", ".norm")) or not hasattr(
            module, "weight"
        ):
            continue
        weight, bias = (p.detach().numpy() for p in (module.weight, module.bias))
        if weight.ndim == 4:
            convolutions += 1
            variables[f"{scope}/W{convolutions}"] = weight.transpose(2, 3, 1, 0)
            variables[f"{scope}/b{convolutions}"] = bias
            continue
        for value in (bias, weight):
            suffix = f"_{unnamed}" if unnamed else ""
            variables[f"{scope}/Variable{suffix}"] = value
            unnamed += 1
    return variables


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_a_generator_is_recognised_and_comes_back(architecture):
    generator = build_generator(architecture)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter)
    found, state = generator_state(_variables(generator, "generator"))
    assert found == architecture
    for name, value in generator.state_dict().items():
        assert torch.equal(state[name], value), name


def test_an_optimisers_variables_are_passed_over():
    generator = Generator(channels=4, blocks=1)
    variables = _variables(generator, "generator")
    slots = {f"{name}/Adam": value for name, value in variables.items()}
    extra = {"beta1_power": np.float32(0.9), **slots}
    assert generator_state({**variables, **extra})[0].channels == 4


@pytest.mark.parametrize("missing", ["W2", "W4", "b3", "Variable_1"])
def test_a_missing_variable_is_noticed(missing):
    variables = _variables(Generator(channels=4, blocks=1), "generator")
    del variables[f"generator/{missing}"]
    with pytest.raises(ValueError, match=r"convolutions|missing or unexpected"):
        generator_state(variables)


def test_the_discriminators_dense_layers_are_turned():
    shapes = [(11, 11, 1, 48), (48,)]
    for inputs, outputs, kernel in ((48, 128, 5), (128, 192, 3), (192, 192, 3)):
        shapes += [(kernel, kernel, inputs, outputs), *[(outputs,)] * 3]
    shapes += [(3, 3, 192, 128), *[(128,)] * 3, (6272, 1024), (1024,), (1024, 2), (2,)]
    random = np.random.default_rng(0)
    variables = {
        f"discriminator/Variable{f'_{number}' if number else ''}:0": random.random(
            shape, dtype=np.float32
        )
        for number, shape in enumerate(shapes)
    }
    discriminator = Discriminator()
    discriminator.load_state_dict(discriminator_state(variables))
    found = discriminator.logits.weight.detach().numpy()
    np.testing.assert_array_equal(found, variables["discriminator/Variable_20:0"].T)
    shift, scale = discriminator.norms[1].bias, discriminator.norms[1].weight
    expected = [variables[f"discriminator/Variable_{n}:0"] for n in (4, 5)]
    np.testing.assert_array_equal([shift.tolist(), scale.tolist()], expected)


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_checkpoints_are_read(shared_data, name):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    found, state = read_generator(shared_data / "dped" / "models_orig" / name)
    assert found == RELEASED[name]
    build_generator(found).load_state_dict(state)


def test_an_absent_checkpoint_is_named(tmp_path):
    with pytest.raises(DpedBuildError, match=r"there is no iphone_orig\.index"):
        read_generator(tmp_path / "iphone_orig")


def test_a_checkpoint_without_its_index_is_told_what_is_missing(tmp_path):
    (tmp_path / "iphone.data-00000-of-00001").write_bytes(b"x")
    with pytest.raises(DpedBuildError, match=r"iphone\.index is missing; copy it"):
        read_generator(tmp_path / "iphone")
    assert is_checkpoint(tmp_path / "iphone")  # and no folder that is missing


def test_a_damaged_checkpoint_is_named(tmp_path):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    (tmp_path / "model.index").write_bytes(b"not a table" * 20)
    with pytest.raises(DpedBuildError, match=r"model cannot be read"):
        read_generator(tmp_path / "model")


def test_another_checkpoint_is_refused(tmp_path):
    reason = "the extra `tensorflow` is not installed"
    tensorflow = pytest.importorskip("tensorflow", reason=reason)
    checkpoint = tensorflow.train.Checkpoint(step=tensorflow.Variable(1.0))
    prefix = checkpoint.write(str(tmp_path / "other"))
    with pytest.raises(
        DpedBuildError, match=r"holds no generator of the original code"
    ):
        read_generator(tmp_path / prefix)


def test_without_tensorflow_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "model.index").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(DpedBuildError, match=r'pip install "dped-build\[tensorflow\]"'):
        read_generator(tmp_path / "model")


def test_an_import_replaces_a_model_but_no_other_file(shared_data, tmp_path):
    prefix = shared_data / "dped/models_orig/iphone_convdeconv16_iteration_40000.ckpt"
    out = tmp_path / "fast.pt"
    assert import_checkpoint(prefix, out) == import_checkpoint(prefix, out) == out
    out.write_text("notes")
    with pytest.raises(
        DpedBuildError, match="not a model of dped-build; choose another --out"
    ):
        import_checkpoint(prefix, out)
    import_checkpoint(prefix, out, force=True)
    load_generator(out)
