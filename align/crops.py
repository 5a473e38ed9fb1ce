"""The two crops of an aligned pair, for viewing and other tools."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import translation
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample
from dped_build.photos.encoding import encode
from dped_build.workspace.durable import write_atomic

JPEG_QUALITY = 95


def crop_pair(
    phone: NDArray[np.uint8], dslr: NDArray[np.uint8], alignment: Alignment
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both photos cut to the intersection, RGB uint8 of one size.

    The phone crop is the phone's own pixels; the DSLR crop is sampled once, onto them.

    Raises:
        ValueError: The pair is not aligned.
    """
    if alignment.phone_box is None:
        raise ValueError(f"pair {alignment.pair} has no intersection")
    left, top, width, height = alignment.phone_box
    to_dslr = alignment.matrix() @ translation(left, top)
    crop = phone[top : top + height, left : left + width]
    return crop, sample(dslr, to_dslr, (width, height))


def write_crop(path: Path, crop: NDArray[np.uint8]) -> None:
    """Write a crop as JPEG or PNG, by the suffix of `path`; whole or not at all."""
    quality = JPEG_QUALITY if path.suffix == ".jpg" else None
    write_atomic(path, encode(crop, quality=quality))
