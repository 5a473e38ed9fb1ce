"""What exports and imports write and print."""

from typing import Annotated, Literal, NotRequired, TypedDict

from documents.common import (
    Count,
    FailedFiles,
    ImportSettings,
    PatchSettings,
    Sha256,
    Share,
    Split,
    SplitCounts,
    Written,
)
from dped_build.align.records import Box
from dped_build.exchange.exported_folders import Cut


class Source(TypedDict):
    """What was exported."""

    dataset_id: Annotated[Sha256, "As in its manifest."]
    rows: Annotated[
        dict[Split, Annotated[Sha256, "SHA-256."]], "Hash of the rows of each split."
    ]
    settings: Annotated[PatchSettings | ImportSettings, "As in its manifest."]


class ExportManifest(Written):
    """What an export of patches holds."""

    format: Annotated[Literal["dped-build/export"], "What this is."]
    export: Annotated[
        Literal["dped-folders", "png", "webdataset", "lmdb", "parquet"], "Of the files."
    ]
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]
    size: Annotated[int, "Side of a patch, px."]
    splits: SplitCounts
    excluded: Annotated[Count, "Patches left out by exclude.csv."]
    masked_out: NotRequired[
        Annotated[Count, "Patches left out because they need a mask."]
    ]
    pictures: Annotated[Literal["png", "jpg"], "Format of the pictures."]
    quality: Annotated[Count | None, "Of JPEG; null: PNG."]
    license: Annotated[str | None, "Of the patches, as stated."]
    credits: Annotated[str | None, "Who took the photos, as stated."]
    source: Source
    psnr_db: Annotated[
        float | None, "Of JPEG pictures against the patches, dB; null: nothing is lost."
    ]
    metadata: NotRequired[Annotated[list[str], "Files with a line a patch."]]


class ExportRecord(Cut):
    """All that is known of one patch."""

    phone_file_name: NotRequired[Annotated[str, "Picture, relative to this file."]]
    dslr_file_name: NotRequired[Annotated[str, "Likewise."]]
    valid_file_name: NotRequired[
        Annotated[str, "Likewise: its mask, 255 where both show the same, else 0."]
    ]
    key: Annotated[str, "Name of the patch."]
    ncc: Annotated[
        float | None, "NCC of the two patches; null here and below: unknown."
    ]
    valid_share: NotRequired[
        Annotated[Share, "Share of valid pixels, which ncc and those below are over."]
    ]
    sharpness_ratio: Annotated[float | None, "Fine detail, DSLR over phone."]
    color_fit_psnr: Annotated[float | None, "PSNR after the best 3x4 colour fit, dB."]
    clipped_phone: Annotated[Share | None, "Share of clipped pixels."]
    clipped_dslr: Annotated[Share | None, "Share of clipped pixels."]


class ExportSummary(TypedDict):
    """What an export came to."""

    folder: Annotated[str, "Where it was written."]
    format: Annotated[
        Literal["dped-folders", "png", "webdataset", "lmdb", "parquet"], "Of the files."
    ]
    cameras: Annotated[
        tuple[Annotated[str, "Phone."], Annotated[str, "DSLR."]], "Names."
    ]
    size: Annotated[int, "Side of a patch, px."]
    splits: SplitCounts
    excluded: Annotated[Count, "Patches left out by exclude.csv."]
    masked_out: Annotated[Count, "Patches left out because they need a mask."]
    psnr_db: Annotated[float | None, "Of JPEG pictures, dB; null: nothing is lost."]
    bytes: Annotated[Count, "Written."]
    newly_done: Annotated[Count, "Patches written by this run."]


class FramesSettings(TypedDict):
    """What the pictures were made with."""

    splits: Annotated[str, "Splits exported, separated by commas."]
    bits: Annotated[Literal[8, 16], "Of a colour."]
    license: Annotated[str | None, "Of the photos, as stated."]
    credits: Annotated[str | None, "Who took them, as stated."]
    max_shift: Annotated[float, "Displacement looked for, phone px."]
    making: Annotated[Count, "Rises when the same inputs give other pictures."]
    measurement: Annotated[Count, "As in patches/manifest.json."]


class FramesManifest(Written):
    """What an export of whole photos holds."""

    format: Annotated[Literal["dped-build/frames"], "What this is."]
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]
    settings: FramesSettings
    frames: Annotated[Count, "Pairs."]
    splits: Annotated[
        dict[Split, Annotated[Count, "Pairs."]], "Pairs of each split, where known."
    ]
    excluded: Annotated[Count, "Pairs left out by exclude.csv."]
    failed: FailedFiles


class FrameLine(TypedDict):
    """All that is known of one pair of whole photos."""

    phone_file_name: Annotated[str, "Picture, relative to this file."]
    dslr_file_name: Annotated[str, "Likewise."]
    valid_file_name: Annotated[str, "Likewise: 255 where both show the same, else 0."]
    pair: Annotated[str, "Name of the photo."]
    split: Annotated[Split | None, "Null before patches ran."]
    group: Annotated[str | None, "Name of the scene; likewise."]
    box: Annotated[Box, "Of the pictures in the upright phone photo, px."]
    valid_share: Annotated[Share, "Share of valid pixels."]
    deep: Annotated[bool, "Whether the pair shows depth."]
    key: Annotated[str, "Names everything that the pictures were made from."]


class FramesSummary(TypedDict):
    """What an export of whole photos came to."""

    folder: Annotated[str, "Where it was written."]
    cameras: Annotated[
        tuple[Annotated[str, "Phone."], Annotated[str, "DSLR."]], "Names."
    ]
    frames: Annotated[Count, "Pairs."]
    splits: Annotated[
        dict[Split, Annotated[Count, "Pairs."]], "Pairs of each split, where known."
    ]
    excluded: Annotated[Count, "Pairs left out by exclude.csv."]
    failed: FailedFiles
    valid_share: Annotated[Share, "Share of valid pixels, of all pairs."]
    bytes: Annotated[Count, "Written."]
    newly_done: Annotated[Count, "Pairs made by this run."]


class ExportWindowsSummary(TypedDict):
    """What was written."""

    path: Annotated[str, "The CSV file."]
    windows: Annotated[Count, "Lines."]
    accepted: Annotated[Count, "Of them kept."]


class ExportModelSummary(TypedDict):
    """What was written."""

    path: Annotated[str, "The file."]
    bytes: Annotated[Count, "Its size."]
    precision: Annotated[Literal["fp32", "fp16"], "Of the weights."]
    opset: Annotated[Count, "Of ONNX."]
    largest_difference: Annotated[float | None, "From PyTorch's output, of 1."]


class ImportSummary(TypedDict):
    """What an import came to."""

    folder: Annotated[str, "Where it was written."]
    source: Annotated[
        Literal["dped-folders", "paired-folders", "exported-folders"],
        "What the source was.",
    ]
    cameras: Annotated[
        tuple[Annotated[str, "Phone."], Annotated[str, "DSLR."]], "Names."
    ]
    size: Annotated[int, "Side of a patch, px."]
    splits: SplitCounts
    failed: FailedFiles
    newly_done: Annotated[Count, "Pairs read by this run."]


class ImportModelSummary(TypedDict):
    """The file that was written."""

    model: Annotated[str, "Path of the generator.pt."]
