"""The plain OpenCV way and dped-build alternately on the same photos, as commands."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from accuracy import random_scenes
from decoding import DECODERS, STRICT, decode_seconds
from processes import Usage, in_workers, run_build, run_ours, run_plain
from scenes import PHONE, Scene, photo_paths, write
from scoring import Score, score
from stages import profile_stages
from stored import count_windows, photos_in_two_splits, read_pair, read_plain
from tables import honesty, score_columns, table

from dped_build.photos.reading import read_photo

PLAIN_PAIRS = 2  # a round; the plain way is slow, and costs the same each pair
FEW_PAIRS = 3  # of every size; the first pays for starting the commands
MEGAPIXELS = "3+9,12+24,48+45"
MIN_STAGE = 0.01  # share of the time; smaller ones are summed up


def versus_report(
    pictures: Sequence[Path],
    *,
    pairs: int,
    rounds: int,
    jobs: int,
    long_side: int,
    seed: int,
) -> Iterator[str]:
    """Markdown: both ways on the same photos, everything that can be measured."""
    scenes = random_scenes(pictures, count=pairs, long_side=long_side, seed=seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        list(in_workers(partial(write, folder=folder), scenes, jobs=jobs))
        yield (
            f"{pairs} pairs, seed {seed}, phone {long_side} px wide; {rounds} rounds, "
            f"in each the plain way on {PLAIN_PAIRS} pairs, then "
            f"`dped-build align` and `patches --jobs {jobs}`, and `build`, on all\n"
        )
        decode = _decode(scenes, folder)
        ways = _alternate(scenes, folder, rounds=rounds, jobs=jobs)
        yield _versus_table(scenes, folder, ways, decode[STRICT], jobs)
        for name, ours in (("", ways.two), ("of `build` ", ways.one)):
            pace = [
                p.wall_s / PLAIN_PAIRS / (o.wall_s / pairs)
                for p, o in zip(ways.plain, ours, strict=True)
            ]
            every = ", ".join(f"{ratio:.1f}" for ratio in pace)
            median = np.median(pace)
            yield f"\nThroughput {name}against the plain way: {median:.1f} x ({every})"
        costs = ", ".join(f"{name} {value:.3f} s" for name, value in decode.items())
        yield f"\nDecode limit, CPU seconds per pair: {costs}"


def _decode(scenes: Sequence[Scene], folder: Path) -> dict[str, float]:
    """Decoder → CPU seconds a pair."""
    pairs = [photo_paths(scene, folder) for scene in scenes]
    (seconds,) = in_workers(_decode_pairs, [pairs], jobs=1)
    return seconds


def _decode_pairs(pairs: Sequence[tuple[Path, Path]]) -> dict[str, float]:
    return {name: decode_seconds(pairs, decode) for name, decode in DECODERS.items()}


@dataclass(frozen=True)
class _Ways:
    """What each way took, round by round."""

    plain: list[Usage] = field(default_factory=list)  # on PLAIN_PAIRS
    two: list[Usage] = field(default_factory=list)  # `align` and `patches`, on all
    one: list[Usage] = field(default_factory=list)  # `build`, on all


def _alternate(
    scenes: Sequence[Scene], folder: Path, *, rounds: int, jobs: int
) -> _Ways:
    ways = _Ways()
    for number in range(rounds):
        first = number * PLAIN_PAIRS
        some = [scenes[i % len(scenes)] for i in range(first, first + PLAIN_PAIRS)]
        names = [scene.name for scene in some]
        ways.plain.append(run_plain(folder, folder / "plain", names))
        for workspace in (folder / "ours", folder / "build"):
            shutil.rmtree(workspace, ignore_errors=True)
        aligned, patched = run_ours(folder, folder / "ours", jobs=jobs)
        ways.two.append(aligned + patched)
        ways.one.append(run_build(folder, folder / "build", jobs=jobs))
    return ways


def _versus_table(
    scenes: Sequence[Scene],
    folder: Path,
    ways: _Ways,
    decode: float,
    jobs: int,
) -> str:
    cut = [s for s in scenes if (folder / "plain" / f"{s.name}.h5").exists()]
    by_plain = list(in_workers(partial(_score_plain, folder=folder), cut, jobs=jobs))
    by_ours = list(in_workers(partial(_score_ours, folder=folder), scenes, jobs=jobs))
    same = [found for s, found in zip(scenes, by_ours, strict=True) if s in cut]
    columns = [
        {**score_columns(by_plain), **_cost_columns(ways.plain, PLAIN_PAIRS, decode)},
        {**score_columns(same), **_cost_columns(ways.two, len(scenes), decode)},
        {**score_columns(by_ours), **_cost_columns(ways.two, len(scenes), decode)},
        {**score_columns(by_ours), **_cost_columns(ways.one, len(scenes), decode)},
    ]
    header = ("", "plain OpenCV", "dped-build, the same pairs", "all pairs", "`build`")
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    twice = photos_in_two_splits(folder / "ours/patches")
    lines = (
        table(header, rows),
        f"\nplain OpenCV: {honesty(by_plain)}",
        f"\ndped-build: {honesty(by_ours)}; photos in two splits: {twice}",
    )
    return "\n".join(lines)


def _cost_columns(usages: Sequence[Usage], pairs: int, decode: float) -> dict[str, str]:
    wall = float(np.median([usage.wall_s for usage in usages])) / pairs
    cpu = float(np.median([usage.cpu_s for usage in usages])) / pairs
    return {
        "pairs a minute": f"{60 / wall:.1f}",
        "CPU seconds a pair": f"{cpu:.2f}",
        "the same in strict decodes": f"{cpu / decode:.1f}",
        "peak memory of a process, MB": f"{max(u.peak_mb for u in usages):.0f}",
    }


def _score_plain(scene: Scene, folder: Path) -> Score:
    photos = (read_photo(path) for path in photo_paths(scene, folder))
    return score(read_plain(folder / "plain" / f"{scene.name}.h5"), scene, *photos)


def _score_ours(scene: Scene, folder: Path) -> Score:
    photos = (read_photo(path) for path in photo_paths(scene, folder))
    return score(read_pair(folder / "ours/patches", scene.name), scene, *photos)


def sizes_report(
    pictures: Sequence[Path], *, megapixels: str, seed: int
) -> Iterator[str]:
    """Markdown: what a further pair costs at each size of photo, one worker."""
    yield f"{FEW_PAIRS} pairs of each size, seed {seed}, one worker\n"
    header = (
        "phone + DSLR, MP",
        "windows a pair",
        "CPU s a further pair: align",
        "patches",
        "strict decode",
        "both in decodes",
        "ms a window",
        "peak MB: align",
        "patches",
    )
    yield table(header, ())
    for text in megapixels.split(","):
        with tempfile.TemporaryDirectory() as temporary:
            scenes = sized_scenes(pictures, text, count=FEW_PAIRS, seed=seed)
            yield "| " + " | ".join([text, *_size_row(scenes, Path(temporary))]) + " |"


def sized_scenes(
    pictures: Sequence[Path], text: str, *, count: int, seed: int
) -> list[Scene]:
    """Scenes whose photos have so many megapixels, given as "phone+DSLR"."""
    phone, dslr = (float(part) * 1e6 for part in text.split("+"))
    phone_size = round((phone * 4 / 3) ** 0.5), round((phone * 3 / 4) ** 0.5)
    dslr_size = round((dslr * 3 / 2) ** 0.5), round((dslr * 2 / 3) ** 0.5)
    scenes = random_scenes(pictures, count=count, long_side=PHONE[0], seed=seed)
    return [
        replace(s, rig=replace(s.rig, phone_size=phone_size, dslr_size=dslr_size))
        for s in scenes
    ]


def _size_row(scenes: Sequence[Scene], folder: Path) -> list[str]:
    one, many = folder / "one", folder / "many"
    list(in_workers(partial(write, folder=many), scenes, jobs=1))
    for path, copy in zip(
        *(photo_paths(scenes[0], f) for f in (many, one)), strict=True
    ):
        copy.parent.mkdir(parents=True)
        shutil.copy2(path, copy)
    decode = _decode(scenes, many)[STRICT]
    starts = run_ours(one, folder / "first", jobs=1)
    wholes = run_ours(many, folder / "ours", jobs=1)
    further = len(scenes) - 1
    align, patches = (
        (whole.cpu_s - start.cpu_s) / further
        for start, whole in zip(starts, wholes, strict=True)
    )
    few = count_windows(folder / "first/patches")
    windows = (count_windows(folder / "ours/patches") - few) / further
    return [
        f"{windows:.0f}",
        f"{align:.2f}",
        f"{patches:.2f}",
        f"{decode:.3f}",
        f"{(align + patches) / decode:.1f}",
        f"{1000 * patches / max(windows, 1):.2f}",
        *(f"{usage.peak_mb:.0f}" for usage in wholes),
    ]


def stages_report(
    pictures: Sequence[Path], *, pairs: int, long_side: int, seed: int
) -> Iterator[str]:
    """Markdown: CPU seconds a pair of every module, in one process."""
    scenes = random_scenes(pictures, count=pairs, long_side=long_side, seed=seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        list(in_workers(partial(write, folder=folder), scenes, jobs=1))
        decode = _decode(scenes, folder)[STRICT]
        profile = partial(profile_stages, workspace=folder / "ours")
        (seconds,) = in_workers(profile, [folder], jobs=1)
    total = sum(seconds.values())
    shown = {k: v for k, v in seconds.items() if v >= MIN_STAGE * total}
    shown["all others"] = total - sum(shown.values())
    yield f"{pairs} pairs, seed {seed}, one process, under the profiler\n"
    rows = [
        (name, f"{v / pairs:.3f}", f"{v / total:.0%}", f"{v / pairs / decode:.2f}")
        for name, v in {**shown, "**all**": total}.items()
    ]
    yield table(("module", "CPU s a pair", "share", "in decodes"), rows)
