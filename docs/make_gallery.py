"""Writes the photos of docs/gallery.md, and its pictures from any aligned photos.

    python docs/make_gallery.py photos gallery
    python docs/make_gallery.py pictures ALIGNED ENHANCED FOLDER

`photos` needs the extra `demo`: photographs that come with scikit-image, taken by the
demo's simulated cameras; `new/` holds those that no training sees. `pictures` composes
before | after | DSLR of each pair in ALIGNED, an `aligned` folder, whose phone crop was
enhanced into ENHANCED.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dped_build.patches.quality import lumas
from dped_build.photos import read_photo
from dped_build.photos.encoding import encode
from dped_build.selftest.demo_set import picture_folder
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph

Photo = NDArray[np.uint8]
NEW = ("astronaut.png", "chelsea.png", "coffee.png")  # public domain or CC0
TRAINING = (
    "brick.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
# A shot of each training photograph has its colours exchanged like this, for seven
# photographs show few colours.
CHANNELS = tuple(permutations(range(3)))
LOOK = PhoneLook(blur_px=0.9, noise=0.01, gains=(0.95, 0.8, 0.6), tone=0.5)
RIG = Rig(phone_size=(560, 420), dslr_size=(840, 560))  # about the photographs' own px
MAX_TURN_DEG = 1.2
WIDTH, CROP_HEIGHT, GAP = 300, 200, 4  # of each of the three columns, px
MIN_BLUR_PX, AROUND_PX = 1.5, 24.0  # fine detail, and the size of its neighbourhood


def write_photos(folder: Path) -> None:
    """Write raw/ and new/ below `folder`, each with phone/ and dslr/."""
    rng = np.random.default_rng(0)
    for part, names, shots in (("raw", TRAINING, CHANNELS), ("new", NEW, CHANNELS[:1])):
        for camera in ("phone", "dslr"):
            (folder / part / camera).mkdir(parents=True, exist_ok=True)
        for name in names:
            picture = read_photo(picture_folder() / name)
            for number, channels in enumerate(shots, start=1):
                roll, pitch, yaw = rng.uniform(-MAX_TURN_DEG, MAX_TURN_DEG, 3)
                rig = replace(RIG, turn_deg=(roll, pitch, yaw))
                seed = int(rng.integers(2**31))
                pair = photograph(picture[..., channels], rig, LOOK, seed=seed)
                stem = name.split(".")[0] + (f"-{number}" if len(shots) > 1 else "")
                for camera, photo in zip(("phone", "dslr"), pair, strict=True):
                    path = folder / part / camera / f"{stem}.jpg"
                    path.write_bytes(encode(photo, quality=95, subsampled=False))


def write_pictures(aligned: Path, enhanced: Path, folder: Path) -> None:
    """Write gallery-<pair>.jpg for every enhanced crop."""
    manifest = json.loads((aligned / "manifest.json").read_text(encoding="utf-8"))
    phone, dslr = (aligned / manifest[f"{c}_camera"] for c in ("phone", "dslr"))
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(enhanced.glob("*-enhanced.png")):
        pair = path.stem.removesuffix("-enhanced")
        before, after = next(phone.glob(f"{pair}.*")), next(dslr.glob(f"{pair}.*"))
        photos = [read_photo(file) for file in (before, path, after)]
        Image.fromarray(composed(photos)).save(
            folder / f"gallery-{pair}.jpg", quality=88
        )


def composed(photos: Sequence[Photo]) -> Photo:
    """Photos of one size side by side, above crops of them at 100 %."""
    left, top = most_detailed(photos[-1], (WIDTH, CROP_HEIGHT))
    columns = [
        np.vstack(
            [
                _reduced(photo),
                np.full((GAP, WIDTH, 3), 255, np.uint8),
                photo[top : top + CROP_HEIGHT, left : left + WIDTH],
            ]
        )
        for photo in photos
    ]
    gap = np.full((len(columns[0]), GAP, 3), 255, np.uint8)
    return np.hstack([columns[0], gap, columns[1], gap, columns[2]])


def most_detailed(photo: Photo, size: tuple[int, int]) -> tuple[int, int]:
    """Left, top of the crop whose centre has most fine detail around it: no choice."""
    grey = lumas(photo[None])[0].astype(np.float32)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), MIN_BLUR_PX))
    around = cv2.GaussianBlur(fine, (0, 0), AROUND_PX)
    (width, height), (rows, columns) = size, around.shape
    middle = around[height // 2 : rows - height // 2, width // 2 : columns - width // 2]
    top, left = np.unravel_index(int(np.argmax(middle)), middle.shape)
    return int(left), int(top)


def _reduced(photo: Photo) -> Photo:
    size = WIDTH, round(photo.shape[0] * WIDTH / photo.shape[1])
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["photos", given]:
            write_photos(Path(given))
        case ["pictures", first, second, third]:
            write_pictures(Path(first), Path(second), Path(third))
        case _:
            sys.exit(__doc__)
