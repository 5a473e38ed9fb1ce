"""Folders of pictures → scenes that all show; a picture → a file that says nothing.

Every file of a study is decoded and written anew, all in one format: neither metadata
nor the kind of file tells where a picture comes from.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dped_build.photos.listing import list_photos
from dped_build.photos.names import ENHANCED
from dped_build.photos.reading import is_plain_text, printable
from dped_build.study.key import MAX_CLASSES
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.text import natural_key

MAX_CLASS_NAME = 60  # characters


@dataclass(frozen=True)
class Source:
    """A class of pictures: what the results call it, and the folder that holds it."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Scenes:
    """Scenes that every class shows, and why others are left out, in natural order."""

    files: dict[str, tuple[Path, ...]]  # scene → its picture in each class
    left_out: dict[str, str]


def parse_sources(texts: Sequence[str], *, at_least: int) -> list[Source]:
    """Classes from `NAME=FOLDER`.

    Raises:
        UsageError: One is not of this form, a name comes twice, or there are too few.
    """
    sources: list[Source] = []
    for text in texts:
        name, equals, folder = text.partition("=")
        name = name.strip()
        if not equals or not folder or not is_plain_text(name):
            raise UsageError(f"{printable(text)}: write NAME=FOLDER, as in phone=raw/a")
        if len(name) > MAX_CLASS_NAME:
            raise UsageError(f"{name}: use at most {MAX_CLASS_NAME} characters")
        if name.casefold() in (source.name.casefold() for source in sources):
            raise UsageError(f"{name}: named twice; give every class its own name")
        sources.append(Source(name, Path(folder)))
    if not at_least <= len(sources) <= MAX_CLASSES:
        raise UsageError(
            f"a study compares {at_least} to {MAX_CLASSES} classes; name each as "
            "NAME=FOLDER"
        )
    return sources


def scene_of(path: Path) -> str:
    """The scene that a file shows: its stem, without what `enhance` appends."""
    return path.stem.removesuffix(ENHANCED) or path.stem


def find_scenes(sources: Sequence[Source]) -> Scenes:
    """The scenes of which every class has exactly one picture.

    Raises:
        UsageError: A folder is missing.
        DpedBuildError: It cannot be listed, or no scene is in all classes.
    """
    found: dict[str, list[list[Path]]] = defaultdict(lambda: [[] for _ in sources])
    for number, source in enumerate(sources):
        for path in list_photos(source.folder):
            found[scene_of(path)][number].append(path)
    files, left_out = {}, {}
    for scene in sorted(found, key=natural_key):
        missing = [
            s.name for s, paths in zip(sources, found[scene], strict=True) if not paths
        ]
        several = [
            path.name for paths in found[scene] if len(paths) > 1 for path in paths
        ]
        if not is_plain_text(scene):
            left_out[printable(scene)] = "the file name is not plain UTF-8 text"
        elif missing:
            left_out[scene] = f"missing in {', '.join(missing)}"
        elif several:
            left_out[scene] = f"more than one picture: {', '.join(several)}"
        else:
            files[scene] = tuple(paths[0] for paths in found[scene])
    if not files:
        told = "; ".join(f"{s}: {why}" for s, why in list(left_out.items())[:3])
        raise DpedBuildError(
            "no picture name is in all folders; give a scene's pictures the same name"
            + (f" ({told})" if told else "")
        )
    return Scenes(files, left_out)
