"""The files of a training run and the rules for coming back to one.

config.json      settings, loss weights, patches and versions; written first
metrics.jsonl    a line per evaluation, no times, so that equal runs are equal
checkpoint.pt    the whole state, `generator.pt` the weights alone, both per checkpoint
best.pt          the generator with the highest PSNR on the validation photos
samples/         before | after | target
events.*         the same numbers for TensorBoard
SHA256SUMS       of all of these; stands in a finished run only
"""

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from dped_build.train.model_file import FILE_NAME, planned_network
from dped_build.train.pixels import png_bytes
from dped_build.train.run_files import (
    BEST,
    CONFIG,
    FREE,
    METRICS,
    MetricsLine,
    RunConfig,
)
from dped_build.train.settings import TrainSettings
from dped_build.workspace.durable import (
    SCRATCH,
    drop_temporaries,
    scratch_folder,
    write_atomic,
    writing,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import (
    converted,
    json_bytes,
    parse_object,
    read_document,
    read_lines,
)
from dped_build.workspace.stage import SUMS, write_sums
from dped_build.workspace.text import one_line

SAMPLES = "samples"
MAX_BATCH = 2**14  # that is taken from a recorded run


@contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """Keep a run folder to one process.

    Raises:
        DpedBuildError: Another one trains here, or nothing can be written beside it.
    """
    whole = run_dir.resolve()  # the same for every way to name the folder
    path = _lock_of(whole)
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise DpedBuildError(
            f"{run_dir}: another dped-build trains in this folder; wait for it or name "
            "another --out"
        ) from error
    except OSError as error:
        raise DpedBuildError(
            f"{path}: cannot be written ({error.strerror}); name another --out"
        ) from error
    try:
        for folder in (whole, whole / SAMPLES):
            drop_temporaries(folder)
        yield
    finally:
        lock.release()


def _lock_of(run_dir: Path) -> Path:
    """In the workspace's `.dped-build/`, also where that is yet to be made."""
    workspace = run_dir.parent.parent
    ours = run_dir.parent.name == "runs"
    folder = workspace / SCRATCH if ours else scratch_folder(run_dir)
    return folder / f".{run_dir.name}.lock"


def open_run(
    run_dir: Path, config: dict[str, Any], *, resume: bool, done: int | None
) -> bool:
    """Decide whether a run may start, go on, or is finished.

    A run that ended before its first checkpoint has nothing to go on from, so it starts
    anew, with whatever settings.

    Args:
        run_dir: The run's folder.
        config: What `config.json` shall say.
        resume: Whether the user agreed to go on with an unfinished run.
        done: Iterations behind its checkpoint, None without one.

    Returns:
        True where there is something left to do.

    Raises:
        DpedBuildError: The folder holds other things, a run with other settings, or an
            unfinished run that the user did not ask to resume.
    """
    path = run_dir / CONFIG
    links = [own for own in _entries(run_dir) if own.is_symlink()]
    if links:  # what is appended to it would go elsewhere
        raise DpedBuildError(f"{links[0]} is a link: delete it, or name another --out")
    if not path.exists():
        if run_dir.exists() and (not run_dir.is_dir() or any(run_dir.iterdir())):
            raise DpedBuildError(
                f"{run_dir} holds files that are not a training run: name another --out"
            )
        _begin(run_dir, config)
        return True
    try:
        before = converted(read_document(path), RunConfig)
    except (OSError, ValueError) as error:
        raise DpedBuildError(f"{path} is damaged: name another --out") from error
    differences = _differences(before, converted(config, RunConfig))
    if done is None and not (run_dir / FILE_NAME).exists():
        _forget_evaluations(run_dir)
        _begin(run_dir, config)
        return True
    if differences:
        raise DpedBuildError(
            f"{run_dir} was trained with other settings ({'; '.join(differences)}): "
            "use the same, or name another --out"
        )
    iterations = config["settings"]["iterations"]
    if (done or 0) >= iterations:
        return False
    if not resume:
        raise DpedBuildError(
            f"{run_dir} holds an unfinished run ({done or 0} of {iterations} "
            "iterations): continue with --resume, or name another --out"
        )
    _begin(run_dir, config)
    return True


def _begin(run_dir: Path, config: dict[str, Any]) -> None:
    """Say what will be done; from here on the run is not finished."""
    with writing(run_dir):
        (run_dir / SUMS).unlink(missing_ok=True)
    write_atomic(run_dir / CONFIG, json_bytes(config))


def finish_run(run_dir: Path) -> None:
    """State the sums of a finished run's files, once."""
    if not (run_dir / SUMS).exists():
        with writing(run_dir):
            write_sums(run_dir)


def _entries(run_dir: Path) -> list[Path]:
    return sorted(run_dir.iterdir()) if run_dir.is_dir() else []


def recorded_settings(run_dir: Path) -> dict[str, Any]:
    """The settings of the run in a folder by name; none where no run can be read."""
    try:
        stated = converted(read_document(run_dir / CONFIG), RunConfig).settings
        known = {field.name for field in dataclasses.fields(TrainSettings)} - {"vgg"}
        found = {name: value for name, value in stated.items() if name in known}
        for field in dataclasses.fields(TrainSettings):
            kinds = (float, int) if field.type is float else (field.type,)
            if field.name in found and type(found[field.name]) not in kinds:
                return {}
        planned_network(TrainSettings(**found).architecture())
        return found if found.get("batch_size", 0) <= MAX_BATCH else {}
    except (OSError, ValueError, DpedBuildError):
        return {}  # `open_run` tells what is wrong


def _differences(before: RunConfig, now: RunConfig) -> list[str]:
    """What keeps a run from going on, as `--option there, here` in words."""
    old, new = {"masks": False} | before.choices, now.choices  # runs of before masks
    told = [
        f"--{name.replace('_', '-')} {_short(old.get(name))} there, {value} here"
        for name, value in new.items()
        if name not in FREE and old.get(name) != value
    ]
    if new["iterations"] < old["iterations"]:
        told.append(
            f"--iterations {_short(old['iterations'])} there, {new['iterations']} "
            "here: they can only be raised"
        )
    if before.patches.identity != now.patches.identity:
        told.append(
            "the patches have changed: put exclude.csv and the options of dped-build "
            "patches back and run it with --force"
        )
    if before.vgg_sha256 != now.vgg_sha256:
        told.append("--vgg names other weights")
    return told


def _short(value: object) -> str:
    return one_line(value, 40)


def _forget_evaluations(run_dir: Path) -> None:
    for name in (METRICS, BEST):
        (run_dir / name).unlink(missing_ok=True)
    shutil.rmtree(run_dir / SAMPLES, ignore_errors=True)


def append_metrics(run_dir: Path, line: dict[str, Any]) -> None:
    """Add one line to `metrics.jsonl`."""
    path = run_dir / METRICS
    with writing(path), path.open("ab") as file:
        file.write(json_bytes(line, indent=None))


def forget_metrics_after(run_dir: Path, iteration: int) -> None:
    """Drop the lines (and a torn last one) that the run is about to write again."""
    path = run_dir / METRICS
    if not path.exists():
        return
    kept = [line for line in read_metrics(run_dir) if line["iteration"] <= iteration]
    write_atomic(path, b"".join(json_bytes(line, indent=None) for line in kept))


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The whole lines of `metrics.jsonl`, in order; none where there is no file."""
    path = run_dir / METRICS
    if not path.exists():
        return []
    try:  # what follows the last newline is torn
        lines = [parse_object(line) for line in read_lines(path) if line[-1:] == b"\n"]
        converted(lines, list[MetricsLine])
        return lines
    except (OSError, ValueError) as error:
        raise DpedBuildError(f"{path} is damaged: name another --out") from error


def write_sample(
    run_dir: Path, iteration: int, rows: list[list[NDArray[np.uint8]]]
) -> bytes:
    """Write `samples/<iteration>.png`: a row of equal RGB patches per example.

    Returns:
        The file's content.
    """
    png = png_bytes(np.vstack([np.hstack(row) for row in rows]))
    write_atomic(run_dir / SAMPLES / f"{iteration:06d}.png", png)
    return png
