"""Table of the measured generators, with a legend."""

from collections.abc import Sequence

import torch

from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.train.evaluating.benchmark import Measured, Times
from dped_build.workspace.text_table import aligned

DASH = "\N{EN DASH}"
# Ignatov et al., "PIRM Challenge on Perceptual Image Enhancement on Smartphones", ECCV
# Workshops 2018.
PIRM_MS = {"EdS": 3241, "DPED": 20462}


def table(measured: Sequence[Measured], *, settings: BenchSettings) -> str:
    """The lines as text, with what they mean."""
    cells = [["", "parameters", "GMAC", "CPU ms", "GPU ms", "peak MB", "x DPED"]]
    for line in measured:
        peak = DASH if line.peak_mb is None else f"{line.peak_mb:.0f}"
        numbers = [f"{line.parameters:,}", f"{line.gmacs:.2f}"]
        times = [_told(line.cpu), _told(line.gpu)]
        cells.append([line.name, *numbers, *times, peak, f"{line.dped_ratio:.2f}"])
    pirm = PIRM_MS["DPED"] / PIRM_MS["EdS"]
    notes = (
        f"{settings.width} x {settings.height} px; median (fastest{DASH}slowest) of "
        f"{settings.repeat} rounds in turn, after one to warm up; "
        f"{torch.get_num_threads()} threads on the CPU.",
        "peak MB: of a process that enhances one photo on the CPU, Python and torch "
        "included.",
        "x DPED: how many times as fast as DPED. PIRM 2018 published, for its CPU, "
        f"{PIRM_MS['EdS']} ms of EdS and {PIRM_MS['DPED']} ms of DPED: {pirm:.1f}.",
    )
    return "\n".join([aligned(cells), "", *notes])


def _told(times: Times | None) -> str:
    if times is None:
        return DASH
    return f"{times.median_ms:.0f} ({times.min_ms:.0f}{DASH}{times.max_ms:.0f})"
