"""Settings of `enhance`, with their defaults."""

from dataclasses import dataclass

from dped_build.photos.settings import MAX_MEGAPIXELS
from dped_build.workspace.errors import UsageError

FORMATS = ("png", "png16", "jpg")


@dataclass(frozen=True)
class EnhanceSettings:
    """How photos are enhanced from file to file."""

    format: str = "png"  # 8 bits a channel; png16 has 16, from the network's floats
    quality: int = 95  # of a JPEG, whose colours are never subsampled
    keep_metadata: bool = False  # all of the EXIF data, not just what viewers need
    recursive: bool = False  # photos below the folders as well
    skip_existing: bool = False  # leave photos out whose result is there
    tile: int | None = None  # pixels; None: chosen for large photos on a CPU
    device: str = "auto"
    max_megapixels: float = MAX_MEGAPIXELS  # larger photos are recorded as failed

    def __post_init__(self) -> None:
        """Reject invalid values."""
        if self.format not in FORMATS:
            raise UsageError(f"--format {self.format}: one of {', '.join(FORMATS)}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} is not between 1 and 100")
        if not 0 < self.max_megapixels < float("inf"):
            raise UsageError("--max-megapixels must be a number above 0")

    @property
    def bits(self) -> int:
        """Of a channel."""
        return 16 if self.format == "png16" else 8

    @property
    def suffix(self) -> str:
        """Of the files."""
        return ".jpg" if self.format == "jpg" else ".png"
