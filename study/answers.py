"""The files that participants saved: read, checked against the key, each person once.

They come from strangers: what the page would not have written costs the file, which is
named with its reason; the others count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from dped_build.photos.reading import printable
from dped_build.study.key import Identity, Mode, StudyKey
from dped_build.workspace.errors import UsageError
from dped_build.workspace.json_files import Count, Number, converted, read_document
from dped_build.workspace.text import natural_key, one_line

FORMAT, VERSION = "dped-build/study-answers", 1
CHOICES: dict[str, float] = {"left": 1.0, "right": 0.0, "none": 0.5}
RATINGS = (1, 2, 3, 4, 5)
Participation = Annotated[  # nothing that a table would run
    str, Meta(pattern=r"^(?:[^\W_][\w .-]{0,39})?$")
]


class GivenAnswer(TypedDict):
    """One answer."""

    shown: Annotated[
        list[str],
        Meta(min_length=1, max_length=2),
        "Names of the pictures, left and right.",
    ]
    repeat: Annotated[bool, "Asked again."]
    answer: Annotated[
        Literal["left", "right", "none", 1, 2, 3, 4, 5],
        "left, right or none; or a rating.",
    ]
    seconds: Annotated[float, Meta(ge=0, le=1e7), "Until the answer."]


class AnswersDocument(TypedDict):
    """What one participant answered."""

    format: Annotated[Literal["dped-build/study-answers"], "What this is."]
    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Annotated[str, "Program that made the page."]
    study: Annotated[Identity, "Identity of the study."]
    mode: Mode
    session: Annotated[Identity, "Drawn by the page."]
    seed: Annotated[Count, "Of the order of the questions."]
    participant: Annotated[Participation, "As they called themselves, or empty."]
    complete: Annotated[bool, "All questions are answered."]
    window: Annotated[
        list[Number],
        Meta(min_length=3, max_length=3),
        "Width and height of the window, px, and pixels a px.",
    ]
    answers: Annotated[list[GivenAnswer], "In the order given."]


@dataclass(frozen=True)
class Answer:
    """What was said to one question."""

    scene: int  # its place in the key
    classes: tuple[int, ...]  # places in the key: left and right, or the one rated
    value: float  # preference for the left one, 1, 0.5 or 0; or the rating, 1 to 5
    seconds: float  # from the pictures' appearance to the answer
    repeat: bool  # whether the question was asked for the second time

    @property
    def question(self) -> tuple[int, ...]:
        """What was compared, whichever side it stood on."""
        return (self.scene, *sorted(self.classes))

    @property
    def for_first(self) -> float:
        """The value for the class of the lower place; a rating as it is."""
        return self.value if self.classes[0] == min(self.classes) else 1 - self.value


@dataclass(frozen=True)
class Participant:
    """One person's answers."""

    file: str  # the file's name
    name: str  # what they called themselves; empty: nothing
    session: str  # drawn by the page for each participant
    answers: tuple[Answer, ...]  # in the order in which they were given

    @property
    def first_answers(self) -> list[Answer]:
        """One per question: without those asked again."""
        return [answer for answer in self.answers if not answer.repeat]

    def repeated(self) -> list[tuple[Answer, Answer]]:
        """First and second answer of each question that was asked twice."""
        first = {answer.question: answer for answer in self.first_answers}
        return [
            (first[answer.question], answer)
            for answer in self.answers
            if answer.repeat and answer.question in first
        ]


@dataclass(frozen=True)
class Answers:
    """Who takes part, in the order of the files, and which files do not, and why."""

    participants: list[Participant]
    left_out: dict[str, str]


def answer_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the `.json` files of folders; UsageError without any."""
    if not paths:
        raise UsageError("--collect: name the answer files, as in --collect *.json")
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob("*.json"), key=lambda file: natural_key(file.name))
            files |= dict.fromkeys(found)
        elif path.exists():
            files[path] = None
        else:
            raise UsageError(f"{path}: no such file")
    if not files:
        raise UsageError("--collect: no .json file there")
    return list(files)


def read_answers(files: Sequence[Path], key: StudyKey) -> Answers:
    """Everybody's answers; of one participant's files the one that says most."""
    found: list[Participant] = []
    left_out: dict[str, str] = {}
    for path in files:
        name = _unused(printable(path.name), left_out, found)
        try:
            found.append(_participant(name, read_document(path), key))
        except OSError as error:
            left_out[name] = f"cannot be read ({error.strerror or error})"
        except ValueError as error:
            left_out[name] = f"refused: {one_line(printable(str(error)), 120)}"
    participants: list[Participant] = []
    for one in sorted(found, key=lambda one: -len(one.answers)):
        same = next((other for other in participants if _is_same(one, other)), None)
        if same is None:
            participants.append(one)
        else:
            left_out[one.file] = f"the same participant as {same.file}"
    participants.sort(key=found.index)
    return Answers(participants, left_out)


def _unused(name: str, left_out: Mapping[str, str], found: list[Participant]) -> str:
    """A name for the file that no other file has: folders are not told."""
    taken = {*left_out, *(one.file for one in found)}
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name} ({number})"
    return unused


def _is_same(one: Participant, other: Participant) -> bool:
    named = one.name != "" and one.name.casefold() == other.name.casefold()
    return named or one.session == other.session


def _participant(file: str, document: Mapping[str, Any], key: StudyKey) -> Participant:
    """One file's answers; ValueError where it is not as the page writes it."""
    if document.get("format") != FORMAT:
        raise ValueError("not an answer file")
    if document.get("version") != VERSION:
        raise ValueError("of another version; update dped-build to read it")
    stated = converted(document, AnswersDocument)
    if stated["study"] != key.study:
        raise ValueError("of another study")
    if len(stated["answers"]) > 2 * key.questions:
        raise ValueError("more answers than questions")
    answers = tuple(_answer(one, key) for one in stated["answers"])
    if all(answer.repeat for answer in answers):
        raise ValueError("no question is answered")
    asked = [(answer.question, answer.repeat) for answer in answers]
    if len(set(asked)) != len(asked):
        raise ValueError("a question is answered twice")
    return Participant(file, stated["participant"].strip(), stated["session"], answers)


def _answer(given: GivenAnswer, key: StudyKey) -> Answer:
    shown = given["shown"]
    if len(shown) != (1 if key.mode == "rating" else 2):
        raise ValueError("an answer shows something else")
    places = [key.places.get(name) for name in shown]
    known = [place for place in places if place is not None]
    if len(known) != len(shown):
        raise ValueError("a picture is not of this study")
    classes, scenes = zip(*known, strict=True)
    if len(set(scenes)) > 1 or len(set(classes)) < len(classes):
        raise ValueError("two pictures are no question of this study")
    return Answer(
        scenes[0],
        classes,
        _value(given["answer"], key),
        given["seconds"],
        given["repeat"],
    )


def _value(value: str | int, key: StudyKey) -> float:
    if key.mode == "rating" and isinstance(value, int):
        return float(value)
    if key.mode == "pairs" and isinstance(value, str) and (value != "none" or key.ties):
        return CHOICES[value]
    raise ValueError(f"{value!r} is no answer")
