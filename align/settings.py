"""Every choice of the alignment, with its default, in one place."""

from dataclasses import asdict, dataclass
from typing import Any

from dped_build.align.errors import UsageError

MAX_MEGAPIXELS = 200.0
COLORS = ("srgb", "keep")
ALGORITHM = 2  # rises when the same photos and settings would align otherwise
BACKENDS = ("loky", "threading")
CROP_FORMATS = ("jpg", "png", "none")


@dataclass(frozen=True)
class AlignSettings:
    """How photos are paired, matched and judged; recorded in the manifest."""

    crops: str = "jpg"  # format of the crops for people: jpg, png or none
    color: str = "srgb"  # srgb: convert embedded profiles; keep: values as stored
    max_megapixels: float = MAX_MEGAPIXELS  # larger photos are refused by their header
    matching_sides: tuple[int, ...] = (300, 600, 1200)  # px, tried until one aligns
    ratio: float = 0.8  # of the distances to nearest and second nearest descriptor
    threshold_px: float = 3.0  # reprojection error of an inlier, px of the matched size
    min_matches: int = 12
    min_inliers: int = 12  # unrelated photos reach 11, shared structures 44
    min_agreement: float = 0.55  # correlation of the overlap; the latter reach 0.54
    min_overlap: float = 0.1  # share of the phone photo

    def to_json(self) -> dict[str, Any]:
        """All settings, as the manifest records them."""
        return {**asdict(self), "algorithm": ALGORITHM}

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.crops not in CROP_FORMATS:
            raise UsageError(f"--crops {self.crops}: choose {', '.join(CROP_FORMATS)}")
        if self.color not in COLORS:
            raise UsageError(f"--color {self.color}: choose {' or '.join(COLORS)}")
        if not 0 < self.max_megapixels < float("inf"):
            raise UsageError("--max-megapixels must be a number above 0")
        if not self.matching_sides or min(self.matching_sides) < 1:
            raise UsageError("matching_sides must name sizes of at least 1 px")
        if not 0 <= self.min_overlap <= 1:
            raise UsageError("--min-overlap must be from 0 to 1")
