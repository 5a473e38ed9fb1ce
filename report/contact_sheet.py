"""Which patches and windows the contact sheets show; numbers in, rows out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dped_build.align.geometry import FloatArray, translation
from dped_build.align.records import Alignment
from dped_build.align.sampling import sample
from dped_build.patches.dataset import WHOLE
from dped_build.report.record import ChosenPatch
from dped_build.report.tables import StoredPatches, WindowTable

BY_REASON = ("flat", "uncertain", "depth_edge", "low_valid")


Sheets = dict[str, list[ChosenPatch]]  # by group


def choose_patches(stored: StoredPatches, *, count: int) -> dict[str, list[int]]:
    """Rows of the best, worst and middling NCC, and of those that need their masks.

    Of each photo at most one per group.
    """
    finite = np.flatnonzero(np.isfinite(stored.ncc))
    ncc = stored.ncc[finite]
    if not len(ncc):
        return {}
    orders = {
        "best": -ncc,
        "just accepted": ncc,
        "typical": np.abs(ncc - np.median(ncc)),
    }
    chosen: dict[str, list[int]] = {}
    for group, key in orders.items():
        order = finite[np.argsort(key, kind="stable")]
        chosen[group] = _new_ones(order, chosen, stored.photo, count)
    masked = np.flatnonzero(stored.valid_share < WHOLE)
    order = masked[np.argsort(stored.valid_share[masked], kind="stable")]
    chosen["partly valid"] = _new_ones(order, chosen, stored.photo, count)
    return {group: rows for group, rows in chosen.items() if rows}


def choose_rejected(
    windows: WindowTable, pairs: Mapping[str, Alignment], *, size: int, count: int
) -> dict[str, list[int]]:
    """Rows of rejected windows that their pair's crops show whole, one of each photo.

    `just rejected` and `worst`: by NCC, of those that NCC alone rejected; then a group
    for each of BY_REASON that occurs.
    """
    shown = _within_crops(windows, pairs, size)
    low = np.flatnonzero(shown & windows.refused_for("low_ncc"))
    by_ncc = low[np.argsort(windows.table.ncc[low], kind="stable")]
    chosen: dict[str, list[int]] = {}
    for group, order in (("just rejected", by_ncc[::-1]), ("worst", by_ncc)):
        chosen[group] = _new_ones(order, chosen, windows.pair, count)
    for name in BY_REASON:  # of all photos, not of the first
        rows = np.flatnonzero(shown & windows.refused_for(name))
        chosen[name] = _spread(_one_each(rows, windows.pair, None), count)
    return {group: rows for group, rows in chosen.items() if rows}


def cut_window(
    crops: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    record: Alignment,
    windows: WindowTable,
    row: int,
    *,
    size: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A window as the patch stage placed it, cut from the pair's crops at full size.

    Near to what would have been stored; the DSLR's crop was sampled once already.
    Returns phone and DSLR, (size, size, 3) each.
    """
    left, top = (record.phone_box or (0, 0))[:2]
    to_crop = translation(-left, -top)
    unmoved = translation(*windows.table.window_xy[row].tolist())
    to_phone = _known(windows.table.patch_to_phone[row], unmoved)
    from_dslr = np.linalg.inv(np.asarray(record.phone_to_dslr, dtype=np.float64))
    to_dslr_crop = _known(from_dslr @ windows.table.patch_to_dslr[row], unmoved)
    phone, dslr = (
        sample(crop, to_crop @ matrix, (size, size))
        for crop, matrix in zip(crops, (to_phone, to_dslr_crop), strict=True)
    )
    return phone, dslr


def shown_patches(
    stored: StoredPatches,
    windows: WindowTable | None,
    pairs: Mapping[str, Alignment],
    *,
    size: int,
    count: int,
) -> Sheets:
    """What the contact sheets show."""
    sheets = {
        group: [_stored_patch(stored, row) for row in rows]
        for group, rows in choose_patches(stored, count=count).items()
    }
    if windows is None:
        return sheets
    rejected = choose_rejected(windows, pairs, size=size, count=count)
    return sheets | {
        group: [_rejected_window(windows, row) for row in rows]
        for group, rows in rejected.items()
    }


def _stored_patch(stored: StoredPatches, row: int) -> ChosenPatch:
    return ChosenPatch(
        pair=stored.photos[stored.photo[row]],
        window_xy=_point(stored.xy[row]),
        ncc=_number(stored.ncc[row]),
        valid_share=_number(stored.valid_share[row]),
        reason=None,
        file=stored.files[stored.file[row]],
        row=int(stored.row[row]),
    )


def _rejected_window(windows: WindowTable, row: int) -> ChosenPatch:
    return ChosenPatch(
        pair=windows.pairs[windows.pair[row]],
        window_xy=_point(windows.table.window_xy[row]),
        ncc=_number(windows.table.ncc[row]),
        valid_share=_number(windows.table.valid_share[row]),
        reason=windows.outcome(row),
        file=None,
        row=row,
    )


def _point(xy: NDArray[np.int32]) -> tuple[int, int]:
    return int(xy[0]), int(xy[1])


def _number(value: np.float32) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _known(matrix: FloatArray, otherwise: FloatArray) -> FloatArray:
    """A matrix, or the other where it was not measured."""
    return matrix if np.isfinite(matrix).all() else otherwise


def _within_crops(
    windows: WindowTable, pairs: Mapping[str, Alignment], size: int
) -> NDArray[np.bool_]:
    """Whether each window lies in its pair's `phone_box`, (W,)."""
    boxes = np.zeros((len(windows.pairs), 4), np.int64)
    for index, pair in enumerate(windows.pairs):
        record = pairs.get(pair)
        if record is not None and record.phone_to_dslr is not None:
            boxes[index] = record.phone_box or (0, 0, 0, 0)
    box, xy = boxes[windows.pair], windows.table.window_xy
    inside = (xy >= box[:, :2]) & (xy + size <= box[:, :2] + box[:, 2:])
    return np.asarray(inside.all(axis=1))


def _new_ones(
    order: NDArray[np.intp],
    chosen: Mapping[str, list[int]],
    owner: NDArray[np.intp],
    count: int,
) -> list[int]:
    """The first row of each owner that no earlier group shows."""
    shown = [row for rows in chosen.values() for row in rows]
    return _one_each(order[~np.isin(order, shown)], owner, count)


def _one_each(
    order: NDArray[np.intp], owner: NDArray[np.intp], count: int | None
) -> list[int]:
    """The first row of each owner in `order`, at most `count`."""
    _, first = np.unique(owner[order], return_index=True)
    return [int(row) for row in order[np.sort(first)[:count]]]


def _spread(rows: list[int], count: int) -> list[int]:
    places = np.linspace(0, len(rows) - 1, min(count, len(rows)))
    return [rows[round(place)] for place in places.tolist()]
