"""The alignment stage: two folders of photos → `<workspace>/aligned/`."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import (
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
from dped_build.align.pairing.by_name import FoundPairs, Pair
from dped_build.align.pairing.find import Listed, find_pairs, list_both, part_of
from dped_build.align.pairing.swapped import find_exchanged
from dped_build.align.plan import (
    PROBE_ABOVE,
    PROBE_PAIRS,
    AlignPlan,
    estimate,
    other_pairing,
    refuse_hopeless,
    spread,
)
from dped_build.align.records import Alignment, counts_of
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.align.summary import AlignSummary, summarize
from dped_build.align.survey import survey
from dped_build.align.worker import (
    PairFiles,
    PairWork,
    is_of,
    lost,
    unaligned,
    with_way_out,
)
from dped_build.parallel.executor import Workers, default_jobs, run_all
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import UsageError
from dped_build.workspace.json_files import as_json
from dped_build.workspace.logs import log_pair
from dped_build.workspace.plan import OnProgress, refuse_full_disk
from dped_build.workspace.stage import (
    Journal,
    Stage,
    created_with,
    fresh_folder,
    link_file,
    opened,
    publish_folder,
    read_sums,
    refuse_other_settings,
    write_sums,
)


def align_folders(
    phone_dir: str | Path,
    dslr_dir: str | Path,
    *,
    workspace: str | Path = Path("data"),
    settings: AlignSettings | None = None,
    pairing: PairingSettings | None = None,
    jobs: int | None = None,
    workers: Workers | None = None,
    force: bool = False,
    rehash: bool = False,
    probe: bool = True,
    work: PairWork | None = None,
    dry_run: bool = False,
    announce: Callable[[AlignPlan], None] = lambda plan: None,
    progress: OnProgress = lambda done, total: None,
    pairing_progress: OnProgress = lambda done, total: None,
) -> AlignSummary | None:
    """Align all pairs of two folders and publish `<workspace>/aligned/`.

    Finished pairs whose photos are unchanged are kept; an interrupted run goes on where
    it stopped. A photo that cannot be read costs its pair only.

    Args:
        phone_dir: Photos of the phone.
        dslr_dir: Photos of the DSLR of the same scenes.
        workspace: Where `aligned/` goes.
        settings: AlignSettings() where not given.
        pairing: Which photo belongs to which; by name where not given.
        jobs: Worker processes; all cores where not given.
        workers: Instead of `jobs`, all about them (`parallel.executor.Workers`); a pair
            that needs more memory than they may have is `worker_lost`.
        force: Start over, replacing earlier results.
        rehash: Compare contents of photos, not only size and modification time.
        probe: Stop early where almost no pair of a large set aligns.
        work: What workers do with each pair; only align it where not given.
        dry_run: Announce the plan and stop.
        announce: Called with the plan before work starts.
        progress: Called with pairs done and pairs to do.
        pairing_progress: Called with photos read and photos to read for the pairing.

    Returns:
        The summary; None for a dry run.

    Raises:
        UsageError: The folders are invalid.
        DpedBuildError: No photos, photos that cannot be paired that way, other settings
            than the finished stage's, full disk.
    """
    settings, pairing = settings or AlignSettings(), pairing or PairingSettings()
    if jobs is not None and workers is not None:
        raise UsageError("jobs and workers: give one of them")
    phone_dir, dslr_dir = Path(phone_dir), Path(dslr_dir)
    workspace = Path(workspace)
    workers, work = workers or Workers(jobs or default_jobs()), work or PairWork()
    roots = {"phone": phone_dir, "dslr": dslr_dir}
    listed = list_both(roots, workspace=workspace, pairing=pairing)
    stage = aligned_stage(workspace)
    with opened(stage):
        cameras = camera_names(phone_dir, dslr_dir, pairing)
        stated = {**settings.to_json(), **pairing.to_json()}
        before = None if force else read_aligned(workspace)
        if before is not None:
            known = {key: before.manifest.get(key) for key in cameras}
            refuse_other_settings(
                stage, known | dict(before.manifest["settings"]), cameras | stated
            )
        found = find_pairs(
            roots,
            listed,
            pairing=pairing,
            settings=settings,
            workers=workers,
            workspace=workspace,
            force=force,
            progress=pairing_progress,
        )
        found = part_of(found, pairing)
        run = _Run(
            stage,
            found,
            listed,
            roots,
            cameras,
            settings,
            pairing,
            workers,
            work,
            before,
        )
        run.keep_finished(force=force, rehash=rehash)
        plan = estimate(found, run.todo, roots, settings, workers.jobs, work=work)
        plan = replace(plan, notes=listed.notes())
        if dry_run:
            seen = survey(found.pairs, roots, progress=pairing_progress)
            plan = replace(plan, seen=seen)
        announce(plan)
        refuse_full_disk(workspace, plan, "choose another --workspace or --crops none")
        if dry_run:
            return None
        if force:
            shutil.rmtree(stage.scratch, ignore_errors=True)
        newly_done = run.work(progress, probe=probe)
        run.publish(stated)
        return run.summary(newly_done)


@dataclass
class _Run:
    """One run: what is finished, what is left, and how it is published."""

    stage: Stage
    found: FoundPairs
    listed: Listed
    roots: Mapping[str, Path]
    cameras: Mapping[str, str]
    settings: AlignSettings
    pairing: PairingSettings
    workers: Workers
    pair_work: PairWork
    before: Aligned | None
    states: dict[tuple[str, str], FileState] = field(default_factory=dict)
    records: dict[str, Alignment] = field(default_factory=dict)
    todo: list[Pair] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pairs = self.found.pairs
        self.companions = self.listed.companions(self.roots)
        self.journal = Journal(self.stage.scratch / "journal.jsonl")

    def keep_finished(self, *, force: bool, rehash: bool) -> None:
        """Take over records whose photos are unchanged; the rest is to do."""
        done = unfinished([] if force else self.journal.read())
        for pair in self.pairs:
            for camera, photo in pair.photos():
                state = _state(self.roots[camera] / photo)
                self.states[camera, photo.as_posix()] = state
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
        phone_root, dslr_root = self.roots.values()
        here = replace(self.before, phone_root=phone_root, dslr_root=dslr_root)
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
            (camera, photo.as_posix(), *self.states[camera, photo.as_posix()])
            for camera, photo in pair.photos()
        ]
        return as_json({"settings": self.settings.to_json(), "photos": photos})

    def _crop_paths(self, pair: Pair, folder: Path) -> tuple[Path, Path] | None:
        if self.settings.crops == "none":
            return None
        name = f"{pair.name}.{self.settings.crops}"
        phone, dslr = self.cameras.values()
        return folder / phone / name, folder / dslr / name

    def work(self, progress: OnProgress, *, probe: bool) -> int:
        """Align what is left; every finished pair goes to the journal at once."""
        total = len(self.todo)
        paired = self.found.matched
        if probe and len(paired) > PROBE_ABOVE and total > PROBE_PAIRS:
            first = spread(paired, PROBE_PAIRS)
            left = [pair for pair in first if pair.name not in self.records]
            self._align(left, progress, total)
            records = [self.records[pair.name] for pair in first]
            refuse_hopeless(records, self.advice)
        self._align(
            [p for p in self.todo if p.name not in self.records], progress, total
        )
        return total

    def _align(self, pairs: Sequence[Pair], progress: OnProgress, total: int) -> None:
        tasks = [
            PairFiles(
                pair,
                self.roots,
                self.settings,
                self._crop_paths(pair, self.stage.scratch),
            )
            for pair in pairs
        ]
        done = sum(pair.name in self.records for pair in self.todo)
        progress(done, total)
        results = run_all(self.pair_work.run, tasks, self.workers)
        with closing(results):
            for index, result in results:
                pair = pairs[index]
                record = with_way_out(result or lost(pair), self.companions)
                self.records[pair.name] = record
                line = {"key": self._key(pair), "record": record.to_json()}
                self.journal.append(line)
                log_pair("align", pair.name, record.status, record.message)
                done += 1
                progress(done, total)

    def advice(self) -> str:
        """Which other pairing might fit."""
        return other_pairing(self.found, self.roots, self.pairing)

    def publish(self, settings: Mapping[str, Any]) -> None:
        """Replace `aligned/` as a whole, unless it is already what it should be."""
        records = [self.records[pair.name] for pair in self.pairs]
        manifest = {
            "format": FORMAT,
            "version": 1,
            **self.cameras,
            "settings": settings,
            **({"pairing": self.found.stated} if self.found.stated else {}),
            "created_with": created_with(),
            "counts": counts_of(records),
        }
        phone_root, dslr_root = self.roots.values()
        files = files_of(records, manifest, (phone_root, dslr_root), self.states)
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
        """The summary of the run."""
        records, exchanged = list(self.records.values()), list[tuple[str, str]]()
        if newly_done:
            exchanged = find_exchanged(records, self.roots, self.settings)
        return summarize(
            self.stage.folder,
            self.found,
            records,
            newly_done,
            advice=self.advice,
            exchanged=exchanged,
        )


def _state(path: Path) -> FileState:
    try:
        return file_state(path)
    except OSError:  # a dangling link: reading it will say so
        return 0, 0
