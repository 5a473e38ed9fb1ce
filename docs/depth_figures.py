"""Draws the figures of scenes with depth; `make_figures.py` calls it.

They show a scene of `bench/depth.py`, made small and from scikit-image's pictures, so
that the truth of every pixel is known.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from depth_photos import photograph_scene
from depth_scenes import SCENES
from depth_scoring import Patch, truth_of_pixels
from pictures import list_pictures

from dped_build.align import align_pair
from dped_build.align.geometry import apply_homography, visible_rows
from dped_build.align.sampling import sample_finely
from dped_build.patches import PatchSettings, extract_patches
from dped_build.patches.refinement.guide import GUIDE_REDUCTION, find_guide

Photo = NDArray[np.uint8]
Image = NDArray[np.floating]

SCENE, SEED, LONG_SIDE = "persons", (0, 3), 1024
MIN_VALID = 0.5
WINDOWS_SHOWN = 3
UNKNOWN = (0.85, 0.85, 0.85)  # of a parallax that is not known, or a hidden pixel's
VEIL = (217, 84, 44)  # over pixels that are not valid
VEIL_WEIGHT = 0.8


class DepthShot:
    """A scene with depth as a rig photographs it, aligned."""

    def __init__(self) -> None:
        """Render and align it."""
        self.phone, self.dslr, self.truth = photograph_scene(
            SCENES[SCENE], list_pictures(None), long_side=LONG_SIDE, seed=SEED
        )
        self.alignment = align_pair(self.phone, self.dslr)

    def overlap(self, reduction: int = 1) -> tuple[slice, slice]:
        """Rows and columns of the reduced phone photo that the DSLR shows as well."""
        left, top, width, height = (n // reduction for n in self.alignment.phone_box)
        return slice(top, top + height), slice(left, left + width)

    def parallax(self) -> tuple[Image, Image]:
        """In the overlap: the guide's map, reduced, and the truth, px; NaN unknown.

        Raises:
            ValueError: The guide finds no depth.
        """
        phone_to_dslr = self.alignment.matrix()
        luma, grey = (
            cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in (self.phone, self.dslr)
        )
        size = luma.shape[::-1]
        guide = find_guide(
            luma,
            sample_finely(grey, phone_to_dslr, size),
            visible_rows(phone_to_dslr, size, grey.shape[::-1]),
            max_shift=PatchSettings.max_shift,
        )
        if guide is None:
            raise ValueError(f"{SCENE}: no depth found")
        back = np.linalg.inv(phone_to_dslr)
        seen = apply_homography(back, self.truth.dslr_points.reshape(-1, 2))
        here = np.stack(np.meshgrid(*map(np.arange, size)), axis=-1)
        true = (seen.reshape(here.shape) - here) @ guide.rig.along
        true[~self.truth.visible] = np.nan
        return guide.parallax[self.overlap(GUIDE_REDUCTION)], true[self.overlap()]


def parallax_map_figure(shot: DepthShot) -> Figure:
    """The phone's photo, the parallax map that guides, the truth."""
    found, true = (np.abs(each) for each in shot.parallax())
    shades = colormaps["viridis"].with_extremes(bad=UNKNOWN)
    figure = Figure(figsize=(8.2, 2.25), layout="constrained")
    photo, *maps = figure.subplots(1, 3)
    _show(photo, shot.phone[shot.overlap()], "phone")
    limits = {"vmin": 0, "vmax": float(np.nanmax(true)), "interpolation": "nearest"}
    for axes, values, title in zip(
        maps, (found, true), ("parallax map", "truth"), strict=True
    ):
        drawn = axes.imshow(values, cmap=shades, **limits)
        axes.set_title(title)
        axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=maps, fraction=0.03, pad=0.02)
    bar.set_label("phone px")
    return figure


def masks_figure(shot: DepthShot) -> Figure:
    """Kept windows with the fewest valid pixels: both photos, the mask, the truth."""
    settings = PatchSettings(min_valid=MIN_VALID)
    patches = extract_patches(shot.phone, shot.dslr, shot.alignment, settings=settings)
    valid = patches.valid > 0
    fewest = np.argsort(valid.mean(axis=(1, 2)), kind="stable")[:WINDOWS_SHOWN]
    figure = Figure(figsize=(6.4, 1.65 * WINDOWS_SHOWN), layout="constrained")
    for row, axes in zip(fewest, figure.subplots(WINDOWS_SHOWN, 4), strict=True):
        patch = Patch(
            patches.phone[row],
            patches.dslr[row],
            patches.patch_to_phone[row],
            patches.patch_to_dslr[row],
            valid[row],
        )
        _, right, _ = truth_of_pixels(patch, shot.truth)
        _show(axes[0], patch.phone, "phone")
        _show(axes[1], patch.dslr, "DSLR as placed")
        for place, kind, mask in ((2, "valid", patch.valid), (3, "right", right)):
            title = f"{kind}: {100 * mask.mean():.0f} %"
            _show(axes[place], _veiled(patch.phone, ~mask), title)
    return figure


def _show(axes: Axes, picture: Photo, title: str) -> None:
    axes.imshow(picture)
    axes.set_title(title)
    axes.set_axis_off()


def _veiled(photo: Photo, where: NDArray[np.bool_]) -> Photo:
    veiled = (1 - VEIL_WEIGHT) * photo + VEIL_WEIGHT * np.array(VEIL)
    return np.where(where[..., None], veiled, photo).astype(np.uint8)
