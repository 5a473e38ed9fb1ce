"""A training run's folder, held against what it states of itself; without torch.

What an interruption leaves is no damage: metrics and a generator ahead of the
checkpoint, a torn last line of `metrics.jsonl`, no checkpoint yet.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dped_build.train.run_files import (
    BEST,
    CHECKPOINT,
    CONFIG,
    FREE,
    GENERATOR,
    METRICS,
    MODELS,
    MetricsLine,
    RunConfig,
)
from dped_build.train.torch_archive import is_sound_archive, stated_values
from dped_build.workspace.json_files import (
    Count,
    converted,
    decoded,
    read_document,
    read_lines,
)
from dped_build.workspace.stage import SUMS
from dped_build.workspace.text import one_line


class Curve(NamedTuple):
    """What the whole lines of `metrics.jsonl` say."""

    iterations: list[int]
    judged: bool  # on validation photos, by which the best generator is chosen
    torn: bool  # the last line has no end


def is_run(folder: Path) -> bool:
    """Whether anything that `train` writes stands in a folder."""
    return any((folder / name).is_file() for name in (CONFIG, *MODELS, SUMS))


def run_files(folder: Path) -> list[Path]:
    """The files that `check_run` reads."""
    paths = (folder / name for name in (CONFIG, METRICS, *MODELS))
    return [path for path in paths if path.is_file()]


def check_run(folder: Path) -> tuple[list[str], list[str]]:
    """What is damaged among a run's files, and what is not finished, a line each."""
    damage = [
        f"{path}: its checksums do not fit its content; restore it, or train again"
        for path in run_files(folder)
        if path.name in MODELS and not is_sound_archive(path)
    ]
    names = {path.name for path in run_files(folder)}
    if damage or not names & {CONFIG, CHECKPOINT}:  # else a model without its run
        return damage, []
    try:
        return _check_whole(folder, names)
    except (OSError, ValueError) as error:
        said = one_line(error)
        return [f"{folder}: cannot be read ({said})"], []


def _check_whole(folder: Path, names: set[str]) -> tuple[list[str], list[str]]:
    config = converted(read_document(folder / CONFIG), RunConfig)
    total, log_every = (config.settings[k] for k in ("iterations", "log_every"))
    if CHECKPOINT not in names:
        _read_curve(folder / METRICS)
        return [], [f"{folder}: unfinished, no checkpoint yet; go on with --resume"]
    stated = stated_values(folder / CHECKPOINT, ("iteration", "config"))
    done = converted(stated.get("iteration"), Count)
    trained = decoded(str(stated.get("config")).encode(), RunConfig)
    damage = []
    if done > total or _differ(config, trained):
        damage.append(f"{folder / CHECKPOINT}: of another run than {CONFIG} describes")
    curve = _read_curve(folder / METRICS)
    finished = done == total
    damage += _check_curve(folder, curve, done, log_every, finished=finished)
    damage += _check_generator(folder / GENERATOR, done, finished=finished)
    if curve.judged and BEST not in names:
        damage.append(f"{folder / BEST}: missing")
    notes = []
    if not finished:
        told = f"unfinished, {done} of {total} iterations; go on with --resume"
        notes.append(f"{folder}: {told}")
    elif not (folder / SUMS).is_file():
        notes.append(
            f"{folder}: has no {SUMS} yet, so samples and events were not checked; its "
            "dped-build train, run again, adds it"
        )
    return damage, notes


def _differ(one: RunConfig, other: RunConfig) -> bool:
    """Whether two descriptions are of runs that cannot continue each other."""
    old, new = one.choices, other.choices
    shared = (old.keys() & new.keys()) - set(FREE)
    parts = ("patches", "vgg_sha256", "loss_weights")
    return any(old[k] != new[k] for k in shared) or any(
        getattr(one, part) != getattr(other, part) for part in parts
    )


def _read_curve(path: Path) -> Curve:
    iterations, judged, torn = list[int](), False, False
    for line in read_lines(path) if path.exists() else ():
        torn = line[-1:] != b"\n"
        if not torn:
            values = decoded(line, MetricsLine)
            iterations.append(values.iteration)
            judged = judged or values.psnr is not None
    return Curve(iterations, judged, torn)


def _check_curve(
    folder: Path, curve: Curve, done: int, log_every: int, *, finished: bool
) -> Iterator[str]:
    path, found = folder / METRICS, curve.iterations
    if found != sorted(set(found)):
        yield f"{path}: its lines are not in order"
    logged = {number for number in found if number <= done and number % log_every == 0}
    if lost := done // log_every - len(logged - {0}):
        yield f"{path}: {lost} lines before the checkpoint's iteration are missing"
    if finished and (curve.torn or found[-1:] != [done]):
        yield f"{path}: does not end with the checkpoint's iteration {done}"


def _check_generator(path: Path, done: int, *, finished: bool) -> Iterator[str]:
    """Each checkpoint's generator is written before it."""
    if not path.is_file():
        yield f"{path}: missing"
        return
    at = converted(stated_values(path, ("iteration",)).get("iteration"), Count)
    if at < done or (finished and at > done):
        yield f"{path}: of iteration {at}, the checkpoint of {done}"
