"""How good the phone's own patches are where a run was validated.

Without it a learning curve says little: DPED's PSNR is lifted mostly by the colours.
"""

from pathlib import Path

import torch

from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.train.batches import validation_batches
from dped_build.train.metrics import ms_ssim, psnr


@torch.no_grad()
def phone_unchanged(
    patches: Path, batch_size: int, *, masks: bool = False
) -> dict[str, float] | None:
    """PSNR and MS-SSIM of the phone's patches, by the protocol of the learning curve.

    Per batch of the run's size, unclipped, mean over the validation patches; None where
    the run was trained without validation. `masks`: whether it was trained with them.
    """
    try:
        training = PatchDataset(patches, "train", masks=masks)
    except NoPatchesError:
        return None
    try:
        validation = PatchDataset(patches, "val", masks=masks)
    except NoPatchesError:
        validation = None
    batches = validation_batches(training, validation, device=torch.device("cpu"))
    if batches is None:
        return None
    sums = {"psnr": 0.0, "ms_ssim": 0.0}
    for phone, dslr, valid, *_ in batches.in_order(size=batch_size):
        for name, metric in (("psnr", psnr), ("ms_ssim", ms_ssim)):
            value = metric(phone, dslr, per_batch=True, valid=valid)
            sums[name] += float(value) * len(phone)
    return {name: total / len(batches) for name, total in sums.items()}
