"""The alignment stage: two folders of photos → `<workspace>/aligned/`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dped_build.align.aligned import (
    FORMAT,
    Aligned,
    FileState,
    aligned_stage,
    camera_names,
    file_state,
    files_of,
    read_aligned,
    unfinished,
)
from dped_build.align.durable import write_atomic
from dped_build.align.errors import DpedBuildError, UsageError
from dped_build.align.executor import Workers, default_jobs, run_all
from dped_build.align.homography import SWAPPED
from dped_build.align.logs import log_pair
from dped_build.align.pairs import Pair, pair_by_name
from dped_build.align.photos import SUFFIXES, is_plain_text, list_photos
from dped_build.align.planning import (
    PROBE_ABOVE,
    PROBE_PAIRS,
    Plan,
    Progress,
    estimate,
    refuse_full_disk,
    refuse_hopeless,
    spread,
)
from dped_build.align.records import Alignment, counts_of
from dped_build.align.settings import AlignSettings
from dped_build.align.stage import (
    Journal,
    Stage,
    as_json,
    created_with,
    fresh_folder,
    link_file,
    opened,
    publish_folder,
    read_sums,
    refuse_other_settings,
    write_sums,
)
from dped_build.align.worker import PairFiles, align_files, is_of, lost, unaligned


@dataclass(frozen=True)
class AlignSummary:
    """What an alignment run came to."""

    folder: Path
    pairs: int
    aligned: int
    reasons: Mapping[str, int]
    newly_done: int
    swapped: bool  # most pairs look as if phone and DSLR were swapped

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "folder": str(self.folder), "reasons": {**self.reasons}}


def align_folders(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workspace: Path = Path("data"),
    settings: AlignSettings | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    max_memory_gb: float | None = None,
    force: bool = False,
    rehash: bool = False,
    probe: bool = True,
    dry_run: bool = False,
    announce: Callable[[Plan], None] = lambda plan: None,
    progress: Progress = lambda done, total: None,
) -> AlignSummary | None:
    """Align all pairs of two folders and publish `<workspace>/aligned/`.

    Finished pairs whose photos are unchanged are kept; an interrupted run goes on where
    it stopped. A photo that cannot be read costs its pair only.

    Args:
        phone_dir: Photos of the phone.
        dslr_dir: Photos of the DSLR under the same names.
        workspace: Where `aligned/` goes.
        settings: AlignSettings() where not given.
        jobs: Worker processes; all cores where not given.
        backend: Of the workers: loky or threading.
        max_memory_gb: Of each worker process; a pair that needs more is `worker_lost`.
        force: Start over, whatever stands there.
        rehash: Compare contents of photos, not only size and modification time.
        probe: Stop early where almost no pair of a large set aligns.
        dry_run: Announce the plan and stop.
        announce: Called with the plan before work starts.
        progress: Called with pairs done and pairs to do.

    Returns:
        The summary; None for a dry run.

    Raises:
        UsageError: The folders cannot be meant.
        DpedBuildError: No photos, other settings than the finished stage's, full disk.
    """
    settings, jobs = settings or AlignSettings(), jobs or default_jobs()
    pairs = find_pairs(phone_dir, dslr_dir)
    stage = aligned_stage(workspace)
    with opened(stage):
        cameras = camera_names(phone_dir, dslr_dir)
        wanted = {**cameras, **settings.to_json()}
        before = None if force else read_aligned(workspace)
        if before is not None:
            found = {key: before.manifest.get(key) for key in cameras}
            refuse_other_settings(
                stage, found | dict(before.manifest["settings"]), wanted
            )
        workers = Workers(jobs, backend, max_memory_gb)
        run = _Run(stage, pairs, cameras, settings, workers, before)
        run.keep_finished(force=force, rehash=rehash)
        plan = estimate(pairs, run.todo, settings, jobs)
        announce(plan)
        refuse_full_disk(workspace, plan, "choose another --workspace or --crops none")
        if dry_run:
            return None
        if force:
            shutil.rmtree(stage.scratch, ignore_errors=True)
        newly_done = run.work(progress, probe=probe)
        run.publish((phone_dir, dslr_dir))
        return run.summary(newly_done)


def find_pairs(phone_dir: Path, dslr_dir: Path) -> list[Pair]:
    """All photos of two folders as pairs and leftovers.

    Raises:
        UsageError: A folder is missing, or one folder is given twice.
        DpedBuildError: A folder holds no photos.
    """
    photos = [list_photos(folder) for folder in (phone_dir, dslr_dir)]
    for folder in (phone_dir, dslr_dir):
        if not is_plain_text(str(folder.resolve())):
            raise UsageError(f"{str(folder)!r}: the name is not plain UTF-8; rename it")
    if phone_dir.samefile(dslr_dir):
        raise UsageError(
            f"{phone_dir}: given for both cameras; name the phone's folder, then the "
            "DSLR's"
        )
    for folder, found in zip((phone_dir, dslr_dir), photos, strict=True):
        if not found:
            raise DpedBuildError(
                f"{folder}: no photos in it ({' '.join(SUFFIXES)}); name the folder "
                "that holds them"
            )
    return pair_by_name(*photos)


class _Run:
    """One run: what is finished, what is left, and how it is published."""

    def __init__(
        self,
        stage: Stage,
        pairs: Sequence[Pair],
        cameras: Mapping[str, str],
        settings: AlignSettings,
        workers: Workers,
        before: Aligned | None,
    ) -> None:
        self.stage, self.pairs, self.cameras = stage, pairs, cameras
        self.settings, self.workers = settings, workers
        self.before = before
        self.journal = Journal(stage.scratch / "journal.jsonl")
        self.states: dict[tuple[str, str], FileState] = {}
        self.records: dict[str, Alignment] = {}
        self.todo: list[Pair] = []

    def keep_finished(self, *, force: bool, rehash: bool) -> None:
        """Take over records whose photos are unchanged; the rest is to do."""
        done = unfinished([] if force else self.journal.read())
        for pair in self.pairs:
            for camera, path in (("phone", pair.phone), ("dslr", pair.dslr)):
                if path is not None:
                    self.states[camera, path.name] = _state(path)
            record = None if pair.reason is None else unaligned(pair)
            record = record or self._published(pair, rehash=rehash)
            record = record or self._from_journal(pair, *done.get(pair.name, ()))
            if record is None:
                self.todo.append(pair)
            else:
                self.records[pair.name] = record

    def _published(self, pair: Pair, *, rehash: bool) -> Alignment | None:
        record = self.before and self.before.records.get(pair.name)
        if not self.before or not record or record.worth_another_try():
            return None
        if not pair.phone or not pair.dslr or not is_of(record, pair):
            return None
        here = replace(
            self.before, phone_root=pair.phone.parent, dslr_root=pair.dslr.parent
        )
        if here.changed(record, rehash=rehash):
            return None
        crops = self._crop_paths(pair, self.stage.folder) if record.aligned else None
        whole = all(path.is_file() for path in crops or ())
        return record if whole else None

    def _from_journal(
        self, pair: Pair, key: object = None, record: Alignment | None = None
    ) -> Alignment | None:
        if not record or key != self._key(pair) or not is_of(record, pair):
            return None
        crops = self._crop_paths(pair, self.stage.scratch)
        if record.aligned and crops and not all(path.is_file() for path in crops):
            return None
        return record

    def _key(self, pair: Pair) -> dict[str, Any]:
        """What a finished pair depends on."""
        photos = [
            (camera, path.name, *self.states[camera, path.name])
            for camera, path in (("phone", pair.phone), ("dslr", pair.dslr))
            if path is not None
        ]
        return as_json({"settings": self.settings.to_json(), "photos": photos})

    def _crop_paths(self, pair: Pair, folder: Path) -> tuple[Path, Path] | None:
        if self.settings.crops == "none":
            return None
        name = f"{pair.name}.{self.settings.crops}"
        phone, dslr = self.cameras.values()
        return folder / phone / name, folder / dslr / name

    def work(self, progress: Progress, *, probe: bool) -> int:
        """Align what is left; every finished pair goes to the journal at once."""
        total = len(self.todo)
        paired = [pair for pair in self.pairs if pair.reason is None]
        if probe and len(paired) > PROBE_ABOVE and total > PROBE_PAIRS:
            first = spread(paired, PROBE_PAIRS)
            left = [pair for pair in first if pair.name not in self.records]
            self._align(left, progress, total)
            refuse_hopeless([self.records[pair.name] for pair in first])
        self._align(
            [p for p in self.todo if p.name not in self.records], progress, total
        )
        return total

    def _align(self, pairs: Sequence[Pair], progress: Progress, total: int) -> None:
        tasks = [
            PairFiles(pair, self.settings, self._crop_paths(pair, self.stage.scratch))
            for pair in pairs
        ]
        done = sum(pair.name in self.records for pair in self.todo)
        progress(done, total)
        results = run_all(align_files, tasks, **asdict(self.workers))
        with closing(results):
            for index, result in results:
                pair = pairs[index]
                record = result or lost(pair)
                self.records[pair.name] = record
                line = {"key": self._key(pair), "record": record.to_json()}
                self.journal.append(line)
                log_pair("align", pair.name, record.status, record.message)
                done += 1
                progress(done, total)

    def publish(self, roots: tuple[Path, Path]) -> None:
        """Replace `aligned/` as a whole, unless it is already what it should be."""
        records = [self.records[pair.name] for pair in self.pairs]
        manifest = {
            "format": FORMAT,
            "version": 1,
            **self.cameras,
            "settings": self.settings.to_json(),
            "created_with": created_with(),
            "counts": counts_of(records),
        }
        files = files_of(records, manifest, roots, self.states)
        if (
            self.before
            and not self.todo
            and all(
                (self.stage.folder / name).read_bytes() == data
                for name, data in files.items()
            )
        ):
            shutil.rmtree(self.stage.scratch, ignore_errors=True)
            return
        build = fresh_folder(self.stage.build)
        for name, data in files.items():
            write_atomic(build / name, data)
        known = self._collect_crops(build, records)
        write_sums(build, known)
        publish_folder(build, self.stage.folder)
        shutil.rmtree(self.stage.scratch, ignore_errors=True)

    def _collect_crops(
        self, build: Path, records: Sequence[Alignment]
    ) -> dict[str, str]:
        """Link the crops into the build folder; returns the sums known already."""
        old = read_sums(self.stage.folder) if self.before else {}
        known = {}
        for pair, record in zip(self.pairs, records, strict=True):
            # Not whichever exists: an abandoned run may have left a newer crop behind.
            kept = self.before and record is self.before.records.get(pair.name)
            source = self.stage.folder if kept else self.stage.scratch
            crops = self._crop_paths(pair, source)
            if not record.aligned or crops is None:
                continue
            for path in crops:
                name = path.relative_to(source)
                if kept and name.as_posix() in old:
                    known[name.as_posix()] = old[name.as_posix()]
                (build / name).parent.mkdir(parents=True, exist_ok=True)
                link_file(path, build / name)
        return known

    def summary(self, newly_done: int) -> AlignSummary:
        """What it came to."""
        records = list(self.records.values())
        counts = counts_of(records)
        swapped = [r for r in records if r.message and SWAPPED in r.message]
        paired = sum(pair.reason is None for pair in self.pairs)
        return AlignSummary(
            self.stage.folder,
            paired,
            counts["aligned"],
            {k: v for k, v in counts.items() if k not in ("photos", "aligned")},
            newly_done,
            2 * len(swapped) > paired,
        )


def _state(path: Path) -> FileState:
    try:
        return file_state(path)
    except OSError:  # a dangling link: reading it will say so
        return 0, 0
