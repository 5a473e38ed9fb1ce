"""Aligned photo pairs → refined, filtered patch pairs in `<workspace>/patches/`.

Reading order: `grid` (candidate windows), `refinement/` (where each lies in the DSLR
photo), `quality` (what it is worth), `selection` (which are kept), `extract` (one
pair, all of that), `split`, `chunks` and `shards` (files), `inputs`, `pieces`,
`previous`, `publication` and `build` (the stage), `one_pass` (with aligning), `folder`
(reading all of it back), `dataset` (the patches alone, for training).
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.patches.build import build_shards
    from dped_build.patches.dataset import PatchDataset
    from dped_build.patches.extract import extract_patches
    from dped_build.patches.settings import PatchSettings

__all__ = ["PatchDataset", "PatchSettings", "build_shards", "extract_patches"]

__getattr__ = lazy_exports(
    __name__,
    {
        "PatchDataset": "dataset",
        "PatchSettings": "settings",
        "build_shards": "build",
        "extract_patches": "extract",
    },
)
