"""The numbers of a study as one record, `study.json`, and as tables. Pure."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.study.answers import Answers, Participant
from dped_build.study.bradley_terry import PRIOR, Strengths, fit_strengths
from dped_build.study.key import StudyKey
from dped_build.study.mean_opinion import class_opinion
from dped_build.study.preference import (
    Interval,
    Rate,
    class_rate,
    consistency_of,
    count_wins,
    left_rate,
    pair_rate,
    quantile,
)
from dped_build.study.settings import CollectSettings
from dped_build.workspace.stage import created_with

FORMAT, VERSION = "dped-build/study-results", 1
DIGITS = 6


def drop_participants(answers: Answers, settings: CollectSettings) -> Answers:
    """Without those whom the settings exclude, each with the reason."""
    kept, left_out = [], dict(answers.left_out)
    excluded = {name.casefold() for name in settings.excluded}
    for one in answers.participants:
        consistency, seconds = consistency_of(one), _seconds(one)
        if one.name and one.name.casefold() in excluded:
            left_out[one.file] = f"--exclude {one.name}"
        elif consistency is not None and consistency < settings.min_consistency:
            left_out[one.file] = (
                f"{consistency:.0%} of the repeated questions answered alike, less "
                f"than --min-consistency {settings.min_consistency:g}"
            )
        elif seconds < settings.min_seconds:
            left_out[one.file] = (
                f"{seconds:.1f} s per answer, less than --min-seconds "
                f"{settings.min_seconds:g}"
            )
        else:
            kept.append(one)
    return Answers(kept, left_out)


def study_numbers(key: StudyKey, answers: Answers) -> dict[str, Any]:
    """Everything that is shown, as `study.json` holds it."""
    people = answers.participants
    firsts = [answer for one in people for answer in one.first_answers]
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "created_with": created_with(),
        "study": key.study,
        "title": key.title,
        "mode": key.mode,
        "scenes": len(key.scenes),
        "participants": [_participant(one, mode=key.mode) for one in people],
        "left_out": [
            {"file": file, "reason": reason}
            for file, reason in answers.left_out.items()
        ],
        "answers": len(firsts),
        "consistency": _consistency(people),
        "median_seconds": _rounded(median(answer.seconds for answer in firsts)),
    }
    if key.mode == "rating":
        return {**numbers, "classes": _opinions(key.classes, people)}
    wins = count_wins(people, len(key.classes))
    ties = _ties(people, len(key.classes))
    return {
        **numbers,
        "left": _rate(left_rate(people)),
        "prior_comparisons": PRIOR,
        "classes": _classes(key.classes, wins, fit_strengths(wins)),
        "pairs": [
            {
                "first": key.classes[first],
                "second": key.classes[second],
                "no_preference": int(ties[first, second]),
                **_rate(pair_rate(wins, first, second)),
            }
            for first, second in combinations(range(len(key.classes)), 2)
        ],
    }


def answer_rows(key: StudyKey, people: Sequence[Participant]) -> list[dict[str, Any]]:
    """Every answer with names in place of codes, for other tools."""
    columns = ("class",) if key.mode == "rating" else ("left", "right")
    return [
        {
            "participant": number,
            "name": one.name,
            "question": place,
            "scene": key.scenes[answer.scene],
            **dict(zip(columns, (key.classes[c] for c in answer.classes), strict=True)),
            ("rating" if key.mode == "rating" else "left_preferred"): answer.value,
            "seconds": answer.seconds,
            "repeat": int(answer.repeat),
        }
        for number, one in enumerate(people, start=1)
        for place, answer in enumerate(one.answers, start=1)
    ]


def table_rows(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """The results as one table: a row a pair, then a row a class; or the scores."""
    if numbers["mode"] == "rating":
        return [
            {
                "class": row["class"],
                "ratings": row["ratings"],
                "mos": row["mos"],
                **_ends("ci95", row["ci95"]),
                **_ends("clustered95", row["clustered95"]),
                **{f"rated_{n}": count for n, count in enumerate(row["counts"], 1)},
            }
            for row in numbers["classes"]
        ]
    ranked = ("rank", "strength", "error", "clustered_error")
    rows = [(row["first"], row["second"], row) for row in numbers["pairs"]]
    rows += [(row["class"], "all others", row) for row in numbers["classes"]]
    return [
        {
            "class": name,
            "against": other,
            "answers": row["answers"],
            "chosen": row["chosen"],
            "preference": row["preference"],
            **_ends("wilson95", row["wilson95"]),
            **_ends("clustered95", row["clustered95"]),
            **{column: row.get(column) for column in ranked},
        }
        for name, other, row in rows
    ]


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, DIGITS)


def _interval(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_rounded(end) for end in interval]


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "answers": rate.answers,
        "chosen": rate.chosen,
        "preference": _rounded(rate.share),
        "wilson95": _interval(rate.wilson95),
        "clustered95": _interval(rate.clustered95),
    }


def _seconds(participant: Participant) -> float:
    return median(answer.seconds for answer in participant.answers)


def _participant(participant: Participant, *, mode: str) -> dict[str, Any]:
    left = (
        {} if mode == "rating" else {"left": _rounded(left_rate([participant]).share)}
    )
    return {
        "file": participant.file,
        "name": participant.name,
        "answers": len(participant.first_answers),
        "repeats": len(participant.repeated()),
        "consistency": _rounded(consistency_of(participant)),
        "median_seconds": _rounded(_seconds(participant)),
        **left,
    }


def _consistency(people: Sequence[Participant]) -> dict[str, Any]:
    repeated = [pair for one in people for pair in one.repeated()]
    alike = sum(a.for_first == b.for_first for a, b in repeated)
    share = alike / len(repeated) if repeated else None
    return {"repeats": len(repeated), "alike": alike, "share": _rounded(share)}


def _ties(people: Sequence[Participant], classes: int) -> NDArray[np.int64]:
    """Answers without preference, (K, K), by lower and higher class."""
    ties = np.zeros((classes, classes), np.int64)
    for one in people:
        for answer in one.first_answers:
            ties[tuple(sorted(answer.classes))] += answer.value == 0.5
    return ties


def _classes(
    names: Sequence[str], wins: NDArray[np.float64], fit: Strengths
) -> list[dict[str, Any]]:
    """The classes, the strongest first."""
    all_answers = wins.sum()
    reach = quantile(int((wins.sum(axis=(1, 2)) > 0).sum()))
    order = sorted(range(len(names)), key=lambda number: -fit.strength[number])
    rows = []
    for rank, number in enumerate(order, start=1):
        rate = class_rate(wins, number)
        strength, error = float(fit.strength[number]), fit.clustered_error[number]
        rows.append(
            {
                "class": names[number],
                "rank": rank,
                "strength": _rounded(strength),
                "error": _rounded(float(fit.error[number])),
                "clustered_error": _rounded(float(error)),
                "strength95": _interval(
                    (strength - reach * error, strength + reach * error)
                ),
                **_rate(rate),
                "chosen_of_all": _rounded(rate.chosen / all_answers),
            }
        )
    return rows


def _opinions(
    names: Sequence[str], people: Sequence[Participant]
) -> list[dict[str, Any]]:
    """The classes, the best first."""
    rows = []
    for number, name in enumerate(names):
        found = class_opinion(people, number)
        rows.append(
            {
                "class": name,
                "ratings": sum(found.counts),
                "mos": _rounded(found.mean),
                "ci95": _interval(found.ci95),
                "clustered95": _interval(found.clustered95),
                "counts": list(found.counts),
            }
        )
    return sorted(rows, key=lambda row: -(row["mos"] or 0))
