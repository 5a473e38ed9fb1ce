"""Read and write a trained generator: `generator.pt`, its weights and its architecture.

The file holds tensors, numbers and text only and is read with `weights_only=True`, so
opening one from elsewhere runs no code.
"""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dped_build.photos.formats import SUFFIXES
from dped_build.train.architecture import Architecture
from dped_build.train.devices import is_out_of_memory
from dped_build.train.layers import Chain
from dped_build.train.networks import build_generator
from dped_build.train.torch_archive import is_sound_archive
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import created_with
from dped_build.workspace.text import quote

FORMAT = "dped-build/generator"
VERSION = 1
FILE_NAME = "generator.pt"
LARGEST_NETWORK = 2**28  # weights
LARGEST = {"channels": 1024, "blocks": 64, "kernel": 31, "strided_kernel": 32}


def save_generator(
    path: Path,
    generator: nn.Module,
    architecture: Architecture,
    *,
    origin: dict[str, Any] | None = None,
) -> None:
    """Write a generator so that `load_generator` rebuilds it.

    Args:
        path: The file, replaced at once where it exists.
        generator: The network.
        architecture: How to build it.
        origin: Where the weights come from, for people: numbers and text.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "created_with": created_with(),
        "architecture": architecture.to_dict(),
        "state": {name: value.cpu() for name, value in generator.state_dict().items()},
        "origin": origin or {},
    }
    write_atomic(path, torch_bytes(content))


def load_generator(path: str | Path) -> nn.Module:
    """Rebuild the generator in a run folder or a `generator.pt`, on the CPU.

    A run folder means its `generator.pt`, the weights at its last checkpoint; name
    its `best.pt` for those that did best on the validation photos.

    Raises:
        DpedBuildError: Nothing there, a damaged file, or not one of ours.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / FILE_NAME).exists():
            # `path` may be a workspace, or its runs/.
            found = [*path.glob(f"*/{FILE_NAME}"), *path.glob(f"runs/*/{FILE_NAME}")]
            runs = " or ".join(sorted(quote(each.parent) for each in found))
            raise DpedBuildError(
                f"{path} holds no {FILE_NAME}: name "
                f"{runs or 'a run folder that has been trained'}"
            )
        path = path / FILE_NAME
    if path.suffix.lower() in SUFFIXES:
        raise DpedBuildError(f"{path} is a photo: name the model before photos")
    content = read_torch(path, expected=FORMAT, version=VERSION)
    try:
        architecture = Architecture.from_dict(content["architecture"])
        require_alike(content["state"], planned_network(architecture).state_dict())
        generator = build_generator(architecture)
        generator.load_state_dict(content["state"])
    except DpedBuildError as error:
        raise DpedBuildError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DpedBuildError(
            f"{path}: its weights do not fit its architecture; write it again"
        ) from error
    if not all(torch.isfinite(p).all() for p in generator.parameters()):
        raise DpedBuildError(f"{path}: its weights are not finite; name another model")
    return generator.eval()


def planned_network(architecture: Architecture) -> Chain:
    """The network without memory for its weights, if anybody could have trained it.

    Raises:
        DpedBuildError: One of its sizes, or all together, are beyond the largest.
    """
    for name, largest in LARGEST.items():
        if getattr(architecture, name) > largest:
            raise DpedBuildError(
                f"{name} = {getattr(architecture, name)!r:.40} is beyond {largest}; "
                "name another model"
            )
    with torch.device("meta"):
        network = build_generator(architecture)
    if sum(weights.numel() for weights in network.parameters()) > LARGEST_NETWORK:
        raise DpedBuildError("a network of a gigabyte or more; name another model")
    return network


def require_alike(stored: dict[str, Any], planned: dict[str, Any]) -> None:
    """Refuse tensors of other names or shapes, or that are less than they state.

    Raises:
        ValueError, TypeError or AttributeError: They do not fit.
    """
    if set(stored) != set(planned):
        raise ValueError("other names")
    for name, tensor in stored.items():
        if tensor.shape != planned[name].shape or tensor.layout != torch.strided:
            raise ValueError(f"{name} has another shape")
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise ValueError(f"{name} repeats its values")


def torch_bytes(content: dict[str, Any]) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def read_torch(
    path: Path, *, expected: str, version: int, device: str | torch.device = "cpu"
) -> dict[str, Any]:
    """Read one of our `torch.save` files, and nothing else.

    Args:
        path: The file.
        expected: Its `format`.
        version: Its `version`.
        device: Where its tensors go.

    Raises:
        DpedBuildError: Missing, damaged, another format or another version.
    """
    if not path.is_file():
        if path.with_name(f"{path.name}.index").is_file():
            raise DpedBuildError(
                f"{path} is a TensorFlow checkpoint: run dped-build import on it first"
            )
        raise DpedBuildError(f"{path}: no such file; name a run folder or a .pt file")
    if not is_sound_archive(path):  # torch would fall back on an older, looser format
        raise DpedBuildError(
            f"{path} is damaged or not a torch file: restore it, or train or "
            "import again"
        )
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (
        *(OSError, EOFError, RuntimeError, ValueError, KeyError),
        *(IndexError, TypeError, AttributeError, OverflowError, zipfile.BadZipFile),
    ) as error:
        if is_out_of_memory(error):
            raise
        raise DpedBuildError(
            f"{path} is damaged: restore it, or train or import again"
        ) from error
    except pickle.UnpicklingError as error:
        raise DpedBuildError(
            f"{path} is no {expected} file: it is damaged or holds more than weights"
        ) from error
    if not isinstance(content, dict) or content.get("format") != expected:
        raise DpedBuildError(
            f"{path} is no {expected} file: name a run folder or its generator.pt"
        )
    if content.get("version") != version:
        raise DpedBuildError(
            f"{path} has version {content.get('version')!r:.40}, this program reads "
            f"{version}"
        )
    return content
