"""Two folders of photos of the same scenes → aligned pairs in `<workspace>/aligned/`.

Reading order: `pairing` (which photos belong together), `features` and `homography`
(what two photos share), `aligner` (one pair), `sampling` (the DSLR photo on the phone's
grid), `tracks` and `rig` (which way parallax leads), `worker` (one pair of files, and
its crops), `folders` (the stage), `records` and `aligned_folder` (what it writes, read
back).
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.align.aligner import align_pair
    from dped_build.align.folders import align_folders
    from dped_build.align.records import Alignment
    from dped_build.align.settings import AlignSettings, PairingSettings

__all__ = [
    "AlignSettings",
    "Alignment",
    "PairingSettings",
    "align_folders",
    "align_pair",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "AlignSettings": "settings",
        "Alignment": "records",
        "PairingSettings": "settings",
        "align_folders": "folders",
        "align_pair": "aligner",
    },
)
