"""Settings of `bench`, with their defaults."""

import re
from dataclasses import dataclass

from dped_build.workspace.errors import UsageError

MIN_SIDE, MAX_SIDE = 8, 65_536  # pixels


@dataclass(frozen=True)
class BenchSettings:
    """What is measured."""

    size: str = "1280x720"  # width x height of the photo
    repeat: int = 5  # rounds, after one that is not counted
    device: str = "auto"  # auto: the CPU, and the GPU where there is one

    def __post_init__(self) -> None:
        """Reject invalid values."""
        if not re.fullmatch(r"\d{1,5}x\d{1,5}", self.size) or not all(
            MIN_SIDE <= side <= MAX_SIDE for side in (self.width, self.height)
        ):
            raise UsageError(
                f"--size {self.size}: give WIDTHxHEIGHT, {MIN_SIDE} px or more each, "
                "such as 1280x720"
            )
        if self.repeat < 1:
            raise UsageError(f"--repeat {self.repeat}: give 1 or more rounds")

    @property
    def width(self) -> int:
        """Of the photo, in pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """Of the photo, in pixels."""
        return int(self.size.split("x")[1])
