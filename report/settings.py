"""Every choice of the report, with its default, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportSettings:
    """How much the report shows; the numbers do not depend on it."""

    thumb_px: int = 160  # longer side of each crop in the table of pairs
    picture_px: int = 800  # longer side of each crop in a pair's panel
    patches_shown: int = 6  # in each group of the contact sheets
    samples_shown: int = 4  # training samples of each run, the latest
