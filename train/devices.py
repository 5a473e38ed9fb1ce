"""Which device a `--device` option means."""

import torch

from dped_build.align.errors import DpedBuildError


def choose_device(name: str) -> torch.device:
    """The device by its name; `auto` is the GPU where there is one.

    Raises:
        DpedBuildError: A GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DpedBuildError(
            f"--device {name}: torch sees no CUDA device here; use --device cpu"
        )
    return torch.device(name)
