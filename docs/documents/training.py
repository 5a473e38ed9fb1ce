"""What a training run states, and what its readers print."""

from typing import Annotated, Literal, NotRequired, TypedDict

from documents.common import (
    Amount,
    Architecture,
    Count,
    Figures,
    Positive,
    Sha256,
    Share,
    TrainSettings,
    Written,
)
from dped_build.train.run_files import RunPatches


class Acceleration(TypedDict):
    """How the networks ran."""

    device: Annotated[Literal["cpu", "cuda"], "Where."]
    precision: Annotated[Literal["fp32", "bf16"], "Of the networks; losses are fp32."]
    compiled: Annotated[bool, "Whether they were compiled."]
    keeps_features: Annotated[
        bool, "Whether VGG features of the targets were computed once."
    ]
    processes: NotRequired[Annotated[Positive, "Processes that share the training."]]


class RunConfig(Written):
    """Everything that decided a training run; no paths."""

    format: Annotated[Literal["dped-build/run"], "What this is."]
    torch: Annotated[str, "Version."]
    numpy: Annotated[str, "Version."]
    settings: TrainSettings
    architecture: Architecture
    acceleration: Acceleration
    loss_weights: Annotated[
        dict[
            Literal["color", "content", "texture", "mse", "tv"],
            Annotated[Amount, "Weight."],
        ],
        "Weight of each loss term in use.",
    ]
    patches: RunPatches
    vgg: NotRequired[
        Annotated[
            Literal["VGG-19", "VGG-16"] | None,
            "Network of the content loss; null where the loss needs none. "
            "Absent: VGG-19, or none.",
        ]
    ]
    vgg_sha256: Annotated[
        Sha256 | None, "Of its weights; null where the loss needs none."
    ]


class RunMetricsStep(TypedDict):
    """What every evaluation has."""

    iteration: Annotated[Count, "Training steps done."]


class RunMetrics(RunMetricsStep, total=False):
    """One evaluation; terms that are not in the loss are absent."""

    train_color: Annotated[
        float, "Loss term color, unweighted, the last batch learned from."
    ]
    train_content: Annotated[
        float, "Loss term content, unweighted, the last batch learned from."
    ]
    train_texture: Annotated[
        float, "Loss term texture, unweighted, the last batch learned from."
    ]
    train_mse: Annotated[
        float, "Loss term mse, unweighted, the last batch learned from."
    ]
    train_tv: Annotated[float, "Loss term tv, unweighted, the last batch learned from."]
    train_loss: Annotated[
        float, "Weighted sum of the losses, the last batch learned from."
    ]
    train_discriminator_accuracy: Annotated[
        Share, "How often the discriminator is right, the last batch learned from."
    ]
    val_color: Annotated[float, "Loss term color, unweighted, the validation patches."]
    val_content: Annotated[
        float, "Loss term content, unweighted, the validation patches."
    ]
    val_texture: Annotated[
        float, "Loss term texture, unweighted, the validation patches."
    ]
    val_mse: Annotated[float, "Loss term mse, unweighted, the validation patches."]
    val_tv: Annotated[float, "Loss term tv, unweighted, the validation patches."]
    val_loss: Annotated[float, "Weighted sum of the losses, the validation patches."]
    val_discriminator_accuracy: Annotated[
        Share, "How often the discriminator is right, the validation patches."
    ]
    psnr: Annotated[
        float,
        "PSNR on the validation patches, dB, mean over batches, unclipped "
        "(training protocol).",
    ]
    ms_ssim: Annotated[float, "MS-SSIM on the validation patches, batch protocol."]


class TrainSummary(TypedDict):
    """What a run came to."""

    run: Annotated[str, "Run folder."]
    iteration: Annotated[Count, "Training steps done."]
    metrics: Annotated[RunMetrics | None, "The last line of metrics.jsonl."]


class EnhanceSummary(TypedDict):
    """What became of each photo."""

    written: Annotated[list[str], "Files written."]
    skipped: Annotated[list[str], "Results that were there (--skip-existing)."]
    passed_over: Annotated[
        list[str], "Files that are no photos, or are enhanced already."
    ]
    failed: Annotated[
        dict[str, Annotated[str, "Why."]], "Photos that gave nothing, and why."
    ]
    notes: Annotated[
        dict[str, Annotated[str, "In words."]], "What deserves a word, by photo."
    ]


class PhotoFigures(TypedDict):
    """One photo."""

    n: Annotated[Count, "Patches."]
    input: Figures
    output: Figures
    compare: NotRequired[Annotated[dict[str, Figures], "Other tools."]]


class Evaluation(TypedDict):
    """Figures of the phone's patches as they are (input) and enhanced (output)."""

    n: Annotated[Count, "Patches."]
    input: Figures
    output: Figures
    compare: NotRequired[
        Annotated[dict[str, Figures], "Other tools, by the name given to --compare."]
    ]
    left_out: NotRequired[
        Annotated[Count, "Patches left out, as they are valid in part: see --masks."]
    ]
    masked: NotRequired[Annotated[Count, "Patches of which valid pixels alone count."]]
    valid_share: NotRequired[Annotated[Share, "Of the pixels of all patches."]]
    photos: Annotated[dict[str, PhotoFigures], "By photo."]


class Milliseconds(TypedDict):
    """Milliseconds a photo."""

    median_ms: Annotated[float, "ms."]
    min_ms: Annotated[float, "ms."]
    max_ms: Annotated[float, "ms."]


class BenchLine(TypedDict):
    """One generator."""

    name: Annotated[str, "Its name."]
    parameters: Annotated[Count, "Weights."]
    gmacs: Annotated[float, "Multiply-accumulates a photo, 1e9."]
    cpu: Milliseconds | None
    gpu: Milliseconds | None
    peak_mb: Annotated[float | None, "Peak memory of the process, MB."]
    dped_ratio: Annotated[float | None, "How many times as fast as DPED."]


Bench = Annotated[list[BenchLine], "Generators side by side."]
