"""Every JSON document: its title and its declaration."""

from typing import Any

from documents import (
    alignment,
    common,
    exchange,
    patches,
    study,
    training,
    workspace,
)
from dped_build.align.aligned_folder import Local
from dped_build.align.records import Alignment
from dped_build.report.record import Report, SideBySide
from dped_build.study.answers import AnswersDocument

DOCUMENTS: dict[str, tuple[str, Any]] = {
    "align-summary": ("dped-build align --json", alignment.AlignSummary),
    "alignment-manifest": ("aligned/manifest.json", alignment.AlignmentManifest),
    "alignment-record": ("A line of aligned/alignment.jsonl", Alignment),
    "bench": ("dped-build bench --json", training.Bench),
    "difference": ("dped-build diff --json", workspace.Difference),
    "doctor": ("dped-build doctor --json", workspace.Doctor),
    "enhance-summary": ("dped-build enhance --json", training.EnhanceSummary),
    "evaluation": ("dped-build evaluate --json", training.Evaluation),
    "export-manifest": ("<export>/manifest.json", exchange.ExportManifest),
    "export-model-summary": (
        "dped-build export --format onnx --json",
        exchange.ExportModelSummary,
    ),
    "export-record": (
        "A line of an export's metadata.jsonl; the .json of a WebDataset sample",
        exchange.ExportRecord,
    ),
    "export-summary": ("dped-build export --json, of patches", exchange.ExportSummary),
    "export-windows-summary": (
        "dped-build export windows --json",
        exchange.ExportWindowsSummary,
    ),
    "frame-record": ("A line of export/frames/metadata.jsonl", exchange.FrameLine),
    "frames-manifest": ("export/frames/manifest.json", exchange.FramesManifest),
    "frames-summary": (
        "dped-build export --format frames --json",
        exchange.FramesSummary,
    ),
    "import-model-summary": (
        "dped-build import --json, of a TensorFlow checkpoint",
        exchange.ImportModelSummary,
    ),
    "import-summary": ("dped-build import --json, of patches", exchange.ImportSummary),
    "local": ("aligned/local.json", Local),
    "log-line": ("A line of --log FILE", workspace.LogLine),
    "merge-summary": ("dped-build merge --json", workspace.MergeSummary),
    "patches-manifest": (
        "patches/manifest.json, of cut and of imported patches",
        patches.PatchesManifest,
    ),
    "patches-summary": ("dped-build patches --json", patches.PatchesSummary),
    "plan": ("dped-build align, patches --dry-run --json", alignment.Plan),
    "report": ("report/report.json, report --json", Report),
    "run-config": ("runs/<name>/config.json", training.RunConfig),
    "run-metrics": ("A line of runs/<name>/metrics.jsonl", training.RunMetrics),
    "side-by-side": (
        "<side-by-side>/report.json; dped-build report -w A -w B --json",
        SideBySide,
    ),
    "study-answers": ("answers-*.json, saved by a study's page", AnswersDocument),
    "study-key": ("study/key.json", study.StudyKey),
    "study-results": (
        "study-results/study.json; dped-build study --collect --json",
        study.StudyResults,
    ),
    "study-summary": ("dped-build study --json", study.StudySummary),
    "train-summary": ("dped-build train --json", training.TrainSummary),
    "truth": ("<demo>/truth/<pair>.json", alignment.Truth),
    "verification": ("dped-build verify --json", workspace.Verification),
}
SHARED: dict[str, Any] = {
    "pairing_found": common.PairingFound,
    "align_settings": common.AlignSettings,
    "patch_settings": common.PatchSettings,
    "import_settings": common.ImportSettings,
    "architecture": common.Architecture,
    "train_settings": common.TrainSettings,
    "split_counts": common.SplitCounts,
    "window_reasons": common.WindowReasons,
    "pair_reasons": common.PairReasons,
    "figures": common.Figures,
    "failed_files": common.FailedFiles,
}
