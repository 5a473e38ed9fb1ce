"""A small run of everything in a temporary folder: does this installation work?

Two simulated cameras look at a painted picture, so the truth is known and nothing is
needed that is not installed: no photographs, no network.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align import align_folders
from dped_build.patches import PatchSettings, build_shards
from dped_build.photos.encoding import encode
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.selftest.truth import TruthSummary, compare_with_truth
from dped_build.workspace.durable import write_atomic
from dped_build.workspace.json_files import json_bytes

SIZE = (600, 400)  # px, of the picture and of the DSLR
RIG = Rig((400, 300), SIZE, turn_deg=(0.7, -0.6, 0.8))
BLURS = (1, 2, 4, 8, 16, 32)  # px; detail at every scale
PAIR = "self-check"
WORST_PX = 1.0  # no patch of so plain a scene is further off
STEPS = 3


def place_patches(folder: Path, *, jobs: int) -> TruthSummary:
    """Align and cut one simulated pair below `folder`, by workers, through files."""
    phone, dslr = photograph(_painted(), RIG, PhoneLook(), seed=0)
    for camera, photo in (("phone", phone), ("dslr", dslr)):
        write_atomic(folder / camera / f"{PAIR}.png", encode(photo))
    write_atomic(folder / "truth" / f"{PAIR}.json", json_bytes(RIG.__dict__))
    align_folders(folder / "phone", folder / "dslr", workspace=folder, jobs=jobs)
    build_shards(folder, jobs=jobs)
    return compare_with_truth(
        folder / "patches", folder / "truth", size=PatchSettings.size
    )


def train_briefly(folder: Path) -> str:
    """Train a small network on the patches of `place_patches`; what it did."""
    from dped_build.train import TrainSettings, train

    settings = TrainSettings(
        model="srcnn",
        loss="mse",
        iterations=STEPS,
        batch_size=4,
        compile="off",
        log_every=STEPS,
    )
    train(folder / "patches", folder / "runs" / PAIR, settings, progress=False)
    return f"{STEPS} steps"


def _painted() -> NDArray[np.uint8]:
    """A picture (H, W, 3) with detail at every scale."""
    rng = np.random.default_rng(1)
    total = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for blur in BLURS:
        noise = rng.standard_normal(total.shape, dtype=np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), blur)
        total += smooth / smooth.std()
    return np.asarray(np.clip(128 + 22 * total, 0, 255), dtype=np.uint8)
