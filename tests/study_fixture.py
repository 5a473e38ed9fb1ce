"""Small studies for the tests: pictures on disk, and participants that are made up."""

import json
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from dped_build.study import StudySettings, make_study
from dped_build.study.key import read_key
from dped_build.study.scenes import parse_sources

CLASSES = ("zebra", "yak", "xerus")  # words that no page contains by chance
SIZE = (96, 64)


def write_classes(folder: Path, scenes: int, *, classes=CLASSES, size=SIZE):
    """A folder of pictures per class; returns what the command line takes."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for scene in range(scenes):
            rng = np.random.default_rng([number, scene])
            picture = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
            picture[:, : size[0] // 2] = 60 * number + 40
            Image.fromarray(picture).save(folder / name / f"wombat{scene + 1}.png")
    return [f"{name}={folder / name}" for name in classes]


def make(folder: Path, scenes: int, *, classes=CLASSES, size=SIZE, **settings):
    """A study in folder/study of pictures in folder/raw."""
    texts = write_classes(folder / "raw", scenes, classes=classes, size=size)
    sources = parse_sources(texts, at_least=1)
    return make_study(sources, folder / "study", settings=StudySettings(**settings))


def answers_document(key_file: Path, answers, *, session=None, participant="", **other):
    """What the page saves; `answers` as its list."""
    key = read_key(key_file)
    return {
        "format": "dped-build/study-answers",
        "version": 1,
        "created_with": "dped-build",
        "study": key.study,
        "mode": key.mode,
        "session": session or uuid.uuid4().hex,
        "seed": 1,
        "participant": participant,
        "complete": True,
        "window": [1280, 800, 1],
        "answers": list(answers),
        **other,
    }


def names_of(key_file: Path):
    """(class name, scene name) → the picture's name in the page."""
    pictures = json.loads(key_file.read_text())["pictures"]
    return {(shown["class"], shown["scene"]): name for name, shown in pictures.items()}


def comparison(names, scene, left, right, answer, *, repeat=False, seconds=2.0):
    """One answer as the page saves it."""
    shown = [names[left, scene], names[right, scene]]
    return {"shown": shown, "repeat": repeat, "answer": answer, "seconds": seconds}


def save(folder: Path, name: str, document) -> Path:
    """Write a participant's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(document))
    return path
