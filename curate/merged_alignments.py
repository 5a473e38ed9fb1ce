"""Finished alignments of several workspaces → one, as if aligned in one go.

Nothing is aligned again and no source is altered: records are taken over, crops linked.
Where two sources know a pair of the same name (sessions of different days), all names
get their workspace's name in front. The photos stay where they are; their common parent
becomes the folder that records are relative to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from dped_build.curate.merge_sources import Source
from dped_build.curate.merged_names import common_folder
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError
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

Crops = Mapping[str, tuple[Path, str]]  # name in `aligned/` → a source's file, SHA-256


def merge_alignments(sources: Sequence[Source]) -> Aligned:
    """One alignment of all sources: records in natural order of their merged names.

    Raises:
        DpedBuildError: The sources' photos have no folder in common.
    """
    phone_root, dslr_root = (
        common_folder([getattr(source.aligned, root) for source in sources])
        for root in ("phone_root", "dslr_root")
    )
    records: list[Alignment] = []
    states: dict[tuple[str, str], FileState] = {}
    for source in sources:
        below = {
            "phone": _below(phone_root, source.aligned.phone_root),
            "dslr": _below(dslr_root, source.aligned.dslr_root),
        }
        for (camera, photo), state in source.aligned.states.items():
            states[camera, below[camera] + photo] = state
        records += [
            replace(
                record,
                pair=source.prefix + record.pair,
                phone=record.phone and below["phone"] + record.phone,
                dslr=record.dslr and below["dslr"] + record.dslr,
            )
            for record in source.aligned.records.values()
        ]
    records.sort(key=lambda record: natural_key(record.pair))
    manifests = [{**s.aligned.manifest, **s.cameras} for s in sources]
    manifest = _merged_manifest(manifests, records)
    by_name = {record.pair: record for record in records}
    return Aligned(manifest, by_name, phone_root, dslr_root, states)


def _merged_manifest(
    manifests: Sequence[Mapping[str, Any]], records: Sequence[Alignment]
) -> dict[str, Any]:
    manifest = {
        **_agreed(manifests),
        "settings": _agreed([manifest["settings"] for manifest in manifests]),
        "created_with": created_with(),
        "counts": counts_of(records),
    }
    # Without what makes them parts of one set.
    pairing = {k: v for k, v in manifest.get("pairing", {}).items() if k != "set"}
    manifest["pairing"] = pairing
    return {key: manifest[key] for key in manifests[0] if manifest.get(key)}


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


def crops_of(sources: Sequence[Source]) -> Crops:
    """The crops of all aligned pairs under their merged names; none may be lacking."""
    return {name: crop for source in sources for name, crop in _crops_of(source)}


def _crops_of(source: Source) -> Iterator[tuple[str, tuple[Path, str]]]:
    folder, manifest = aligned_stage(source.workspace).folder, source.aligned.manifest
    suffix, sums = manifest["settings"].get("crops", "none"), read_sums(folder)
    for record in source.aligned.records.values():
        if not record.aligned or suffix == "none":
            continue
        for camera in CAMERA_KEYS:
            name = f"{manifest[camera]}/{record.pair}.{suffix}"
            if name not in sums:
                raise DpedBuildError(
                    f"{folder / name}: missing; run dped-build align again in "
                    f"{source.workspace}"
                )
            merged = f"{source.cameras[camera]}/{source.prefix}{record.pair}.{suffix}"
            yield merged, (folder / name, sums[name])


def difference_from(stage: Stage, aligned: Aligned, crops: Crops) -> str | None:
    """How a finished alignment differs from the merged one, in words; None: not.

    Raises:
        DpedBuildError: It cannot be read.
    """
    before = read_aligned(stage.workspace)
    if before is None:
        return "not finished"
    for pair in dict.fromkeys((*before.records, *aligned.records)):
        if pair not in aligned.records:
            return f"pair {pair} is of none of these workspaces"
        if before.records.get(pair) != aligned.records[pair]:
            changed = "is another" if pair in before.records else "is missing"
            return f"pair {pair} {changed}"
    # A later version changes nothing else.
    stated = {**before.manifest, "created_with": aligned.manifest["created_with"]}
    found = _files(replace(before, manifest=stated))
    for name, data in _files(aligned).items():
        if found[name] != data:
            return f"{name} says something else"
    sums = read_sums(stage.folder)
    if any(sums.get(name) != stated for name, (_, stated) in crops.items()):
        return "its crops are others"
    return None


def publish_alignment(stage: Stage, aligned: Aligned, crops: Crops) -> None:
    """Put the merged `aligned/` into place as a whole."""
    build = fresh_folder(stage.build)
    for name, data in _files(aligned).items():
        write_atomic(build / name, data)
    for name, (path, _) in crops.items():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        link_file(path, build / name)
    write_sums(build, {name: stated for name, (_, stated) in crops.items()})
    publish_folder(build, stage.folder)


def _files(aligned: Aligned) -> dict[str, bytes]:
    roots = aligned.phone_root, aligned.dslr_root
    records = list(aligned.records.values())
    return files_of(records, aligned.manifest, roots, aligned.states)
