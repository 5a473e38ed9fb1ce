"""Evaluate a generator on unseen patches, in both papers' protocols.

`scores` says what is measured. The phone's patches as they are (`input`), and other
tools' outputs for them, are held against the DSLR's beside the generator's `output`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dped_build.patches.dataset import PatchDataset
from dped_build.train.batches import Batches, rows_to_use
from dped_build.train.devices import choose_device, enough_memory, full_float32
from dped_build.train.evaluating.other_tools import (
    Outputs,
    Tell,
    find_outputs,
    read_outputs,
)
from dped_build.train.evaluating.scores import BATCH, measure, summarize
from dped_build.train.pixels import to_unit
from dped_build.workspace.errors import DpedBuildError


def _ignore(*_: object) -> None:
    pass


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    folders: str | Path | Sequence[str | Path],
    *,
    split: str = "test",
    masks: bool = False,
    device: str = "cpu",
    compare: Mapping[str, Path] | None = None,
    progress: Callable[[int, int], None] = _ignore,
    tell: Tell = _ignore,
) -> dict[str, Any]:
    """Hold a generator's output and its input against the DSLR's patches.

    Args:
        model: A generator, as `load_generator` returns it.
        folders: One or several `patches` folders.
        split: `train`, `val` or `test`.
        masks: Take partly valid patches, too; their valid pixels count.
        device: Where to compute: auto, cpu or cuda.
        compare: Name of another tool → folder of its outputs (see `other_tools`). Where
            one of them lacks a patch, that patch counts for none.
        progress: Told how many of how many patches are done.
        tell: Told, a line each, what is missing or unfit in those folders.

    Returns:
        `{"n": patches, "input": M, "output": M, "photos": {name: {"n", "input",
        "output"}}}` with M the FIGURES by name, infinite ones (equal patches) None;
        with `compare` also `"compare": {name: M}`, of every photo too. Where patches
        are `"left_out"` for want of `masks`, their number; where there are patches with
        masks, `"masked"`, their number, and `"valid_share"` of all pixels.

    Raises:
        DpedBuildError: No patches in this split, no such device, nothing to compare.
    """
    where = choose_device(device)
    patches = PatchDataset(folders, split, masks=masks)
    usable = rows_to_use(patches)
    roots = [folders] if isinstance(folders, str | Path) else folders
    others = [
        find_outputs(name, folder, patches, [Path(root) for root in roots], tell=tell)
        for name, folder in (compare or {}).items()
    ]
    measured: dict[str, Tensor] = {}
    done = 0
    full = f"{where} has too little memory to evaluate with this model"
    with enough_memory(full), full_float32():
        model = model.to(where).eval()
        for photo, rows in _rows_of_photos(patches, usable).items():
            kept, outputs = _common_rows(others, rows, tell=tell)
            if len(kept):
                batches = Batches(patches, device=where, rows=kept)
                measured[photo] = _measure_photo(model, batches, outputs)
            done += len(rows)
            progress(done, len(usable))
    if not measured:
        raise DpedBuildError(
            f"no {split} patch has a usable image in every folder to compare with"
        )
    names = [other.name for other in others]
    overall = _figures(torch.cat(list(measured.values()), dim=1), names)
    if overall["n"] < len(usable):
        tell(f"{overall['n']} of {len(usable)} patches are in every folder and count")
    return {
        **overall,
        **_about_masks(patches, usable),
        "photos": {photo: _figures(of_it, names) for photo, of_it in measured.items()},
    }


def _about_masks(patches: PatchDataset, usable: NDArray[np.int64]) -> dict[str, float]:
    shares = patches.valid_share[usable]
    if patches.masks and (shares < 1).any():
        masked = int((shares < 1).sum())
        return {"masked": masked, "valid_share": float(shares.mean())}
    return {"left_out": patches.left_out} if patches.left_out else {}


def _rows_of_photos(
    patches: PatchDataset, usable: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row in usable.tolist():
        rows[patches.photos[row]].append(row)
    return {name: np.asarray(numbers) for name, numbers in rows.items()}


def _common_rows(
    others: Sequence[Outputs], rows: NDArray[np.int64], *, tell: Tell
) -> tuple[NDArray[np.int64], list[Tensor]]:
    """The rows that every tool has, and each tool's patches for them, uint8."""
    read = [read_outputs(other, rows.tolist(), tell=tell) for other in others]
    kept = [row for row in rows.tolist() if all(row in found for found in read)]
    outputs = [np.stack([found[row] for row in kept]) for found in read if kept]
    return np.array(kept, dtype=np.int64), [torch.from_numpy(one) for one in outputs]


def _measure_photo(
    model: nn.Module, batches: Batches, outputs: Sequence[Tensor]
) -> Tensor:
    """(2 + tools, N, parts): the phone's patches, the model's output, each tool's."""
    parts, start = [], 0
    for phone, dslr, valid, *_ in batches.in_order(size=BATCH):
        stop = start + len(phone)
        others = [to_unit(pixels[start:stop].to(dslr.device)) for pixels in outputs]
        sides = (phone, model(phone), *others)
        parts.append(torch.stack([measure(images, dslr, valid) for images in sides]))
        start = stop
    return torch.cat(parts, dim=1)


def _figures(measured: Tensor, names: Sequence[str]) -> dict[str, Any]:
    phone, enhanced, *others = (summarize(of_side) for of_side in measured)
    figures = {"n": measured.shape[1], "input": phone, "output": enhanced}
    compared = dict(zip(names, others, strict=True))
    return {**figures, "compare": compared} if names else figures
