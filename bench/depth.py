"""Scenes with depth: how much of what is kept shows the same in both photos.

    python bench/depth.py OUT                       # eight scenes
    python bench/depth.py OUT --pictures ~/photos   # of photographs of one's own
    python bench/depth.py OUT --scenes railing,table --long-side 1024

Renders into OUT what a rig sees of walls, floors, railings, foliage and persons, cuts
the pairs by a plain OpenCV script and by dped-build, and holds every pixel against the
exact truth. Scenes that are there already are used again. Prints Markdown.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from depth_photos import Truth, truth_path, write_scene
from depth_scenes import SCENES
from depth_scoring import Tally, attainable, judge, read_patches
from pictures import list_pictures
from processes import DPED_BUILD, in_workers, run, run_plain
from stored import shards
from tables import NO_VALUE, machine, table

from dped_build.photos.reading import read_photo
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes

PLAIN = "plain OpenCV"
OURS = {  # options of `patches`
    "dped-build": (),
    "dped-build, --rule paper": ("--rule", "paper"),
    "dped-build, --min-valid 0.5": ("--min-valid", "0.5"),
}
COLUMNS = (
    "kept",
    "attainable",
    "clean",
    "soiled",
    "whole / attainable",
    "right px / attainable px",
    "valid px right",
    "wrong",
    "showing wrong",
    "mask recall",
)
SETTINGS = "settings.json"  # what the scenes of a folder were made with


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("out", type=Path, help="folder for photos, truth and patches")
    add("--pictures", type=Path, metavar="DIR", help="photographs, best of 4-20 MP")
    add("--scenes", default=",".join(SCENES), help="of these [all]: %(default)s")
    add("--long-side", type=int, default=2048, help="of the phone photo, px [2048]")
    add("--seed", type=int, default=0, help="of pictures, turns, noise [0]")
    add("--jobs", type=int, default=2, help="processes [2]")
    return made


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines to print."""
    names, out, jobs = options.scenes.split(","), options.out, options.jobs
    unknown = [name for name in names if name not in SCENES]
    if unknown:
        raise DpedBuildError(
            f"{unknown[0]}: no such scene; there are {', '.join(SCENES)}"
        )
    _render(names, options)
    yield machine()
    yield f"\n{len(names)} scenes, seed {options.seed}, {options.long_side} px wide"
    reach = list(in_workers(partial(_reach, out=out), names, jobs=jobs))
    pooled = []
    for way, cpu_s in _cut(names, out, jobs=jobs):
        found = in_workers(partial(_score, out=out, way=way), names, jobs=jobs)
        tallies = [Tally.pooled(pair) for pair in zip(found, reach, strict=True)]
        every = Tally.pooled(tallies)
        rows = [
            *((name, *_row(each)) for name, each in zip(names, tallies, strict=True)),
            ("**pooled**", *_row(every)),
        ]
        yield f"\n### {way}\n\n" + table(("scene", *COLUMNS), rows)
        pooled.append((way, *_row(every), f"{cpu_s / len(names):.2f}"))
    yield "\n### All\n\n" + table(("", *COLUMNS, "CPU s a pair"), pooled)


def _render(names: Sequence[str], options: argparse.Namespace) -> None:
    """Write the scenes that are not there yet.

    Raises:
        DpedBuildError: The folder holds other scenes.
    """
    pictures, out = list_pictures(options.pictures), options.out
    made = {"long_side": options.long_side, "seed": options.seed}
    settings = json_bytes({**made, "pictures": [path.name for path in pictures]})
    path = out / SETTINGS
    if path.exists() and path.read_bytes() != settings:
        raise DpedBuildError(f"{out}: holds scenes of other settings; name another")
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(settings)
    missing = [name for name in names if not truth_path(name, out).exists()]
    write = partial(write_scene, pictures=pictures, out=out, **made)
    list(in_workers(write, missing, jobs=options.jobs))


def _cut(names: Sequence[str], out: Path, *, jobs: int) -> Iterator[tuple[str, float]]:
    """Cut the scenes in every way; its name, and CPU seconds.

    Those of dped-build are of `patches` alone, after one `align` for all.
    """
    shutil.rmtree(cut_folder(out, PLAIN), ignore_errors=True)
    yield PLAIN, run_plain(out, cut_folder(out, PLAIN), names).cpu_s
    aligned = cut_folder(out, "aligned")
    shutil.rmtree(aligned, ignore_errors=True)
    common = ("--jobs", str(jobs), "--workspace")
    photos = (out / "phone", out / "dslr")
    run([DPED_BUILD, "align", *photos, "--crops", "none", *common, aligned])
    for way, given in OURS.items():
        workspace = cut_folder(out, way)
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.copytree(aligned, workspace)
        yield way, run([DPED_BUILD, "patches", *given, *common, workspace]).cpu_s


def cut_folder(out: Path, way: str) -> Path:
    """Where the patches lie that were cut in a way."""
    return out / "cut" / "".join(c if c.isalnum() else "-" for c in way)


def _reach(name: str, out: Path) -> Tally:
    photos = (read_photo(out / side / f"{name}.jpg") for side in ("phone", "dslr"))
    return attainable(Truth.load(truth_path(name, out)), *photos)


def _score(name: str, out: Path, way: str) -> Tally:
    folder = cut_folder(out, way)
    files = [folder / f"{name}.h5"] if way == PLAIN else shards(folder / "patches")
    truth = Truth.load(truth_path(name, out))
    return Tally.pooled(judge(patch, truth) for patch in read_patches(files, name))


def _row(found: Tally) -> list[str]:
    """COLUMNS of one scene or of several."""
    return [
        str(found.kept),
        str(found.attainable),
        _share(found.clean, found.kept, ".0%"),
        _share(found.soiled, found.kept, ".1%"),
        _share(found.whole, found.attainable, ".2f"),
        _share(found.right_px, found.attainable_px, ".2f"),
        _share(found.right_px, found.valid_px, ".1%"),
        _share(found.wrong_px, found.valid_px, ".1%"),
        _share(found.shows_px, found.valid_px, ".2%"),
        _share(found.right_px, found.could_px, ".3f"),
    ]


def _share(part: int, whole: int, style: str) -> str:
    return format(part / whole, style) if whole else NO_VALUE


def main() -> None:
    """Run and print."""
    try:
        for line in report(parser().parse_args()):
            print(line, flush=True)
    except DpedBuildError as error:
        sys.exit(f"depth: {error}")


if __name__ == "__main__":
    main()
