"""The tables of the patch stage: all windows, and the accepted patches.

`COLUMNS` is the one place that says which columns a window has; `windows.h5` and the
shards store them under these names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray
from dped_build.patches.masks import Masks

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "window_xy": ("i4", (2,)),
    "ncc": ("f4", ()),
    "patch_to_phone": ("f8", (3, 3)),
    "patch_to_dslr": ("f8", (3, 3)),
    "shift_px": ("f4", (2,)),
    "rotation_deg": ("f4", ()),
    "sigma_px": ("f4", ()),
    "depth_px": ("f4", ()),
    "valid_share": ("f4", ()),
    "sharpness_ratio": ("f4", ()),
    "color_fit_psnr": ("f4", ()),
    "clipped_phone": ("f4", ()),
    "clipped_dslr": ("f4", ()),
}
ACCEPTED = "accepted"
REASONS = (
    ACCEPTED,
    "excluded",
    "flat",
    "outside",
    "shift_limit",
    "low_ncc",
    "uncertain",
    "depth_edge",
    "low_valid",
    "soft_target",
    "color_misfit",
    "clipped",
    "surplus",
)


@dataclass(frozen=True)
class Windows:
    """Measurements of N candidate windows of one photo, one row each.

    Attributes:
        window_xy: Top-left pixel in the phone photo, (N, 2) i4.
        ncc: NCC of the phone's and the DSLR's pixels as they are stored, (N,); NaN
            where flat or not measured.
        patch_to_phone: Patch px → upright phone px, (N, 3, 3): the shift to
            `window_xy`; with `rule="paper"` the window as it was shifted and turned.
        patch_to_dslr: Patch px → upright DSLR px, (N, 3, 3), all refinement included;
            with `rule="paper"` the homography at `window_xy`.
        shift_px: The refinement's shift at the window's centre, (N, 2), phone px: of
            what the DSLR shows there; with `rule="paper"` of the phone's window, which
            moves the other way.
        rotation_deg: The refinement's rotation, (N,), degrees, x towards y; likewise.
        sigma_px: Stated uncertainty, (N,): RMS displacement over the patch, phone px.
        depth_px: RMS displacement of the patch's worst part against the whole, (N,),
            phone px; large at depth edges and moving objects. Both are NaN with
            `rule="paper"`, which knows neither.
        valid_share: Share of pixels that show the same point of the scene in both
            photos, (N,); NaN where there are no DSLR pixels. `ncc` and the measures
            below are over these pixels.
        sharpness_ratio: Gain-normalised fine detail, DSLR over phone, (N,).
        color_fit_psnr: PSNR after the best 3x4 colour fit, (N,), dB.
        clipped_phone: Share of clipped pixels, (N,).
        clipped_dslr: Likewise.
    """

    window_xy: NDArray[np.int32]
    ncc: NDArray[np.float32]
    patch_to_phone: FloatArray
    patch_to_dslr: FloatArray
    shift_px: NDArray[np.float32]
    rotation_deg: NDArray[np.float32]
    sigma_px: NDArray[np.float32]
    depth_px: NDArray[np.float32]
    valid_share: NDArray[np.float32]
    sharpness_ratio: NDArray[np.float32]
    color_fit_psnr: NDArray[np.float32]
    clipped_phone: NDArray[np.float32]
    clipped_dslr: NDArray[np.float32]

    def __len__(self) -> int:
        """How many windows."""
        return len(self.window_xy)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Windows":
        """The windows that `chosen` marks (N,), numbers or spans."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in COLUMNS})


@dataclass(frozen=True)
class Patches(Windows):
    """The accepted patches of one photo: the shard's columns and pixels.

    Attributes:
        phone: Phone pixels, (N, S, S, 3) u8; never resampled, but for windows that
            `rule="paper"` turned.
        dslr: DSLR pixels on the same grid, sampled once, (N, S, S, 3) u8.
        valid: Where both show the same point of the scene, (N, S, S) bool.
        windows: Every candidate window, accepted or not.
        reasons: Of every candidate window: `accepted` or why not.
    """

    phone: NDArray[np.uint8]
    dslr: NDArray[np.uint8]
    valid: Masks
    windows: Windows
    reasons: NDArray[np.str_]


def empty_windows(count: int = 0) -> Windows:
    """A table of `count` rows: floats NaN, integers 0."""
    values = {
        name: np.full((count, *shape), np.nan if kind[0] == "f" else 0, dtype=kind)
        for name, (kind, shape) in COLUMNS.items()
    }
    return Windows(**values)


def concatenate(tables: Sequence[Windows]) -> Windows:
    """One table below the other."""
    tables = tables or [empty_windows()]
    return Windows(
        **{n: np.concatenate([getattr(t, n) for t in tables]) for n in COLUMNS}
    )


if tuple(field.name for field in fields(Windows)) != tuple(COLUMNS):
    raise TypeError("Windows and COLUMNS disagree")
