"""Write the pictures of pairs: a thumbnail of both sides, and each side.

Pictures are named by what they are made of, never after a photo: a photo's name may
hold anything.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from dped_build.report.drawing import halves, jpeg, shrink, side_by_side
from dped_build.report.exposure import ToneDifference, tone_difference
from dped_build.report.pair_files import (
    PairFiles,
    Photo,
    decoded,
    files_of_pair,
    read_reduced,
)
from dped_build.report.settings import ReportSettings
from dped_build.report.workspace_reader import Inputs
from dped_build.workspace.json_files import fingerprint
from dped_build.workspace.stage import link_file, sha256

MAX_JOBS = 8
DRAWING = 1  # raised when the same files would give other pictures
PARTS = ("thumb", "phone", "dslr")
START_OF_JPEG, END_OF_JPEG = b"\xff\xd8", b"\xff\xd9"
UNKNOWN = ToneDifference()


@dataclass(frozen=True)
class PairPicture:
    """The pictures of a pair, and what they show; None where there are none."""

    path: str | None = None  # what the file names begin with, within the report
    size: tuple[int, int] | None = None  # of the phone's, (width, height)
    on_one_grid: bool | None = None  # whether the two lie on each other
    tone: ToneDifference = UNKNOWN  # how the two differ


@dataclass(frozen=True)
class Places:
    """Where pictures of pairs are found and put."""

    built: Path  # the folder of the report in the making
    scratch: Path  # pictures of an interrupted run, kept until the report is published
    earlier: Path  # the pictures of the report that this one replaces
    known: Mapping[str, str]  # SHA-256 of that report's files


def write_pair_pictures(
    inputs: Inputs,
    places: Places,
    settings: ReportSettings,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PairPicture]:
    """Three pictures for each record that has crops, or photos that can be read.

    What an earlier report or an interrupted run made of the same files is taken over.
    """
    for folder in (places.built / "pairs", places.scratch):
        folder.mkdir(parents=True, exist_ok=True)

    pictures: dict[str, PairPicture] = {}
    with ThreadPoolExecutor(jobs or min(MAX_JOBS, os.cpu_count() or 1)) as pool:
        files = list(pool.map(partial(files_of_pair, inputs), inputs.pairs))
        keys = [None if found is None else _key(found, settings) for found in files]
        # Pairs with equal crops have the same pictures: each is drawn once.
        distinct = {k: f for k, f in zip(keys, files, strict=True) if k and f}
        drawn = (
            pool.map(
                partial(_write_pair, places, settings),
                *zip(*distinct.items(), strict=True),
            )
            if distinct
            else ()
        )
        for key, row in zip(distinct, drawn, strict=True):
            pictures[key] = row
            progress(len(pictures), len(distinct))
    return [PairPicture() if key is None else pictures[key] for key in keys]


def _write_pair(
    places: Places, settings: ReportSettings, key: str, files: PairFiles
) -> PairPicture:
    names = {part: f"{key}-{part}.jpg" for part in PARTS}
    if not _taken_over(list(names.values()), places):
        drawn = _draw(files, settings)
        if drawn is None:
            return PairPicture()
        for part, name in names.items():
            made = places.scratch / f"{name}.tmp"
            made.write_bytes(drawn[part])
            made.replace(places.scratch / name)
            _put(places.scratch / name, places)
    with Image.open(places.built / "pairs" / names["phone"]) as phone:
        size = phone.size
    thumb = decoded((places.built / "pairs" / names["thumb"]).read_bytes())
    if thumb is None:
        return PairPicture()
    aligned = files.on_one_grid
    tone = tone_difference(*halves(thumb)) if aligned else UNKNOWN
    return PairPicture(f"pairs/{key}", size, aligned, tone)


def _draw(files: PairFiles, settings: ReportSettings) -> dict[str, bytes] | None:
    """The encoded pictures, by part; None where a file cannot be read."""
    photos: list[Photo] = []
    for path, side, content in zip(
        files.paths, files.sides, files.content, strict=True
    ):
        photo = read_reduced(path, side, settings.picture_px, content=content)
        if photo is None:
            return None
        photos.append(photo)
    thumb = side_by_side(*(shrink(photo, settings.thumb_px) for photo in photos))
    pictures = dict(zip(PARTS, (thumb, *photos), strict=True))
    return {part: jpeg(picture) for part, picture in pictures.items()}


def _key(files: PairFiles, settings: ReportSettings) -> str:
    """Names everything that a pair's pictures are made of."""
    made_of = [DRAWING, settings.thumb_px, settings.picture_px, *files.content]
    return fingerprint(made_of)[:20]


def _taken_over(names: Sequence[str], places: Places) -> bool:
    """Whether all three pictures were there, whole, and are in the new report now."""
    for folder in (places.scratch, places.earlier):
        paths = [folder / name for name in names]
        if all(_is_whole(path, places) for path in paths):
            for path in paths:
                _put(path, places)
            return True
    return False


def _put(path: Path, places: Places) -> None:
    """Give a finished picture its name in the new report."""
    link_file(path, places.built / "pairs" / path.name)


def _is_whole(path: Path, places: Places) -> bool:
    if not path.is_file():
        return False
    if path.parent == places.scratch:  # not synced: a power cut may have emptied it
        content = path.read_bytes()
        return content.startswith(START_OF_JPEG) and content.endswith(END_OF_JPEG)
    return places.known.get(f"pairs/{path.name}") == sha256(path)
