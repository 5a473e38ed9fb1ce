"""Put the report together: what was read and drawn in, one record out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

import msgspec
import numpy as np

from dped_build.curate.verify import pairs_of_an_earlier_alignment
from dped_build.patches.exclusions import is_excluded
from dped_build.patches.manifest import SplitCount
from dped_build.report.advice import advice_on
from dped_build.report.made_with import made_with
from dped_build.report.pair_pictures import PairPicture
from dped_build.report.published_scores import PUBLISHED
from dped_build.report.record import (
    Exclusion,
    PairCounts,
    PairRow,
    PatchCounts,
    PatchGroup,
    Report,
    Sample,
    TrainingRun,
    WindowCounts,
)
from dped_build.report.run_curves import training_run
from dped_build.report.statistics import (
    DPED_PATCHES_PER_PHOTO,
    PairWindows,
    accepted_histograms,
    accepted_spreads,
    clipped_share,
    frame_cells,
    ncc_statistics,
    pair_counts,
    search_limits,
    valid_shares,
    window_outcomes,
    windows_of_pairs,
)
from dped_build.report.what_if import thresholds, what_if
from dped_build.report.workspace_reader import Inputs, PatchSet, Run
from dped_build.workspace.stage import created_with

FORMAT: Final = "dped-build/report"
OF_RECORD = (  # columns of the table that are an alignment's
    *("pair", "status", "reason", "message", "phone", "dslr"),
    *("matches", "inliers", "inlier_rmse_px", "rmse_px", "overlap"),
)
NO_WINDOWS = PairWindows(windows=0, judged=0, excluded=0, accepted=0)


@dataclass(frozen=True)
class Drawn:
    """What was written of the report's folder: pictures, and scripts that show them."""

    pictures: Sequence[PairPicture]  # of each record
    scripts: Sequence[str | None]  # of each record
    sheets: Sequence[PatchGroup]
    samples: Sequence[Sequence[Sample]]  # of each run


def assemble(inputs: Inputs, drawn: Drawn) -> Report:
    """Every number, name, setting and path that the report shows."""
    pairs, patches = pair_counts(inputs.pairs), inputs.patches
    report = Report(
        format=FORMAT,
        version=1,
        created_with=created_with(),
        phone_camera=inputs.cameras["phone"],
        dslr_camera=inputs.cameras["dslr"],
        imported=patches is not None and patches.imported,
        pairs=pairs,
        patches=None if patches is None else _patch_counts(inputs, patches, pairs),
        windows=None if patches is None else _window_counts(inputs, patches),
        shown_patches=list(drawn.sheets),
        runs=_training_runs(inputs, drawn.samples),
        published=PUBLISHED if inputs.runs else [],
        disk_bytes=inputs.disk_bytes,
        excluded=_exclusions(inputs),
        table=_pair_table(inputs, drawn),
        made_with=made_with(inputs),
    )
    return msgspec.structs.replace(report, warnings=advice_on(report))


def _pair_table(inputs: Inputs, drawn: Drawn) -> list[PairRow]:
    """One row per record: what became of the pair, and of its windows."""
    patches = inputs.patches
    split = {} if patches is None else patches.split
    windows = {}
    if patches is not None and patches.windows and not patches.imported:
        windows = windows_of_pairs(patches.windows)
    rows = []
    for record, picture, script in zip(
        inputs.pairs, drawn.pictures, drawn.scripts, strict=True
    ):
        cut = bool(windows) and record.aligned and record.pair in split
        own = windows.get(record.pair, NO_WINDOWS) if cut else PairWindows()
        row = PairRow(
            **{name: getattr(record, name) for name in OF_RECORD},
            **asdict(own),
            split=split.get(record.pair),
            picture=picture.path,
            picture_size=picture.size,
            on_one_grid=picture.on_one_grid,
            exposure_ev=picture.tone.exposure_ev,
            color_ev=picture.tone.color_ev,
            script=script,
        )
        rows.append(row)
    return rows


def _exclusions(inputs: Inputs) -> list[Exclusion]:
    """What `exclude.csv` takes out by hand, and whether there is such a photo."""
    known = {record.pair for record in inputs.pairs}
    if inputs.patches is not None:
        known |= {*inputs.patches.split, *inputs.patches.stored.photos}
    return [
        Exclusion(
            pair=line.pair,
            window_xy=line.window_xy,
            note=line.note,
            known=line.pair in known or line.pair.strip() in known,
        )
        for line in inputs.excluded
    ]


def _patch_counts(inputs: Inputs, patches: PatchSet, pairs: PairCounts) -> PatchCounts:
    splits = {
        name: SplitCount(int(split["photos"]), int(split["patches"]))
        for name, split in patches.manifest.get("splits", {}).items()
    }
    total = sum(split.patches for split in splits.values())
    cut = [] if patches.windows is None else patches.windows.pairs
    paired = 0 if patches.imported else len(patches.split) or pairs.paired
    gone = (
        []  # cut by others, or the alignment is not here
        if patches.imported or not inputs.alignment
        else pairs_of_an_earlier_alignment(
            cut, patches.manifest, inputs.alignment, inputs.pairs
        )
    )
    return PatchCounts(
        stored=total,
        shards=len(patches.manifest["shards"]),
        splits=splits,
        per_photo=round(total / paired, 3) if paired else None,
        dped_per_photo=DPED_PATCHES_PER_PHOTO,
        pairs_not_aligned_now=len(gone),
        pairs_not_cut_yet=0 if patches.imported else _not_cut_yet(inputs, patches),
        excluded_still=_excluded_still(inputs, patches),
    )


def _not_cut_yet(inputs: Inputs, patches: PatchSet) -> int:
    """How many aligned pairs came after the patches."""
    aligned = {record.pair for record in inputs.pairs if record.aligned}
    return len(aligned - set(patches.split))


def _excluded_still(inputs: Inputs, patches: PatchSet) -> int:
    """How many stored patches `exclude.csv` names: it came after the shards."""
    entries = {line.entry for line in inputs.excluded}
    if not entries:
        return 0
    stored = patches.stored
    photos = np.array(stored.photos, dtype=object)[stored.photo]
    return int(is_excluded(photos, stored.xy, entries).sum())


def _window_counts(inputs: Inputs, patches: PatchSet) -> WindowCounts | None:
    windows, settings = patches.windows, patches.chosen_with
    if windows is None:
        return None
    outcomes = window_outcomes(windows)
    sizes = {
        record.pair: record.phone_size
        for record in inputs.pairs
        if record.aligned and record.phone_size is not None
    }
    return WindowCounts(
        **asdict(outcomes),
        size=patches.window_size,
        clipped_share=clipped_share(windows),
        ncc=ncc_statistics(windows, thresholds(settings)),
        accepted_spread=accepted_spreads(windows),
        accepted_histograms=accepted_histograms(windows),
        rule=None if settings is None else settings.rule,
        min_corr=None if settings is None else settings.min_corr,
        limits=None if settings is None else search_limits(windows, settings),
        what_if=None if settings is None else what_if(windows, settings),
        frame=frame_cells(windows, sizes, window_size=patches.window_size)
        if sizes and settings is not None
        else None,
        min_valid=None if settings is None else settings.min_valid,
        valid_shares=valid_shares(windows),
    )


def _is_of_these(inputs: Inputs, run: Run) -> bool | None:
    """Whether a run learned from these patches; None where it does not say."""
    stated = run.config.get("patches")
    if not isinstance(stated, dict) or "identity" not in stated:
        return None
    here = inputs.patches.training_identity if inputs.patches else None
    return bool(stated["identity"] == here)


def _training_runs(
    inputs: Inputs, samples: Sequence[Sequence[Sample]]
) -> list[TrainingRun]:
    """Every run; the phone unchanged is measured once for each way to train."""

    @cache
    def measured(batch_size: int, masks: bool) -> dict[str, float] | None:
        from dped_build.report.baseline import phone_unchanged  # torch is slow

        return phone_unchanged(inputs.workspace / "patches", batch_size, masks=masks)

    runs = []
    for run, own in zip(inputs.runs, samples, strict=True):
        of_these = _is_of_these(inputs, run)
        size = _batch_size(run) if of_these else None
        masks = _settings(run).get("masks") is True
        phone = None if size is None else measured(size, masks)
        other = of_these is False
        runs.append(training_run(run, phone=phone, other_patches=other, samples=own))
    return runs


def _settings(run: Run) -> dict[str, Any]:
    settings = run.config.get("settings")
    return settings if isinstance(settings, dict) else {}


def _batch_size(run: Run) -> int | None:
    size = _settings(run).get("batch_size")
    return size if isinstance(size, int) and size > 0 else None
