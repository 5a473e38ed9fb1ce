"""Figures as Markdown tables, and the machine that they were measured on."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # they load OpenCV, which training does without
    from scoring import Score

    from dped_build.align.geometry import FloatArray

PACKAGES = ("dped-build", "opencv-contrib-python", "numpy", "simplejpeg")
NO_VALUE = "-"
SCORE_COLUMNS = (
    "kept",
    "attainable",
    "yield",
    "p50",
    "p95",
    "p99",
    "worst",
    "below 1 px",
    "<= 1 sigma",
    "<= 2 sigma",
    "PSNR",
    "detail",
)
NAMES = {
    "p50": "error p50, px",
    "p95": "error p95, px",
    "p99": "error p99, px",
    "worst": "worst error, px",
    "PSNR": "DSLR pixels against their claim, dB",
    "detail": "detail kept of the DSLR's",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def score_row(scores: "Sequence[Score]") -> list[str]:
    """SCORE_COLUMNS of several pairs, pooled."""
    errors = np.concatenate([s.mean_px for s in scores])
    possible = sum(s.attainable for s in scores)
    kept = [str(len(errors)), str(possible), f"{len(errors) / max(possible, 1):.3f}"]
    if not len(errors):
        return kept + [NO_VALUE] * (len(SCORE_COLUMNS) - len(kept))
    rms = np.concatenate([s.rms_px for s in scores])
    sigma = np.concatenate([s.sigma_px for s in scores])
    percentiles = np.percentile(errors, [50, 95, 99])
    psnr = np.median(np.concatenate([s.psnr_db for s in scores]))
    detail = np.median(np.concatenate([s.detail for s in scores]))
    return [
        *kept,
        *(f"{value:.3f}" for value in percentiles),
        f"{errors.max():.2f}",
        f"{(errors < 1).mean():.2%}",
        *(_covered(rms, sigma, k) for k in (1, 2)),
        f"{psnr:.1f}",
        f"{detail:.3f}",
    ]


def _covered(rms: "FloatArray", sigma: "FloatArray", times: int) -> str:
    """Share of errors within so many stated uncertainties."""
    stated = np.isfinite(sigma).all()
    return f"{(rms <= times * sigma).mean():.1%}" if stated else NO_VALUE


def score_columns(scores: "Sequence[Score]") -> dict[str, str]:
    """The same with the columns' names, for a table with one column per method."""
    names = [NAMES.get(name, name) for name in SCORE_COLUMNS]
    return dict(zip(names, score_row(scores), strict=True))


def honesty(scores: "Sequence[Score]") -> str:
    """What must be nought, in one line; and how many patches had no truth."""
    counters = {
        "stated NCC false": sum(s.false_ncc for s in scores),
        "NCC not above 0.9": sum(s.low_ncc for s in scores),
        "phone pixels changed": sum(s.resampled for s in scores),
        "overlapping windows": sum(s.overlapping for s in scores),
        "on moving objects (no truth, left out)": sum(s.moving for s in scores),
    }
    return "; ".join(f"{name}: {count}" for name, count in counters.items())


def machine() -> str:
    """Processor, cores and the versions of what was measured."""
    found = {name: _version(name) for name in PACKAGES}
    versions = ", ".join(f"{name} {v}" for name, v in found.items() if v)
    return (
        f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"{versions}"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()
