"""What `report.json` holds, as one tree of records; a report on several, likewise.

Everything that a page, the terminal or a CSV file shows is read from these records. The
order of the fields is that of the file, their descriptions those of its JSON schema.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from dped_build.align.records import REASONS as PAIR_REASONS
from dped_build.align.records import Size
from dped_build.patches.manifest import SplitCount
from dped_build.patches.records import REASONS as WINDOW_REASONS
from dped_build.patches.split import SPLITS
from dped_build.workspace.json_files import Count, Program, Sha256, Share

Status = Literal["aligned", "rejected", "failed"]
Split = Annotated[str, Meta(extra_json_schema={"enum": SPLITS})]
PairReason = Annotated[str, Meta(extra_json_schema={"enum": PAIR_REASONS})]
WindowReason = Annotated[str, Meta(extra_json_schema={"enum": WINDOW_REASONS})]
Settings = dict[str, Any]  # JSON of another stage, repeated as it stands there
Point = tuple[float, float]
Curves = dict[str, list[Point]]  # (iteration, value), by name
Stage = Literal["align", "patches"]
Form = Literal["count", "percent", "decimal"]


class PairCounts(Struct, frozen=True):
    """Photos and pairs."""

    phone_photos: Annotated[Count, "Phone photos."]
    dslr_photos: Annotated[Count, "DSLR photos."]
    records: Annotated[Count, "Lines of alignment.jsonl."]
    paired: Annotated[Count, "Records with both photos."]
    aligned: Annotated[Count, "Aligned."]
    rejected: Annotated[Count, "Photos that do not match."]
    failed: Annotated[Count, "Unusable files."]
    # The most frequent first.
    lost_before_pairing: Annotated[dict[PairReason, Count], "Photos, by reason."]
    lost_in_alignment: Annotated[dict[PairReason, Count], "Pairs, by reason."]
    phone_colors: Annotated[dict[str, Count], "Photos, by stated colour space."]
    dslr_colors: Annotated[dict[str, Count], "Likewise."]


class PatchCounts(Struct, frozen=True):
    """Stored patches."""

    stored: Annotated[Count, "Patches."]
    shards: Annotated[Count, "Files."]
    splits: Annotated[dict[str, SplitCount], "By split."]
    per_photo: Annotated[float | None, "Patches a pair."]
    dped_per_photo: Annotated[float, "The same of DPED's iPhone set."]
    pairs_not_aligned_now: Annotated[Count, "Cut from an earlier alignment."]
    pairs_not_cut_yet: Annotated[Count, "Aligned later."]
    excluded_still: Annotated[Count, "Stored although exclude.csv names them."]


class Histogram(Struct, frozen=True):
    """Counts per bin; the outer bins take what lies beyond."""

    edges: Annotated[list[float], "Edges of the bins."]
    counts: Annotated[list[int], "Per bin."]


class Spread(Struct, frozen=True):
    """Finite values of a column, in its unit; None without any."""

    n: Annotated[Count, "How many."]
    min: Annotated[float | None, "Smallest."] = None
    p05: Annotated[float | None, "5 % quantile."] = None
    median: Annotated[float | None, "Median."] = None
    p95: Annotated[float | None, "95 % quantile."] = None
    max: Annotated[float | None, "Largest."] = None


class AboveThreshold(Struct, frozen=True):
    """Windows above one NCC threshold."""

    threshold: Annotated[float, "NCC."]
    windows: Annotated[Count, "Above it."]
    share: Annotated[Share, "Of all."]


class Ncc(Struct, frozen=True):
    """Normalised cross-correlation."""

    measured: Annotated[Count, "Windows that have one."]
    accepted: Annotated[Histogram, "Of the accepted."]
    rejected: Annotated[Histogram, "Of the rejected."]
    above: Annotated[list[AboveThreshold], "By NCC alone."]


class SearchLimits(Struct, frozen=True):
    """Windows that stop where the search ends."""

    max_shift_px: Annotated[float, "Phone px."]
    max_rotation_deg: Annotated[float, "Degrees."]
    measured: Annotated[Count, "Windows searched for."]
    shift: Annotated[Count, "At the limit."]
    rotation: Annotated[Count, "At the limit."]
    share: Annotated[Share, "At either, of the measured."]


class OtherValue(Struct, frozen=True):
    """Another value of one setting, the others as they are."""

    value: Annotated[float, "Of the setting."]
    accepted: Annotated[Count, "Windows it would accept."]
    share: Annotated[Share, "Of the windows not excluded by hand."]
    change: Annotated[int, "Against now."]


class OptionValues(Struct, frozen=True):
    """One optional quality test."""

    option: Annotated[str, "As typed."]
    now: Annotated[float | None, "Its value; null: off."]
    values: Annotated[list[OtherValue], "Other values."]


class WhatIf(Struct, frozen=True):
    """What other thresholds would accept."""

    min_corr: Annotated[list[OtherValue], "By NCC threshold."]
    options: Annotated[list[OptionValues], "By option."]


class Frame(Struct, frozen=True):
    """Cells of the phone's frame, row by row."""

    columns: Annotated[Count, "Cells across."]
    rows: Annotated[Count, "Cells down."]
    candidates: Annotated[list[int], "Windows a cell."]
    accepted: Annotated[list[int], "Accepted a cell."]
    mean_shift_px: Annotated[
        list[Point | None], "Mean shift of the accepted, (x, y), phone px."
    ]
    left_out: Annotated[Count, "Windows of photos of the other orientation."]


class WindowCounts(Struct, frozen=True):
    """Candidate windows."""

    candidates: Annotated[Count, "All windows."]
    judged: Annotated[Count, "Neither excluded by hand nor surplus."]
    accepted: Annotated[Count, "Accepted."]
    accepted_share: Annotated[Share, "Of the judged."]
    reasons: Annotated[dict[WindowReason, Count], "Windows not accepted, by reason."]
    size: Annotated[int, "Side, px."]
    clipped_share: Annotated[
        Share, "Of the accepted: more than a tenth clipped on either side."
    ]
    ncc: Annotated[Ncc, "Normalised cross-correlation."]
    accepted_spread: Annotated[dict[str, Spread], "Of the accepted, by column."]
    accepted_histograms: Annotated[
        dict[str, Histogram],
        "Of the accepted: shift, sigma, depth in phone px, rotation in degrees.",
    ]
    # Null from here on: imported patches, placed and chosen by others.
    rule: Annotated[str | None, "How windows were placed."] = None
    min_corr: Annotated[float | None, "In force."] = None
    limits: Annotated[SearchLimits | None, "Of the search."] = None
    what_if: Annotated[WhatIf | None, "With other thresholds."] = None
    frame: Annotated[Frame | None, "Across the phone's frame."] = None
    min_valid: Annotated[Share | None, "In force."] = None
    valid_shares: Annotated[
        dict[str, Histogram],
        "Of the measured windows, by outcome; empty: all are valid everywhere.",
    ] = {}


class ChosenPatch(Struct, frozen=True):
    """A stored patch, or a rejected window, that a contact sheet shows."""

    pair: Annotated[str, "Name."]
    window_xy: Annotated[tuple[int, int], "Top-left pixel, phone px."]
    ncc: Annotated[float | None, "NCC."]
    valid_share: Annotated[float | None, "Of its pixels."]
    reason: Annotated[WindowReason | None, "Null: accepted."]
    file: Annotated[str | None, "Its shard."]
    row: Annotated[Count, "In the shard, or in windows.h5."]


class ShownPatch(ChosenPatch, frozen=True):
    """One patch of a contact sheet."""

    picture: Annotated[str, "Path within the report."]
    picture_size: Annotated[Size, "Width, height, px."]


class PatchGroup(Struct, frozen=True):
    """A group of the contact sheets."""

    group: Annotated[str, "Its name."]
    patches: Annotated[list[ShownPatch], "Those shown."]


class Quality(Struct, frozen=True):
    """One measure of a run's output."""

    measure: Annotated[str, "Name."]
    best: Annotated[float, "Best."]
    best_iteration: Annotated[float, "Where."]
    last: Annotated[float, "Last."]
    digits: Annotated[Count, "To show."]
    phone_unchanged: Annotated[float | None, "Of the phone's patches."]


class Sample(Struct, frozen=True):
    """A picture before, after, target."""

    picture: Annotated[str, "Path within the report."]
    name: Annotated[str, "Iteration."]


class TrainingRun(Struct, frozen=True):
    """A training run."""

    name: Annotated[str, "Its folder."]
    iterations: Annotated[Count, "Last logged."]
    panels: Annotated[dict[str, Curves], "Curves by panel, by name."]
    quality: Annotated[list[Quality], "Best and last values."]
    other_patches: Annotated[bool, "It learned from other patches than these."]
    samples: Annotated[list[Sample], "The latest."]


class PublishedScore(Struct, frozen=True):
    """What a paper reports."""

    source: Annotated[str, "Paper and table."]
    data: Annotated[str, "Camera."]
    method: Annotated[str, "Network."]
    psnr: Annotated[float, "dB."]
    ms_ssim: Annotated[float, "Published as SSIM."]


class Exclusion(Struct, frozen=True):
    """A line of exclude.csv."""

    pair: Annotated[str, "Name."]
    window_xy: Annotated[
        tuple[int, int] | None, "Window, phone px; null: the whole photo."
    ]
    note: Annotated[str | None, "Its note."]
    known: Annotated[bool, "There is such a photo."]


class PairRow(Struct, frozen=True):
    """A record of alignment.jsonl, its windows and its pictures."""

    pair: Annotated[str, "Name."]
    status: Annotated[Status, "As in alignment.jsonl."]
    reason: Annotated[PairReason | None, "Likewise."]
    message: Annotated[str | None, "Likewise."]
    phone: Annotated[str | None, "File name."]
    dslr: Annotated[str | None, "File name."]
    split: Annotated[Split | None, "Of the photo."]
    matches: Annotated[Count | None, "Matches."]
    inliers: Annotated[Count | None, "Inliers."]
    inlier_rmse_px: Annotated[float | None, "Phone px."]
    rmse_px: Annotated[float | None, "Likewise, at places that the fit has not seen."]
    overlap: Annotated[Share | None, "Of the phone photo."]
    windows: Annotated[Count | None, "Candidates."]
    judged: Annotated[Count | None, "See windows."]
    excluded: Annotated[Count | None, "By hand."]
    accepted: Annotated[Count | None, "Accepted."]
    sharpness_ratio: Annotated[float | None, "Median over the windows."]
    parallax_px: Annotated[
        float | None,
        "From the 5 to the 95 % quantile of the windows' displacements beyond the "
        "homography, along their main direction, phone px.",
    ]
    picture: Annotated[
        str | None, "Path of its pictures within the report, without suffix."
    ]
    picture_size: Annotated[Size | None, "Of the crops shown."]
    on_one_grid: Annotated[bool | None, "Both crops show the same pixels."]
    exposure_ev: Annotated[float | None, "DSLR over phone luminance, stops."]
    color_ev: Annotated[float | None, "Difference in colour, stops."]
    script: Annotated[str | None, "Path of its windows within the report."]


class AlignMade(Struct, frozen=True):
    """How the photos were aligned."""

    created_with: Annotated[str | None, "Program."]
    sums: Annotated[Sha256 | None, "Of SHA256SUMS."]
    settings: Annotated[Settings, "As in its manifest."]
    command: Annotated[str, "That leads to the same."]


class PatchesMade(Struct, frozen=True):
    """How the patches were made."""

    created_with: Annotated[str | None, "Program."]
    sums: Annotated[Sha256 | None, "Of SHA256SUMS."]
    dataset_id: Annotated[Sha256 | None, "As in the manifest."]
    settings: Annotated[Settings, "As in its manifest."]
    command: Annotated[str, "That leads to the same."]


class MadeWith(Struct, frozen=True):
    """Settings, versions and commands; paths cut to their last part."""

    align: Annotated[AlignMade | None, "The alignment."]
    patches: Annotated[PatchesMade | None, "The patches."]
    runs: Annotated[dict[str, Settings], "config.json of each run."]


class NamedPair(Struct, frozen=True):
    """A pair that deserves a look."""

    pair: Annotated[str, "Name."]
    message: Annotated[str | None, "In words."]


class Advice(Struct, frozen=True):
    """Something that deserves a look."""

    text: Annotated[str, "In words."]
    reason: Annotated[str | None, "The reason code it is about."] = None
    sort: Annotated[str | None, "The column that shows it."] = None
    pairs: Annotated[list[NamedPair], "Pairs it names."] = []


class Report(Struct, frozen=True):
    """Every number and name that the page shows."""

    format: Annotated[Literal["dped-build/report"], "What this is."]
    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Program
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]
    imported: Annotated[bool, "The patches were cut by others."]
    pairs: Annotated[PairCounts, "Photos and pairs."]
    patches: Annotated[PatchCounts | None, "Stored patches; null: none yet."]
    windows: Annotated[WindowCounts | None, "Candidate windows; null: none."]
    shown_patches: Annotated[list[PatchGroup], "The contact sheets."]
    runs: Annotated[list[TrainingRun], "Training runs."]
    published: Annotated[list[PublishedScore], "Figures of the papers."]
    disk_bytes: Annotated[dict[str, Count], "Bytes of each stage."]
    excluded: Annotated[list[Exclusion], "Lines of exclude.csv."]
    table: Annotated[list[PairRow], "A row a record."]
    made_with: Annotated[MadeWith, "Settings and commands."]
    warnings: Annotated[list[Advice], "What deserves a look."] = []


# A report on several workspaces, side by side.


class Measure(Struct, frozen=True):
    """A row: one measure of every workspace."""

    label: Annotated[str, "In words."]
    reason: Annotated[str | None, "Reason code."]
    form: Annotated[Form, "How it is shown."]
    digits: Annotated[Count, "After the point."]
    values: Annotated[list[float | None], "A value a column; null: none."]


class Section(Struct, frozen=True):
    """A table of measures."""

    title: Annotated[str, "Its title."]
    rows: Annotated[list[Measure], "Rows."]


class Column(Struct, frozen=True):
    """A workspace."""

    name: Annotated[str, "What it is called."]
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]


class DifferingSetting(Struct, frozen=True):
    """A setting that is not the same in all."""

    stage: Annotated[Stage, "Of."]
    name: Annotated[str, "Setting."]
    values: Annotated[list[str | None], "As text; null: not recorded."]


class Outcome(Struct, frozen=True):
    """What became of a pair in one workspace."""

    status: Annotated[Status, "Of the pair."]
    reason: Annotated[PairReason | None, "Null: aligned."]
    split: Annotated[Split | None, "Of the photo."]
    windows: Annotated[Count | None, "Candidates."]
    accepted: Annotated[Count | None, "Accepted."]
    used: Annotated[bool, "It gave patches, or was aligned where nothing is cut."]
    number: Annotated[Count, "Row of the table of its report."]


class CommonPair(Struct, frozen=True):
    """A pair that two or more workspaces know."""

    pair: Annotated[str, "Its name."]
    differs: Annotated[bool, "Used by one and not by another."]
    workspaces: Annotated[list[Outcome | None], "In their order; null: unknown there."]


class SideBySide(Struct, frozen=True):
    """Several reports as one."""

    format: Annotated[Literal["dped-build/side-by-side"], "What this is."]
    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Program
    workspaces: Annotated[list[Column], "The columns."]
    sections: Annotated[list[Section], "Tables."]
    settings: Annotated[list[DifferingSetting], "Settings that differ."]
    common_pairs: Annotated[Count, "Pairs that two or more know."]
    other_outcomes: Annotated[list[CommonPair], "Used by one and not by another."]
    other_splits: Annotated[list[CommonPair], "In different splits."]


def to_json(record: Struct) -> dict[str, Any]:
    """A record as its JSON object."""
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found
