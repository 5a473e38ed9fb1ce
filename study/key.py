"""`key.json`: which picture of a study is whose.

The researcher keeps it; no page reads it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dped_build.photos.reading import is_plain_text
from dped_build.study.plan import comparisons
from dped_build.study.settings import MODES
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import read_document
from dped_build.workspace.stage import created_with

FORMAT, VERSION = "dped-build/study-key", 1
NAME = "key.json"
PICTURE = re.compile("[0-9a-f]{16}")
STUDY = re.compile("[0-9a-f]{32}")
MAX_CLASSES, MAX_SCENES = 50, 100_000
MAX_NAME = 1000  # characters


@dataclass(frozen=True)
class StudyKey:
    """What resolves the answers of one study.

    Attributes:
        study: Its identity: answers to another page are not read with this key.
        title: The page's.
        mode: `pairs` or `rating`.
        ties: Whether "no preference" was an answer.
        classes: Names of the classes.
        scenes: Names of the scenes.
        pictures: Name in the page → (class, scene), as places in the two lists.
        settings: As the study was made with.
    """

    study: str
    title: str
    mode: str
    ties: bool
    classes: tuple[str, ...]
    scenes: tuple[str, ...]
    pictures: dict[str, tuple[int, int]]
    settings: dict[str, Any]

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
            KeyError, TypeError or ValueError: It is not as we write it.
        """
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise ValueError(f"not a {FORMAT} of version {VERSION}")
        classes, scenes = (
            _names(document["classes"], MAX_CLASSES),
            _names(document["scenes"], MAX_SCENES),
        )
        pictures = {}
        for name, picture in document["pictures"].items():
            if not PICTURE.fullmatch(name):
                raise ValueError(f"a picture called {name!r:.40}")
            pictures[name] = (classes[picture["class"]], scenes[picture["scene"]])
        if len(set(pictures.values())) != len(pictures):
            raise ValueError("two pictures of one class and scene")
        study, mode, ties = (document[name] for name in ("study", "mode", "ties"))
        title, settings = str(document["title"]), document["settings"]
        if not STUDY.fullmatch(study) or mode not in MODES or type(ties) is not bool:
            raise ValueError("study, mode or ties is not as we write it")
        if not isinstance(settings, dict):
            raise ValueError("settings is no object")
        return cls(
            study, title, mode, ties, tuple(classes), tuple(scenes), pictures, settings
        )


def _names(value: object, limit: int) -> dict[str, int]:
    """Names of a list → their places."""
    if not isinstance(value, list) or not 0 < len(value) <= limit:
        raise ValueError("no list of names")
    if not all(isinstance(v, str) and is_plain_text(v[:MAX_NAME]) for v in value):
        raise ValueError("a name is no plain text")
    places = {name: number for number, name in enumerate(value)}
    if len(places) != len(value) or max(map(len, places)) > MAX_NAME:
        raise ValueError("a name comes twice or is too long")
    return places


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
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DpedBuildError(
            f"{path}: not a study's key ({' '.join(str(error).split())[:120]}); name "
            f"the {NAME} that stands beside the study's page with --key"
        ) from error
