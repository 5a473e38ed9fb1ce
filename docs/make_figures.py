"""Draws the figures of docs/how-it-works.md and docs/shooting.md: `docs/figures/`.

Run: `python docs/make_figures.py [FOLDER]` (a minute; needs the extra `demo`). The
photos are of the demo's and the benchmarks' simulated cameras: the truth is known.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from depth_figures import DepthShot, masks_figure, parallax_map_figure
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from dped_build.align import AlignSettings, align_pair
from dped_build.align.features import find_features, match_keypoints
from dped_build.align.geometry import apply_homography, corners, translation
from dped_build.align.sampling import sample_patches
from dped_build.patches import PatchSettings, extract_patches
from dped_build.patches.extract import cut
from dped_build.patches.quality import lumas, normalised_cross_correlation
from dped_build.photos import read_photo
from dped_build.selftest.demo_set import SCENES, picture_folder
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph

Photo = NDArray[np.uint8]
GOOD, BAD, BLUE, INK = "#0f9d80", "#d9542c", "#2a7fb8", "#33393f"
REASON_COLORS = {
    "accepted": GOOD,
    "low_ncc": "#d9542c",
    "depth_edge": "#8e44ad",
    "low_valid": BLUE,
    "uncertain": "#e0a91b",
    "flat": "#9aa3ab",
    "outside": "#33393f",
}
SHIFTS_PX = (0, 1, 2, 3, 4, 6, 8)
MATCHES_SHOWN = 90
QUALITY = {"quality": 88}
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
}


def main(folder: Path) -> None:
    """Write every figure into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig(turn_deg=(1.2, -0.5, 1.0), parallax_px=3.0)
    smooth = Shot("motorcycle_left.png", rig, size=48)
    near = Shot("chelsea.png", replace(rig, edge_px=4.0), size=64)
    with mpl.rc_context(STYLE):
        _save(matches_figure(smooth), folder / "matches.jpg")
        _save(field_figure(smooth), folder / "field.jpg")
        _save(windows_figure(near), folder / "windows.jpg")
        _save(ncc_figure(), folder / "ncc.png")
        _save(parallax_figure(), folder / "parallax.png")
        deep = DepthShot()
        _save(parallax_map_figure(deep), folder / "depth-map.jpg")
        _save(masks_figure(deep), folder / "depth-masks.jpg")


class Shot:
    """A picture, photographed by two cameras, aligned and cut."""

    def __init__(self, picture: str, rig: Rig, *, size: int) -> None:
        """Take, align and cut it into windows of `size` px."""
        self.size = size
        look = PhoneLook(noise=0.015)
        self.phone, self.dslr = photograph(_picture(picture), rig, look, seed=4)
        self.alignment = align_pair(self.phone, self.dslr)
        settings = PatchSettings(size=size)
        self.patches = extract_patches(
            self.phone, self.dslr, self.alignment, settings=settings
        )


def matches_figure(shot: Shot) -> Figure:
    """Keypoints that the homography explains; framed: what the DSLR sees."""
    phone, dslr, alignment = shot.phone, shot.dslr, shot.alignment
    side, ratio = AlignSettings().matching_sides[0], AlignSettings().ratio
    ours, theirs = (find_features(photo, side) for photo in (phone, dslr))
    pairs = match_keypoints(ours.descriptors, theirs.descriptors, ratio=ratio)
    points = ours.positions[pairs[:, 0]], theirs.positions[pairs[:, 1]]
    claimed = apply_homography(alignment.matrix(), points[0])
    wrong = np.linalg.norm(claimed - points[1], axis=1) > 12  # DSLR px, at this size
    scale, gap = phone.shape[0] / dslr.shape[0], 12
    canvas = np.full((phone.shape[0], gap, 3), 255, np.uint8)
    small = _resized(dslr, scale)
    figure, axes = _photo_axes(np.hstack([phone, canvas, small]), width=8.2)
    right = points[1] * scale + (phone.shape[1] + gap, 0)
    lines = np.stack([points[0], right], axis=1)
    step = max(1, len(lines) // MATCHES_SHOWN)
    for chosen, color in ((~wrong, GOOD), (wrong, BAD)):
        axes.add_collection(
            LineCollection(list(lines[chosen][::step]), colors=color, linewidths=0.5)
        )
    to_phone = np.linalg.inv(alignment.matrix())
    frame = apply_homography(to_phone, corners(dslr.shape[1::-1]))
    axes.plot(*frame[[0, 1, 2, 3, 0]].T, color="white", linewidth=1.2)
    return figure


def field_figure(shot: Shot) -> Figure:
    """Where windows lie against the homography, ten times enlarged."""
    phone, patches, size = shot.phone, shot.patches, shot.size
    figure, axes = _photo_axes(phone // 2 + 110, width=5.6)
    kept = patches.reasons == "accepted"
    windows = patches.windows.rows(kept)
    centre = windows.window_xy + (size - 1) / 2
    length = np.linalg.norm(windows.shift_px, axis=1)
    arrows = axes.quiver(
        *centre.T,
        *(10 * windows.shift_px.T),
        length,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        cmap="viridis",
    )
    bar = figure.colorbar(arrows, ax=axes, fraction=0.035, pad=0.02)
    bar.set_label("shift against the homography, phone px")
    return figure


def windows_figure(shot: Shot) -> Figure:
    """Every window in the colour of its outcome, with its NCC."""
    phone, patches, size = shot.phone, shot.patches, shot.size
    figure, axes = _photo_axes(phone, width=5.6)
    for (x, y), reason, ncc in zip(
        patches.windows.window_xy, patches.reasons, patches.windows.ncc, strict=True
    ):
        color = REASON_COLORS.get(str(reason), INK)
        box = {"edgecolor": color, "linewidth": 1.4, "fill": False}
        axes.add_patch(mpl.patches.Rectangle((x + 1, y + 1), size - 3, size - 3, **box))
        text = "none" if np.isnan(ncc) else f"{ncc:.2f}"
        label = axes.text(x + 5, y + 16, text, color="white", fontsize=6)
        label.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.8})
    for reason in dict.fromkeys(patches.reasons.tolist()):
        count = int((patches.reasons == reason).sum())
        color = REASON_COLORS.get(reason, INK)
        axes.plot([], [], "s", color=color, label=f"{reason} {count}")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), ncols=6, handlelength=1, fontsize=8
    )
    return figure


def ncc_figure() -> Figure:
    """How many windows exceed NCC 0.9 although they are displaced, by texture."""
    curves, examples = displaced_windows(SHIFTS_PX)
    figure = Figure(figsize=(8.2, 2.7), layout="constrained")
    left, *others = figure.subplots(1, 3, width_ratios=(2.1, 1, 1))
    names = ("smoothest tenth", "smoothest quarter", "richest quarter")
    for name, curve, color in zip(names, curves, (BAD, "#e0a91b", GOOD), strict=True):
        left.plot(SHIFTS_PX, 100 * curve, "o-", color=color, label=name, markersize=3.5)
    left.set(xlabel="displaced by, phone px", ylabel="still above NCC 0.9, %")
    left.set_ylim(0, 102)
    left.legend()
    phone, dslr, ncc = examples
    for axes, patch, title in zip(
        others, (phone, dslr), ("phone", f"DSLR, 8 px off: NCC {ncc:.3f}"), strict=True
    ):
        axes.imshow(patch)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    return figure


def displaced_windows(
    shifts_px: Sequence[float],
) -> tuple[list[NDArray[np.float64]], tuple[Photo, Photo, float]]:
    """Shares above NCC 0.9 of windows displaced along x, smooth to rich in texture.

    Of the demo's scenes. Also the pair of patches that stays most alike at the end.
    """
    ncc, texture, pixels = [], [], []
    for number, scene in enumerate(SCENES):
        if scene.broken or scene.dslr_picture:
            continue
        phone, dslr = photograph(
            _picture(scene.picture), scene.rig, scene.look, seed=number
        )
        found = extract_patches(phone, dslr, align_pair(phone, dslr)).windows
        found = found.rows(found.ncc > 0.9)
        size = PatchSettings.size
        seen = cut(phone, found.patch_to_phone, size)
        at = [
            sample_patches(dslr, found.patch_to_dslr @ translation(shift, 0), size)
            for shift in shifts_px
        ]
        grey = lumas(seen)
        ncc.append([normalised_cross_correlation(grey, lumas(other)) for other in at])
        gradient = np.diff(lumas(at[0]).astype(float), axis=2)
        texture.append((gradient**2).mean(axis=(1, 2)))
        pixels.append((seen, at[-1]))
    values, order = np.concatenate(ncc, axis=1), np.argsort(np.concatenate(texture))
    count = len(order)
    groups = order[: count // 10], order[: count // 4], order[-(count // 4) :]
    curves = [np.asarray((values[:, group] > 0.9).mean(axis=1)) for group in groups]
    best = int(np.argmax(values[-1]))
    phone, dslr = (np.concatenate([pair[side] for pair in pixels]) for side in (0, 1))
    return curves, (phone[best], dslr[best], float(values[-1, best]))


def parallax_figure() -> Figure:
    """Parallax against the far background for a baseline of 15, 10 and 5 cm."""
    figure = Figure(figsize=(5.6, 3.0), layout="constrained")
    axes = figure.subplots()
    distance = np.geomspace(0.5, 200, 200)
    for baseline, color in ((0.15, BAD), (0.10, "#e0a91b"), (0.05, GOOD)):
        label = f"cameras {100 * baseline:g} cm apart"
        axes.loglog(distance, parallax_px(distance, baseline), color=color, label=label)
    limit = PatchSettings.max_shift
    axes.axhline(limit, color=INK, linewidth=0.8, linestyle="--")
    axes.text(200, limit * 1.12, "--max-shift", ha="right", fontsize=8)
    axes.set(xlabel="distance of the object, m", ylabel="parallax, phone px")
    axes.legend(loc="lower left")
    return figure


def parallax_px(
    distance_m: NDArray[np.float64],
    baseline_m: float,
    *,
    width_px: int = 4000,
    fov_deg: float = 65.0,
    fitted_m: float = np.inf,
) -> NDArray[np.float64]:
    """Displacement of an object against what lies at the distance the homography fits.

    Two pinhole cameras side by side: focal length in px times baseline times the
    difference of the inverse distances (Hartley & Zisserman, sect. 9.5).
    """
    focal_px = width_px / 2 / np.tan(np.radians(fov_deg) / 2)
    return np.asarray(focal_px * baseline_m * np.abs(1 / distance_m - 1 / fitted_m))


def _picture(name: str) -> Photo:
    return read_photo(picture_folder() / name)


def _resized(photo: Photo, scale: float) -> Photo:
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def _photo_axes(photo: Photo, *, width: float) -> tuple[Figure, Axes]:
    height = width * photo.shape[0] / photo.shape[1] + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.imshow(photo)
    axes.set_axis_off()
    axes.set_xlim(0, photo.shape[1])
    axes.set_ylim(photo.shape[0], 0)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    if path.suffix == ".jpg":
        figure.savefig(path, dpi=110, bbox_inches="tight", pil_kwargs=QUALITY)
    else:
        figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "figures")
