"""`report.json`: every number that a report shows."""

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from documents.common import (
    Count,
    PairReason,
    PairReasons,
    Sha256,
    Share,
    Split,
    SplitCounts,
    WindowReason,
    Written,
)
from dped_build.align.records import Size


class Pairs(TypedDict):
    """Photos and pairs."""

    phone_photos: Annotated[Count, "Phone photos."]
    dslr_photos: Annotated[Count, "DSLR photos."]
    records: Annotated[Count, "Lines of alignment.jsonl."]
    paired: Annotated[Count, "Of them with both photos."]
    aligned: Annotated[Count, "Aligned."]
    rejected: Annotated[Count, "Photos that do not match."]
    failed: Annotated[Count, "Files that gave nothing."]
    lost_before_pairing: PairReasons
    lost_in_alignment: PairReasons


class Patches(TypedDict):
    """Stored patches."""

    stored: Annotated[Count, "Patches."]
    shards: Annotated[Count, "Files."]
    splits: SplitCounts
    per_photo: Annotated[float | None, "Patches a pair."]
    dped_per_photo: Annotated[float, "The same of DPED's iPhone set."]
    pairs_not_aligned_now: Annotated[Count, "Cut from an earlier alignment."]
    pairs_not_cut_yet: Annotated[Count, "Aligned later."]
    excluded_still: Annotated[Count, "Stored although exclude.csv names them."]


class Histogram(TypedDict):
    """Counts per bin; the outer bins take what lies beyond."""

    edges: Annotated[list[float], "Edges of the bins."]
    counts: Annotated[list[int], "Per bin."]


class AboveThreshold(TypedDict):
    """One threshold."""

    threshold: Annotated[float, "NCC."]
    windows: Annotated[Count, "Above it."]
    share: Annotated[Share, "Of all."]


class Ncc(TypedDict):
    """Normalised cross-correlation."""

    measured: Annotated[Count, "Windows that have one."]
    accepted: Histogram
    rejected: Histogram
    above: Annotated[list[AboveThreshold], "By NCC alone."]


class Spread(TypedDict):
    """Spread of the finite values."""

    n: Annotated[Count, "How many."]
    min: Annotated[float | None, "In the column's unit."]
    p05: Annotated[float | None, "In the column's unit."]
    median: Annotated[float | None, "In the column's unit."]
    p95: Annotated[float | None, "In the column's unit."]
    max: Annotated[float | None, "In the column's unit."]


class Limits(TypedDict):
    """Windows that stop where the search ends."""

    max_shift_px: Annotated[float, "Phone px."]
    max_rotation_deg: Annotated[float, "Degrees."]
    measured: Annotated[Count, "Windows searched for."]
    shift: Annotated[Count, "At the limit."]
    rotation: Annotated[Count, "At the limit."]
    share: Annotated[Share, "Of the measured."]


class OtherValue(TypedDict):
    """Another value of one setting, the others as they are."""

    value: Annotated[float, "Of the setting."]
    accepted: Annotated[Count, "Windows it would accept."]
    share: Annotated[Share, "Of the windows that no hand took out."]
    change: Annotated[int, "Against now."]


class Option(TypedDict):
    """One option."""

    option: Annotated[str, "As typed."]
    now: Annotated[float | None, "Its value; null: off."]
    values: Annotated[list[OtherValue], "Other values."]


class WhatIf(TypedDict):
    """What other thresholds would accept."""

    min_corr: Annotated[list[OtherValue], "By NCC threshold."]
    options: Annotated[list[Option], "By option."]


class Frame(TypedDict):
    """Cells of the phone's frame, row by row."""

    columns: Annotated[Count, "Cells across."]
    rows: Annotated[Count, "Cells down."]
    candidates: Annotated[list[int], "Windows a cell."]
    accepted: Annotated[list[int], "Kept a cell."]
    mean_shift_px: Annotated[
        list[
            Annotated[
                Annotated[list[float], Meta(min_length=2, max_length=2)] | None, "x, y."
            ]
        ],
        "Mean shift of the kept, (x, y), phone px.",
    ]
    left_out: Annotated[Count, "Photos of another orientation."]


class Windows(TypedDict):
    """Candidate windows; null where there are none."""

    candidates: Annotated[Count, "All windows."]
    judged: Annotated[Count, "Neither excluded by hand nor surplus."]
    accepted: Annotated[Count, "Kept."]
    accepted_share: Annotated[Share, "Kept of the judged."]
    reasons: Annotated[
        dict[WindowReason, Annotated[Count, "Windows."]], "Windows not kept, by reason."
    ]
    size: Annotated[int, "Side, px."]
    clipped_share: Annotated[
        Share, "Of the kept: more than a tenth clipped on either side."
    ]
    ncc: Ncc
    accepted_spread: Annotated[
        dict[
            Literal[
                "ncc",
                "shift_length_px",
                "rotation_deg",
                "sigma_px",
                "depth_px",
                "sharpness_ratio",
                "color_fit_psnr",
                "clipped_phone",
                "clipped_dslr",
            ],
            Spread,
        ],
        "Of the kept windows, by column.",
    ]
    accepted_histograms: Annotated[
        dict[Literal["shift", "rotation", "sigma", "depth"], Histogram],
        "Of the kept windows: shift and sigma and depth in phone px, rotation in "
        "degrees.",
    ]
    rule: Annotated[
        Literal["refined", "paper"] | None,
        "How windows were placed; null here and below: by others.",
    ]
    min_corr: Annotated[float | None, "In force."]
    limits: Limits | None
    what_if: WhatIf | None
    frame: Frame | None


class ShownPatch(TypedDict):
    """One patch."""

    pair: Annotated[str, "Name."]
    window_xy: Annotated[tuple[int, int], "Top-left pixel, phone px."]
    ncc: Annotated[float | None, "NCC."]
    reason: Annotated[WindowReason | None, "Null: kept."]
    file: Annotated[str | None, "Its shard."]
    row: Annotated[Count, "In the shard, or of windows.h5."]
    picture: Annotated[str, "Path within the report."]
    picture_size: Annotated[Size, "px."]


class ContactSheet(TypedDict):
    """A group of the contact sheets."""

    group: Annotated[str, "Its name."]
    patches: Annotated[list[ShownPatch], "Those shown."]


class Quality(TypedDict):
    """One measure."""

    measure: Annotated[str, "Name."]
    best: Annotated[float, "Best."]
    best_iteration: Annotated[float, "Where."]
    last: Annotated[float, "Last."]
    digits: Annotated[Count, "To show."]
    phone_unchanged: Annotated[float | None, "Of the phone's patches."]


class Sample(TypedDict):
    """One."""

    picture: Annotated[str, "Path within the report."]
    name: Annotated[str, "Iteration."]


class Run(TypedDict):
    """A training run."""

    name: Annotated[str, "Its folder."]
    iterations: Annotated[Count, "Last logged."]
    panels: Annotated[
        dict[
            str,
            Annotated[
                dict[
                    str,
                    Annotated[
                        list[
                            Annotated[
                                list[float],
                                Meta(min_length=2, max_length=2),
                                "Iteration, value.",
                            ]
                        ],
                        "Points.",
                    ],
                ],
                "Curves.",
            ],
        ],
        "Curves by panel, by name: points (iteration, value).",
    ]
    quality: Annotated[list[Quality], "Best and last values."]
    other_patches: Annotated[bool, "It learned from other patches than these."]
    samples: Annotated[list[Sample], "Pictures before, after, target."]


class Published(TypedDict):
    """One row."""

    source: Annotated[str, "Paper and table."]
    data: Annotated[str, "Camera."]
    method: Annotated[str, "Network."]
    psnr: Annotated[float, "dB."]
    ms_ssim: Annotated[float, "Published as SSIM."]


class ExcludedLine(TypedDict):
    """One line."""

    pair: Annotated[str, "Name."]
    window_xy: Annotated[
        tuple[int, int] | None, "Window, phone px; null: the whole photo."
    ]
    note: Annotated[str | None, "Its note."]
    known: Annotated[bool, "There is such a photo."]


class TableRow(TypedDict):
    """A record of alignment.jsonl and its windows."""

    pair: Annotated[str, "Name."]
    status: Annotated[
        Literal["aligned", "rejected", "failed"], "As in alignment.jsonl."
    ]
    reason: Annotated[PairReason | None, "Likewise."]
    message: Annotated[str | None, "Likewise."]
    phone: Annotated[str | None, "File name."]
    dslr: Annotated[str | None, "File name."]
    split: Annotated[Split | None, "Of the photo."]
    matches: Annotated[Count | None, "Matches."]
    inliers: Annotated[Count | None, "Inliers."]
    inlier_rmse_px: Annotated[float | None, "Phone px."]
    overlap: Annotated[Share | None, "Of the phone photo."]
    windows: Annotated[Count | None, "Candidates."]
    judged: Annotated[Count | None, "See windows."]
    excluded: Annotated[Count | None, "By hand."]
    accepted: Annotated[Count | None, "Kept."]
    sharpness_ratio: Annotated[float | None, "Median over the windows."]
    picture: Annotated[
        str | None, "Path of its pictures within the report, without suffix."
    ]
    picture_size: Annotated[Size | None, "Of the crops shown."]
    on_one_grid: Annotated[bool | None, "Whether both crops show the same pixels."]
    exposure_ev: Annotated[float | None, "DSLR over phone luminance, stops."]
    color_ev: Annotated[float | None, "Difference in colour, stops."]
    script: Annotated[str | None, "Path of its windows within the report."]


class MadeStage(TypedDict):
    """How one stage was made."""

    created_with: Annotated[str | None, "Program."]
    sums: Annotated[Sha256 | None, "Of SHA256SUMS."]
    settings: Annotated[dict[str, Any], "As in its manifest."]
    command: Annotated[str, "That leads to the same."]


class MadePatches(TypedDict):
    """How patches were made."""

    created_with: Annotated[str | None, "Program."]
    sums: Annotated[Sha256 | None, "Of SHA256SUMS."]
    settings: Annotated[dict[str, Any], "As in its manifest."]
    command: Annotated[str, "That leads to the same."]
    dataset_id: Annotated[Sha256 | None, "As in the manifest."]


class MadeWith(TypedDict):
    """Settings and commands."""

    align: MadeStage | None
    patches: MadePatches | None
    runs: Annotated[
        dict[str, dict[str, Any]],
        "config.json of each run, paths cut to their last part.",
    ]


class NamedPair(TypedDict):
    """One."""

    pair: Annotated[str, "Name."]
    message: Annotated[str | None, "In words."]


class Warning(TypedDict):
    """One."""

    text: Annotated[str, "In words."]
    reason: Annotated[str | None, "The reason code it is about."]
    sort: Annotated[str | None, "The column that shows it."]
    pairs: Annotated[list[NamedPair], "Pairs it names."]


class Report(Written):
    """Every number and name that the page shows."""

    format: Annotated[Literal["dped-build/report"], "What this is."]
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]
    imported: Annotated[bool, "The patches were cut by others."]
    pairs: Pairs
    patches: Patches | None
    windows: Windows | None
    shown_patches: Annotated[list[ContactSheet], "The contact sheets."]
    runs: Annotated[list[Run], "Training runs."]
    published: Annotated[list[Published], "Figures of the papers."]
    disk_bytes: Annotated[dict[str, Annotated[Count, "Bytes."]], "Bytes of each stage."]
    excluded: Annotated[list[ExcludedLine], "Lines of exclude.csv."]
    table: Annotated[list[TableRow], "A row a record."]
    made_with: MadeWith
    warnings: Annotated[list[Warning], "What deserves a look."]
