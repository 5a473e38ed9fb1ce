"""What is known of a patch beside its pixels, as one JSON object."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dped_build.exchange.exported_folders import FILE_NAMES, MASK_NAME
from dped_build.exchange.patch_source import Patch

METADATA = "metadata.jsonl"
MEANINGS = {  # of the columns, for the card
    "key": "name of the patch, the same in every format",
    "split": "train, val or test",
    "pair": "name of the photo",
    "group": "name of the scene that the photo shows",
    "window_xy": "top-left pixel of the patch in the upright phone photo",
    "ncc": "zero-mean NCC of the luma of both patches; null where flat",
    "patch_to_phone": "3x3, patch px to upright phone px; pixel centres at integers",
    "patch_to_dslr": "3x3, patch px to upright DSLR px, all refinement included",
    "shift_px": "shift that the refinement found, (x, y), phone px",
    "rotation_deg": "rotation that the refinement found, degrees",
    "sigma_px": "stated uncertainty of the place, one sigma, phone px",
    "depth_px": "how far the patch's parts lie apart (depth, motion), phone px",
    "valid_share": "share of pixels that show the same point of the scene in both "
    "patches; `ncc` and the columns below are over these",
    "sharpness_ratio": "fine detail, DSLR over phone",
    "color_fit_psnr": "PSNR after the best 3x4 colour fit, dB",
    "clipped_phone": "share of clipped pixels of the phone's patch",
    "clipped_dslr": "share of clipped pixels of the DSLR's patch",
}


def metadata(patch: Patch, files: Sequence[str] = ()) -> dict[str, Any]:
    """All columns of a patch for JSON; what is not known is None.

    Args:
        patch: A row of the source.
        files: Names of the phone's and the DSLR's picture, and of the mask where there
            is one, relative to the metadata.
    """
    return {
        **dict(zip((*FILE_NAMES, MASK_NAME), files, strict=False)),
        "key": patch.key,
        "split": patch.split,
        "pair": patch.pair,
        "group": patch.group,
        **plain_columns(patch.columns),
    }


def plain_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as JSON has them: lists and numbers, NaN and infinity None."""
    return {name: _plain(value) for name, value in columns.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if not np.isfinite(value).any():
        return None  # a whole vector, too: Arrow cannot read lists of nothing but null
    if np.ndim(value):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.integer):
        return int(value)
    return float(str(value))  # the shortest that is read back as the same number
