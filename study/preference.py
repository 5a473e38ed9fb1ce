"""How often one class is preferred: rates with intervals. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from dped_build.study.answers import Participant

CONFIDENCE = 0.95
Z = float(norm.ppf((1 + CONFIDENCE) / 2))
Interval = tuple[float, float]


@dataclass(frozen=True)
class Rate:
    """A share of answers."""

    chosen: float  # how many; no preference counts half
    answers: int  # of how many
    wilson95: Interval  # interval as if every answer were a person's only one
    clustered95: Interval  # knows who gave which answers; never the narrower

    @property
    def share(self) -> float:
        """From 0 to 1; NaN without answers."""
        return self.chosen / self.answers if self.answers else math.nan


def wilson(chosen: float, answers: float, *, z: float = Z) -> Interval:
    """Score interval of a share (Wilson, 1927); (0, 1) without answers."""
    if answers <= 0:
        return 0.0, 1.0
    share = chosen / answers
    centre = share + z * z / (2 * answers)
    reach = z * math.sqrt(share * (1 - share) / answers + (z / (2 * answers)) ** 2)
    scale = 1 + z * z / answers
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def rate(chosen: NDArray[np.float64], answers: NDArray[np.float64]) -> Rate:
    """A share over participants: what each chose, (M,), of how many answers, (M,).

    The clustered interval is Wilson's for as many independent answers as would vary as
    much as the participants do (design effect; Rao & Scott, 1992), with Student's
    quantile for so few participants.
    """
    total, number = float(chosen.sum()), float(answers.sum())
    plain = wilson(total, number)
    effect = design_effect(chosen, answers)
    people = int((answers > 0).sum())
    wide = wilson(total / effect, number / effect, z=quantile(people))
    return Rate(total, round(number), plain, wide)


def quantile(people: int) -> float:
    """How many standard errors an interval reaches: Student's; one person's, normal."""
    return float(t.ppf((1 + CONFIDENCE) / 2, people - 1)) if people > 1 else Z


def design_effect(chosen: NDArray[np.float64], answers: NDArray[np.float64]) -> float:
    """Variance of a share between participants over that of single answers, 1 or more.

    1 where it cannot be known: fewer than two participants, or all answers alike.
    """
    taking_part = int((answers > 0).sum())
    total = answers.sum()
    if taking_part < 2:
        return 1.0
    share = chosen.sum() / total
    single = share * (1 - share) / total
    if single <= 0:
        return 1.0
    residual = chosen - share * answers
    between = taking_part / (taking_part - 1) * (residual**2).sum() / total**2
    return max(1.0, float(between / single))


def count_wins(
    participants: Sequence[Participant], classes: int
) -> NDArray[np.float64]:
    """How often each participant preferred class i to class j, (M, K, K).

    Questions that were asked again count once; no preference is half a win for each.
    """
    wins = np.zeros((len(participants), classes, classes))
    for number, participant in enumerate(participants):
        for answer in participant.first_answers:
            left, right = answer.classes
            wins[number, left, right] += answer.value
            wins[number, right, left] += 1 - answer.value
    return wins


def pair_rate(wins: NDArray[np.float64], first: int, second: int) -> Rate:
    """How often `first` is preferred to `second`; wins as `count_wins`."""
    chosen = wins[:, first, second]
    return rate(chosen, chosen + wins[:, second, first])


def class_rate(wins: NDArray[np.float64], number: int) -> Rate:
    """How often a class is preferred to whatever it stood beside."""
    chosen = wins[:, number].sum(axis=1)
    return rate(chosen, chosen + wins[:, :, number].sum(axis=1))


def consistency_of(participant: Participant) -> float | None:
    """Share of the repeated questions answered alike; None without any."""
    repeated = participant.repeated()
    if not repeated:
        return None
    return sum(a.for_first == b.for_first for a, b in repeated) / len(repeated)


def left_rate(participants: Sequence[Participant]) -> Rate:
    """How often the left picture was chosen: half, unless sides matter."""
    values = [[a.value for a in one.first_answers] for one in participants]
    return rate(
        np.array([sum(v) for v in values], np.float64),
        np.array([len(v) for v in values], np.float64),
    )
