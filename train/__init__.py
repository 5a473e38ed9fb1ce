"""Train photo enhancers on patch shards, run them over photos, and judge them.

In: one or several `patches` folders (`dped_build.patches`). Out: a run folder with
`generator.pt`, and from that enhanced photos and an evaluation.

Reading order: `settings` and `presets` say what can be chosen, `networks`, `losses`,
`vgg` and `metrics` what the papers define; `batches` brings the pixels, `step` is one
iteration, `loop` a whole run with `validation`, `checkpoint` and `run_folder` at its
side. `model_file`, `enhancement` with `tiles`, and `evaluation` use what was trained.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dped_build.train.enhancement import enhance
    from dped_build.train.loop import train
    from dped_build.train.model_file import load_generator
    from dped_build.train.networks import SRCNN, Discriminator, FastGenerator, Generator
    from dped_build.train.settings import TrainSettings

__all__ = [
    "SRCNN",
    "Discriminator",
    "FastGenerator",
    "Generator",
    "TrainSettings",
    "enhance",
    "load_generator",
    "train",
]

_HOMES = {
    "SRCNN": "networks",
    "Discriminator": "networks",
    "FastGenerator": "networks",
    "Generator": "networks",
    "TrainSettings": "settings",
    "enhance": "enhancement",
    "load_generator": "model_file",
    "train": "loop",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, so that reading the settings does not load torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
