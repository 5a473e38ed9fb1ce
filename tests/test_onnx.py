"""An exported model gives PyTorch's results, at any size, or is not published."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dped_build.commands.export import export
from dped_build.exchange import onnx_model
from dped_build.exchange.onnx_model import LEVELS, TOLERANCE, export_onnx
from dped_build.train.architecture import Architecture
from dped_build.train.layers import InstanceNorm
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.workspace.errors import DpedBuildError, UsageError

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
onnxruntime = pytest.importorskip("onnxruntime")

from dped_build.exchange import onnx_graph  # noqa: E402

THIN = (
    Architecture("dped", channels=8, blocks=1),
    Architecture("dped", channels=4, blocks=2, kernel=5, prelu=True),
    Architecture("fast", channels=4),
    Architecture("fast", channels=4, blocks=1, kernel=4, prelu=True),
    Architecture("fast", channels=4, strided_kernel=3),
    Architecture("johnson", channels=8, blocks=2),
    Architecture("srcnn"),
)
FAST = THIN[2]
SHAPES = ((1, 32, 48), (3, 33, 47), (1, 50, 71), (1, 19, 6), (2, 2, 3), (1, 1, 1))
pytestmark = pytest.mark.usefixtures("one_thread")


def made_network(architecture=FAST):
    """A generator whose every weight matters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_generator(architecture).eval()
        for part in network.modules():
            if isinstance(part, InstanceNorm):
                torch.nn.init.normal_(part.weight, 1, 0.3)
                torch.nn.init.normal_(part.bias, 0, 0.3)
    return network


def saved(folder, network, architecture=FAST):
    path = folder / "generator.pt"
    save_generator(path, network, architecture)
    return path


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path, made_network())


def run(path, photos):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"photo": photos})
    return output


def noise(*shape):
    batch, height, width = shape
    random = np.random.default_rng(1)
    return random.random((batch, 3, height, width), np.float32)


def worst(path, network, photos):
    """The largest difference from PyTorch; the output is as large as the input."""
    with torch.inference_mode():
        expected = network(torch.from_numpy(photos)).numpy()
    output = run(path, photos)
    assert output.dtype == np.float32
    assert output.shape == photos.shape
    return np.abs(output - expected).max()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("architecture", THIN, ids=str)
def test_every_generator_gives_pytorchs_output_at_every_size(
    tmp_path, architecture, precision
):
    network, out = made_network(architecture), tmp_path / "model.onnx"
    export_onnx(saved(tmp_path, network, architecture), out, precision=precision)
    for shape in SHAPES:
        assert worst(out, network, noise(*shape)) <= TOLERANCE[precision], shape


def test_sums_over_a_photo_of_1280x720_do_not_overflow_in_fp16(tmp_path, model):
    summary = export_onnx(model, tmp_path / "model.onnx", precision="fp16")
    found = worst(summary.path, made_network(), noise(1, 720, 1280))
    assert found <= TOLERANCE["fp16"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_has_one_input_and_one_output_of_any_size(tmp_path, model, precision):
    out = tmp_path / "alone" / "model.onnx"
    summary = export_onnx(model, out, precision=precision)
    proto = onnx.load(out)
    onnx.checker.check_model(proto, full_check=True)
    for (end,), name in (
        (proto.graph.input, "photo"),
        (proto.graph.output, "enhanced"),
    ):
        kind = end.type.tensor_type
        assert end.name == name
        assert kind.elem_type == onnx.TensorProto.FLOAT
        sizes = [dim.dim_param or dim.dim_value for dim in kind.shape.dim]
        assert sizes == ["batch", 3, "height", "width"]
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 15)]
    assert list(out.parent.iterdir()) == [out]  # no weights beside it
    assert summary.bytes == out.stat().st_size
    assert summary.opset == 15


def test_fp16_keeps_norms_in_float32_and_halves_the_rest(tmp_path, model):
    whole = export_onnx(model, tmp_path / "fp32.onnx")
    half = export_onnx(model, tmp_path / "fp16.onnx", precision="fp16")
    graph = onnx.load(half.path).graph
    kinds = {weights.name: weights.data_type for weights in graph.initializer}
    norms = {name for name in kinds if ".norm." in name}
    assert norms
    for name, kind in kinds.items():
        if name.startswith("layers."):
            exact = name in norms
            assert kind == (onnx_graph.FLOAT if exact else onnx_graph.HALF), name
    made_by = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type == "InstanceNormalization":
            cast = made_by[node.input[0]]
            assert (cast.op_type, cast.attribute[0].i) == ("Cast", onnx_graph.FLOAT)
    weights = sum(w.numel() for w in made_network().parameters())
    assert whole.bytes - half.bytes > 1.7 * weights


def test_a_model_gives_the_same_bytes_in_every_process(tmp_path, model):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    export_onnx(model, first)
    command = (
        "from pathlib import Path; import sys; "
        "from dped_build.exchange.onnx_model import export_onnx; "
        "export_onnx(*map(Path, sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    arguments = [sys.executable, "-c", command, model, second]
    subprocess.run(arguments, check=True, env=environment, cwd=tmp_path)
    assert first.read_bytes() == second.read_bytes()


def test_the_file_says_what_it_is_and_nothing_of_the_machine(tmp_path, model):
    out = tmp_path / "model.onnx"
    export_onnx(model, out, precision="fp16")
    proto = onnx.load(out)
    told = {entry.key: entry.value for entry in proto.metadata_props}
    assert set(told) == {"created_with", "network", "precision"}
    assert told["created_with"].startswith("dped-build ")
    assert (told["network"], told["precision"]) == ("FastGenerator", "fp16")
    assert all(
        not node.metadata_props and not node.doc_string for node in proto.graph.node
    )
    content = out.read_bytes()
    for private in (str(tmp_path), sys.prefix, str(Path(onnx_graph.__file__).parent)):
        assert private.encode() not in content


def test_what_overflows_in_float16_is_not_published(tmp_path):
    network, out = made_network(), tmp_path / "model.onnx"
    network.layers[1].convolution.weight.data.mul_(1e7)  # which the norm undoes
    model = saved(tmp_path, network)
    export_onnx(model, out)
    before = out.read_bytes()
    with pytest.raises(
        DpedBuildError, match=r"as fp16 it overflows; .*; export it as fp32"
    ):
        export_onnx(model, out, precision="fp16")
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["generator.pt", "model.onnx"]


def test_a_graph_that_computes_something_else_is_not_published(
    tmp_path, model, monkeypatch
):
    monkeypatch.setattr(onnx_graph, "SCALE", 0.59)
    with pytest.raises(DpedBuildError, match=r"differs from PyTorch by .* of 255"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_the_summary_states_the_largest_difference(tmp_path, model, monkeypatch):
    summary = export_onnx(model, tmp_path / "model.onnx", precision="fp16")
    data = (tmp_path / "model.onnx").read_bytes()
    found = onnx_model.largest_difference(made_network(), data)
    assert summary.largest_difference == found
    assert 0 < found * LEVELS < 1
    monkeypatch.setattr(onnx_model, "CHECKED", ((1, 40, 40),))
    photos = onnx_model.made_photos(1, 40, 40)
    found = onnx_model.largest_difference(made_network(), data)
    assert found == worst(summary.path, made_network(), photos)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra_the_error_says_how_to_install_it(
    tmp_path, model, monkeypatch, missing
):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DpedBuildError, match=r'pip install "dped-build\[onnx\]"$'):
        export_onnx(model, tmp_path / "model.onnx")


def test_an_earlier_export_is_replaced_and_nothing_else(tmp_path, model):
    out = tmp_path / "model.onnx"
    export_onnx(model, out)
    size = out.stat().st_size
    export_onnx(model, out, precision="fp16")
    assert out.stat().st_size < size
    folder, stranger = tmp_path / "folder.onnx", tmp_path / "stranger.onnx"
    folder.mkdir()
    proto = onnx.load(out)
    proto.producer_name = "another tool"
    onnx.save(proto, stranger)
    for path in (folder, stranger, model):
        with pytest.raises(
            DpedBuildError, match="not an ONNX file of dped-build; choose another"
        ):
            export_onnx(model, path)
    assert onnx.load(stranger).producer_name == "another tool"


def test_an_unknown_precision_is_wrong_usage(tmp_path, model):
    with pytest.raises(UsageError, match="--precision int8: choose fp32 or fp16"):
        export_onnx(model, tmp_path / "model.onnx", precision="int8")


def test_the_command_writes_the_file_and_says_how_exact_it_is(tmp_path, model):
    out = tmp_path / "phone.onnx"
    arguments = [str(model), "--format", "onnx", "--out", str(out)]
    result = CliRunner().invoke(export, [*arguments, "--precision", "fp16"])
    assert result.exit_code == 0, result.output
    line, following = result.output.splitlines()
    assert following.startswith("(next: onnxruntime.InferenceSession(")
    assert line.startswith(f"\N{RIGHTWARDS ARROW} {out}: fp16, opset 15, ")
    assert line.endswith("of 255 levels")
    assert worst(out, made_network(), noise(1, 33, 20)) <= TOLERANCE["fp16"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_released_weights_give_the_original_codes_output(
    tmp_path, shared_data, precision
):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    from dped_build.exchange.import_source import import_checkpoint

    checkpoint = "iphone_convdeconv16_iteration_40000.ckpt"
    prefix = shared_data / "dped" / "models_orig" / checkpoint
    model = import_checkpoint(prefix, tmp_path / "fast.pt")
    summary = export_onnx(model, tmp_path / "fast.onnx", precision=precision)
    folder = shared_data / "oracle" / "fast_generator"
    pixels = cv2.cvtColor(cv2.imread(str(folder / "china.png")), cv2.COLOR_BGR2RGB)
    photo = pixels.transpose(2, 0, 1)[np.newaxis] / np.float32(255)
    expected = np.load(folder / "china_fpie_iphone.npy").transpose(2, 0, 1)
    found = run(summary.path, np.ascontiguousarray(photo))[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[precision])


@pytest.mark.long
def test_the_benchmark_holds_every_way_against_eager_pytorch(model):
    script = Path(__file__).parents[1] / "bench" / "deployment.py"
    command = [sys.executable, script, model, "--size", "41x30", "--repeat", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    header, _, *lines = done.stdout.split("\n\n")[1].strip().splitlines()
    assert "largest difference, levels" in header
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines}
    ways = ["PyTorch, eager", "`enhance`", "onnxruntime, fp32", "onnxruntime, fp16"]
    assert list(rows) == [f"generator: {way}" for way in (*ways, "rounded")]
    exact, half, rounded = (list(rows.values())[n] for n in (2, 3, 4))
    assert float(exact[1]) < 0.01 < float(half[1]) < 1
    assert float(half[1]) < float(rounded[1]) < 1
