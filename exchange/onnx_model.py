"""A trained generator → one ONNX file that has been compared with PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dped_build.workspace.durable import write_atomic, writing
from dped_build.workspace.errors import DpedBuildError, UsageError

if TYPE_CHECKING:
    from dped_build.train.layers import Chain

# Photos that a file is tried on before it is published: batch, height, width.
CHECKED = ((1, 64, 96), (2, 61, 47), (1, 6, 5), (1, 1, 1))
TOLERANCE = {"fp32": 1e-4, "fp16": 1 / 255}  # of values in [0, 1]
LEVELS = 255
NEEDS_EXTRA = 'ONNX needs the extra `onnx`: pip install "dped-build[onnx]"'


@dataclass(frozen=True)
class OnnxSummary:
    """What was written."""

    path: Path
    bytes: int
    precision: str  # fp32 or fp16
    opset: int
    largest_difference: float  # from PyTorch's output, of values in [0, 1]


def export_onnx(model: Path, out: Path, *, precision: str = "fp32") -> OnnxSummary:
    """Write a generator as ONNX, once onnxruntime has given PyTorch's results with it.

    The file has one input, `photo`, and one output, `enhanced`: float32 (N, 3, H, W)
    RGB in [0, 1] of any N, H and W; the output is not clipped. It is whole in itself,
    and the same bytes each time. fp16: weights and convolutions.

    Raises:
        UsageError: No such precision.
        DpedBuildError: The model cannot be read, the extra is not installed, `out` is
            another file, or the results differ by more than `TOLERANCE`.
    """
    if precision not in TOLERANCE:
        raise UsageError(f"--precision {precision}: choose {' or '.join(TOLERANCE)}")
    try:
        import onnx
        import onnxruntime  # noqa: F401

        from dped_build.exchange.onnx_graph import OPSET, is_ours, network_to_onnx
    except ImportError as error:
        raise DpedBuildError(NEEDS_EXTRA) from error
    from dped_build.train.model_file import load_generator

    with writing(out):
        free = not out.exists() or (out.is_file() and is_ours(out))
    if not free:
        raise DpedBuildError(
            f"{out}: not an ONNX file of dped-build; choose another --out"
        )
    network = cast("Chain", load_generator(model))
    proto = network_to_onnx(network, half=precision == "fp16")
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString(deterministic=True)
    difference = largest_difference(network, data)
    if not difference <= TOLERANCE[precision]:  # NaN is not either
        told = "overflows"
        if np.isfinite(difference):
            told = (
                f"differs from PyTorch by {difference * LEVELS:.3g} of {LEVELS} "
                f"levels, more than {TOLERANCE[precision] * LEVELS:.3g}"
            )
        instead = "; export it as fp32" if precision == "fp16" else ""
        raise DpedBuildError(
            f"{model}: as {precision} it {told}; nothing was written{instead}"
        )
    write_atomic(out, data)
    return OnnxSummary(out, len(data), precision, OPSET, difference)


def largest_difference(network: "Chain", data: bytes) -> float:
    """The largest difference of onnxruntime's output from PyTorch's, over `CHECKED`.

    In units of [0, 1], before clipping; NaN where an output is not finite.
    """
    import torch
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (photo,), differences = session.get_inputs(), []
    for batch, height, width in CHECKED:
        photos = made_photos(batch, height, width)
        with torch.inference_mode():
            expected = network(torch.from_numpy(photos)).numpy()
        (found,) = session.run(None, {photo.name: photos})
        with np.errstate(invalid="ignore"):  # of infinities
            differences.append(np.abs(found - expected).max())
    return float(np.max(differences))


def made_photos(batch: int, height: int, width: int) -> NDArray[np.float32]:
    """Photos with a ramp, fine grain, and clipped parts: (N, 3, H, W) in [0, 1]."""
    random = np.random.default_rng(0)
    rows, columns = np.linspace(-0.2, 1.2, height), np.linspace(0.3, -0.3, width)
    ramp = rows[:, np.newaxis] + columns
    grain = random.normal(0, 0.1, (batch, 3, height, width))
    return np.clip(ramp + grain, 0, 1).astype(np.float32)
