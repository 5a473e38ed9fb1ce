"""The photos of outcome.py: one phone and one DSLR before far scenes and near ones.

Every set has scenes with depth, and as many that are nearly planar; the test's show
photographs that no other set does. The phone is good: what it loses of the detail can
be learned back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from depth_photos import Truth, photograph_scene, truth_path, write_photos
from depth_scenes import SCENES
from processes import in_workers
from scenes import random_scene, write

from dped_build.photos.listing import list_photos
from dped_build.selftest.demo_set import picture_folder
from dped_build.selftest.simulated_cameras import PhoneLook, Rig
from dped_build.workspace.errors import DpedBuildError

LOOK = PhoneLook(blur_px=1.0, vignetting=0.2, gains=(0.95, 0.9, 0.75), noise=0.005)
QUALITY = 95  # of the phone's JPEG file
TEST, TEST_SEED = "test", 5
FIGURE, FIGURE_SEED = "figure", 6
FREE = ("astronaut.png", "chelsea.png", "coffee.png")  # public domain or CC0
TEST_EVERY = 3  # of the photographs, one in so many is the test's
PLANAR = "planar"  # begins the names of scenes without depth


@dataclass(frozen=True)
class SceneSet:
    """The scenes that one training sees, or the test."""

    name: str
    pictures: tuple[Path, ...]
    seed: int
    each: int  # scenes with depth, and without

    def scenes(self) -> list[str]:
        """Their names; sets take the scenes with depth by turns."""
        names, numbers = list(SCENES), range(self.each)
        near = [names[(self.seed * self.each + n) % len(names)] for n in numbers]
        return [*near, *(f"{PLANAR}-{n}" for n in numbers)]


def scene_sets(pictures: Sequence[Path], *, seeds: int, each: int) -> list[SceneSet]:
    """One a seed, then the test's."""
    unseen = tuple(pictures[TEST_EVERY - 1 :: TEST_EVERY])
    seen = tuple(path for path in pictures if path not in unseen)
    return [
        *(SceneSet(str(seed), seen, seed, each) for seed in range(seeds)),
        SceneSet(TEST, unseen, TEST_SEED, each),
    ]


def figure_set(*, each: int) -> SceneSet:
    """The scenes of the figure, of photographs that anybody may show."""
    pictures = tuple(picture_folder() / name for name in FREE)
    return SceneSet(FIGURE, pictures, FIGURE_SEED, each)


def render(one: SceneSet, folder: Path, *, long_side: int, jobs: int) -> None:
    """Write the photos and truths of a set that are not there yet."""
    missing = [name for name in one.scenes() if not truth_path(name, folder).exists()]
    make = partial(_write, one=one, folder=folder, long_side=long_side)
    list(in_workers(make, missing, jobs=jobs))


def _write(name: str, one: SceneSet, folder: Path, long_side: int) -> None:
    if not name.startswith(PLANAR):
        own = (one.seed, list(SCENES).index(name))
        phone, dslr, truth = photograph_scene(
            SCENES[name], one.pictures, long_side=long_side, seed=own, phone_look=LOOK
        )
        write_photos(name, folder, phone, dslr, phone_quality=QUALITY)
        truth.save(truth_path(name, folder))
        return
    number = int(name.removeprefix(f"{PLANAR}-"))
    seed = 1000 * one.seed + number
    picture = one.pictures[seed % len(one.pictures)]
    scene = random_scene(name, picture, long_side=long_side, seed=seed)
    rig = replace(scene.rig, edge_px=0.0)
    scene = replace(scene, rig=rig, phone=LOOK, quality=QUALITY)
    write(scene, folder)
    planar_truth(rig).save(truth_path(name, folder))


def planar_truth(rig: Rig) -> Truth:
    """The truth of a scene without outlines."""
    width, height = rig.phone_size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    points = rig.dslr_points(np.stack([x, y], axis=-1))
    last = np.array(rig.dslr_size) - 1
    visible = ((points >= 0) & (points <= last)).all(axis=-1)
    flat = np.zeros((height, width), np.uint8)
    return Truth(points.astype(np.float32), visible, flat > 0, flat)


def gather(folders: Sequence[tuple[Path, Path]], out: Path) -> list[str]:
    """Copy equally named real pairs into one pair of folders; their names.

    Raises:
        DpedBuildError: A photo has no partner of its name.
    """
    for sides in folders:
        names = [{path.name for path in list_photos(side)} for side in sides]
        lonely = sorted(names[0] ^ names[1])
        if lonely:
            raise DpedBuildError(f"{lonely[0]}: in one of two folders; give both names")
        for side, source in zip(("phone", "dslr"), sides, strict=True):
            (out / side).mkdir(parents=True, exist_ok=True)
            for name in names[0]:
                copy = out / side / name
                if not copy.exists():
                    copy.write_bytes((source / name).read_bytes())
    return sorted(path.stem for path in (out / "phone").iterdir())
