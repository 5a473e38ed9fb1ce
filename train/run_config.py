"""A run's `config.json`: settings, patches, weights and versions."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dped_build.patches.dataset import PatchDataset
from dped_build.train.acceleration import Acceleration
from dped_build.train.run_files import FORMAT
from dped_build.train.settings import TrainSettings
from dped_build.workspace.stage import created_with, sha256


def describe_run(
    settings: TrainSettings,
    training: PatchDataset,
    validation: PatchDataset | None,
    vgg_path: Path | None,
    vgg_name: str | None,
    how: Acceleration,
) -> dict[str, Any]:
    """What `config.json` says; without paths, which would tell about the machine.

    Args:
        settings: The complete settings.
        training: The patches learned from.
        validation: The `val` split, where there is one.
        vgg_path: The weights of the content loss, where it is in use.
        vgg_name: Which network that is.
        how: How the networks run.
    """
    stated = dataclasses.asdict(settings)
    del stated["vgg"]
    identities = [patches.identity for patches in (training, validation) if patches]
    return {
        "format": FORMAT,
        "version": 1,
        "created_with": created_with(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "settings": stated,
        "architecture": settings.architecture().to_dict(),
        "acceleration": how.to_dict(),
        "loss_weights": settings.loss_weights(),
        "patches": {
            "identity": " ".join(identities),
            "train": len(training),
            "val": len(validation) if validation else None,
        },
        "vgg": vgg_name,
        "vgg_sha256": sha256(vgg_path) if vgg_path else None,
    }
