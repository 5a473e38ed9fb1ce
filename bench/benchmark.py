"""One command for every figure that is stated about `align` and `patches`.

    python bench/benchmark.py                            # all of it
    python bench/benchmark.py cost --pairs 16            # against plain OpenCV
    python bench/benchmark.py sizes --sizes 3+9,12+24    # what larger photos cost
    python bench/benchmark.py profile                    # where the time goes
    python bench/benchmark.py accuracy --scenes 40       # random scenes
    python bench/benchmark.py hard --pictures ~/photos   # the hard cases

Makes its own two-camera photos, whose geometry is known exactly, from the pictures that
come with scikit-image (enlarged) or from photographs of one's own. Prints Markdown.
"""

import argparse
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from accuracy import accuracy_report, hard_report
from cost import MEGAPIXELS, sizes_report, stages_report, versus_report
from pictures import list_pictures
from tables import machine

from dped_build.workspace.errors import DpedBuildError

PARTS = ("all", "cost", "sizes", "profile", "accuracy", "hard")
PROFILE_PAIRS = 3


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("part", choices=PARTS, nargs="?", default="all")
    add("--pictures", type=Path, metavar="DIR", help="photographs, best of 4-20 MP")
    add("--scenes", type=int, default=40, help="accuracy: random scenes [40]")
    add("--each", type=int, default=2, help="hard: scenes a case [2]")
    add("--pairs", type=int, default=16, help="cost: pairs [16]")
    add("--rounds", type=int, default=3, help="cost: rounds of both ways [3]")
    add("--sizes", default=MEGAPIXELS, help=f"cost: megapixels [{MEGAPIXELS}]")
    add("--long-side", type=int, default=2048, help="of the phone photo, px [2048]")
    add("--seed", type=int, help="draws the scenes [another each run]")
    add("--jobs", type=int, default=2, help="processes [2]")
    return made


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines to print."""
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    pictures = list_pictures(options.pictures)
    jobs, made = options.jobs, {"long_side": options.long_side, "seed": seed}
    yield machine()
    if options.part in ("cost", "all"):
        yield "\n## Against plain OpenCV\n"
        counts = {"pairs": options.pairs, "rounds": options.rounds}
        yield from versus_report(pictures, **counts, jobs=jobs, **made)
    if options.part in ("sizes", "all"):
        yield "\n## Size of the photos\n"
        yield from sizes_report(pictures, megapixels=options.sizes, seed=seed)
    if options.part in ("profile", "all"):
        yield "\n## Where the time goes\n"
        yield from stages_report(pictures, pairs=PROFILE_PAIRS, **made)
    if options.part in ("accuracy", "all"):
        yield "\n## Accuracy\n"
        yield from accuracy_report(pictures, count=options.scenes, jobs=jobs, **made)
    if options.part in ("hard", "all"):
        yield "\n## Hard cases\n"
        yield from hard_report(pictures, each=options.each, jobs=jobs, **made)


def main() -> None:
    """Run and print."""
    options = parser().parse_args()
    try:
        for line in report(options):
            print(line, flush=True)
    except DpedBuildError as error:
        sys.exit(f"benchmark: {error}")


if __name__ == "__main__":
    main()
