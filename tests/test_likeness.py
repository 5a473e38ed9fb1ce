"""The picture hash tells shots of one scene from others."""

import cv2
import numpy as np
import pytest

from dped_build.patches.scenes import ALIKE_BITS
from dped_build.photos.likeness import DIGITS, picture_hash


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
    """The share of the bits in which two photos differ."""
    first, second = (int(picture_hash(photo), 16) for photo in (one, other))
    return (first ^ second).bit_count() / (4 * DIGITS)


def test_shots_of_a_burst_are_alike_and_other_scenes_are_not(textured):
    pictures = [cv2.GaussianBlur(textured(n, (450, 300)), (0, 0), 3) for n in range(8)]
    bursts = [share(picture, shot(picture, n)) for n, picture in enumerate(pictures)]
    assert max(bursts) <= ALIKE_BITS / 256
    others = [share(a, b) for n, a in enumerate(pictures) for b in pictures[:n]]
    assert min(others) > ALIKE_BITS / 256


@pytest.mark.parametrize("factor", [1, 3])
def test_the_size_of_the_photo_does_not_count(textured, factor):
    picture = cv2.GaussianBlur(textured(1, (900, 600)), (0, 0), 6)
    larger = cv2.resize(picture, None, fx=factor, fy=factor)
    assert share(picture, larger) < 0.05
