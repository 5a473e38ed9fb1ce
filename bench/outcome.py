"""Does alignment matter? Trainings that differ in how their targets were placed.

    python bench/outcome.py WORK --pictures DIR           # simulated, on two cores
    python bench/outcome.py WORK --pictures DIR --device cuda
    python bench/outcome.py WORK --real PHONE DSLR        # real pairs, equally named

Makes the photos of a simulated rig, cuts them by dped-build, by DPED's rule and by a
plain OpenCV script, trains the same network on each kind of patches as long, and judges
all on the same unseen photos. Whatever is done lies in WORK and is not done again, so a
run that was stopped goes on. Prints Markdown: means over the seeds and, in brackets,
the difference to the reference with its 95 % interval, paired by seed.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from outcome_arms import (
    DEFAULTS,
    REAL,
    SIMULATED,
    fold,
    make_real_tests,
    make_sets,
    make_simulated_tests,
    planned,
)
from outcome_cuts import cut
from outcome_figure import draw
from outcome_photos import SceneSet, figure_set, gather, render, scene_sets
from outcome_table import results
from outcome_training import Recipe, train_once
from pictures import list_pictures
from tables import machine

from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes

SETTINGS = "settings.json"


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("work", type=Path, metavar="WORK", help="folder for everything")
    add("--pictures", type=Path, metavar="DIR", help="photographs, best of 4-20 MP")
    add(
        "--real",
        type=Path,
        nargs=2,
        action="append",
        metavar=("PHONE", "DSLR"),
        default=[],
        help="folders of real pairs instead; may be repeated",
    )
    add(
        "--part", choices=(SIMULATED, DEFAULTS), default=SIMULATED, help="[%(default)s]"
    )
    add("--seeds", type=int, default=5, help="trainings of each kind [%(default)s]")
    add("--iterations", type=int, default=200, help="of each [%(default)s]")
    add("--batch-size", type=int, default=16, help="of 48 x 48 px [%(default)s]")
    add("--each", type=int, default=3, help="scenes near and far, a seed [%(default)s]")
    add("--windows", type=int, default=24, help="to test, a scene [%(default)s]")
    add("--long-side", type=int, default=2048, help="of the phone photo, px [2048]")
    add("--device", default="cpu", help="of the trainings [%(default)s]")
    add("--jobs", type=int, default=2, help="processes, but for training [2]")
    add("--figure", type=Path, help="picture to draw, .jpg or .png")
    return made


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines to print."""
    work, part = options.work, REAL if options.real else options.part
    jobs = planned(part, seeds=options.seeds)
    _remember(options, part)
    yield machine()
    yield (
        f"\n{options.seeds} seeds; {options.iterations} iterations of "
        f"{options.batch_size} windows each"
    )
    prepared = _prepare_real if part == REAL else _prepare_simulated
    for seed, photos, pairs in prepared(options):
        own = [job for job in jobs if job.seed == seed]
        for folder in make_sets(own, work, photos, pairs):
            _tell(folder)
        for job in own:
            _tell(f"{job.setting}, {job.arm}, seed {seed}")
            recipe = Recipe(
                options.iterations, options.batch_size, options.device, job.ema
            )
            train_once(job.patches(work), job.run(work), recipe, seed=seed)
    yield from results(jobs, work, device=options.device)
    if options.figure:
        shown = jobs[0].tests(work)
        if part != REAL:
            shown = _unseen(options, figure_set(each=options.each))
        draw(options.figure, part, work, shown)


def _prepare_simulated(
    options: argparse.Namespace,
) -> Iterator[tuple[int, Path, list[str]]]:
    """Every seed's photos, cut, and their pairs; the test's before all."""
    pictures = list_pictures(options.pictures)
    *sets, tests = scene_sets(pictures, seeds=options.seeds, each=options.each)
    _unseen(options, tests)
    for one in sets:
        photos = _photographed(options, one)
        cut(photos, jobs=options.jobs)
        yield one.seed, photos, one.scenes()


def _photographed(options: argparse.Namespace, one: SceneSet) -> Path:
    """The folder with a set's photos."""
    photos = options.work / SIMULATED / one.name
    render(one, photos, long_side=options.long_side, jobs=options.jobs)
    return photos


def _unseen(options: argparse.Namespace, one: SceneSet) -> Path:
    """The folder with windows of a set that no training sees."""
    photos = _photographed(options, one)
    return make_simulated_tests(options.work, photos, windows=options.windows)


def _prepare_real(
    options: argparse.Namespace,
) -> Iterator[tuple[int, Path, list[str]]]:
    """The photos, cut, and the pairs that each seed learns from."""
    photos = options.work / REAL
    pairs = gather(options.real, photos)
    cut(photos, jobs=options.jobs)
    for seed in range(options.seeds):
        learned, tests = fold(pairs, seed, seeds=options.seeds)
        make_real_tests(options.work, photos, tests, seed)
        yield seed, photos, learned


def _remember(options: argparse.Namespace, part: str) -> None:
    """Hold what decides the figures beside what an earlier run had.

    Raises:
        DpedBuildError: The folder holds figures of other settings.
    """
    names = ["iterations", "batch_size", "each", "windows", "long_side"]
    stated = {name: getattr(options, name) for name in names}
    if part == REAL:  # whose seeds divide the pairs among them
        folders = [side for sides in options.real for side in sides]
        stated |= {"seeds": options.seeds, "real": _listed(*folders)}
    else:
        stated["pictures"] = _listed(options.pictures)
    settings = json_bytes(stated)
    path = options.work / f"{part}-{SETTINGS}"
    if path.exists() and path.read_bytes() != settings:
        raise DpedBuildError(f"{path}: other settings; name another folder")
    options.work.mkdir(parents=True, exist_ok=True)
    path.write_bytes(settings)


def _listed(*folders: Path) -> list[str]:
    """The photographs' names, wherever they lie now."""
    return [path.name for folder in folders for path in list_pictures(folder)]


def _tell(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


def main() -> None:
    """Run and print."""
    torch.set_num_threads(1)
    try:
        for line in report(parser().parse_args()):
            print(line, flush=True)
    except DpedBuildError as error:
        sys.exit(f"outcome: {error}")


if __name__ == "__main__":
    main()
