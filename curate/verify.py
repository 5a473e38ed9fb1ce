"""Read a workspace again and hold it against what it states of itself.

Also one folder of it, or one that stands elsewhere: shards, an export, a training run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import CAMERA_KEYS, aligned_stage, read_aligned
from dped_build.align.aligned_folder import FORMAT as ALIGNMENT
from dped_build.align.records import Alignment, counts_of
from dped_build.curate.run_check import check_run, is_run, run_files
from dped_build.curate.shard_check import check_shards
from dped_build.patches.build import patch_stage
from dped_build.patches.folder import read_keys
from dped_build.patches.manifest import is_imported
from dped_build.patches.shards import FORMAT, WINDOWS_FILE
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.plan import OnProgress
from dped_build.workspace.stage import SUMS, Stage, read_sums, sha256
from dped_build.workspace.text import one_line, quote

RUNS, EXPORTS = "runs", "export"
STAGE_MARKS = (  # by which a stage's folder is known, and the format of its manifest
    ("alignment.jsonl", ALIGNMENT),
    (WINDOWS_FILE, FORMAT),
    ("*-[0-9][0-9][0-9][0-9][0-9].h5", FORMAT),
    ("report.json", ""),
    ("manifest.json", ""),  # of an export
)

Advance = Callable[[Path], None]  # told of every file that was read


@dataclass(frozen=True)
class Verification:
    """What was read, a line for all that is not as stated, one for what is to come."""

    files: int
    patches: int
    runs: int
    damage: list[str]
    notes: list[str]


def verify_workspace(
    workspace: Path, *, progress: OnProgress = lambda done, total: None
) -> Verification:
    """Check all stages, exports and runs that are there: checksums, counts, some NCC.

    Also of a stage's folder alone (of shards, say), an export's or a run's. `progress`
    counts MiB.

    Raises:
        DpedBuildError: There is nothing to verify.
    """
    stages, runs = _find(workspace)
    advance = _meter([*(stage.folder for stage in stages), *runs], progress)
    files, damage = _check_files(stages, advance)
    patches = 0
    if not damage:
        patches, damage = _check_contents(stages)
    notes = []
    for run in runs:
        count, wrong, to_come = _check_run(run, advance)
        files += count
        damage += wrong
        notes += to_come
    return Verification(files, patches, len(runs), damage, notes)


def _find(folder: Path) -> tuple[list[Stage], list[Path]]:
    """The stages, exports and runs of a workspace; or the one that this folder is."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    for mark, form in STAGE_MARKS:
        if any(path.is_file() for path in folder.glob(mark)):
            return [Stage(named.parent, named.name, form)], []
    stages = [aligned_stage(folder), patch_stage(folder), Stage(folder, "report", "")]
    stages = [stage for stage in stages if stage.folder.exists()]
    exports = [path.parent for path in sorted(folder.glob(f"{EXPORTS}/*/{SUMS}"))]
    stages += [Stage(folder / EXPORTS, path.name, "") for path in exports]
    runs = [path for path in sorted(folder.glob(f"{RUNS}/*")) if is_run(path)]
    if not stages and not runs:
        if not is_run(folder):
            raise DpedBuildError(
                f"{folder}: nothing to verify; run dped-build align PHONE_DIR DSLR_DIR "
                f"-w {quote(folder)} first"
            )
        runs = [folder]
    return stages, runs


def _meter(folders: Iterable[Path], progress: OnProgress) -> Advance:
    """Tells how much of all files in these folders is read."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    total, done = sum(sizes.values()), 0

    def advance(path: Path) -> None:
        nonlocal done
        done += sizes.pop(path, 0)
        progress(done >> 20, total >> 20)

    return advance


def _check_files(stages: Iterable[Stage], advance: Advance) -> tuple[int, list[str]]:
    """How many files the stages' sums name, and which are not as these state."""
    files, damage = 0, list[str]()
    for stage in stages:
        if not stage.complete:
            damage.append(f"{stage.folder}: {SUMS} is missing: not a finished stage")
            continue
        try:
            sums = read_sums(stage.folder)
        except DpedBuildError as error:
            damage.append(str(error))
            continue
        files += len(sums)
        damage += _wrong_files(stage.folder, sums, advance)
        damage += _foreign_files(stage.folder, sums)
    return files, damage


def _check_contents(stages: Iterable[Stage]) -> tuple[int, list[str]]:
    """How many patches were looked at, and what is wrong where all sums fit."""
    by_format = {stage.format: stage for stage in stages}
    shards, alignment = by_format.get(FORMAT), by_format.get(ALIGNMENT)
    try:
        if alignment is not None:
            damage = list(_wrong_counts(alignment))
            if damage:
                return 0, damage
        if shards is None:
            return 0, []
        if alignment is not None:
            damage = list(_earlier_alignment(shards.workspace, shards))
            if damage:
                return 0, damage
        return check_shards(shards)
    except DpedBuildError as error:  # sums that fit content that does not
        return 0, [str(error)]
    except (OSError, KeyError, ValueError, TypeError) as error:  # as h5py says it
        said = one_line(error)
        at = shards or alignment
        return 0, [f"{at.folder if at else ''}: cannot be read ({said})"]


def _wrong_counts(stage: Stage) -> Iterator[str]:
    """The alignment's records are read, and counted as its manifest does."""
    if stage.folder != aligned_stage(stage.workspace).folder:
        return
    aligned = read_aligned(stage.workspace)
    if aligned and aligned.manifest["counts"] != counts_of([*aligned.records.values()]):
        yield f"{stage.folder}: manifest.json counts other records"


def _check_run(folder: Path, advance: Advance) -> tuple[int, list[str], list[str]]:
    """How many files were read, what is damaged, and what is not finished.

    Files of one's own in a run's folder are no damage.
    """
    count, damage = len(run_files(folder)), list[str]()
    if (folder / SUMS).is_file():
        try:
            sums = read_sums(folder)
        except DpedBuildError as error:
            return 0, [str(error)], []
        count, damage = len(sums), list(_wrong_files(folder, sums, advance))
    if damage:
        return count, damage, []
    found = check_run(folder)
    for path in run_files(folder):
        advance(path)
    return count, *found


def pairs_of_an_earlier_alignment(
    cut: Iterable[str],
    patches: Mapping[str, Any],
    alignment: Mapping[str, Any],
    records: Iterable[Alignment],
) -> set[str]:
    """Those pairs of `cut` whose patches are not of the photos that are aligned now.

    `patches` and `alignment` are the stages' manifests.
    """
    pairs = set(cut)
    if any(patches.get(c) != alignment.get(c) for c in CAMERA_KEYS):
        return pairs
    return pairs - {record.pair for record in records if record.aligned}


def _earlier_alignment(workspace: Path, patches: Stage) -> Iterator[str]:
    aligned, manifest = read_aligned(workspace), patches.manifest()
    if aligned is None or manifest is None or is_imported(manifest):
        return
    cut = read_keys(patches.folder / WINDOWS_FILE)
    gone = pairs_of_an_earlier_alignment(
        cut, manifest, aligned.manifest, aligned.records.values()
    )
    if gone:
        cameras = f"{manifest['phone_camera']} | {manifest['dslr_camera']}"
        yield (
            f"{patches.folder}: cut from an earlier alignment ({cameras}, {len(gone)} "
            f"of {len(cut)} pairs are not aligned now); run dped-build patches again"
        )


def _wrong_files(
    folder: Path, sums: Mapping[str, str], advance: Advance
) -> Iterator[str]:
    for name, stated in sums.items():
        path = folder / name
        if not _stays_inside(name):
            yield f"{folder / SUMS}: {name!r:.200} is no file of this folder"
        elif not path.is_file():
            yield f"{path}: missing"
        elif sha256(path) != stated:
            yield f"{path}: its content is not what was written"
        advance(path)


def _foreign_files(folder: Path, sums: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in sums and name != SUMS:
            yield f"{path}: not written by dped-build"


def _stays_inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name
