"""What the workspaces of a merge give beside alignments, under the merged names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import read_aligned
from dped_build.curate.merged_alignments import (
    Merged,
    Source,
    refuse_different_settings,
)
from dped_build.patches.build import patch_stage
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    ExcludedLine,
    read_excluded_lines,
)
from dped_build.patches.inputs import Inputs
from dped_build.patches.manifest import is_imported
from dped_build.patches.pieces import Piece
from dped_build.patches.previous import Previous, read_previous, read_split
from dped_build.patches.settings import PatchSettings
from dped_build.patches.split import SplitRow
from dped_build.workspace.errors import DpedBuildError

NOT_COMPARED = (EXCLUDE_FILE, "measurement")  # each source's own, and what is checked


@dataclass(frozen=True)
class Given:
    """What a workspace gives beside its alignment, under the merged names."""

    previous: Previous | None
    rows: Sequence[SplitRow]
    lines: Sequence[ExcludedLine]


def read_given(source: Source, prefix: str) -> Given:
    """A source's patches, split and exclusions."""
    stage = patch_stage(source.workspace)
    previous = read_previous(stage)
    if previous and is_imported(previous.manifest):
        raise DpedBuildError(
            f"{stage.folder}: imported, not cut from the photos beside it; train takes "
            "several folders of patches, none needs to be merged"
        )
    known = read_split(stage) if previous else None
    return Given(
        previous,
        [
            SplitRow(prefix + row.pair, prefix + row.group, row.split)
            for row in (known.rows if known else [])
        ],
        [
            replace(line, pair=prefix + line.pair)
            for line in read_excluded_lines(source.workspace / EXCLUDE_FILE)
        ],
    )


def common_settings(
    sources: Sequence[Source], given: Sequence[Given]
) -> PatchSettings | None:
    """The settings of the sources' patches; None where no source has any."""
    found: list[tuple[Path, dict[str, Any]]] = []
    for source, own in zip(sources, given, strict=True):
        if own.previous:
            stated = dict(own.previous.manifest["settings"])
            for name in NOT_COMPARED:
                stated.pop(name, None)
            found.append((patch_stage(source.workspace).folder, stated))
    for folder, stated in found[1:]:
        refuse_different_settings(
            (found[0][0], folder), (found[0][1], stated), "dped-build patches --force"
        )
    return PatchSettings.from_json(found[0][1]) if found else None


def own_of(target: Path, merged: Merged) -> Given:
    """What the target itself knows: who was trained on there keeps his place.

    Pairs are known again by their phone photos where other names come out now.
    """
    try:
        before = read_aligned(target)
    except DpedBuildError:  # which is only replaced where that was asked for
        before = None
    old = dict(before.records) if before else {}
    here = merged.aligned.records
    by_photo = {record.phone_sha256: pair for pair, record in here.items()}
    names = {
        pair: by_photo[record.phone_sha256]
        for pair, record in old.items()
        if record.phone_sha256 in by_photo and record.phone_sha256
    }
    others = {
        pair
        for pair in old.keys() & here.keys() - names.keys()
        if old[pair].phone_sha256 and here[pair].phone_sha256
    }
    known = read_split(patch_stage(target))
    lines = read_excluded_lines(target / EXCLUDE_FILE)
    return Given(
        None,
        [
            SplitRow(
                names.get(row.pair, row.pair),
                names.get(row.group, row.group),
                row.split,
            )
            for row in (known.rows if known else [])
            if row.pair not in others
        ],
        [
            *lines,
            *(replace(line, pair=names.get(line.pair, line.pair)) for line in lines),
        ],
    )


def all_lines(given: Sequence[Given]) -> list[ExcludedLine]:
    """The lines of every `exclude.csv`, each window or photo once."""
    lines = [line for own in given for line in own.lines]
    return list({line.entry: line for line in reversed(lines)}.values())[::-1]


def kept_pieces(
    sources: Sequence[Source],
    merged: Merged,
    given: Sequence[Given],
    inputs: Inputs,
) -> dict[str, Piece]:
    """The pairs that are cut already, in order; the others are left to `patches`."""
    found: dict[str, Piece] = {}
    for source, prefix, own in zip(sources, merged.prefixes, given, strict=True):
        if own.previous is None:
            continue
        keys = Inputs(source.aligned, inputs.settings, set()).keys
        for pair, key in keys.items():
            windows = own.previous.windows(pair, key)
            if windows is not None:
                reasons = inputs.reasons(prefix + pair, windows)
                piece = own.previous.piece(pair, windows, reasons)
                if piece is not None:
                    found[prefix + pair] = piece
    return {r.pair: found[r.pair] for r in inputs.records if r.pair in found}


def failed_lines(
    merged: Merged, given: Sequence[Given], pieces: Mapping[str, Piece]
) -> list[dict[str, str]]:
    """The pairs that the sources could not cut, in order."""
    lines = {
        prefix + line["pair"]: line
        for prefix, own in zip(merged.prefixes, given, strict=True)
        for line in (own.previous.manifest["failed"] if own.previous else [])
    }
    return [
        {**lines[pair], "pair": pair}
        for pair, record in merged.aligned.records.items()
        if pair in lines and record.aligned and pair not in pieces
    ]
