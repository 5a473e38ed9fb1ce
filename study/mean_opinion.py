"""Mean opinion scores with intervals. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from dped_build.study.answers import RATINGS, Participant
from dped_build.study.preference import CONFIDENCE, Interval


@dataclass(frozen=True)
class Opinion:
    """How a class was rated, 1 (bad) to 5 (excellent) (ITU-R BT.500)."""

    counts: tuple[int, ...]  # how often each rating was given, from 1 to 5
    mean: float | None  # the mean opinion score; None without ratings
    ci95: Interval | None  # Student's, over single ratings; None for fewer than two
    clustered95: Interval | None  # knows who gave which; None below 2 participants


def class_opinion(participants: Sequence[Participant], number: int) -> Opinion:
    """What all participants say of class `number`; repeated questions count once."""
    ratings = [
        np.array([a.value for a in one.first_answers if a.classes == (number,)])
        for one in participants
    ]
    return opinion([one for one in ratings if len(one)])


def opinion(ratings: Sequence[NDArray[np.float64]]) -> Opinion:
    """The mean and its intervals from each participant's ratings, (n,) each."""
    together = np.concatenate([np.zeros(0), *ratings])
    counts = tuple(int((together == value).sum()) for value in RATINGS)
    if not len(together):
        return Opinion(counts, None, None, None)
    mean = float(together.mean())
    plain = clustered = None
    if len(together) > 1:
        error = float(together.std(ddof=1)) / len(together) ** 0.5
        plain = _interval(mean, error, len(together))
        if len(ratings) > 1:
            sums = np.array([(one - mean).sum() for one in ratings])
            people = len(ratings)
            between = people / (people - 1) * (sums**2).sum()
            wider = max(error, float(between**0.5) / len(together))
            clustered = _interval(mean, wider, people)
    return Opinion(counts, mean, plain, clustered)


def _interval(mean: float, error: float, number: int) -> Interval:
    reach = error * float(student.ppf((1 + CONFIDENCE) / 2, number - 1))
    return max(RATINGS[0], mean - reach), min(RATINGS[-1], mean + reach)
