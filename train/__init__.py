"""Train photo enhancers on patch shards, run them over photos, and evaluate them.

In: one or several `patches` folders (`dped_build.patches`). Out: a run folder with
`generator.pt`, and from that enhanced photos and an evaluation.

Reading order: `settings` and `presets` say what can be chosen, `networks`, `layers`,
`discriminator`, `losses`, `vgg` and `metrics` what the papers define; `batches` brings
the pixels, `step` is one iteration, `loop` a whole run with `validation`, `checkpoint`
and `run_folder` at its side. `model_file`, `enhancing/` and `evaluating/` use what
was trained; `detail` and `translation` measure it beside `metrics`.
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.train.discriminator import Discriminator
    from dped_build.train.enhancing.in_memory import enhance
    from dped_build.train.loop import train
    from dped_build.train.model_file import load_generator
    from dped_build.train.networks import SRCNN, FastGenerator, Generator
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

__getattr__ = lazy_exports(
    __name__,
    {
        "SRCNN": "networks",
        "Discriminator": "discriminator",
        "FastGenerator": "networks",
        "Generator": "networks",
        "TrainSettings": "settings",
        "enhance": "enhancing.in_memory",
        "load_generator": "model_file",
        "train": "loop",
    },
)
