"""A training run's files: names, what they state, what must not change on resuming."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from dped_build.workspace.json_files import Amount, Count, Sha256

FORMAT = "dped-build/run"
CONFIG, METRICS = "config.json", "metrics.jsonl"
CHECKPOINT, GENERATOR, BEST = "checkpoint.pt", "generator.pt", "best.pt"
MODELS = (CHECKPOINT, GENERATOR, BEST)
FREE = ("iterations", "device", "checkpoint_every")  # may differ when resuming


@dataclass(frozen=True)
class RunPatches:
    """What was learned from."""

    identity: Annotated[
        str, "Hashes of the training and, where there is one, validation patches."
    ]
    train: Annotated[Count, "Patches to learn from."]
    val: Annotated[Count | None, "Patches to validate on; null: held out of train."]


@dataclass(frozen=True)
class RunConfig:
    """What of `config.json` says whether a run can go on."""

    format: Literal["dped-build/run"]
    version: Literal[1]
    settings: dict[str, Any]
    architecture: dict[str, Any]
    loss_weights: dict[str, Amount]
    patches: RunPatches
    vgg_sha256: Sha256 | None

    @property
    def choices(self) -> dict[str, Any]:
        """Settings; the architecture says what a size of 0, "as published", is."""
        return self.settings | self.architecture

    def __post_init__(self) -> None:
        """Refuse steps that nothing can be counted in."""
        for name in ("iterations", "log_every"):
            value = self.settings.get(name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} = {value!r:.40}")


@dataclass(frozen=True)
class MetricsLine:
    """What is read of a line of `metrics.jsonl`."""

    iteration: Annotated[Count, "Training steps done."]
    psnr: Annotated[float | None, "Null: not finite."] = None
