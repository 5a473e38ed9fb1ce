"""Make a study: folders of pictures → `<out>/page/`, and `<out>/key.json` beside it."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from msgspec import to_builtins

from dped_build.exchange.out_folder import out_stage
from dped_build.photos.encoding import encode
from dped_build.photos.reading import read_photo
from dped_build.study.key import FORMAT, NAME, StudyKey
from dped_build.study.page import render_page
from dped_build.study.questions import (
    comparisons,
    couples_of_blocks,
    named,
    picture_name,
)
from dped_build.study.scenes import Scenes, Source, find_scenes
from dped_build.study.settings import StudySettings
from dped_build.workspace.errors import DpedBuildError, PhotoError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import created_with, rebuilt
from dped_build.workspace.text import natural_key

PAGE = "page"  # the folder that is handed out
ASPECTS_ALIKE = 1.02  # ratio up to which two pictures have the same shape


@dataclass(frozen=True)
class Study:
    """What was made."""

    page: Path  # the page to open
    key_file: Path  # the file that stays
    key: StudyKey  # what it holds
    questions: int  # per participant, without repeats
    repeats: int  # questions asked again
    left_out: dict[str, str]  # scenes that are not shown, and why
    shapes: tuple[str, ...]  # scenes whose pictures differ in shape


@dataclass
class Shown:
    """The scenes whose pictures are written: → names in the page, by class."""

    names: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)  # of all pictures


def make_study(
    sources: Sequence[Source],
    out: Path,
    *,
    settings: StudySettings | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Study:
    """Write a study's page with its pictures, and the key.

    Raises:
        UsageError: A folder is missing.
        DpedBuildError: No scene is in all classes, no picture can be read, `out` holds
            a study or other files, or the disk is full.
    """
    settings = settings or StudySettings()
    scenes = find_scenes(sources)
    classes = tuple(source.name for source in sources)
    secret = _secret(settings.seed)
    random = Random(secret)
    stage = out_stage(out.resolve(), FORMAT)
    with rebuilt(stage) as built:
        if stage.complete and not force:
            raise DpedBuildError(
                f"{out}: holds a study whose answers need its key; add --force to "
                "replace it, or choose another --out"
            )
        shown = _write_pictures(
            classes,
            scenes,
            built / PAGE,
            settings=settings,
            secret=secret,
            random=random,
            progress=progress,
        )
        asked = _questions(classes, shown, settings, random)
        # Answers about other pictures of the same names are not answers to these.
        told = json_bytes(asked) + shown.digest.digest()
        identity = hashlib.sha256(told).hexdigest()[:32]
        recorded = {**asdict(settings), "secret": secret.hex()}
        key = _key(identity, classes, shown, settings, recorded)
        page = render_page({"study": identity, **asked})
        (built / PAGE / "index.html").write_bytes(page)
        (built / NAME).write_bytes(json_bytes(to_builtins(key)))
    return Study(
        out / PAGE / "index.html",
        out / NAME,
        key,
        asked["questions"],
        asked["repeats"],
        {**scenes.left_out, **shown.refused},
        tuple(sorted(shown.shapes, key=natural_key)),
    )


def _secret(seed: int | None) -> bytes:
    """What names and order come from; with a seed, the same every time."""
    if seed is None:
        return secrets.token_bytes(16)
    return hashlib.sha256(f"dped-build study {seed}".encode()).digest()[:16]


def _suffix(settings: StudySettings) -> str:
    return ".png" if settings.quality is None else ".jpg"


def _write_pictures(
    classes: Sequence[str],
    scenes: Scenes,
    page: Path,
    *,
    settings: StudySettings,
    secret: bytes,
    random: Random,
    progress: Callable[[int, int], None],
) -> Shown:
    """Write as many scenes as wanted, in random order, one of them in memory."""
    order = list(scenes.files)
    random.shuffle(order)
    wanted = min(len(order), settings.scenes or len(order))
    shown, folder = Shown(), page / "pictures"
    folder.mkdir(parents=True)
    for scene in order:
        if len(shown.names) == wanted:
            break
        try:
            pictures = [
                read_photo(path, max_megapixels=settings.max_megapixels)
                for path in scenes.files[scene]
            ]
        except PhotoError as error:
            shown.refused[scene] = str(error)
            continue
        shown.names[scene] = [picture_name(secret, name, scene) for name in classes]
        written = dict(zip(shown.names[scene], pictures, strict=True))
        for name in sorted(written):  # no class comes first by the files' times
            data = encode(written[name], quality=settings.quality)
            shown.digest.update(data)
            (folder / f"{name}{_suffix(settings)}").write_bytes(data)
        aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
        if max(aspects) > ASPECTS_ALIKE * min(aspects):
            shown.shapes.append(scene)
        progress(len(shown.names), wanted)
    if not shown.names:
        raise DpedBuildError(
            f"no scene can be read ({next(iter(shown.refused.values()))})"
        )
    return shown


def _questions(
    classes: Sequence[str], shown: Shown, settings: StudySettings, random: Random
) -> dict[str, Any]:
    """What the page asks, as `render_page` takes it but for the study's identity."""
    couples = couples_of_blocks(
        settings.mode, classes=len(classes), scenes=len(shown.names), random=random
    )
    asked = len(shown.names) * len(comparisons(settings.mode, len(classes)))
    questions = min(asked, settings.questions or asked)
    return {
        "title": settings.heading,
        "mode": settings.mode,
        "ties": settings.ties,
        "questions": questions,
        "repeats": min(settings.repeats, questions // 2),
        "suffix": _suffix(settings),
        "couples": named(couples, list(shown.names.values())),
        "created_with": created_with(),
    }


def _key(
    identity: str,
    classes: tuple[str, ...],
    shown: Shown,
    settings: StudySettings,
    recorded: dict[str, Any],
) -> StudyKey:
    scenes = tuple(sorted(shown.names, key=natural_key))
    return StudyKey(
        FORMAT,
        1,
        created_with(),
        identity,
        settings.heading,
        settings.mode,
        settings.ties,
        classes,
        scenes,
        {
            name: {"class": classes[of], "scene": scene}
            for scene in scenes
            for of, name in enumerate(shown.names[scene])
        },
        recorded,
    )
