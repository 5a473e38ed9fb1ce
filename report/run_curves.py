"""The numbers of training runs: lines of `metrics.jsonl` in, curves and bests out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dped_build.report.record import Curves, Point, Quality, Sample, TrainingRun
from dped_build.report.workspace_reader import Run

CURVE_POINTS = 400  # a curve is some 500 pixels wide
GROUPS = (("psnr", "PSNR, dB"), ("ssim", "MS-SSIM"), ("accuracy", "accuracy"))
SPLIT_WORDS = re.compile(r"^(train|val)[_ ]")
BASELINE_WORDS = ("input", "phone", "unchanged")


def training_run(
    run: Run,
    *,
    phone: dict[str, float] | None = None,
    other_patches: bool = False,
    samples: Sequence[Sample] = (),
) -> TrainingRun:
    """Curves by panel, best and last values of one run.

    `phone`: measures of the phone unchanged, for a run that did not log them.
    """
    curves = metric_curves(run.metrics)
    iterations = [point[0] for curve in curves.values() for point in curve]
    if iterations and not any(is_baseline(name) for name in curves):
        for name, value in (phone or {}).items():
            ends = (min(iterations), max(iterations))
            curves[f"phone unchanged {name}"] = [(end, value) for end in ends]
    panels: dict[str, Curves] = {}
    for name, curve in sorted(curves.items(), key=lambda item: not is_quality(item[0])):
        panels.setdefault(panel_of(name), {})[name] = thinned(curve)
    return TrainingRun(
        name=run.name,
        iterations=int(max(iterations, default=0)),
        panels=panels,
        quality=[
            quality_of(name, curve, curves)
            for name, curve in curves.items()
            if is_quality(name)
        ],
        other_patches=other_patches,
        samples=list(samples),
    )


def metric_curves(lines: Sequence[dict[str, Any]]) -> Curves:
    """Every number logged against the iteration."""
    curves: Curves = {}
    for line in lines:
        iteration = line.get("iteration", line.get("step"))
        if not isinstance(iteration, int | float):
            continue
        for name, value in flat(line).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and name not in ("iteration", "step"):
                curves.setdefault(name, []).append((iteration, value))
    return curves


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested object in one level, under names joined by spaces."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{key} ") if nested else {f"{prefix}{key}": value}
    return found


def panel_of(name: str) -> str:
    """The panel that draws a curve: a measure's, or one for each part of the loss."""
    measures = (title for word, title in GROUPS if word in name.lower())
    return next(measures, SPLIT_WORDS.sub("", name))


def is_baseline(name: str) -> bool:
    """Whether a curve is of the phone's patches unchanged, not of the output."""
    return any(word in name.lower() for word in BASELINE_WORDS)


def is_quality(name: str) -> bool:
    """Whether a curve is of an output's quality: higher is better."""
    return panel_of(name) in ("PSNR, dB", "MS-SSIM") and not is_baseline(name)


def quality_of(name: str, curve: Sequence[Point], curves: Curves) -> Quality:
    """Best and last value of one measure, and the phone's own where it is logged."""
    best = max(curve, key=lambda point: point[1])
    phone = next(
        (
            other[-1][1]
            for key, other in curves.items()
            if is_baseline(key) and panel_of(key) == panel_of(name)
        ),
        None,
    )
    return Quality(
        measure=name,
        best=best[1],
        best_iteration=best[0],
        last=curve[-1][1],
        digits=2 if "psnr" in name.lower() else 4,
        phone_unchanged=phone,
    )


def thinned(curve: list[Point]) -> list[Point]:
    """At most about CURVE_POINTS points of a curve, the last one among them."""
    stride = -(-len(curve) // CURVE_POINTS)
    return curve if stride <= 1 else curve[:-1:stride] + curve[-1:]
