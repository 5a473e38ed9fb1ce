"""The workspaces of a merge: read, held against each other, and called apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import (
    CAMERA_KEYS,
    Aligned,
    aligned_stage,
    read_aligned,
    require_camera_names,
)
from dped_build.align.settings import AlignSettings
from dped_build.curate.merged_names import name_prefixes
from dped_build.patches.build import patch_stage
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    ExcludedLine,
    read_excluded_lines,
)
from dped_build.patches.folder import read_split_rows
from dped_build.patches.manifest import is_imported
from dped_build.patches.previous import Previous, read_previous
from dped_build.patches.settings import PatchSettings
from dped_build.patches.split import SplitRow
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import SUMS
from dped_build.workspace.text import quote

ALIKE = (*AlignSettings().to_json(), "reduce_phone")  # but for how photos were paired
NOT_COMPARED = (EXCLUDE_FILE, "measurement")  # each source's own, and what is checked


@dataclass(frozen=True)
class Source:
    """A workspace to merge."""

    workspace: Path  # its folder
    aligned: Aligned  # what its `aligned/` says
    patches: Previous | None  # what its `patches/` holds; None where it has none
    split: Sequence[SplitRow]  # the lines of its `split.csv`, under the merged names
    # Lines of its `exclude.csv`, under the merged names.
    excluded: Sequence[ExcludedLine]
    sums: Sequence[bytes | None]  # of both folders, as they were when it was read
    cameras: Mapping[str, str]  # what its cameras are called in the merged workspace
    prefix: str = ""  # what its names of pairs get in front; "" where nothing

    def renamed(self, prefix: str) -> "Source":
        """The same with `prefix` in front of every name."""
        return replace(
            self,
            prefix=prefix,
            split=[
                SplitRow(prefix + row.pair, prefix + row.group, row.split)
                for row in self.split
            ],
            excluded=[replace(line, pair=prefix + line.pair) for line in self.excluded],
        )


def read_sources(
    workspaces: Sequence[Path], target: Path, cameras: Mapping[str, str]
) -> list[Source]:
    """The workspaces to merge into `target`, with names that none has twice.

    `cameras` are new names of cameras, by key of the manifest.

    Raises:
        UsageError: Fewer than two workspaces, or one is given twice or is the target.
        DpedBuildError: One has no finished alignment or is damaged, their cameras or
            settings differ, or a photo is in two of them.
    """
    if len(workspaces) < 2:
        raise UsageError("name two or more workspaces to merge")
    for folder in workspaces:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; name workspaces")
        if target.exists() and target.samefile(folder):
            raise UsageError(
                f"{target}: is one of the sources; name another --workspace"
            )
    for one, other in combinations(workspaces, 2):
        if one.samefile(other):
            raise UsageError(f"{other}: given twice; name every workspace once")
    sources = [_read_source(folder, cameras) for folder in workspaces]
    for first, second in combinations(sources, 2):
        _refuse_different(first, second)
        _refuse_shared_photos(first, second)
    names = [list(source.aligned.records) for source in sources]
    prefixes = name_prefixes(workspaces, names)
    return [
        source.renamed(prefix) for source, prefix in zip(sources, prefixes, strict=True)
    ]


def _read_source(folder: Path, cameras: Mapping[str, str]) -> Source:
    sums = _sums(folder)
    aligned = read_aligned(folder)
    if aligned is None:
        raise DpedBuildError(
            f"{folder / 'aligned'}: no finished alignment; run dped-build align "
            f"PHONE_DIR DSLR_DIR -w {quote(folder)} first"
        )
    stage = patch_stage(folder)
    patches = read_previous(stage)
    if patches and is_imported(patches.manifest):
        raise DpedBuildError(
            f"{stage.folder}: imported, not cut from the photos beside it; train takes "
            "several folders of patches, none needs to be merged"
        )
    names = {key: str(aligned.manifest[key]) for key in CAMERA_KEYS} | dict(cameras)
    require_camera_names(names)
    split = read_split_rows(stage.folder) if patches else None
    excluded = read_excluded_lines(folder / EXCLUDE_FILE)
    return Source(folder, aligned, patches, split or [], excluded, sums, names)


def _sums(workspace: Path) -> list[bytes | None]:
    """What the sums of a workspace's folders say; None where a folder is not there."""
    stages = aligned_stage(workspace), patch_stage(workspace)
    return [
        (stage.folder / SUMS).read_bytes() if stage.complete else None
        for stage in stages
    ]


def refuse_changed(sources: Sequence[Source]) -> None:
    """Stop where a source is not what was read (DpedBuildError)."""
    for source in sources:
        if _sums(source.workspace) != source.sums:
            raise DpedBuildError(
                f"{source.workspace}: changed while it was read; run the same command "
                "again"
            )


def common_settings(sources: Sequence[Source]) -> PatchSettings | None:
    """The settings of all sources' patches, which must not differ; None without any."""
    found = [
        (
            patch_stage(source.workspace).folder,
            {
                name: value
                for name, value in source.patches.manifest["settings"].items()
                if name not in NOT_COMPARED
            },
        )
        for source in sources
        if source.patches
    ]
    for other in found[1:]:
        _refuse_other(found[0], other, "run dped-build patches --force on one of them")
    return PatchSettings.from_json(found[0][1]) if found else None


def _refuse_different(one: Source, other: Source) -> None:
    """Stop where two alignments are of other cameras, or were made otherwise."""
    again = "run dped-build align --force on one of them"

    def stated(source: Source) -> list[tuple[Path, Mapping[str, Any]]]:
        manifest, folder = source.aligned.manifest, source.workspace / "aligned"
        settings = {name: manifest["settings"].get(name) for name in ALIKE}
        return [(folder, source.cameras), (folder, settings)]

    (camera, settings), (other_camera, other_settings) = stated(one), stated(other)
    named = "if these are one camera, name it with --phone-camera or --dslr-camera"
    _refuse_other(camera, other_camera, named)
    _refuse_other(settings, other_settings, again)


def _refuse_other(
    one: tuple[Path, Mapping[str, Any]],
    other: tuple[Path, Mapping[str, Any]],
    remedy: str,
) -> None:
    """Stop at the first setting in which two folders differ, and say the way out."""
    (first, before), (second, after) = one, other
    for name in (*before, *after):
        if before.get(name) != after.get(name):
            option = name.replace("_", "-")
            raise DpedBuildError(
                f"{first} was made with {option} = {before.get(name)}, {second} with "
                f"{after.get(name)}, and only equal ones merge: {remedy}"
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


def are_parts(sources: Sequence[Source]) -> bool:
    """Whether these are all parts of one set, as `align --part K/N` makes them.

    Raises:
        DpedBuildError: They are parts, but not all of them, or of different sets.
    """
    alignments = [source.aligned for source in sources]
    parts = [aligned.manifest["settings"].get("part") for aligned in alignments]
    if not all(isinstance(part, str) for part in parts):
        return False
    count = len(parts)
    if set(parts) != {f"{number}/{count}" for number in range(1, count + 1)}:
        raise DpedBuildError(
            f"{', '.join(sorted(parts))}: not all parts of one set; name the "
            "workspace of every part once"
        )
    sets = {
        (one.phone_root, one.dslr_root, one.manifest.get("pairing", {}).get("set"))
        for one in alignments
    }
    if len(sets) > 1:
        told = ", ".join(str(source.workspace) for source in sources)
        raise DpedBuildError(
            f"{told}: parts of different sets of photos (were some added meanwhile?); "
            "run dped-build align --part again for each"
        )
    return True
