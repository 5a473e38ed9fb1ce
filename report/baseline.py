"""How good the phone's own patches are where a run was validated.

Without it a learning curve says little: DPED's PSNR is lifted mostly by the colours.
"""

from pathlib import Path

import torch

from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.train.batches import validation_batches
from dped_build.train.metrics import ms_ssim, psnr


@torch.no_grad()
def phone_unchanged(patches: Path, batch_size: int) -> dict[str, float] | None:
    """PSNR and MS-SSIM of the phone's patches, by the protocol of the learning curve.

    Per batch of the run's size, unclipped, mean over the validation patches; None where
    the run was trained without validation.
    """
    try:
        training = PatchDataset(patches, "train")
    except NoPatchesError:
        return None
    try:
        validation = PatchDataset(patches, "val")
    except NoPatchesError:
        validation = None
    batches = validation_batches(training, validation, device=torch.device("cpu"))
    if batches is None:
        return None
    sums = {"psnr": 0.0, "ms_ssim": 0.0}
    for phone, dslr in batches.in_order(size=batch_size):
        sums["psnr"] += float(psnr(phone, dslr, per_batch=True)) * len(phone)
        sums["ms_ssim"] += float(ms_ssim(phone, dslr, per_batch=True)) * len(phone)
    return {name: total / len(batches) for name, total in sums.items()}
