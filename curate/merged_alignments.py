"""Finished alignments of several workspaces → one, as if aligned in one go.

Nothing is aligned again and no source is altered: records are taken over, crops linked.
Where two sources know a pair of the same name (sessions of different days), all names
get their workspace's name in front. The photos stay where they are; their common parent
becomes the folder that records are relative to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import (
    CAMERA_KEYS,
    Aligned,
    FileState,
    aligned_stage,
    files_of,
    read_aligned,
)
from dped_build.align.records import Alignment, counts_of
from dped_build.align.settings import AlignSettings
from dped_build.curate.merged_names import common_folder, name_prefixes
from dped_build.curate.merged_parts import whole_pairing
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.json_files import parse_object
from dped_build.workspace.stage import (
    Stage,
    created_with,
    fresh_folder,
    link_file,
    publish_folder,
    read_sums,
    write_sums,
)
from dped_build.workspace.text import natural_key

CAMERAS = ("phone", "dslr")
ALIKE = tuple(AlignSettings().to_json())  # but for how photos were paired


@dataclass(frozen=True)
class Source:
    """The finished alignment of one workspace.

    Attributes:
        workspace: Its folder.
        aligned: What its `aligned/` says.
        sums: SHA-256 of each file of that folder.
    """

    workspace: Path
    aligned: Aligned
    sums: Mapping[str, str]


@dataclass(frozen=True)
class Crop:
    """A crop's file, and its SHA-256 as the source states it."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Merged:
    """One alignment made of several.

    Attributes:
        aligned: Manifest, records in natural order, folders and states of the photos.
        prefixes: For each source: what its names of pairs got in front.
        crops: File name within `aligned/` → the source's file.
    """

    aligned: Aligned
    prefixes: Sequence[str]
    crops: Mapping[str, Crop]


def read_sources(workspaces: Sequence[Path]) -> list[Source]:
    """The alignments to merge.

    Raises:
        UsageError: Fewer than two workspaces, or one is given twice.
        DpedBuildError: One has no finished alignment, or it is damaged.
    """
    if len(workspaces) < 2:
        raise UsageError("name two or more workspaces to merge")
    for folder in workspaces:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; name workspaces")
    for one, other in combinations(workspaces, 2):
        if one.samefile(other):
            raise UsageError(f"{other}: given twice; name every workspace once")
    sources = []
    for folder in workspaces:
        aligned = read_aligned(folder)
        if aligned is None:
            raise DpedBuildError(
                f"{folder / 'aligned'}: no finished alignment; run dped-build align "
                f"PHONE_DIR DSLR_DIR -w {folder} first"
            )
        sources.append(Source(folder, aligned, read_sums(aligned_stage(folder).folder)))
    return sources


def merge_alignments(sources: Sequence[Source]) -> Merged:
    """One alignment of all sources.

    Raises:
        DpedBuildError: Cameras or settings differ, a photo is in two sources, or their
            photos have no folder in common.
    """
    for one, other in combinations(sources, 2):
        _refuse_different(one, other)
        _refuse_shared_photos(one, other)
    prefixes = name_prefixes(
        [source.workspace for source in sources],
        [list(source.aligned.records) for source in sources],
    )
    phone_root, dslr_root = (
        common_folder([getattr(source.aligned, f"{camera}_root") for source in sources])
        for camera in CAMERAS
    )
    records: list[Alignment] = []
    states: dict[tuple[str, str], FileState] = {}
    crops: dict[str, Crop] = {}
    for source, prefix in zip(sources, prefixes, strict=True):
        below = {
            "phone": _below(phone_root, source.aligned.phone_root),
            "dslr": _below(dslr_root, source.aligned.dslr_root),
        }
        for (camera, photo), state in source.aligned.states.items():
            states[camera, below[camera] + photo] = state
        for record in source.aligned.records.values():
            name = prefix + record.pair
            records.append(
                replace(
                    record,
                    pair=name,
                    phone=record.phone and below["phone"] + record.phone,
                    dslr=record.dslr and below["dslr"] + record.dslr,
                )
            )
            crops |= _crops(source, record, name)
    records.sort(key=lambda record: natural_key(record.pair))
    manifests = [source.aligned.manifest for source in sources]
    manifest = {
        **_agreed(manifests),
        "settings": _agreed([manifest["settings"] for manifest in manifests]),
        "created_with": created_with(),
        "counts": counts_of(records),
    }
    manifest["pairing"] = whole_pairing(manifest.get("pairing", {}))
    manifest = {key: manifest[key] for key in manifests[0] if manifest.get(key)}
    by_name = {record.pair: record for record in records}
    aligned = Aligned(manifest, by_name, phone_root, dslr_root, states)
    return Merged(aligned, prefixes, crops)


def _agreed(stated: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them state alike: how photos were paired may differ by the day."""
    first, *others = stated
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }


def _below(common: Path, root: Path) -> str:
    """What comes before the names of a source's photos, a slash at its end."""
    path = root.relative_to(common).as_posix()
    return "" if path == "." else f"{path}/"


def _refuse_different(one: Source, other: Source) -> None:
    stated = [
        {
            **{name: source.aligned.manifest[name] for name in CAMERA_KEYS},
            **{name: source.aligned.manifest["settings"].get(name) for name in ALIKE},
        }
        for source in (one, other)
    ]
    folders = [source.workspace / "aligned" for source in (one, other)]
    refuse_different_settings(folders, stated, "dped-build align --force")


def refuse_different_settings(
    folders: Sequence[Path], settings: Sequence[Mapping[str, Any]], command: str
) -> None:
    """Stop where two sources were not made alike.

    Raises:
        DpedBuildError: Names the first setting that differs, and the way out.
    """
    one, other = settings
    for name in (*one, *other):
        if one.get(name) != other.get(name):
            option = name.replace("_", "-")
            raise DpedBuildError(
                f"{folders[0]} was made with {option} = {one.get(name)}, {folders[1]} "
                f"with {other.get(name)}: what is merged must be made alike; run "
                f"{command} on one of them"
            )


def _refuse_shared_photos(one: Source, other: Source) -> None:
    """One photo under two names might be for training and for testing at once."""
    known = {
        record.phone_sha256: record.pair
        for record in one.aligned.records.values()
        if record.phone_sha256
    }
    for record in other.aligned.records.values():
        if record.phone_sha256 in known:
            raise DpedBuildError(
                f"pair {known[record.phone_sha256]} of {one.workspace} and pair "
                f"{record.pair} of {other.workspace} are the same phone photo; merge "
                "workspaces that share none"
            )


def _crops(source: Source, record: Alignment, name: str) -> Iterator[tuple[str, Crop]]:
    """Both crops of an aligned pair under their merged names."""
    suffix = source.aligned.manifest["settings"].get("crops", "none")
    if not record.aligned or suffix == "none":
        return
    for camera in CAMERA_KEYS:
        folder = source.aligned.manifest[camera]
        old, new = (f"{folder}/{pair}.{suffix}" for pair in (record.pair, name))
        if old not in source.sums:
            raise DpedBuildError(
                f"{source.workspace / 'aligned' / old}: missing; run dped-build align "
                f"again in {source.workspace}"
            )
        path = aligned_stage(source.workspace).folder / old
        yield new, Crop(path, source.sums[old])


def difference_from(stage: Stage, merged: Merged) -> str | None:
    """How a finished alignment differs from the merged one, in words; None: not.

    Raises:
        DpedBuildError: It cannot be read.
    """
    aligned = merged.aligned
    before = read_aligned(stage.workspace)
    if before is None:
        return "not finished"
    for pair in dict.fromkeys((*before.records, *aligned.records)):
        if pair not in aligned.records:
            return f"pair {pair} is of none of these workspaces"
        if before.records.get(pair) != aligned.records[pair]:
            changed = "is another" if pair in before.records else "is missing"
            return f"pair {pair} {changed}"
    sums = read_sums(stage.folder)
    wanted = _files(merged)
    for name in ("alignment.jsonl", "local.json"):
        if (stage.folder / name).read_bytes() != wanted[name]:
            return f"{name} says something else"
    stated = [dict(before.manifest), parse_object(wanted["manifest.json"])]
    for manifest in stated:  # a later version changes nothing else
        manifest.pop("created_with", None)
    if stated[0] != stated[1]:
        return "manifest.json says something else"
    if {name: sums.get(name) for name in merged.crops} != {
        name: crop.sha256 for name, crop in merged.crops.items()
    }:
        return "its crops are others"
    return None


def publish_alignment(stage: Stage, merged: Merged) -> None:
    """Put the merged `aligned/` into place as a whole.

    Raises:
        DpedBuildError: A crop is gone, or the disk full.
    """
    build = fresh_folder(stage.build)
    for name, data in _files(merged).items():
        write_atomic(build / name, data)
    for name, crop in merged.crops.items():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        link_file(crop.path, build / name)
    write_sums(build, {name: crop.sha256 for name, crop in merged.crops.items()})
    publish_folder(build, stage.folder)


def _files(merged: Merged) -> dict[str, bytes]:
    aligned = merged.aligned
    roots = aligned.phone_root, aligned.dslr_root
    return files_of(
        list(aligned.records.values()), aligned.manifest, roots, aligned.states
    )
