"""What several documents share: words of types, and recorded settings."""

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from dped_build.align.records import REASONS
from dped_build.patches.manifest import Split, SplitCount
from dped_build.patches.records import REASONS as WINDOW_REASONS
from dped_build.workspace.json_files import Amount, Count, Program, Sha256, Share

Positive = Annotated[int, Meta(ge=1)]
PairReason = Literal[REASONS]
WindowReason = Literal[WINDOW_REASONS]


class Written(TypedDict):
    """What every document with a format states."""

    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Program


class PairingFound(TypedDict, total=False):
    """What was found where photos do not pair by name."""

    clock_offset_s: Annotated[
        float, "DSLR clock minus phone clock, as found or stated, s."
    ]
    clock_offsets_s: Annotated[
        list[Annotated[float, "s."]],
        "Where a clock was set in between: that, and the others.",
    ]
    matches: Annotated[Count, "Pairs that speak for this pairing."]
    matches_at_second_best_offset: Annotated[
        Count, "Pairs that speak for the next best offset of the clocks."
    ]
    set: Annotated[
        str,
        Meta(pattern="^[0-9a-f]{16}$"),
        "Of a part: which pairs the whole set has, as a hash.",
    ]
    by_place: Annotated[Count, "Pairs that only stand between the same neighbours."]


class AlignSettings(TypedDict):
    """Settings of dped-build align."""

    crops: Annotated[Literal["jpg", "png", "none"], "Format of the crops for people."]
    color: Annotated[
        Literal["srgb", "keep"],
        "srgb: embedded profiles are converted; keep: values as stored.",
    ]
    max_megapixels: Annotated[
        float, Meta(gt=0), "Larger photos are refused by their header."
    ]
    reduce_phone: NotRequired[
        Annotated[int, Meta(ge=2, le=8), "Phone photos are read at one Nth of it."]
    ]
    matching_sides: Annotated[
        list[Positive],
        "Long sides at which keypoints are looked for, px, tried until one aligns.",
    ]
    ratio: Annotated[
        float,
        "Largest ratio of the distances to the nearest and second nearest descriptor.",
    ]
    threshold_px: Annotated[
        float,
        "Largest reprojection error of an inlier, px of the size at which keypoints "
        "are matched.",
    ]
    min_matches: Annotated[Count, "Fewer matches are too_few_matches."]
    min_inliers: Annotated[Count, "Fewer inliers are too_few_inliers."]
    min_agreement: Annotated[
        float, "Smallest correlation of the overlap at matching size, -1 to 1."
    ]
    min_overlap: Annotated[
        Share, "Smallest share of the phone photo that the DSLR shows."
    ]
    algorithm: Annotated[
        Count, "Rises when the same photos and settings would align otherwise."
    ]
    pair_by: NotRequired[
        Annotated[
            Literal["order", "time", "sequence", "csv"],
            "How photos were paired, where not by name.",
        ]
    ]
    time_tolerance: NotRequired[
        Annotated[
            Amount,
            "Largest difference of the capture times of a pair, clocks set alike, s.",
        ]
    ]
    clock_offset: NotRequired[
        Annotated[float, "DSLR clock minus phone clock as stated by hand, s."]
    ]
    prefer: NotRequired[
        Annotated[Literal["jpeg", "raw"], "Which file of a shot was read."]
    ]
    recursive: NotRequired[Annotated[bool, "Photos in sub-folders were taken as well."]]
    part: NotRequired[
        Annotated[
            str,
            Meta(pattern="^[0-9]+/[0-9]+$"),
            "K/N: the Kth of N shares of the pairs.",
        ]
    ]


class PatchSettings(
    TypedDict(
        "PatchSettingsKeys",
        {
            "exclude.csv": Annotated[
                str,
                Meta(pattern="^(none|[0-9a-f]{64})$"),
                'SHA-256 of what exclude.csv takes out, or "none".',
            ]
        },
    )
):
    """Settings of dped-build patches."""

    rule: Annotated[
        Literal["refined", "paper"],
        "refined: the DSLR is sampled at the refined place; paper: as DPED, the "
        "phone window shifted and turned.",
    ]
    size: Annotated[int, Meta(ge=16, le=1024), "Side of a patch, px."]
    max_shift: Annotated[float, "Largest shift along x or y, phone px."]
    max_rotation: Annotated[float, "Largest rotation, degrees."]
    min_std: Annotated[float, "Flatter windows have no NCC, grey levels of 255."]
    min_corr: Annotated[float, Meta(ge=-1, le=1), "Smallest NCC of the stored patches."]
    max_sigma: Annotated[
        float, "Largest stated uncertainty, phone px; 0: no test, nor max_depth."
    ]
    max_depth: Annotated[
        float, "How far the parts of a window may lie apart, phone px; 0: any."
    ]
    min_valid: NotRequired[
        Annotated[Share, "Smallest share of valid pixels in a window; 0: no test."]
    ]
    max_per_photo: Annotated[Count, "Patches of one photo; 0: all."]
    min_sharpness_ratio: Annotated[
        float, "Smallest ratio of fine detail, DSLR over phone; 0: no test."
    ]
    min_color_fit: Annotated[
        float, "Smallest PSNR after a 3x4 colour fit, dB; 0: no test."
    ]
    max_clipped: Annotated[
        Share, "Largest share of clipped pixels on either side; 1: no test."
    ]
    test_photos: Annotated[Count | None, "Groups for test; null: min(100, 10 %)."]
    val_photos: Annotated[Count | None, "Groups for val; null: min(100, 5 %)."]
    split_seed: Annotated[int, "Draws another split."]
    compress: Annotated[Literal["none", "gzip"], "Compression of the pixels."]
    shard_patches: Annotated[Positive, "About how many patches a shard holds."]
    measurement: Annotated[
        Count, "Rises when the same photos and settings would be measured otherwise."
    ]


class ImportSettings(TypedDict):
    """Where imported patches come from, and what is unknown of them."""

    imported_from: Annotated[
        Literal["dped-folders", "paired-folders", "exported-folders"],
        "What the source was.",
    ]
    pairs: Annotated[
        dict[Literal["all", "train", "val", "test"], Annotated[Count, "Pairs."]],
        "Pairs found, by split of the source; all where it has none.",
    ]
    files: Annotated[dict[str, Annotated[Count, "Files."]], "Files by suffix."]
    listing_sha256: Annotated[
        Sha256, "Of names and sizes of the files: tells that nothing changed."
    ]
    size: Annotated[Positive, "Side of a patch, px."]
    pixels: Annotated[str, "What was done to the pixels, in words."]
    photos: Annotated[str, "What is known of the photos, in words."]
    geometry: Annotated[str, "What is known of the geometry, in words."]
    acceptance: Annotated[str, "Who judged the patches, in words."]
    split: Annotated[str, "Where the split comes from."]
    compress: Annotated[Literal["none", "gzip"], "Compression of the pixels."]
    shard_patches: Annotated[Positive, "About how many patches a shard holds."]


class Architecture(TypedDict):
    """What builds the generator."""

    model: Annotated[Literal["dped", "fast", "johnson", "srcnn"], "The network."]
    channels: Annotated[
        Count, "Width of the first layer; 0 here and below: as published."
    ]
    blocks: Annotated[Count, "Residual blocks."]
    kernel: Annotated[Count, "Side of the residual blocks' kernels, px."]
    strided_kernel: Annotated[
        Count, "Side of the strided kernels of the fast network, px."
    ]
    prelu: Annotated[bool, "Learned slopes instead of ReLU."]


class TrainSettings(Architecture):
    """Complete settings of dped-build train."""

    preset: Annotated[
        Literal["released", "paper", "johnson", "srcnn", "fast", "reproduction"],
        "Settings of a publication that the others started from.",
    ]
    loss: Annotated[
        str, Meta(pattern="^[a-z+]+$"), "Sum of color, content, texture and mse."
    ]
    content_weight: Annotated[Amount, "Weight of the VGG loss."]
    color_weight: Annotated[Amount, "Weight of the colour loss."]
    texture_weight: Annotated[Amount, "Weight of the adversarial loss."]
    tv_weight: Annotated[Amount, "Weight of the total variation."]
    mse_weight: Annotated[Amount, "Weight of the squared error."]
    masks: NotRequired[Annotated[bool, "Partly valid patches, too. Absent: false."]]
    iterations: Annotated[Positive, "Training steps."]
    batch_size: Annotated[Positive, "Patches a step."]
    learning_rate: Annotated[float, Meta(gt=0), "Of Adam."]
    pretrain_discriminator: Annotated[Count, "Steps of the discriminator beforehand."]
    clip_gradient: Annotated[Amount, "Largest norm of a network's gradient; 0: any."]
    ema: Annotated[float, Meta(ge=0, lt=1), "Decay of the averaged weights; 0: none."]
    device: Annotated[str, "auto, cpu or cuda, as asked for."]
    precision: Annotated[Literal["auto", "fp32", "bf16"], "As asked for."]
    compile: Annotated[Literal["auto", "on", "off"], "As asked for."]
    cache_features: Annotated[Literal["auto", "on", "off"], "As asked for."]
    deterministic: Annotated[bool, "Only what repeats exactly on a GPU."]
    seed: Annotated[Count, "Of weights and batches."]
    checkpoint_every: Annotated[Positive, "Iterations between checkpoints."]
    log_every: Annotated[Positive, "Iterations between evaluations."]


class Figures(TypedDict):
    """Figures of merit against the DSLR's patches, means."""

    psnr_training: Annotated[
        float | None, "PSNR per batch of 50, unclipped, dB; null: infinite."
    ]
    psnr_pirm: Annotated[
        float | None, "PSNR per patch, clipped to [0, 1], dB; null: infinite."
    ]
    psnr_color_fit: Annotated[
        float | None, "PSNR after the best 3x4 colour fit, dB; null: infinite."
    ]
    ssim: Annotated[float | None, "SSIM per patch and channel, clipped."]
    ms_ssim_batch: Annotated[
        float | None, 'MS-SSIM per batch of 50, the published "SSIM".'
    ]
    ms_ssim_image: Annotated[float | None, "MS-SSIM per patch."]
    psnr_aligned: Annotated[
        float | None,
        "psnr_pirm after the best translation by at most 1 px, dB; null: infinite.",
    ]
    ssim_aligned: Annotated[float | None, "SSIM after the same translation."]
    sharpness_ratio: Annotated[
        float | None,
        "Gain-normalised fine detail over the target's, median; null: none anywhere.",
    ]
    transfer_015: Annotated[
        float | None,
        "Coherent transfer at 0.15 cycles/px; null: no valid window with detail.",
    ]
    transfer_025: Annotated[float | None, "The same at 0.25 cycles/px."]
    transfer_040: Annotated[float | None, "The same at 0.4 cycles/px."]


class FailedInput(TypedDict):
    """One of them."""

    pair: Annotated[str, "Name of the pair."]
    reason: Annotated[
        Literal[
            "ambiguous_partner",
            "implausible_homography",
            "no_partner",
            "other_size",
            "small_overlap",
            "too_few_inliers",
            "too_few_matches",
            "too_large",
            "truncated",
            "unmeasurable",
            "unreadable",
            "worker_lost",
        ],
        "Why.",
    ]
    message: Annotated[str | None, "The same in words."]


SplitCounts = Annotated[dict[Split, SplitCount], "Photos and patches of each split."]
WindowReasons = Annotated[
    dict[WindowReason, Annotated[Count, "Windows."]], "Windows by outcome."
]
PairReasons = Annotated[
    dict[PairReason, Annotated[Count, "Pairs or photos."]],
    "Pairs or photos by the reason why they are not used, most frequent first.",
]
FailedFiles = Annotated[list[FailedInput], "Inputs that gave nothing."]
