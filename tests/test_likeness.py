"""The picture hash tells shots of one scene from others."""

import cv2
import numpy as np
import pytest

from dped_build.photos.likeness import ALIKE, bits_of, first_alike, picture_hash


def shot(picture, seed):
    """A photo of a burst: moved, turned, brightened, noisy."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 0.3), 1)
    move[:, 2] += rng.normal(0, 0.006 * width, 2)
    moved = cv2.warpAffine(
        picture, move, (width, height), borderMode=cv2.BORDER_REFLECT
    )
    noisy = moved * rng.uniform(0.9, 1.1) + rng.normal(0, 3, moved.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def share(one, other):
    first, second = bits_of([picture_hash(one), picture_hash(other)])
    return (first != second).mean()


def test_shots_of_a_burst_are_alike_and_other_scenes_are_not(textured):
    pictures = [cv2.GaussianBlur(textured(n, (450, 300)), (0, 0), 3) for n in range(8)]
    bursts = [share(picture, shot(picture, n)) for n, picture in enumerate(pictures)]
    assert max(bursts) <= ALIKE
    others = [share(a, b) for n, a in enumerate(pictures) for b in pictures[:n]]
    assert min(others) > ALIKE


@pytest.mark.parametrize("factor", [1, 3])
def test_the_size_of_the_photo_does_not_count(textured, factor):
    picture = cv2.GaussianBlur(textured(1, (900, 600)), (0, 0), 6)
    larger = cv2.resize(picture, None, fx=factor, fy=factor)
    assert share(picture, larger) < 0.05


def test_the_first_of_those_alike_is_taken():
    rows = np.zeros((3, 256), bool)
    rows[0, :65] = rows[2, :64] = True
    assert first_alike(np.zeros(256, bool), rows) == 1
    assert first_alike(np.zeros(256, bool), rows[[0, 2]]) == 1
    assert first_alike(np.zeros(256, bool), rows[:1]) is None
    assert first_alike(np.zeros(256, bool), rows[:0]) is None
