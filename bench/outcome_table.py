"""What the trainings of outcome.py have found, as Markdown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outcome_arms import ARMS, ERRORS, SAME, Job
from outcome_training import scores
from scipy.stats import t as student
from tables import NO_VALUE, table

from dped_build.patches.dataset import PatchDataset

FIGURES = {  # of `evaluate`, and how each is written
    "psnr_pirm": ("PSNR, dB", ".2f"),
    "psnr_color_fit": ("after a colour fit", ".2f"),
    "psnr_aligned": ("after <= 1 px", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "ssim_aligned": ("after <= 1 px", ".4f"),
    "sharpness_ratio": ("sharpness", ".3f"),
    "transfer_015": ("transfer 0.15", ".3f"),
    "transfer_025": ("0.25", ".3f"),
    "transfer_040": ("0.40", ".3f"),
}
CONFIDENCE = 0.95


def results(jobs: Sequence[Job], work: Path, *, device: str) -> Iterator[str]:
    """A table for each setting."""
    for (part, setting), arms in ARMS.items():
        own = [job for job in jobs if (job.part, job.setting) == (part, setting)]
        if own:
            yield f"\n### {part}: {setting}\n\n" + _table(own, arms, work, device)


def _table(own: Sequence[Job], arms: Sequence[str], work: Path, device: str) -> str:
    found = {
        arm: [scores(j.run(work), j.tests(work), device=device) for j in _of(own, arm)]
        for arm in arms
    }
    shown = [key for key in FIGURES if key in found[arms[0]][0]["output"]]
    reference = _values(found[arms[0]], "output", shown)
    phone = _values(found[arms[0]], "input", shown)
    rows = [("phone", "", "", *_cells(phone, None, shown))]
    for arm in arms:
        values = _values(found[arm], "output", shown)
        base = None if arm == arms[0] else reference
        sizes = [len(PatchDataset(j.patches(work), masks=True)) for j in _of(own, arm)]
        error = _error(_of(own, arm), work)
        rows.append((arm, f"{np.mean(sizes):.0f}", error, *_cells(values, base, shown)))
    names = [FIGURES[key][0] for key in shown]
    return table(("targets", "windows", "error p50 / p95, px", *names), rows)


def _of(jobs: Sequence[Job], arm: str) -> list[Job]:
    return [job for job in jobs if job.arm == arm]


def _values(
    found: Sequence[dict[str, Any]], side: str, shown: Sequence[str]
) -> NDArray[np.float64]:
    """(seeds, figures); NaN where one has no value."""
    rows = [[one[side][key] for key in shown] for one in found]
    return np.array(rows, dtype=np.float64)


def _error(jobs: Sequence[Job], work: Path) -> str:
    """How far the targets of the same windows are off, where that is known."""
    if jobs[0].setting != SAME:
        return ""
    errors = [np.load(job.patches(work) / ERRORS)["arr_0"] for job in jobs]
    p50, p95 = np.percentile(np.concatenate(errors), [50, 95])
    return NO_VALUE if np.isnan(p50) else f"{p50:.2f} / {p95:.2f}"


def _cells(
    values: NDArray[np.float64],
    reference: NDArray[np.float64] | None,
    shown: Sequence[str],
) -> list[str]:
    """Means and, in brackets, differences to the reference with their intervals."""
    cells = []
    for column, key in enumerate(shown):
        style, own = FIGURES[key][1], values[:, column]
        cell = format(own.mean(), style)
        if reference is not None:
            mean, half = interval(own - reference[:, column])
            cell += f" ({mean:+{style}} ± {half:{style}})"
        cells.append(cell)
    return cells


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of (N,) values, and half of Student's CONFIDENCE interval; NaN of one."""
    if len(values) < 2:
        return float(values.mean()), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(
        error * student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    )
