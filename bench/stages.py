"""What a pair costs: CPU seconds of each stage, in units of decoding both photos.

    python bench/stages.py [--pairs 3] [--long-side 2048]

Makes its own scenes: pictures that come with scikit-image, enlarged, seen by a
simulated rig at DPED's sizes. Decoding, `align` and `patches` run alternately on each
pair, one thread, so that the ratios hold on a noisy machine. Also prints how far the
patches are from the truth.
"""

import argparse
import io
import resource
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from dped_build.align import align_pair
from dped_build.align.demo_set import SCENES, picture_folder
from dped_build.align.photos import read_photo
from dped_build.align.simulate import PhoneLook, Rig, photograph
from dped_build.patches import extract_patches
from dped_build.patches.truth import patch_errors

Result = TypeVar("Result")
ROUNDS = 2


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """A result and the CPU seconds that it took, the least of ROUNDS."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return result, min(seconds)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--long-side", type=int, default=2048, help="phone, px")
    arguments = parser.parse_args()
    width = arguments.long_side
    phone_size = (width, width * 3 // 4)
    dslr_size = (round(width * 1.78), round(width * 1.78 * 2 / 3))
    cv2.setNumThreads(1)
    rows, errors = [], []
    with threadpool_limits(1), TemporaryDirectory() as folder:
        for scene in SCENES[: arguments.pairs]:
            rig = Rig(phone_size, dslr_size, turn_deg=scene.rig.turn_deg)
            picture = read_photo(picture_folder() / scene.picture)
            paths = []
            photos = photograph(picture, rig, PhoneLook(), seed=0)
            for name, photo in zip(("phone", "dslr"), photos, strict=True):
                buffer = io.BytesIO()
                Image.fromarray(photo).save(buffer, "JPEG", quality=90)
                paths.append(Path(folder) / f"{scene.name}-{name}.jpg")
                paths[-1].write_bytes(buffer.getvalue())
            (phone, dslr), decode = timed(lambda p=paths: [read_photo(x) for x in p])
            alignment, align = timed(lambda a=phone, b=dslr: align_pair(a, b))
            patches, cut = timed(
                lambda a=phone, b=dslr, c=alignment: extract_patches(a, b, c)
            )
            found = patch_errors(patches, rig, 100)
            rows.append(
                (scene.name, decode, align, cut, len(patches.windows), len(found))
            )
            errors.append(found)
    print(f"phone {phone_size}, DSLR {dslr_size}; CPU seconds, in decodes, one thread")
    print(f"{'pair':12s} {'decode':>8s} {'align':>14s} {'patches':>14s} windows kept")
    for name, decode, align, cut, windows, kept in rows:
        print(
            f"{name:12s} {decode:7.2f}s {align:6.2f}s {align / decode:5.1f}x "
            f"{cut:6.2f}s {cut / decode:5.1f}x {windows:7d} {kept:4d}"
        )
    pooled = np.concatenate(errors)
    p50, p95 = np.percentile(pooled, [50, 95])
    print(f"error: median {p50:.3f} px, 95 % {p95:.3f} px, worst {pooled.max():.2f} px")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, scenes included: {peak:.0f} MB")


if __name__ == "__main__":
    main()
