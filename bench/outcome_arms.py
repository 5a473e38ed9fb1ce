"""The trainings that outcome.py compares, and the sets that they learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from depth import PLAIN
from depth_targets import Patches, exact_patches
from outcome_cuts import EXACT, MASKED, OURS, PAPER, REFINED, yielded
from outcome_photos import TEST
from outcome_sets import SHIFTED, agreed_windows, same_windows, store
from outcome_targets import parts
from outcome_training import EMA

SIMULATED, REAL, DEFAULTS = "simulated", "real", "defaults"
SAME, YIELD = "the same windows", "what each way yields"
FEW, TURNED, UNAVERAGED = "100 patches", "100 patches, turned", "without EMA"
FEW_PATCHES = 100
ARMS = {  # the first of each is what the others are compared with
    (SIMULATED, SAME): (EXACT, OURS, PAPER, PLAIN, SHIFTED),
    (SIMULATED, YIELD): (EXACT, OURS, MASKED, PAPER, PLAIN),
    (REAL, SAME): (OURS, PAPER, PLAIN, SHIFTED),
    (REAL, YIELD): (OURS, PAPER, PLAIN),
    (DEFAULTS, YIELD): (OURS, *list(REFINED)[1:], UNAVERAGED, FEW, TURNED),
}
ERRORS = "errors.npz"  # of the same windows' targets


@dataclass(frozen=True)
class Job:
    """One training."""

    part: str
    setting: str
    arm: str
    seed: int

    def run(self, work: Path) -> Path:
        """The training's folder; parts share equal ones."""
        part = SIMULATED if self.part == DEFAULTS else self.part
        names = (part, self.setting, self.arm, str(self.seed))
        return work.joinpath("runs", *map(_plain, names))

    def patches(self, work: Path) -> Path:
        """Where its training patches lie."""
        job = self if self.arm != UNAVERAGED else Job(self.part, YIELD, OURS, self.seed)
        return work / "sets" / job.run(work).relative_to(work / "runs")

    def tests(self, work: Path) -> Path:
        """Where the patches lie that judge it."""
        if self.part == REAL:
            return work / "sets" / REAL / TEST / str(self.seed)
        return work / "sets" / SIMULATED / TEST

    @property
    def ema(self) -> float:
        """Decay of the averaged weights."""
        return 0.0 if self.arm == UNAVERAGED else EMA


def planned(part: str, *, seeds: int) -> list[Job]:
    """All trainings of a part, seed by seed."""
    return [
        Job(part, setting, arm, seed)
        for seed in range(seeds)
        for (of_part, setting), arms in ARMS.items()
        if of_part == part
        for arm in arms
    ]


def make_simulated_tests(work: Path, photos: Path, *, windows: int) -> Path:
    """Windows of scenes with exact targets, so many of each scene; their folder."""
    folder = work / "sets" / SIMULATED / photos.name
    if not folder.exists():
        store(exact_patches(photos, most=windows), folder, split="test")
    return folder


def fold(pairs: Sequence[str], seed: int, *, seeds: int) -> tuple[list[str], list[str]]:
    """The real pairs that a seed learns from, and those that it is judged on."""
    tests = list(pairs[seed::seeds])
    return [pair for pair in pairs if pair not in tests], tests


def make_real_tests(work: Path, photos: Path, pairs: Sequence[str], seed: int) -> None:
    """Windows whose place all ways agree on."""
    folder = work / "sets" / REAL / TEST / str(seed)
    if not folder.exists():
        store(agreed_windows(photos, pairs), folder, split="test")


def make_sets(
    jobs: Sequence[Job], work: Path, photos: Path, pairs: Sequence[str]
) -> Iterator[str]:
    """Write the training sets of one seed that are missing; tells each one's name."""
    missing = [job for job in jobs if not job.patches(work).exists()]
    same = [job for job in missing if job.setting == SAME]
    if same:
        found = [same_windows(photos, p, seed=same[0].seed) for p in pairs]
        found = [one for one in found if len(one.phone)]
        phone = np.concatenate([one.phone for one in found])
        ones = np.ones(phone.shape[:3], bool)
        for job in same:
            targets = np.concatenate([one.dslr[job.arm] for one in found])
            errors = np.concatenate([one.error_px[job.arm] for one in found])
            folder = job.patches(work)
            store(Patches(phone, targets, ones), folder, split="train")
            np.savez(folder / ERRORS, errors)
            yield str(folder)
    for job in missing:
        if job.setting == YIELD and not job.patches(work).exists():
            store(_yield_of(job, photos, pairs), job.patches(work), split="train")
            yield str(job.patches(work))


def _yield_of(job: Job, photos: Path, pairs: Sequence[str]) -> Patches:
    if job.arm not in (FEW, TURNED):
        return parts(yielded(photos, job.arm, pairs))
    every = yielded(photos, OURS, pairs)
    rows = np.random.default_rng(job.seed).permutation(len(every.phone))[:FEW_PATCHES]
    few = parts(Patches(*(side[rows] for side in every)))
    return few if job.arm == FEW else turned(few)


def turned(patches: Patches) -> Patches:
    """All eight turns and mirror images of each patch."""
    return Patches.joined(
        [
            Patches(*(np.rot90(side[:, :, ::way], turns, (1, 2)) for side in patches))
            for way in (1, -1)
            for turns in range(4)
        ]
    )


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
