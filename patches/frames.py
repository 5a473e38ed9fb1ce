"""One aligned pair as a whole: where every pixel of the phone's lies in the DSLR photo.

Windows are placed as those of patches are, but on four grids that overlap by half a
window, and every surface of a window, not the best one alone; `fusion` makes one map of
them. The DSLR photo is then sampled once, through the homography and that map.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dped_build.align.borders import Box, content_box
from dped_build.align.geometry import FloatArray, apply_homography, translation
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample_at
from dped_build.patches.extract import SEARCH_SHARE, lumas_and_guide
from dped_build.patches.fusion import Mask, PlacedWindows, fill, fused
from dped_build.patches.masks import packed, whole_masks
from dped_build.patches.refinement.layered import place_layers
from dped_build.patches.refinement.pyramid import Image
from dped_build.patches.refinement.refine import refine_windows
from dped_build.patches.settings import PatchSettings
from dped_build.photos.encoding import Picture
from dped_build.photos.settings import PICTURE_BITS

LEAST_SIZE = 32  # px; in a smaller overlap nothing is placed
STRIP_ROWS = 256  # sampled at once

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameMap:
    """Where the pixels of a phone photo's box lie in the DSLR photo.

    Attributes:
        box: Left, top, width and height, phone px: the alignment's `phone_box`.
        shift: Displacement beyond the homography, (H, W, 2), phone px.
        valid: Where both show the same point of the scene to within 0.5 px, (H, W).
        phone_to_dslr: The homography, (3, 3).
        deep: Whether the pair shows depth, and has masks pixel by pixel.
    """

    box: Box
    shift: Image
    valid: Mask
    phone_to_dslr: FloatArray
    deep: bool

    def places(self, rows: slice) -> FloatArray:
        """DSLR px of the pixels of some rows of the box, (h, W, 2)."""
        left, top, width, _ = self.box
        columns = np.arange(left, left + width)
        at = np.stack(
            np.meshgrid(columns, np.arange(top + rows.start, top + rows.stop)), axis=-1
        )
        return apply_homography(self.phone_to_dslr, at + self.shift[rows])

    def strips(self) -> Iterator[slice]:
        """Rows of the box that are held as floats at once, from top to bottom."""
        for first in range(0, self.box[3], STRIP_ROWS):
            yield slice(first, min(first + STRIP_ROWS, self.box[3]))


def map_frame(
    phone: Photo,
    dslr: Photo,
    alignment: Alignment,
    *,
    settings: PatchSettings | None = None,
) -> FrameMap:
    """Find every pixel of an aligned pair's overlap in the DSLR photo.

    Args:
        phone: Upright RGB uint8 (H, W, 3).
        dslr: Likewise.
        alignment: What `align_pair` returned for these two photos.
        settings: PatchSettings() where not given; of its tests `max_sigma` and
            `max_depth` apply.

    Raises:
        ValueError: The pair has no overlap, or the photos have other sizes than the
            alignment's.
    """
    settings = settings or PatchSettings()
    box = alignment.phone_box
    if box is None:
        raise ValueError(f"pair {alignment.pair} is not aligned ({alignment.reason})")
    if (phone.shape[1::-1], dslr.shape[1::-1]) != (
        alignment.phone_size,
        alignment.dslr_size,
    ):
        raise ValueError(f"{alignment.pair}: other photos than those that were aligned")
    placed, deep = _placed(phone, dslr, alignment, box, settings)
    shift, known, valid = fused(placed, box)
    fill(shift, known)
    found = FrameMap(box, shift, valid, alignment.matrix(), deep)
    _leave_out_bars(found, content_box(phone), content_box(dslr))
    return found


def sample_frame(dslr: Photo, found: FrameMap, *, bits: int = 8) -> Picture:
    """The DSLR photo, RGB (H, W, 3), on the grid of the phone's box, sampled once.

    Returns:
        uint8 (H, W, 3); with 16 bits uint16, 257 times as large, so that the
        means of several DSLR pixels are not rounded to 8.
    """
    left, top, width, height = found.box
    scale = 1 if bits == PICTURE_BITS[0] else 257
    frame: Picture = np.empty((height, width, 3), np.uint8)
    if scale > 1:
        frame = np.empty(frame.shape, np.uint16)
    for rows in found.strips():
        grid = found.phone_to_dslr @ translation(left, top + rows.start)
        samples = sample_at(dslr, found.places(rows).astype(np.float32), grid)
        frame[rows] = np.rint(samples * scale)
    return frame


def _placed(
    phone: Photo,
    dslr: Photo,
    alignment: Alignment,
    box: Box,
    settings: PatchSettings,
) -> tuple[list[PlacedWindows], bool]:
    """Windows of all grids, and whether the pair shows depth."""
    luma, aligned, guide = lumas_and_guide(phone, dslr, alignment, settings)
    size, limit = min(settings.size, *box[2:]), SEARCH_SHARE * settings.max_shift
    placed = []
    for corners in _grids(box, size):
        if guide is None:
            found = refine_windows(luma, aligned, corners, size=size, max_shift=limit)
            valid = whole_masks(len(corners), size)
        else:
            layers, found, valid = place_layers(
                luma, aligned, corners, guide, size=size
            )
            corners = corners[layers.window]
        trusted = found.sigma_px <= settings.max_sigma
        trusted &= found.depth_px <= settings.max_depth
        placed.append(PlacedWindows(corners, found, trusted, packed(valid), size))
    return placed, guide is not None


def _grids(box: Box, size: int) -> Iterator[NDArray[np.int32]]:
    """Top-left pixels (N, 2) of windows side by side, and of those between them.

    Together they cover the box; the first grid reaches all its borders.
    """
    if size < LEAST_SIZE:
        return
    for y in _starts(box[1], box[3], size):
        for x in _starts(box[0], box[2], size):
            at = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
            if len(at):
                yield np.rint(at).astype(np.int32)


def _starts(first: int, length: int, size: int) -> tuple[FloatArray, FloatArray]:
    """Where windows begin along one side of the box, and where those between do."""
    count = max(length // size, 2)  # two overlap where only one and a half fit
    at = np.linspace(first, first + length - size, count)
    return at, (at[1:] + at[:-1]) / 2


def _leave_out_bars(found: FrameMap, phone_box: Box, dslr_box: Box) -> None:
    """Mark as not valid what lies in the bars of either photo, or beyond the DSLR's."""
    left, top, width, height = phone_box
    columns = np.arange(found.box[2]) + found.box[0]
    rows_in = np.arange(found.box[3]) + found.box[1]
    found.valid[:, (columns < left) | (columns >= left + width)] = False
    found.valid[(rows_in < top) | (rows_in >= top + height)] = False
    first = np.array(dslr_box[:2])
    last = first + np.array(dslr_box[2:]) - 1
    for rows in found.strips():
        at = found.places(rows)
        found.valid[rows] &= ((at >= first) & (at <= last)).all(axis=-1)
