"""One aligned pair → where every pixel of the phone's photo lies in the DSLR's."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.align.borders import Box
from dped_build.align.geometry import FloatArray, visible_rows
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample_unrounded
from dped_build.patches.extract import SEARCH_SHARE
from dped_build.patches.masks import Masks, packed, unpacked, whole_masks
from dped_build.patches.refinement.guide import find_guide
from dped_build.patches.refinement.layered import place_layers
from dped_build.patches.refinement.placement import Refinement
from dped_build.patches.refinement.refine import refine_windows
from dped_build.patches.settings import PatchSettings

AGREE_PX = 0.5
STRIP = 200
LEAST_TAPER = 0.02
FLOOR_PX = 0.02
LEAST_CONFIDENCE = 1.0 / 30**2


@dataclass
class Placements:
    corners: NDArray[np.int32]
    found: Refinement
    bits: NDArray[np.uint8]


def phases(box: Box, size: int) -> Iterator[NDArray[np.int32]]:
    left, top, width, height = box
    xs, ys = _starts(left, width, size), _starts(top, height, size)
    for y in ys:
        for x in xs:
            if len(x) and len(y):
                yield np.stack(
                    [a.ravel() for a in np.meshgrid(x, y)], axis=1
                ).astype(np.int32)


def _starts(first: int, length: int, size: int) -> list[NDArray[np.int32]]:
    count = length // size
    one = np.linspace(first, first + length - size, count)
    if count == 1:
        one = np.array([first + (length - size) / 2])
    between = (one[1:] + one[:-1]) / 2
    return [np.rint(a).astype(np.int32) for a in (one, between)]


def place_windows(phone, dslr, alignment, settings, nphase=4):
    to_dslr = alignment.matrix()
    luma = cv2.cvtColor(phone, cv2.COLOR_RGB2GRAY)
    aligned = sample_unrounded(
        cv2.cvtColor(dslr, cv2.COLOR_RGB2GRAY), to_dslr, luma.shape[::-1]
    )
    visible = visible_rows(to_dslr, luma.shape[::-1], dslr.shape[1::-1])
    guide = find_guide(luma, aligned, visible, max_shift=settings.max_shift)
    size = settings.size
    out = []
    for corners in list(phases(alignment.phone_box, size))[:nphase]:
        if guide is None:
            found = refine_windows(
                luma, aligned, corners, size=size,
                max_shift=SEARCH_SHARE * settings.max_shift,
            )
            bits = packed(whole_masks(len(corners), size))
        else:
            layers, found, valid = place_layers(luma, aligned, corners, guide, size=size)
            corners, bits = corners[layers.window], packed(valid)
        out.append(Placements(corners, found, bits))
    return guide is not None, out


def fuse(depth, placed, box, settings):
    left, top, width, height = box
    size = settings.size
    shift = np.zeros((height, width, 2), np.float32)
    known = np.zeros((height, width), bool)
    valid = np.zeros((height, width), bool)
    ramp = (np.arange(size) + 0.5) / size
    taper = np.maximum(np.sin(np.pi * ramp) ** 2, LEAST_TAPER)
    taper = np.outer(taper, taper).astype(np.float32)
    unit = (np.arange(size) - (size - 1) / 2).astype(np.float32)
    for first in range(0, height, STRIP):
        rows = min(STRIP, height - first)
        best = np.zeros((rows, width), np.float32)
        at = np.zeros((rows, width, 2), np.float32)
        for mode in (0, 1):
            if mode:
                total = np.zeros((rows, width), np.float32)
                agree = total.copy()
                trusted = total.copy()
                mean = np.zeros((rows, width, 2), np.float32)
            for part in placed:
                y = part.corners[:, 1] - top - first
                for k in np.flatnonzero((y > -size) & (y < rows)):
                    x0, y0 = part.corners[k, 0] - left, y[k]
                    a, b = max(y0, 0), min(y0 + size, rows)
                    inner = slice(a - y0, b - y0)
                    here = (slice(a, b), slice(x0, x0 + size))
                    tells = unpacked(part.bits[k : k + 1], size)[0][inner]
                    sig = part.found.sigma_px[k]
                    ok = sig <= settings.max_sigma and part.found.depth_px[k] <= settings.max_depth
                    conf = max(1 / (sig**2 + FLOOR_PX**2), LEAST_CONFIDENCE)
                    w = taper[inner] * tells * np.float32(conf)
                    lin = part.found.linear[k].astype(np.float32)
                    s = part.found.shift[k].astype(np.float32)
                    dx = s[0] + lin[0, 0] * unit + (lin[0, 1] * unit[inner])[:, None]
                    dy = s[1] + lin[1, 0] * unit + (lin[1, 1] * unit[inner])[:, None]
                    if mode == 0:
                        up = w > best[here]
                        best[here][up] = w[up]
                        at[here][..., 0][up] = dx[up]
                        at[here][..., 1][up] = dy[up]
                    else:
                        d = np.hypot(dx - at[here][..., 0], dy - at[here][..., 1])
                        near = np.where(d < AGREE_PX, w, 0)
                        total[here] += w
                        agree[here] += near
                        if ok:
                            trusted[here] += near
                        mean[here][..., 0] += near * dx
                        mean[here][..., 1] += near * dy
        sl = slice(first, first + rows)
        kn = best > 0
        known[sl] = kn
        shift[sl] = mean / np.maximum(agree, 1e-9)[..., None]
        valid[sl] = kn & (trusted > 0.5 * total)
    return shift, known, valid


def filled(shift, known):
    """Pull-push."""
    if known.all() or not known.any():
        return shift
    levels = [(shift * known[..., None], known.astype(np.float32))]
    while min(levels[-1][1].shape) > 1 and (levels[-1][1] == 0).any():
        s, w = levels[-1]
        size = tuple(-(-n // 2) for n in w.shape[::-1])
        w2 = cv2.resize(w, size, interpolation=cv2.INTER_AREA)
        s2 = cv2.resize(s * w[..., None], size, interpolation=cv2.INTER_AREA)
        levels.append((s2 / np.maximum(w2, 1e-6)[..., None], np.minimum(w2 * 4, 1)))
    s, w = levels.pop()
    while levels:
        s1, w1 = levels.pop()
        up = cv2.resize(s, w1.shape[::-1], interpolation=cv2.INTER_LINEAR)
        s = s1 * w1[..., None] + up * (1 - w1[..., None])
        w = w1
    return s
