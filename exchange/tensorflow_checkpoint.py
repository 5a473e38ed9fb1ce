"""Read the weights of the original TensorFlow code into our networks.

Both generators there (aiff22/DPED and dojure/FPIE) name their convolutions `W1`, `b1`,
`W2`, … and, for every norm in turn, its shift and then its scale `Variable`,
`Variable_1`, …; the discriminator leaves everything to that second numbering.
"""

import glob
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dped_build.train.architecture import Architecture
from dped_build.train.discriminator import Discriminator
from dped_build.train.layers import Chain, InstanceNorm, Layer
from dped_build.train.model_file import planned_network
from dped_build.workspace.environment import environment
from dped_build.workspace.errors import DpedBuildError

Variables = Mapping[str, NDArray[np.floating]]
PLAIN_LAYERS = 4  # of the DPED generator besides its residual blocks
PLAIN_FAST_LAYERS = 8
FLOAT_BYTES = 4


# Else TensorFlow talks of its build.
@environment(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
def read_generator(prefix: Path) -> tuple[Architecture, dict[str, Tensor]]:
    """What builds the network of a generator's checkpoint, and its state dict.

    `prefix` is the checkpoint's path without `.index` and `.data-…`.

    Raises:
        DpedBuildError: No such checkpoint, a damaged one or one of another network, or
            TensorFlow is not installed.
    """
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        if any(_data_files(prefix)):
            raise DpedBuildError(
                f"{prefix}: its {prefix.name}.index is missing; copy it beside the "
                ".data file"
            )
        raise DpedBuildError(
            f"{prefix} is no TensorFlow checkpoint: there is no {prefix.name}.index; "
            "give the path without .index or .data-00000-of-00001"
        )
    try:
        import tensorflow
    except ImportError as error:
        raise DpedBuildError(
            f"reading {prefix} needs TensorFlow: "
            'pip install "dped-build[tensorflow]", then run this again'
        ) from error
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        wanted = sorted(name for name in shapes if name.startswith("generator/"))
        _require_present(prefix, [shapes[name] for name in wanted])
        variables = {name: reader.get_tensor(name) for name in wanted}
    except (tensorflow.errors.OpError, RuntimeError, ValueError, OSError) as error:
        raise DpedBuildError(
            f"{prefix} cannot be read: its .index or .data file is damaged or missing; "
            "copy both files again"
        ) from error
    try:
        return generator_state(variables)
    except (ValueError, TypeError, IndexError, DpedBuildError) as error:
        raise DpedBuildError(
            f"{prefix} holds no generator of the original code ({str(error)[:200]}); "
            "give one like models_orig/iphone_orig"
        ) from error


def _require_present(prefix: Path, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse more numbers than the data files hold: TensorFlow makes room for them."""
    present = sum(path.stat().st_size for path in _data_files(prefix))
    if FLOAT_BYTES * sum(map(math.prod, shapes)) > present:
        raise ValueError("its index states more than its data files hold")


def _data_files(prefix: Path) -> Iterator[Path]:
    return prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*")


def generator_state(variables: Variables) -> tuple[Architecture, dict[str, Tensor]]:
    """Recognise a generator by its variables, `generator/W1` etc., and convert them.

    Raises:
        ValueError: They are not a DPED or fast generator's.
    """
    named = _unscoped(variables, scope="generator")
    architecture = _architecture(named)
    generator = planned_network(architecture)
    return architecture, _state(generator, named, _generator_names(generator))


def discriminator_state(variables: Variables) -> dict[str, Tensor]:
    """Convert the discriminator's variables, `discriminator/Variable` etc.

    Raises:
        ValueError: They are not the discriminator's.
    """
    named = _unscoped(variables, scope="discriminator")
    discriminator = Discriminator()
    return _state(discriminator, named, _discriminator_names(discriminator))


def _unscoped(variables: Variables, *, scope: str) -> Variables:
    """The scope's own variables, without what an optimiser hangs below them."""
    found = {}
    for name, value in variables.items():
        folder, _, own = name.removesuffix(":0").rpartition("/")
        if folder == scope:
            found[own] = value
    return found


def _architecture(variables: Variables) -> Architecture:
    """Tell the networks apart by their second layer: only the fast one's widens."""
    layers = sum(name.startswith("W") for name in variables)
    if not {"W1", "W2", "W4"} <= set(variables):
        raise ValueError(f"it has {layers} of its convolutions")
    channels = variables["W1"].shape[-1]
    _, kernel, inputs, outputs = variables["W2"].shape
    if inputs == outputs:
        blocks = (layers - PLAIN_LAYERS) // 2
        return Architecture("dped", channels, blocks, kernel)
    blocks = (layers - PLAIN_FAST_LAYERS) // 2
    return Architecture("fast", channels, blocks, variables["W4"].shape[0], kernel)


def _numbered() -> Iterator[str]:
    """TensorFlow's names for what its author leaves unnamed."""
    return (f"Variable_{number}" if number else "Variable" for number in count())


def _generator_names(generator: Chain) -> dict[str, str]:
    """Our name of every parameter, and the original code's."""
    names, unnamed = {}, _numbered()
    for index, layer in enumerate(cast("Iterable[Layer]", generator.layers)):
        names[f"layers.{index}.convolution.weight"] = f"W{index + 1}"
        names[f"layers.{index}.convolution.bias"] = f"b{index + 1}"
        if isinstance(layer.norm, InstanceNorm):
            names[f"layers.{index}.norm.bias"] = next(unnamed)
            names[f"layers.{index}.norm.weight"] = next(unnamed)
    return names


def _discriminator_names(discriminator: Discriminator) -> dict[str, str]:
    """Our name of every parameter, and the original code's."""
    ours = []
    for index, norm in enumerate(discriminator.norms):
        ours += [f"convolutions.{index}.weight", f"convolutions.{index}.bias"]
        if isinstance(norm, InstanceNorm):
            ours += [f"norms.{index}.bias", f"norms.{index}.weight"]
    ours += ["hidden.weight", "hidden.bias", "logits.weight", "logits.bias"]
    return dict(zip(ours, _numbered(), strict=False))


def _state(
    network: nn.Module, variables: Variables, names: dict[str, str]
) -> dict[str, Tensor]:
    """The state dict of `network` made of `variables`, each in torch's axis order."""
    unmatched = set(names.values()) ^ set(variables)
    if unmatched:
        raise ValueError(f"{', '.join(sorted(unmatched))} missing or unexpected")
    state = {}
    for ours, parameter in network.state_dict().items():
        value = torch.from_numpy(np.array(variables[names[ours]], dtype=np.float32))
        if value.ndim == 4:  # height, width, inputs, outputs; transposed ones likewise
            value = value.permute(3, 2, 0, 1)
        value = value.T if value.ndim == 2 else value
        if value.shape != parameter.shape:
            raise ValueError(f"{names[ours]} is {tuple(value.shape)}")
        state[ours] = value.contiguous()
    return state
