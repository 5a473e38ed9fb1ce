"""What a competent user writes today with OpenCV alone, to be held beside dped-build.

    python bench/plain_opencv.py PHONE_DIR DSLR_DIR OUT_DIR [PAIR ...]

SIFT with its defaults at full size, FLANN with ratio 0.75, RANSAC at 5 px; the whole
DSLR photo warped, then reduced by area; for every window a template search over ±8 px
and ±2°; kept above NCC 0.9. OpenCV's defaults hold throughout, its threads too.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Photo = NDArray[np.uint8]

SIZE = 100  # px
SEARCH = 8  # px, each way
TURNS = np.arange(-2.0, 2.01, 0.5)  # degrees
MIN_CORR = 0.9
RATIO = 0.75
RANSAC_PX = 5.0
KDTREE = 1  # FLANN's name for it


@dataclass(frozen=True)
class _Common:
    """Both photos cut to what they share, on one grid."""

    phone: Photo
    dslr: Photo
    to_phone: FloatArray
    to_dslr: FloatArray


def plain_patches(phone: Photo, dslr: Photo) -> dict[str, NDArray[Any]]:
    """Cut one pair of RGB photos into columns named as the shard's, N rows each.

    No rows where the photos do not match; `sigma_px` is NaN: no error is stated.
    """
    phone_to_dslr = _homography(phone, dslr)
    common = None if phone_to_dslr is None else _common(phone, dslr, phone_to_dslr)
    found = [] if common is None else list(_search(common))
    return {
        "phone": np.array([row[0] for row in found], "u1").reshape(-1, SIZE, SIZE, 3),
        "dslr": np.array([row[1] for row in found], "u1").reshape(-1, SIZE, SIZE, 3),
        "valid": np.ones((len(found), SIZE, SIZE), np.bool_),
        "ncc": np.array([row[2] for row in found], "f4"),
        "sigma_px": np.full(len(found), np.nan, "f4"),
        "patch_to_phone": np.array([row[3] for row in found]).reshape(-1, 3, 3),
        "patch_to_dslr": np.array([row[4] for row in found]).reshape(-1, 3, 3),
    }


def _homography(phone: Photo, dslr: Photo) -> FloatArray | None:
    sift = cv2.SIFT_create()
    (phone_keys, phone_words), (dslr_keys, dslr_words) = (
        sift.detectAndCompute(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), None)
        for photo in (phone, dslr)
    )
    if min(len(phone_keys), len(dslr_keys)) < 2:
        return None
    matcher = cv2.FlannBasedMatcher({"algorithm": KDTREE, "trees": 5}, {"checks": 50})
    nearest = matcher.knnMatch(phone_words, dslr_words, k=2)
    good = [a for a, b in nearest if a.distance < RATIO * b.distance]
    if len(good) < 4:
        return None
    matrix, _ = cv2.findHomography(
        np.array([phone_keys[match.queryIdx].pt for match in good]),
        np.array([dslr_keys[match.trainIdx].pt for match in good]),
        cv2.RANSAC,
        RANSAC_PX,
    )
    return None if matrix is None else np.asarray(matrix, np.float64)


def _common(phone: Photo, dslr: Photo, phone_to_dslr: FloatArray) -> _Common | None:
    """Warp the DSLR photo upright at its own resolution, crop, reduce by area."""
    (height, width), to_phone = phone.shape[:2], np.linalg.inv(phone_to_dslr)
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * dslr.shape[1::-1]
    seen = cv2.perspectiveTransform(frame[None].astype(np.float64), to_phone)[0]
    middle = np.sort(seen, axis=0)  # the inner two of four bound an upright box
    left, top = np.ceil(np.maximum(middle[1], 0)).astype(int)
    right, bottom = np.minimum(middle[2], (width, height)).astype(int)
    if right - left < SIZE or bottom - top < SIZE:
        return None
    zoom = max(1.0, float(np.sqrt(abs(np.linalg.det(phone_to_dslr[:2, :2])))))
    large = (round((right - left) * zoom), round((bottom - top) * zoom))
    zx, zy = large[0] / (right - left), large[1] / (bottom - top)
    # Warped px → phone px, pixel centres kept; then on into the DSLR photo.
    unzoom = np.array(
        [
            [1 / zx, 0, left + 0.5 / zx - 0.5],
            [0, 1 / zy, top + 0.5 / zy - 0.5],
            [0, 0, 1],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(dslr, phone_to_dslr @ unzoom, large, flags=flags)
    small = cv2.resize(
        warped, (int(right - left), int(bottom - top)), interpolation=cv2.INTER_AREA
    )
    shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    return _Common(phone[top:bottom, left:right], small, shift, phone_to_dslr @ shift)


def _search(
    common: _Common,
) -> Iterator[tuple[Photo, Photo, float, FloatArray, FloatArray]]:
    grey, target = (
        cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in (common.phone, common.dslr)
    )
    height, width = target.shape
    for y in range(0, height - SIZE + 1, SIZE):
        for x in range(0, width - SIZE + 1, SIZE):
            corr, to_patch = _best_turn(grey, target[y : y + SIZE, x : x + SIZE], x, y)
            if corr <= MIN_CORR:
                continue
            patch = cv2.warpAffine(
                common.phone,
                to_patch,
                (SIZE, SIZE),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            back = np.vstack([cv2.invertAffineTransform(to_patch), [0, 0, 1]])
            corner = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
            own = common.dslr[y : y + SIZE, x : x + SIZE]
            yield patch, own, corr, common.to_phone @ back, common.to_dslr @ corner


def _best_turn(
    grey: Photo, template: Photo, x: int, y: int
) -> tuple[float, FloatArray]:
    """Highest NCC of any turn and shift, and the affine map phone px → patch px."""
    side, middle = SIZE + 2 * SEARCH, (SIZE - 1) / 2
    best, best_map = -1.0, np.eye(2, 3)
    for turn in TURNS:
        turned = cv2.getRotationMatrix2D((x + middle, y + middle), turn, 1.0)
        turned[:, 2] += SEARCH - x, SEARCH - y
        area = cv2.warpAffine(
            grey,
            turned,
            (side, side),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        scores = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
        _, corr, _, place = cv2.minMaxLoc(scores)
        if best < corr <= 1.0001:  # matchTemplate calls a flat template perfect, or inf
            best, best_map = float(corr), turned
            best_map[:, 2] -= place
    return best, best_map


def _read(path: Path) -> Photo:
    photo = cv2.imread(str(path))
    return np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), np.uint8)


def main() -> None:
    """Cut folders of photos into one HDF5 file per pair."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("phone", "dslr", "out"):
        options.add_argument(name, type=Path)
    options.add_argument("pairs", nargs="*", help="file stems [all]")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(given.phone.iterdir()):
        if given.pairs and path.stem not in given.pairs:
            continue
        found = plain_patches(_read(path), _read(given.dslr / path.name))
        with h5py.File(given.out / f"{path.stem}.h5", "w") as file:
            for name, values in found.items():
                file[name] = values


if __name__ == "__main__":
    main()
