"""Several workspaces → one, with the patches that they hold: nothing is refined again.

The windows' measurements of every source go over under the merged names, and patches
are selected from them and written by the code that writes those of one run. Parts of
one set give the files of one run, byte for byte, where the split is drawn anew.

`exclude.csv` comes first, `patches/` second, `aligned/` last: an interrupted merge has
no alignment, so that nobody can draw another split than the sources know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dped_build.align.aligned_folder import aligned_stage
from dped_build.curate.merge_sources import (
    are_parts,
    common_settings,
    read_sources,
    refuse_changed,
)
from dped_build.curate.merged_alignments import (
    crops_of,
    difference_from,
    merge_alignments,
    publish_alignment,
)
from dped_build.curate.merged_patches import failed_lines, kept_pieces, known_in
from dped_build.patches.build import patch_stage
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    ExcludedLine,
    entries_of,
    exclusions_bytes,
)
from dped_build.patches.inputs import Inputs
from dped_build.patches.pieces import Piece
from dped_build.patches.previous import KnownSplit, read_previous
from dped_build.patches.publication import Content, draw_split, publish_content
from dped_build.patches.settings import PatchSettings
from dped_build.patches.split import SplitRow, unite_splits
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import as_json
from dped_build.workspace.plan import Plan, refuse_full_disk
from dped_build.workspace.stage import Stage, opened


@dataclass(frozen=True)
class MergeSummary:
    """What a merge came to."""

    workspace: Path  # where it stands
    pairs: int  # pairs with both photos
    aligned: int  # those of them that are aligned
    prefixes: Sequence[str]  # each source's, before its names of pairs; "": none
    cut: int | None  # pairs whose windows went over; None: no source has any
    moved: int  # pairs that are in another split than in their source
    newly_done: bool  # whether anything was written


def merge_workspaces(
    workspaces: Sequence[Path],
    target: Path,
    *,
    cameras: Mapping[str, str] | None = None,
    new_split: bool = False,
    force: bool = False,
) -> MergeSummary:
    """Merge finished workspaces of one rig into `target`; the sources stay as they are.

    `cameras` (`phone_camera`, `dslr_camera`) are their names in `target`; the others
    keep theirs. With `new_split`, the split is drawn from all pairs, as one run would;
    else every photo stays in that of its source. That of parts of one set is drawn from
    all of them, once. `force` replaces what was made of other sources.

    Raises:
        UsageError: The workspaces cannot be meant.
        DpedBuildError: They cannot be one dataset, one is damaged or changes meanwhile,
            or `target` holds something else.
    """
    sources = read_sources(workspaces, target, cameras or {})
    parts = are_parts(sources)
    merged, crops = merge_alignments(sources), crops_of(sources)
    settings = common_settings(sources)
    with opened(aligned_stage(target)):
        alignment_differs = partial(difference_from, aligned=merged, crops=crops)
        same = _holds(aligned_stage(target), alignment_differs, force=force)
    split, lines = known_in(target, merged)
    if not same:
        lines = _each_once([*lines, *(line for s in sources for line in s.excluded)])
    inputs = Inputs(merged, settings or PatchSettings(), entries_of(lines))
    pieces = kept_pieces(sources, inputs)
    moved, newly_done = 0, not same
    with opened(patch_stage(target)):
        refuse_changed(sources)
        if lines and not same:
            write_atomic(target / EXCLUDE_FILE, exclusions_bytes(lines))
        patches_differ = partial(_patches_differ, inputs=inputs, pieces=pieces)
        if settings is not None and not _holds(
            patch_stage(target), patches_differ, force=force
        ):
            drawn = [split, *(source.split for source in sources)]
            rows = _split(inputs, drawn, new_split=new_split, parts=parts)
            content = Content(
                inputs.cameras,
                inputs.recorded_settings,
                pieces,
                inputs.keys,
                rows,
                failed_lines(sources, inputs, pieces),
            )
            _publish(target, content)
            moved = 0 if new_split or parts else _moved(rows, drawn[1:])
            newly_done = True
    if not same:
        with opened(aligned_stage(target)):
            refuse_changed(sources)
            publish_alignment(aligned_stage(target), merged, crops)
    return MergeSummary(
        target,
        len(inputs.paired),
        len(inputs.records),
        [source.prefix for source in sources],
        None if settings is None else len(pieces),
        moved,
        newly_done,
    )


def _each_once(lines: Sequence[ExcludedLine]) -> list[ExcludedLine]:
    """Lines of `exclude.csv`, each window or photo once."""
    return list({line.entry: line for line in reversed(lines)}.values())[::-1]


def _holds(
    stage: Stage, difference: Callable[[Stage], str | None], *, force: bool
) -> bool:
    """Whether a folder of the target is what the sources give already.

    `difference` says in words how it, finished, differs; `force` replaces it then.
    """
    if not stage.complete:
        return False
    try:
        found = difference(stage)
    except DpedBuildError:
        if not force:
            raise
        return False
    if found and not force:
        raise DpedBuildError(
            f"{stage.folder}: not what these workspaces give ({found}); add --force to "
            "replace it, or choose another --workspace"
        )
    return found is None


def _patches_differ(
    stage: Stage, inputs: Inputs, pieces: Mapping[str, Piece]
) -> str | None:
    """How finished patches differ from the sources', in words; None: not."""
    previous = read_previous(stage)
    keys = previous.keys if previous else {}
    stated = previous.manifest["settings"] if previous else {}
    for name, value in as_json(inputs.settings.to_json()).items():
        if stated.get(name) != value:
            return f"{name.replace('_', '-')} is {stated.get(name)}, here {value}"
    for pair in keys:
        if pair not in inputs.keys:
            return f"pair {pair} is of none of these workspaces"
    for pair in pieces:
        if keys.get(pair) != inputs.keys[pair]:
            return f"pair {pair} is missing, or was measured otherwise"
    return None


def _split(
    inputs: Inputs,
    drawn: Sequence[Sequence[SplitRow]],
    *,
    new_split: bool,
    parts: bool,
) -> list[SplitRow]:
    """The target's own split, `drawn[0]`, added to; only `new_split` draws it again."""
    known = [] if new_split else list(drawn[0])
    if new_split or parts:
        return draw_split(inputs, KnownSplit(known, None) if known else None)
    return unite_splits(drawn, inputs.times(), inputs.contents())


def _moved(rows: Sequence[SplitRow], drawn: Sequence[Sequence[SplitRow]]) -> int:
    """How many pairs are in another split than their source has them in."""
    now = {row.pair: row.split for row in rows}
    before = [row for lines in drawn for row in lines]
    return len({row.pair for row in before if row.split != now.get(row.pair)})


def _publish(target: Path, content: Content) -> None:
    """Write the target's `patches/`."""
    patches = sum(len(piece.kept) for piece in content.pieces.values())
    pairs, disk = len(content.pieces), patches * 6 * content.settings["size"] ** 2
    refuse_full_disk(
        target, Plan(pairs, pairs, disk, 0.0), "choose another --workspace"
    )
    publish_content(patch_stage(target), content)
