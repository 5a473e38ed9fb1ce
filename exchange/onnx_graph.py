"""A generator as an ONNX graph, written layer by layer.

A generator is a flat list of layers (`Chain`), each one or two ONNX operators. Written
from that list, the graph keeps instance norm one operator, which converters for phones
know, holds no traced size and no trace of the machine, and is the same bytes each time.
torch's exporter takes norms apart, and stores the paths of the code beside the nodes.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from dped_build.train.layers import NORM_EPS, Chain, InstanceNorm, Layer, Squash
from dped_build.workspace.stage import created_with

INPUT, OUTPUT = "photo", "enhanced"
SHAPE = ("batch", 3, "height", "width")
OPSET, IR_VERSION = 15, 8  # ONNX 1.10: what also old runtimes and converters read
PRODUCER = "dped-build"
SCALE, OFFSET = 0.58, 0.5  # of `Squash`
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


class _Graph:
    """Nodes and weights, in the order in which they were added."""

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Add a node; its name is its output's."""
        name = f"{operator}_{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [name], name, **attributes)
        self.nodes.append(node)
        return name

    def hold(self, name: str, values: Tensor, *, half: bool = False) -> str:
        """Store a tensor under this name, in float16 where asked."""
        values = values.detach().half() if half else values.detach()
        self.weights.append(numpy_helper.from_array(values.numpy(), name))
        return name

    def number(self, name: str, *values: float | int) -> str:
        """Store a float32 scalar, or int64 values as a list, under this name."""
        whole = isinstance(values[0], int)
        array = np.array(values, np.int64) if whole else np.float32(values[0])
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def as_float(self, features: str) -> str:
        """The features in float32, wherever they are not."""
        return self.add("Cast", features, to=FLOAT) if self.half else features

    def as_stored(self, features: str) -> str:
        """What is float32, in the type of the features between layers."""
        return self.add("Cast", features, to=HALF) if self.half else features


def is_ours(path: Path) -> bool:
    """Whether a file begins as the ONNX files do that are written here."""
    mark = ModelProto(producer_name=PRODUCER).SerializeToString()
    with path.open("rb") as file:
        return mark in file.read(2 * len(mark))


def network_to_onnx(network: Chain, *, half: bool = False) -> ModelProto:
    """Write a generator as an ONNX model of any batch, height and width.

    Input `photo` and output `enhanced` are float32 (N, 3, H, W) as those of the network
    itself: RGB in [0, 1], the output not clipped. With `half`, weights and convolutions
    are float16; norms, whose sums over a photo exceed it, and the last activation stay
    float32.
    """
    graph = _Graph(half=half)
    features = graph.as_stored(INPUT)
    skips: list[str] = []
    sizes: list[str] = []
    for number, layer in enumerate(cast("Iterable[Layer]", network.layers)):
        if layer.shrinks:
            sizes.append(graph.add("Shape", features, start=2, end=4))
        features = _convolve(graph, f"layers.{number}", layer, features)
        if layer.grows:
            features = _cut(graph, features, sizes.pop())
        features = _normalize(graph, f"layers.{number}.norm", layer.norm, features)
        features = _activate(graph, f"layers.{number}", layer.activation, features)
        if layer.adds:
            features = graph.add("Add", features, skips.pop())
        if layer.saves:
            skips.append(features)
    if half and not isinstance(layer.activation, Squash):
        graph.as_float(features)
    graph.nodes[-1].output[0] = OUTPUT
    return _model(graph, type(network).__name__)


def _convolve(graph: _Graph, name: str, layer: Layer, features: str) -> str:
    convolution = layer.convolution
    before = cast("tuple[int, int]", convolution.padding)
    extra = 0 if layer.grows else cast("int", convolution.extra)
    sizes = {
        "kernel_shape": convolution.kernel_size,
        "strides": convolution.stride,
        "pads": [*before, *(one + extra for one in before)],
    }
    if layer.grows:
        sizes["output_padding"] = convolution.output_padding
    weight = graph.hold(f"{name}.weight", convolution.weight, half=graph.half)
    bias = graph.hold(f"{name}.bias", cast("Tensor", convolution.bias), half=graph.half)
    operator = "ConvTranspose" if layer.grows else "Conv"
    return graph.add(operator, features, weight, bias, **sizes)


def _cut(graph: _Graph, features: str, size: str) -> str:
    """The first rows and columns, as many as `size` says."""
    first = graph.number(f"{size}.first", 0, 0)
    axes = graph.number(f"{size}.axes", 2, 3)
    return graph.add("Slice", features, first, size, axes)


def _normalize(graph: _Graph, name: str, norm: nn.Module, features: str) -> str:
    if not isinstance(norm, InstanceNorm):
        return features
    weight = graph.hold(f"{name}.weight", norm.weight)
    bias = graph.hold(f"{name}.bias", norm.bias)
    precise = graph.as_float(features)
    normal = graph.add("InstanceNormalization", precise, weight, bias, epsilon=NORM_EPS)
    return graph.as_stored(normal)


def _activate(graph: _Graph, name: str, activation: nn.Module, features: str) -> str:
    if isinstance(activation, nn.ReLU):
        return graph.add("Relu", features)
    if isinstance(activation, nn.PReLU):
        slopes = activation.weight.view(-1, 1, 1)
        slope = graph.hold(f"{name}.slope", slopes, half=graph.half)
        return graph.add("PRelu", features, slope)
    if isinstance(activation, Squash):
        squashed = graph.add("Tanh", graph.as_float(features))
        scaled = graph.add("Mul", squashed, graph.number("scale", SCALE))
        return graph.add("Add", scaled, graph.number("offset", OFFSET))
    return features


def _model(graph: _Graph, network: str) -> ModelProto:
    ends = [
        helper.make_tensor_value_info(name, FLOAT, SHAPE, text)
        for name, text in (
            (INPUT, "RGB in [0, 1]"),
            (OUTPUT, "RGB, to be clipped to [0, 1]"),
        )
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, network, ends[:1], ends[1:], graph.weights),
        producer_name=PRODUCER,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    precision = "fp16" if graph.half else "fp32"
    described = {"network": network, "precision": precision}
    helper.set_model_props(model, {"created_with": created_with(), **described})
    return model
