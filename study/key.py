"""`key.json`: which picture of a study is whose.

The researcher keeps it; no page reads it.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypedDict

from msgspec import Meta, Struct

from dped_build.photos.reading import is_plain_text
from dped_build.study.questions import comparisons
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import Program, converted, read_document
from dped_build.workspace.text import one_line

FORMAT: Final = "dped-build/study-key"
NAME = "key.json"
MAX_CLASSES = 50

Identity = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
PictureName = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
Name = Annotated[str, Meta(max_length=1000)]
Mode = Annotated[
    Literal["pairs", "rating"], "pairs: which of two; rating: 1 (bad) to 5."
]
Picture = TypedDict(
    "Picture",
    {"class": Annotated[str, "Whose."], "scene": Annotated[str, "Of what."]},
)


class StudyKey(Struct, frozen=True, dict=True):
    """`key.json`: what resolves the answers of one study."""

    format: Annotated[Literal["dped-build/study-key"], "What this is."]
    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Program
    study: Annotated[Identity, "Identity of the study."]
    title: Annotated[str, "Of the page."]
    mode: Mode
    ties: Annotated[bool, '"No preference" is an answer.']
    classes: Annotated[
        tuple[Name, ...],
        Meta(min_length=1, max_length=MAX_CLASSES),
        "What is compared.",
    ]
    scenes: Annotated[
        tuple[Name, ...], Meta(min_length=1, max_length=100_000), "Pictures by name."
    ]
    pictures: Annotated[
        dict[PictureName, Annotated[Picture, "One picture."]], "By name in the page."
    ]
    settings: Annotated[dict[str, Any], "As the study was made with."]

    def __post_init__(self) -> None:
        """Refuse names that no study of ours has."""
        for names in (self.classes, self.scenes):
            if not all(map(is_plain_text, names)) or len(set(names)) < len(names):
                raise ValueError("a name is no plain text or comes twice")
        known, scenes = set(self.classes), set(self.scenes)
        for name, shown in self.pictures.items():
            if shown["class"] not in known or shown["scene"] not in scenes:
                raise ValueError(f"picture {name} is of no class or scene")
        if len(set(self.places.values())) != len(self.pictures):
            raise ValueError("two pictures of one class and scene")

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Name of a picture in the page → places of its class and scene."""
        classes, scenes = (
            {name: place for place, name in enumerate(names)}
            for names in (self.classes, self.scenes)
        )
        return {
            name: (classes[shown["class"]], scenes[shown["scene"]])
            for name, shown in self.pictures.items()
        }

    @property
    def questions(self) -> int:
        """How many different questions there are."""
        return len(self.scenes) * len(comparisons(self.mode, len(self.classes)))


def read_key(path: Path) -> StudyKey:
    """The key of a study (DpedBuildError: the file is missing or not a key)."""
    try:
        return converted(read_document(path), StudyKey)
    except FileNotFoundError as error:
        raise DpedBuildError(
            f"{path}: no such file; name the study's {NAME} with --key"
        ) from error
    except (OSError, ValueError) as error:
        raise DpedBuildError(
            f"{path}: not a study's key ({one_line(error, 120)}); name "
            f"the {NAME} that stands beside the study's page with --key"
        ) from error
