"""How far the patches are from the truth: random scenes, and the hard cases by name."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from hard_cases import hard_scenes
from processes import in_workers
from scenes import Scene, random_scene, write
from scoring import NOTHING, Claims, Score, score
from tables import NO_VALUE, SCORE_COLUMNS, honesty, score_row, table

from dped_build.align import align_pair
from dped_build.patches import extract_patches
from dped_build.photos.reading import read_photo


def random_scenes(
    pictures: Sequence[Path], *, count: int, long_side: int, seed: int
) -> list[Scene]:
    """Scenes drawn over what real rigs do; the pictures take turns."""
    seeds = np.random.default_rng(seed).integers(0, 2**31, count)
    return [
        random_scene(
            f"{number:03d}-{picture.stem}",
            picture,
            long_side=long_side,
            seed=int(own),
        )
        for number, own in enumerate(seeds)
        for picture in [pictures[number % len(pictures)]]
    ]


def measure_scene(scene: Scene) -> tuple[str | None, Score]:
    """Make one pair of photos, cut it, judge it; the reason where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        phone, dslr = (read_photo(path) for path in write(scene, Path(folder)))
    alignment = align_pair(phone, dslr, pair=scene.name)
    if alignment.aligned:
        found: Claims = extract_patches(phone, dslr, alignment)
    else:
        found = NOTHING
    return alignment.reason, score(found, scene, phone, dslr)


def accuracy_report(
    pictures: Sequence[Path], *, count: int, long_side: int, seed: int, jobs: int
) -> Iterator[str]:
    """Markdown, line by line: every random scene, then all of them pooled."""
    yield f"{count} random scenes, seed {seed}, phone {long_side} px wide\n"
    yield table(("scene", *SCORE_COLUMNS), ())
    scenes = random_scenes(pictures, count=count, long_side=long_side, seed=seed)
    flat: list[Score] = []
    deep: list[Score] = []
    results = in_workers(measure_scene, scenes, jobs=jobs)
    for scene, (reason, found) in zip(scenes, results, strict=True):
        (deep if scene.rig.edge_px else flat).append(found)
        yield _row(_label(scene, reason), [found])
    yield _row("**without depth edges**", flat)
    yield _row("**all**", flat + deep)
    yield "\n" + honesty(flat + deep)


def hard_report(
    pictures: Sequence[Path], *, each: int, long_side: int, seed: int, jobs: int
) -> Iterator[str]:
    """Markdown, line by line: every hard case, `each` scenes of it pooled."""
    yield f"Hard cases, {each} scenes each, seed {seed}, phone {long_side} px wide\n"
    yield table(("case", *SCORE_COLUMNS), ())
    cases = hard_scenes(pictures, each=each, long_side=long_side, seed=seed)
    scenes = [scene for group in cases.values() for scene in group]
    results = in_workers(measure_scene, scenes, jobs=jobs)
    every: list[Score] = []
    for name, group in cases.items():
        found = [next(results) for _ in group]
        refused = [reason for reason, _ in found if reason]
        every += [score for _, score in found]
        label = f"{name} ({', '.join(refused)})" if refused else name
        yield _row(label, [score for _, score in found])
    yield _row("**all**", every)
    yield "\n" + honesty(every)


def _row(label: str, scores: Sequence[Score]) -> str:
    if not scores:
        return "| " + " | ".join([label, *[NO_VALUE] * len(SCORE_COLUMNS)]) + " |"
    return "| " + " | ".join([label, *score_row(scores)]) + " |"


def _label(scene: Scene, reason: str | None) -> str:
    edges = f", edges {scene.rig.edge_px:.0f} px" if scene.rig.edge_px else ""
    return scene.name + edges + (f" ({reason})" if reason else "")
