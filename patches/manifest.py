"""The manifest of a patches folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from dped_build.workspace.json_files import Count, converted

IMPORTED = "imported_from"  # of the recorded settings; `patches` has no such key
LISTING = "listing_sha256"

Split = Literal["train", "val", "test"]
ShardName = Annotated[
    str, Meta(pattern=r"^(train|val|test)-[0-9]{5,9}\.h5$", max_length=18)
]


@dataclass(frozen=True)
class ShardLine:
    """One shard."""

    file: Annotated[ShardName, "Its name."]
    split: Annotated[Split, "Its split."]
    patches: Annotated[Count, "Rows."]
    photos: Annotated[Count, "Photos they are from."] = 0

    def __post_init__(self) -> None:
        """Refuse a shard that is called as of another split."""
        if not self.file.startswith(f"{self.split}-"):
            raise ValueError(f"{self.file} is no shard of its split")


@dataclass(frozen=True)
class SplitCount:
    """One split."""

    photos: Annotated[Count, "Photos with a patch."]
    patches: Annotated[Count, "Patches."]


@dataclass(frozen=True)
class Failed:
    """An input that gave nothing."""

    pair: Annotated[str, "Name of the pair."]
    reason: Annotated[str, "Why."]
    message: Annotated[str, "The same in words."]


@dataclass(frozen=True)
class Shards:
    """What is needed to read patches."""

    shards: list[ShardLine]

    def __post_init__(self) -> None:
        """Refuse a shard that comes twice."""
        if len({line.file for line in self.shards}) < len(self.shards):
            raise ValueError("a shard comes twice")


@dataclass(frozen=True)
class Whole(Shards):
    """What a run with nothing to do tells of a manifest."""

    settings: dict[str, Any]
    splits: dict[str, SplitCount]
    windows: dict[str, Count]
    failed: list[Failed]


def is_imported(manifest: Mapping[str, Any]) -> bool:
    """Whether a patches folder's manifest is of ready-made patches."""
    settings = manifest.get("settings")
    return isinstance(settings, Mapping) and IMPORTED in settings


def require_shards(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose `shards` are not as we write them.

    Raises:
        ValueError: Says what is wrong.
    """
    converted(manifest, Shards)


def require_sound(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that lacks what a run with nothing to do would report of it.

    Raises:
        ValueError: It is damaged.
    """
    converted(manifest, Whole)
