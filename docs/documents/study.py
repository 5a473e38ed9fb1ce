"""What a study writes, and what comes of its answers."""

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from documents.common import Amount, Count, Share, Written
from dped_build.study import key
from dped_build.study.key import Identity, Mode

Interval = Annotated[list[float | None], Meta(min_length=2, max_length=2)]


class StudySummary(TypedDict):
    """What was made."""

    page: Annotated[str, "The page to open."]
    key_file: Annotated[str, "The file to keep."]
    questions: Annotated[Count, "A participant, without repeats."]
    repeats: Annotated[Count, "Asked again."]
    left_out: Annotated[dict[str, Annotated[str, "Why."]], "Scenes that are not shown."]
    shapes: Annotated[list[str], "Scenes whose pictures differ in shape."]
    classes: Annotated[list[str], "Compared."]
    scenes: Annotated[list[str], "Shown."]


class StudySettings(TypedDict):
    """As the study was made with."""

    mode: Mode
    scenes: Annotated[Count | None, "Scenes to show; null: all."]
    questions: Annotated[Count | None, "A participant; null: all."]
    repeats: Annotated[Count, "Asked again."]
    ties: Annotated[bool, "As above."]
    seed: Annotated[int | None, "Null: unguessable."]
    title: Annotated[str | None, "As asked for."]
    quality: Annotated[Count | None, "Of JPEG; null: PNG."]
    max_megapixels: Annotated[float, "Larger pictures are left out."]
    secret: Annotated[Identity, "What names and order come from."]


class StudyKey(key.StudyKey):
    """Which picture of a study is whose. The researcher keeps it."""

    settings: StudySettings


class Participant(TypedDict):
    """One."""

    file: Annotated[str, "Their file."]
    name: Annotated[str, "As they called themselves."]
    answers: Annotated[Count, "Questions answered."]
    repeats: Annotated[Count, "Answered twice."]
    consistency: Annotated[Share | None, "Repeats answered alike."]
    median_seconds: Annotated[float, "An answer."]
    left: NotRequired[Annotated[Share | None, "Left picture chosen."]]


class LeftOut(TypedDict):
    """One."""

    file: Annotated[str, "File."]
    reason: Annotated[str, "Why."]


class Consistency(TypedDict):
    """Repeated questions."""

    repeats: Annotated[Count, "How many."]
    alike: Annotated[Count, "Answered alike."]
    share: Annotated[Share | None, "Of them."]


class Preference(TypedDict):
    """How often something was chosen."""

    answers: Annotated[Count, "Comparisons."]
    chosen: Annotated[float, "How often chosen; no preference counts half."]
    preference: Annotated[Share | None, "Share chosen."]
    wilson95: Annotated[
        Interval | None,
        "Wilson interval over answers.",
    ]
    clustered95: Annotated[
        Interval | None,
        "Interval over participants.",
    ]


class LeftChosen(Preference):
    """Left picture chosen (pairs)."""


class ComparedClass(Preference):
    """One class."""

    class_: Annotated[str, "Its name."]
    rank: Annotated[Count, "1: the strongest."]
    strength: Annotated[float, "Bradley-Terry, log scale."]
    error: Annotated[float | None, "Standard error over answers."]
    clustered_error: Annotated[float | None, "Standard error over participants."]
    strength95: Annotated[
        list[float | None],
        Meta(min_length=2, max_length=2),
        "Low and high end of a 95 % interval.",
    ]
    chosen_of_all: Annotated[Share, "Share of all answers."]


class RatedClass(TypedDict):
    """One class."""

    class_: Annotated[str, "Its name."]
    ratings: Annotated[Count, "Ratings."]
    mos: Annotated[float | None, "Mean opinion score, 1 to 5."]
    ci95: Annotated[
        Interval | None,
        "Interval over answers.",
    ]
    clustered95: Annotated[
        Interval | None,
        "Interval over participants.",
    ]
    counts: Annotated[list[int], Meta(min_length=5, max_length=5), "Ratings of 1 to 5."]


class ComparedPair(Preference):
    """Two classes."""

    first: Annotated[str, "Class."]
    second: Annotated[str, "Class."]
    no_preference: Annotated[Count, "Answers."]


class CollectSettings(TypedDict):
    """Whose answers count."""

    min_consistency: Annotated[
        Share, "Smallest share of repeated questions answered alike."
    ]
    min_seconds: Annotated[Amount, "Shortest median time of an answer, s."]
    excluded: Annotated[list[str], "Participants left out, by name."]


class StudyResults(Written):
    """What the answers say."""

    format: Annotated[Literal["dped-build/study-results"], "What this is."]
    study: Annotated[Identity, "Identity of the study."]
    title: Annotated[str, "Of the page."]
    mode: Mode
    scenes: Annotated[Count, "Shown."]
    participants: Annotated[list[Participant], "Who takes part."]
    left_out: Annotated[list[LeftOut], "Who does not."]
    answers: Annotated[Count, "Without repeats."]
    consistency: Consistency
    median_seconds: Annotated[float | None, "An answer."]
    left: NotRequired[LeftChosen]
    prior_comparisons: NotRequired[
        Annotated[float, "Added to the Bradley-Terry fit (pairs)."]
    ]
    classes: Annotated[list[ComparedClass | RatedClass], "The strongest first."]
    pairs: NotRequired[Annotated[list[ComparedPair], "Class against class (pairs)."]]
    settings: CollectSettings
