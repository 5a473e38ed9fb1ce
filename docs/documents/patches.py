"""The manifest of a patches folder, and what `patches` prints."""

from typing import Annotated, Literal, TypedDict

from documents.common import (
    Count,
    FailedFiles,
    ImportSettings,
    PatchSettings,
    Sha256,
    SplitCounts,
    WindowReasons,
    Written,
)
from dped_build.patches.manifest import ShardLine


class PatchesManifest(Written):
    """What the folder of shards holds and was made with."""

    format: Annotated[Literal["dped-build/patches"], "What this is."]
    phone_camera: Annotated[str, "Name of the phone's folder."]
    dslr_camera: Annotated[str, "Name of the DSLR's folder."]
    settings: Annotated[
        PatchSettings | ImportSettings, "Of the stage, or of the import."
    ]
    dataset_id: Annotated[Sha256, "Hash of settings and content."]
    shards: Annotated[list[ShardLine], "Every shard."]
    splits: SplitCounts
    windows: WindowReasons
    failed: FailedFiles


class PatchesSummary(TypedDict):
    """What a run came to."""

    folder: Annotated[str, "Where it was written."]
    photos: Annotated[Count, "Aligned pairs."]
    windows: WindowReasons
    splits: SplitCounts
    failed: FailedFiles
    newly_done: Annotated[Count, "Pairs done by this run."]
    note: Annotated[str | None, "What to know of how scenes were told apart."]
    accepted: Annotated[Count, "Patches kept."]
