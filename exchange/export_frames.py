"""The aligned pairs of a workspace → a folder of whole aligned photos with masks."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import aligned_stage
from dped_build.align.records import Alignment
from dped_build.exchange.export_settings import FRAMES, ExportSettings
from dped_build.exchange.frame_files import (
    PLACES,
    FrameRecord,
    FrameTask,
    finished_frame,
    make_frame,
)
from dped_build.exchange.frames_card import frames_card
from dped_build.exchange.kept_frames import KeptFrame, kept_frames, stated
from dped_build.exchange.out_folder import held, out_stage, with_name
from dped_build.exchange.patch_json import METADATA
from dped_build.parallel.executor import Workers, default_jobs
from dped_build.patches.build import patch_stage, run_pairs
from dped_build.patches.exclusions import EXCLUDE_FILE
from dped_build.patches.folder import finished_manifest, read_split_rows
from dped_build.patches.inputs import Inputs, read_inputs, require_aligned
from dped_build.patches.pieces import MEASUREMENT, PieceFailure
from dped_build.patches.settings import PatchSettings
from dped_build.patches.split import SplitRow
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import (
    as_json,
    fingerprint,
    json_bytes,
)
from dped_build.workspace.plan import OnProgress, Plan, refuse_full_disk
from dped_build.workspace.stage import (
    Stage,
    created_with,
    fresh_folder,
    link_file,
    publish_folder,
    refuse_other_settings,
    write_sums,
)

FORMAT = "dped-build/frames"
VERSION = 1
MAKING = 1  # rises when the same inputs would give other pictures
BYTES_PER_PIXEL = {8: 4.0, 16: 10.0}  # of all three pictures, at most about


@dataclass(frozen=True)
class FramesSummary:
    """The result of an export of whole photos."""

    folder: Path
    cameras: tuple[str, str]
    frames: int
    splits: Mapping[str, int]  # empty where the pairs have none yet
    excluded: int
    failed: Sequence[Mapping[str, str]]
    valid_share: float  # of all pixels
    bytes: int
    newly_done: int


def export_frames(
    source: Path,
    out: Path | None = None,
    *,
    settings: ExportSettings | None = None,
    jobs: int | None = None,
    force: bool = False,
    progress: OnProgress = lambda done, total: None,
) -> FramesSummary:
    """Write every aligned pair of a workspace as two pictures of one grid and a mask.

    A finished export is continued: pairs whose photos, alignment and exclusions are
    unchanged are kept. The folder is published as a whole, or not at all; `jobs` and
    interruptions do not show in it.

    Args:
        source: The workspace, or its `aligned/` or `patches/`.
        out: Where the folder goes; `export/frames` in the workspace where not given.
        settings: ExportSettings() where not given.
        jobs: Worker processes; all cores where not given.
        force: Replace an export of other settings.
        progress: Called with pairs done and pairs to do.

    Raises:
        DpedBuildError: No alignment, no pair of the splits, a photo changed since,
            another export or somebody's files in `out`, a full disk.
        UsageError: An option does not fit the format.
    """
    settings = settings or ExportSettings()
    settings.require_fit(FRAMES)
    workspace = _workspace(source)
    stage = out_stage(out or workspace / "export" / FRAMES, FORMAT)
    export = _Export(workspace, settings, stage)
    with held(stage):
        before = None if force else stage.manifest()
        if before is not None:
            recorded = before.get("settings", {})
            refuse_other_settings(stage, recorded, export.recorded_settings)
        kept = kept_frames(stage, proven=force)
        return export.run(kept, before, Workers(jobs or default_jobs()), progress)


class _Export:
    """One run: what is to be exported, and how it is published."""

    def __init__(self, workspace: Path, settings: ExportSettings, stage: Stage) -> None:
        self.settings, self.stage = settings, stage
        patches = patch_stage(workspace)
        recorded = (finished_manifest(patches) or {}).get("settings", {})
        measured = PatchSettings()
        if recorded.get("rule") == measured.rule:
            measured = replace(measured, max_shift=recorded["max_shift"])
        self.window = int(recorded.get("size", measured.size))
        self.inputs: Inputs = read_inputs(workspace, measured, rehash=False)
        rows = read_split_rows(patches.folder)
        if rows is None and settings.splits != ExportSettings.splits:
            raise DpedBuildError(
                f"{patches.folder}: no split.csv, which --splits needs; run "
                "dped-build patches first"
            )
        self.split: dict[str, SplitRow] = {row.pair: row for row in rows or ()}
        self.failures: dict[str, PieceFailure] = {}

    @cached_property
    def recorded_settings(self) -> dict[str, Any]:
        """The settings as the manifest states them."""
        return as_json(
            {
                "splits": self.settings.splits,
                "bits": self.settings.bits,
                "license": self.settings.license,
                "credits": self.settings.credits,
                "max_shift": self.inputs.settings.max_shift,
                "making": MAKING,
                "measurement": MEASUREMENT,
            }
        )

    @cached_property
    def chosen(self) -> list[Alignment]:
        """The pairs of the splits, in order, with those that are taken out by hand."""
        splits = self.settings.chosen_splits()
        records = self.inputs.records
        if self.split:
            split = {pair: row.split for pair, row in self.split.items()}
            records = [r for r in records if split.get(r.pair, splits[0]) in splits]
        if not records:
            raise DpedBuildError(
                f"{self.inputs.aligned.phone_root}: no aligned pair of "
                f"{', '.join(splits)} to export"
            )
        return records

    @cached_property
    def records(self) -> list[Alignment]:
        """The pairs to export, in order."""
        left = [r for r in self.chosen if (r.pair,) not in self.inputs.exclusions]
        if not left:
            raise DpedBuildError(f"{EXCLUDE_FILE} takes out every pair; nothing to do")
        return left

    def key(self, record: Alignment) -> str:
        """Names everything that the pictures of a pair are made from."""
        excluded = sorted(self.inputs.excluded(record.pair))
        made_of = [self.inputs.keys[record.pair], self.settings.bits, excluded]
        return fingerprint([*made_of, self.window if excluded else 0, MAKING])[:32]

    def run(
        self,
        kept: Mapping[str, KeptFrame],
        before: Mapping[str, Any] | None,
        workers: Workers,
        progress: OnProgress,
    ) -> FramesSummary:
        """Make what is missing, and publish all."""
        made: dict[str, FrameRecord] = {}
        todo = []
        for record in self.records:
            key = self.key(record)
            if record.pair in kept and kept[record.pair].key == key:
                continue
            finished = finished_frame(self.stage.scratch / key)
            if finished is None:
                todo.append(self._task(record, key))
            else:
                made[record.pair] = finished
        self._require_space(todo)
        ended = run_pairs(
            make_frame,
            todo,
            self.stage.scratch,
            workers,
            progress,
            stage="export",
            done="exported",
        )
        for pair, result in ended.items():
            if isinstance(result, PieceFailure):
                self.failures[pair] = result
            else:
                made[pair] = result
        lines, sources, sums = self._collected(kept, made)
        manifest = self._manifest(lines)
        if manifest != before or len(lines) != len(kept) or made:
            self._publish(manifest, lines, sources, sums)
        shutil.rmtree(self.stage.scratch, ignore_errors=True)
        return _summary(self.stage.folder, manifest, lines, len(made))

    def _task(self, record: Alignment, key: str) -> FrameTask:
        inputs = self.inputs
        return FrameTask(
            record,
            *inputs.aligned.paths(record),
            inputs.reading,
            inputs.settings,
            inputs.excluded(record.pair),
            self.window,
            self.settings.bits,
            self.stage.scratch / key,
        )

    def _require_space(self, todo: Sequence[FrameTask]) -> None:
        boxes = [task.alignment.phone_box or (0, 0, 0, 0) for task in todo]
        pixels = sum(width * height for _, _, width, height in boxes)
        size = int(pixels * BYTES_PER_PIXEL[self.settings.bits])
        plan = Plan(len(self.records), len(todo), size, 0)
        refuse_full_disk(self.stage.workspace, plan, "choose another --out")

    def _collected(
        self, kept: Mapping[str, KeptFrame], made: Mapping[str, FrameRecord]
    ) -> tuple[list[dict[str, Any]], dict[str, Path], dict[str, str]]:
        """The lines of all pairs, where each file lies now, and its sum."""
        lines, sources, sums = [], dict[str, Path](), dict[str, str]()
        for record in self.records:
            pair, key = record.pair, self.key(record)
            names = {place: f"{place}/{pair}.png" for place in PLACES}
            if pair in made:
                one = KeptFrame(key, stated(made[pair]), made[pair]["sums"])
                lie = {p: self.stage.scratch / key / f"{p}.png" for p in PLACES}
            elif pair in kept and kept[pair].key == key:
                one = kept[pair]
                lie = {place: self.stage.folder / names[place] for place in PLACES}
            else:
                continue
            sources |= {names[place]: lie[place] for place in PLACES}
            sums |= {names[place]: one.sums[place] for place in PLACES}
            row = self.split.get(pair)
            lines.append(
                {
                    **{f"{place}_file_name": name for place, name in names.items()},
                    "pair": pair,
                    "split": row and row.split,
                    "group": row and row.group,
                    **one.stated,
                    "key": key,
                }
            )
        if not lines:
            first = next(iter(self.failures.values()))
            raise DpedBuildError(f"no pair could be exported; {first.message}")
        return lines, sources, sums

    def _manifest(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        splits = Counter(line["split"] for line in lines if line["split"])
        failed = [
            {"pair": pair, "reason": failure.reason, "message": failure.message}
            for pair in (record.pair for record in self.records)
            if (failure := self.failures.get(pair))
        ]
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.inputs.cameras,
            "settings": self.recorded_settings,
            "frames": len(lines),
            "splits": {name: splits[name] for name in sorted(splits)},
            "excluded": len(self.chosen) - len(self.records),
            "failed": failed,
            "created_with": created_with(),
        }

    def _publish(
        self,
        manifest: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        sources: Mapping[str, Path],
        sums: Mapping[str, str],
    ) -> None:
        build = fresh_folder(self.stage.build)
        for place in PLACES:
            (build / place).mkdir()
        for name, path in sources.items():
            link_file(path, build / name)
        texts = (json_bytes(line, indent=None) for line in lines)
        write_atomic(build / METADATA, b"".join(texts))
        write_atomic(build / "README.md", frames_card(manifest).encode())
        write_atomic(build / "manifest.json", json_bytes(manifest))
        write_sums(build, sums)
        publish_folder(build, self.stage.folder)


def _workspace(source: Path) -> Path:
    """The workspace that `source` is, or lies in as `aligned/` or `patches/`."""
    whole = with_name(source)
    for folder in (source, whole.parent):
        if aligned_stage(folder).complete:
            return folder
    require_aligned(source)
    return source


def _summary(
    folder: Path,
    manifest: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    newly_done: int,
) -> FramesSummary:
    areas = [line["box"][2] * line["box"][3] for line in lines]
    shares = [line["valid_share"] for line in lines]
    valid = sum(a * s for a, s in zip(areas, shares, strict=True)) / sum(areas)
    return FramesSummary(
        folder,
        (manifest["phone_camera"], manifest["dslr_camera"]),
        manifest["frames"],
        manifest["splits"],
        manifest["excluded"],
        manifest["failed"],
        round(valid, 4),
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        newly_done,
    )
