"""The patches, splits and exclusions of several workspaces under the merged names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dped_build.align.aligned_folder import Aligned, read_aligned
from dped_build.curate.merge_sources import Source
from dped_build.patches.build import patch_stage
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    ExcludedLine,
    read_excluded_lines,
)
from dped_build.patches.folder import read_split_rows
from dped_build.patches.inputs import Inputs
from dped_build.patches.pieces import Piece
from dped_build.patches.split import SplitRow
from dped_build.workspace.errors import DpedBuildError


def known_in(
    target: Path, merged: Aligned
) -> tuple[list[SplitRow], list[ExcludedLine]]:
    """The target's own split and exclusions: who was trained on there keeps his place.

    Pairs are known again by their phone photos where other names come out now.
    """
    try:
        before = read_aligned(target)
    except DpedBuildError:  # which is only replaced where that was asked for
        before = None
    old = dict(before.records) if before else {}
    here = merged.records
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
    split = [
        SplitRow(names.get(r.pair, r.pair), names.get(r.group, r.group), r.split)
        for r in read_split_rows(patch_stage(target).folder) or []
        if r.pair not in others
    ]
    lines = read_excluded_lines(target / EXCLUDE_FILE)
    renamed = [replace(line, pair=names.get(line.pair, line.pair)) for line in lines]
    return split, [*lines, *renamed]


def kept_pieces(sources: Sequence[Source], inputs: Inputs) -> dict[str, Piece]:
    """The pairs that are cut already, in order; the others are left to `patches`."""
    found: dict[str, Piece] = {}
    for source in sources:
        if source.patches is None:
            continue
        keys = Inputs(source.aligned, inputs.settings, set()).keys
        for pair, key in keys.items():
            windows = source.patches.windows(pair, key)
            if windows is not None:
                name = source.prefix + pair
                reasons = inputs.reasons(name, windows)
                piece = source.patches.piece(pair, windows, reasons)
                if piece is not None:
                    found[name] = piece
    return {r.pair: found[r.pair] for r in inputs.records if r.pair in found}


def failed_lines(
    sources: Sequence[Source], inputs: Inputs, pieces: Mapping[str, Piece]
) -> list[dict[str, str]]:
    """The pairs that the sources could not cut, in order."""
    lines = {
        source.prefix + line["pair"]: line
        for source in sources
        for line in (source.patches.manifest["failed"] if source.patches else [])
    }
    return [
        {**lines[record.pair], "pair": record.pair}
        for record in inputs.records
        if record.pair in lines and record.pair not in pieces
    ]
