"""`key.json`: which picture of a study is whose.

The researcher keeps it; no page reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from dped_build.photos.reading import is_plain_text
from dped_build.study.questions import comparisons
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import Program, converted, read_document
from dped_build.workspace.stage import created_with

FORMAT, VERSION = "dped-build/study-key", 1
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


class KeyDocument(TypedDict):
    """`key.json`."""

    format: Annotated[Literal["dped-build/study-key"], "What this is."]
    version: Annotated[Literal[1], "Rises when a meaning changes."]
    created_with: Program
    study: Annotated[Identity, "Identity of the study."]
    title: Annotated[str, "Of the page."]
    mode: Mode
    ties: Annotated[bool, '"No preference" is an answer.']
    classes: Annotated[
        list[Name], Meta(min_length=1, max_length=MAX_CLASSES), "What is compared."
    ]
    scenes: Annotated[
        list[Name], Meta(min_length=1, max_length=100_000), "Pictures by name."
    ]
    pictures: Annotated[
        dict[PictureName, Annotated[Picture, "One picture."]], "By name in the page."
    ]
    settings: Annotated[dict[str, Any], "As the study was made with."]


@dataclass(frozen=True)
class StudyKey:
    """What resolves the answers of one study."""

    study: str  # its identity: answers to another page are not read with this key
    title: str
    mode: str  # `pairs` or `rating`
    ties: bool  # whether "no preference" was an answer
    classes: tuple[str, ...]
    scenes: tuple[str, ...]
    pictures: dict[str, tuple[int, int]]  # name in the page → places of class and scene
    settings: dict[str, Any]  # as the study was made with

    @property
    def questions(self) -> int:
        """How many different questions there are."""
        return len(self.scenes) * len(comparisons(self.mode, len(self.classes)))

    def to_json(self) -> dict[str, Any]:
        """As the file holds it: pictures by class and scene name, in order."""
        shown = sorted(self.pictures.items(), key=lambda item: item[1][::-1])
        return {
            "format": FORMAT,
            "version": VERSION,
            "created_with": created_with(),
            "study": self.study,
            "title": self.title,
            "mode": self.mode,
            "ties": self.ties,
            "classes": list(self.classes),
            "scenes": list(self.scenes),
            "pictures": {
                name: {"class": self.classes[of], "scene": self.scenes[scene]}
                for name, (of, scene) in shown
            },
            "settings": self.settings,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "StudyKey":
        """The key of a document.

        Raises:
            ValueError: It is not as we write it.
        """
        stated = converted(document, KeyDocument)
        classes, scenes = _places(stated["classes"]), _places(stated["scenes"])
        pictures = {}
        for name, picture in stated["pictures"].items():
            if picture["class"] not in classes or picture["scene"] not in scenes:
                raise ValueError(f"picture {name} is of no class or scene")
            pictures[name] = classes[picture["class"]], scenes[picture["scene"]]
        if len(set(pictures.values())) != len(pictures):
            raise ValueError("two pictures of one class and scene")
        return cls(
            stated["study"],
            stated["title"],
            stated["mode"],
            stated["ties"],
            tuple(classes),
            tuple(scenes),
            pictures,
            stated["settings"],
        )


def _places(names: Sequence[str]) -> dict[str, int]:
    """Names → their places."""
    if not all(map(is_plain_text, names)) or len(set(names)) < len(names):
        raise ValueError("a name is no plain text or comes twice")
    return {name: number for number, name in enumerate(names)}


def read_key(path: Path) -> StudyKey:
    """The key of a study.

    Raises:
        DpedBuildError: The file is missing or not a key.
    """
    try:
        return StudyKey.from_json(read_document(path))
    except FileNotFoundError as error:
        raise DpedBuildError(
            f"{path}: no such file; name the study's {NAME} with --key"
        ) from error
    except (OSError, ValueError) as error:
        raise DpedBuildError(
            f"{path}: not a study's key ({' '.join(str(error).split())[:120]}); name "
            f"the {NAME} that stands beside the study's page with --key"
        ) from error
