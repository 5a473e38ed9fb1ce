"""Every choice of a study and of its evaluation, with its default, in one place."""

from dataclasses import dataclass
from typing import Literal

from dped_build.photos.settings import MAX_MEGAPIXELS
from dped_build.workspace.errors import UsageError

MODES = ("pairs", "rating")
TITLES = {
    "pairs": "Which picture looks better?",
    "rating": "How good does this picture look?",
}
MAX_TITLE = 200  # characters
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class StudySettings:
    """What participants are shown and asked; recorded in the key."""

    mode: Literal["pairs", "rating"] = (
        "pairs"  # pairs: which of two is better; rating: 1 (bad) to 5
    )
    scenes: int | None = None  # as many at random; None: all
    questions: int | None = None  # per participant; None: every comparison of a scene
    repeats: int = 0  # of them asked again, sides swapped
    ties: bool = False  # whether "no preference" is an answer
    seed: int | None = None  # None: names and order that nobody can guess
    title: str | None = None  # None: by mode
    quality: int | None = None  # of JPEG; None: PNG
    max_megapixels: float = MAX_MEGAPIXELS

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.mode not in MODES:
            raise UsageError(f"--mode {self.mode}: choose {' or '.join(MODES)}")
        for name in ("scenes", "questions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1")
        if self.repeats < 0:
            raise UsageError("--repeats must not be below 0")
        if self.ties and self.mode == "rating":
            raise UsageError("--ties is for --mode pairs; a rating has no ties")
        if self.seed is not None and not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"--seed must be from 0 to {MAX_SEED}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError("--quality must be from 1 to 100")
        if self.title is not None and not 0 < len(self.title) <= MAX_TITLE:
            raise UsageError(f"--title must have 1 to {MAX_TITLE} characters")

    @property
    def heading(self) -> str:
        """The page's title."""
        return self.title or TITLES[self.mode]


@dataclass(frozen=True)
class CollectSettings:
    """Whose answers count; by default everybody's."""

    min_consistency: float = 0.0  # share of repeated questions answered alike
    min_seconds: float = 0.0  # median time of an answer
    excluded: tuple[str, ...] = ()  # participants by the id that they gave

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 <= self.min_consistency <= 1:
            raise UsageError("--min-consistency must be from 0 to 1")
        if not 0 <= self.min_seconds < float("inf"):
            raise UsageError("--min-seconds must be a number from 0")
