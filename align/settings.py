"""Settings of the alignment, with their defaults."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dped_build.photos.formats import PREFERENCES
from dped_build.photos.settings import COLORS, MAX_MEGAPIXELS
from dped_build.workspace.errors import UsageError
from dped_build.workspace.field_kinds import require_kinds

ALGORITHM = 6  # rises when the same photos and settings would align otherwise
MAX_REDUCTION = 8  # of --reduce-phone
CROP_FORMATS = ("jpg", "png", "none")
PAIRINGS = ("name", "order", "time", "sequence")


@dataclass(frozen=True)
class AlignSettings:
    """How photos are paired, matched and judged; recorded in the manifest."""

    crops: str = "jpg"  # format of the cropped previews: jpg, png or none
    color: str = "srgb"  # srgb: convert embedded profiles; keep: values as stored
    max_megapixels: float = MAX_MEGAPIXELS  # largest photo to read, by its header
    reduce_phone: int = 1  # the phone's photos are taken at one Nth of their size
    matching_sides: tuple[int, ...] = (300, 600, 1200)  # px, tried until one aligns
    ratio: float = 0.8  # of the distances to nearest and second nearest descriptor
    threshold_px: float = 3.0  # reprojection error of an inlier, px of the matched size
    min_matches: int = 12
    min_inliers: int = 12  # unrelated photos reach 11, shared structures 44
    min_agreement: float = 0.55  # correlation of the overlap; the latter reach 0.54
    min_overlap: float = 0.1  # share of the phone photo

    def to_json(self) -> dict[str, Any]:
        """All settings, as the manifest records them; a reduction only where made."""
        stated = {**asdict(self), "algorithm": ALGORITHM}
        return {k: v for k, v in stated.items() if k != "reduce_phone" or v > 1}

    def __post_init__(self) -> None:
        """Reject invalid values."""
        require_kinds(self)
        if self.crops not in CROP_FORMATS:
            raise UsageError(f"--crops {self.crops}: choose {', '.join(CROP_FORMATS)}")
        if self.color not in COLORS:
            raise UsageError(f"--color {self.color}: choose {' or '.join(COLORS)}")
        if not 0 < self.max_megapixels < float("inf"):
            raise UsageError("--max-megapixels must be a number above 0")
        if not 1 <= self.reduce_phone <= MAX_REDUCTION:
            raise UsageError(f"--reduce-phone must be from 1 to {MAX_REDUCTION}")
        if not self.matching_sides or min(self.matching_sides) < 1:
            raise UsageError("matching_sides must name sizes of at least 1 px")
        if not 0 <= self.min_overlap <= 1:
            raise UsageError("--min-overlap must be from 0 to 1")


@dataclass(frozen=True)
class PairingSettings:
    """How photos are paired; recorded in the manifest unless by name."""

    pair_by: str = "name"  # or order, time, sequence
    pairs_csv: Path | None = None  # a handmade list instead
    clock_offset_s: float | None = None  # DSLR clock minus phone clock; None: estimated
    time_tolerance_s: float = 2.0  # between both photos of a scene, clocks set alike
    recursive: bool = False  # search sub-folders, too
    prefer: str | None = None  # of RAW and JPEG of one shot: jpeg or raw
    part: str | None = None  # K/N: the Kth of N shares of the pairs, from 1
    phone_camera: str | None = None  # the cameras' names; None: those of their folders
    dslr_camera: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What the manifest records beside AlignSettings and names; none by default."""
        stated: dict[str, Any] = {}
        if self.pairs_csv is not None:
            stated["pair_by"] = "csv"
        elif self.pair_by != PAIRINGS[0]:
            stated["pair_by"] = self.pair_by
        if self.pair_by == "time":
            stated["time_tolerance"] = self.time_tolerance_s
            if self.clock_offset_s is not None:
                stated["clock_offset"] = self.clock_offset_s
        if self.recursive:
            stated["recursive"] = True
        if self.prefer is not None:
            stated["prefer"] = self.prefer
        if self.part is not None:
            stated["part"] = self.part
        return stated

    def share(self, count: int) -> slice:
        """The contiguous slice of `count` pairs that this part covers."""
        if self.part is None:
            return slice(count)
        number, parts = map(int, self.part.split("/"))
        return slice(count * (number - 1) // parts, count * number // parts)

    def __post_init__(self) -> None:
        """Reject invalid values."""
        require_kinds(self)
        if self.pair_by not in PAIRINGS:
            raise UsageError(f"--pair-by {self.pair_by}: choose {', '.join(PAIRINGS)}")
        if self.prefer not in (None, *PREFERENCES):
            raise UsageError(f"--prefer {self.prefer}: choose jpeg or raw")
        if self.pairs_csv is not None and self.pair_by != PAIRINGS[0]:
            raise UsageError(f"--pairs and --pair-by {self.pair_by}: give one of them")
        if self.part is not None:
            found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", self.part)
            if found is None or int(found[1]) > int(found[2]):
                raise UsageError(
                    f"--part {self.part}: K of N is written K/N, as in 1/8"
                )
        if self.clock_offset_s is not None and self.pair_by != "time":
            raise UsageError("--clock-offset is for --pair-by time")
        if not 0 <= abs(self.clock_offset_s or 0) < float("inf"):
            raise UsageError("--clock-offset must be a number of seconds")
        if not 0 <= self.time_tolerance_s < float("inf"):
            raise UsageError(
                "--time-tolerance must be a number of seconds, not below 0"
            )
