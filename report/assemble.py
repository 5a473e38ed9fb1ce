"""Put the report together as one JSON-ready record that holds every number shown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import PureWindowsPath
from typing import Any

import numpy as np

from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings
from dped_build.curate.verify import pairs_of_an_earlier_alignment
from dped_build.patches.exclusions import is_excluded
from dped_build.patches.manifest import is_imported
from dped_build.patches.settings import PatchSettings
from dped_build.report.advice import warnings_of
from dped_build.report.contact_sheet import shown_patches
from dped_build.report.published_scores import PUBLISHED
from dped_build.report.run_curves import run_numbers
from dped_build.report.statistics import (
    DPED_PATCHES_PER_PHOTO,
    accepted_histograms,
    accepted_spreads,
    clipped_share,
    frame_cells,
    ncc_statistics,
    pair_counts,
    pair_measures,
    search_limits,
    window_counts,
)
from dped_build.report.what_if import recorded_settings, thresholds, what_if
from dped_build.report.workspace_reader import Inputs, PatchSet, Run
from dped_build.workspace.stage import created_with

FORMAT, VERSION = "dped-build/report", 1
ABSOLUTE = re.compile(r"^(/|[A-Za-z]:[\\/]|\\\\|~)")


@dataclass(frozen=True)
class ReportSettings:
    """How much the report shows; the numbers do not depend on it."""

    thumb_px: int = 160  # longer side of each crop in the table of pairs
    picture_px: int = 800  # longer side of each crop in a pair's panel
    patches_shown: int = 6  # in each group of the contact sheets
    samples_shown: int = 4  # training samples of each run, the latest


def report_numbers(inputs: Inputs, settings: ReportSettings) -> dict[str, Any]:
    """Every number, name and setting that the report shows; no pictures."""
    pairs, patches = pair_counts(inputs.pairs), inputs.patches
    report: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "created_with": created_with(),
        "phone_camera": inputs.cameras["phone"],
        "dslr_camera": inputs.cameras["dslr"],
        "imported": patches is not None and is_imported(patches.manifest),
        "pairs": pairs,
        "patches": None if patches is None else _patch_numbers(inputs, patches, pairs),
        "windows": None if patches is None else _window_numbers(inputs, patches),
        "shown_patches": [],
        "runs": _run_records(inputs),
        "published": PUBLISHED if inputs.runs else [],
        "disk_bytes": inputs.disk_bytes,
        "excluded": excluded_lines(inputs),
        "table": pair_table(inputs.pairs, patches),
    }
    if patches is not None:
        report["shown_patches"] = shown_patches(
            patches.stored,
            None if report["imported"] else patches.windows,
            {record.pair: record for record in inputs.pairs},
            size=patches.window_size,
            count=settings.patches_shown,
        )
    report["made_with"] = _made_with(inputs)
    report["warnings"] = warnings_of(report)
    return report


def pair_table(
    records: Sequence[Alignment], patches: PatchSet | None
) -> list[dict[str, Any]]:
    """One row per record: what became of the pair, and of its windows."""
    split = {} if patches is None else patches.split
    measures: dict[str, dict[str, Any]] = {}
    if patches is not None and patches.windows and not is_imported(patches.manifest):
        measures = pair_measures(patches.windows)
    no_windows = {
        "windows": 0,
        "judged": 0,
        "excluded": 0,
        "accepted": 0,
        "sharpness_ratio": None,
    }
    unknown = dict.fromkeys(no_windows)
    rows = []
    for record in records:
        measured = bool(measures) and record.aligned and record.pair in split
        found = measures.get(record.pair, no_windows) if measured else unknown
        rows.append(
            {
                "pair": record.pair,
                "status": record.status,
                "reason": record.reason,
                "message": record.message,
                "phone": record.phone,
                "dslr": record.dslr,
                "split": split.get(record.pair),
                "matches": record.matches,
                "inliers": record.inliers,
                "inlier_rmse_px": record.inlier_rmse_px,
                "overlap": record.overlap,
                **found,
            }
        )
    return rows


def excluded_lines(inputs: Inputs) -> list[dict[str, Any]]:
    """What `exclude.csv` takes out by hand, and whether there is such a photo."""
    known = {record.pair for record in inputs.pairs}
    known |= set() if inputs.patches is None else set(inputs.patches.split)
    if inputs.patches is not None:
        known |= set(inputs.patches.stored.photos)
    return [
        {
            "pair": line.pair,
            "window_xy": None if line.window_xy is None else list(line.window_xy),
            "note": line.note,
            "known": line.pair in known or line.pair.strip() in known,
        }
        for line in inputs.excluded
    ]


def public(value: Any) -> Any:  # noqa: ANN401
    """A JSON value with each absolute path reduced to its last component."""
    if isinstance(value, Mapping):
        return {str(key): public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    if isinstance(value, str) and ABSOLUTE.match(value):
        return PureWindowsPath(value).name  # knows both kinds of separators
    return value


def _patch_numbers(
    inputs: Inputs, patches: PatchSet, pairs: dict[str, Any]
) -> dict[str, Any]:
    splits = {
        name: {"photos": int(split["photos"]), "patches": int(split["patches"])}
        for name, split in patches.manifest.get("splits", {}).items()
    }
    total = sum(split["patches"] for split in splits.values())
    cut = [] if patches.windows is None else patches.windows.pairs
    imported = is_imported(patches.manifest)
    paired = 0 if imported else len(patches.split) or pairs["paired"]
    gone = (
        []  # cut by others, or the alignment is not here
        if imported or not inputs.alignment
        else pairs_of_an_earlier_alignment(
            cut, patches.manifest, inputs.alignment, inputs.pairs
        )
    )
    return {
        "stored": total,
        "shards": len(patches.manifest["shards"]),
        "splits": splits,
        "per_photo": round(total / paired, 3) if paired else None,
        "dped_per_photo": DPED_PATCHES_PER_PHOTO,
        "pairs_not_aligned_now": len(gone),
        "pairs_not_cut_yet": 0 if imported else _not_cut_yet(inputs, patches),
        "excluded_still": _excluded_still(inputs, patches),
    }


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


def _window_numbers(inputs: Inputs, patches: PatchSet) -> dict[str, Any] | None:
    windows = patches.windows
    if windows is None:
        return None
    numbers = {
        **window_counts(windows),
        "size": patches.window_size,
        "clipped_share": clipped_share(windows),
        "ncc": ncc_statistics(windows),
        "accepted_spread": accepted_spreads(windows),
        "accepted_histograms": accepted_histograms(windows),
    }
    if is_imported(patches.manifest):  # placed and kept by others
        unknown = ("rule", "min_corr", "limits", "what_if", "frame")
        return {**numbers, **dict.fromkeys(unknown)}
    sizes = {
        record.pair: record.phone_size
        for record in inputs.pairs
        if record.aligned and record.phone_size is not None
    }
    settings = recorded_settings(patches.settings)
    return {
        **numbers,
        "ncc": ncc_statistics(windows, thresholds(settings)),
        "rule": settings.rule,
        "min_corr": settings.min_corr,
        "limits": search_limits(windows, settings),
        "what_if": what_if(windows, settings),
        "frame": frame_cells(windows, sizes, window_size=patches.window_size)
        if sizes
        else None,
    }


def _is_of_these(inputs: Inputs, run: Run) -> bool | None:
    """Whether a run learned from these patches; None where it does not say."""
    stated = run.config.get("patches")
    if not isinstance(stated, dict) or "identity" not in stated:
        return None
    here = inputs.patches.training_identity if inputs.patches else None
    return bool(stated["identity"] == here)


def _run_records(inputs: Inputs) -> list[dict[str, Any]]:
    """Every run; the phone unchanged is measured once for each batch size."""
    measured: dict[int, dict[str, float] | None] = {}
    records = []
    for run in inputs.runs:
        of_these = _is_of_these(inputs, run)
        batch_size = _batch_size(run) if of_these else None
        if batch_size is not None and batch_size not in measured:
            from dped_build.report.baseline import phone_unchanged  # torch is slow

            patches = inputs.workspace / "patches"
            measured[batch_size] = phone_unchanged(patches, batch_size)
        phone = measured.get(batch_size) if batch_size is not None else None
        other = {"other_patches": of_these is False}
        records.append(run_numbers(run, phone=phone) | other)
    return records


def _batch_size(run: Run) -> int | None:
    settings = run.config.get("settings")
    size = settings.get("batch_size") if isinstance(settings, dict) else None
    return size if isinstance(size, int) and size > 0 else None


def _made_with(inputs: Inputs) -> dict[str, Any]:
    """Settings, versions and the commands that lead to the same result."""
    made: dict[str, Any] = {"align": None, "patches": None}
    if inputs.alignment:
        align = inputs.alignment.get("settings", {})
        made["align"] = {
            "created_with": inputs.alignment.get("created_with"),
            "sums": inputs.sums.get("aligned"),
            "settings": align,
            "command": "dped-build align PHONE_DIR DSLR_DIR"
            + changed_options(align, AlignSettings()),
        }
    if inputs.patches is not None:
        manifest = inputs.patches.manifest
        settings = inputs.patches.settings
        made["patches"] = {
            "created_with": manifest.get("created_with"),
            "sums": inputs.sums.get("patches"),
            "dataset_id": manifest.get("dataset_id"),
            "settings": settings,
            "command": "dped-build import SOURCE"
            if is_imported(manifest)
            else "dped-build patches" + changed_options(settings, PatchSettings()),
        }
    made["runs"] = {run.name: run.config for run in inputs.runs}
    return dict(public(made))


def changed_options(
    settings: Mapping[str, Any], defaults: AlignSettings | PatchSettings
) -> str:
    """The options whose recorded value is not the default, as typed."""
    options = []
    for field in fields(defaults):
        value = settings.get(field.name, getattr(defaults, field.name))
        if isinstance(value, int | float | str) and value != getattr(
            defaults, field.name
        ):
            options.append(f" --{field.name.replace('_', '-')} {value}")
    return "".join(options)
