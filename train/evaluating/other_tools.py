"""Outputs of another tool, read from a folder and cut to the patches of a split.

The folder holds whole photos of the phone photos' upright size, named after their pairs
(`0001.jpg`, `0001-enhanced.png`), or, where its images are of the patches' size, one
image a patch in natural order. For several `patches` folders it holds one folder each,
`1`, `2` and so on, in their order.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligned_folder import NAME as ALIGNED
from dped_build.align.aligned_folder import read_records
from dped_build.patches.dataset import PatchDataset
from dped_build.photos.listing import list_photos
from dped_build.photos.names import ENHANCED
from dped_build.photos.reading import photo_size, read_photo
from dped_build.workspace.errors import DpedBuildError, PhotoError, UsageError

OURS = ("phone", "enhanced")  # columns that stand beside the tools'
SHOWN_NAMES = 20  # of missing photos, in one line

Size = tuple[int, int]  # width and height, pixels
Tell = Callable[[str], object]  # takes a line about files that cannot be used


@dataclass(frozen=True)
class Place:
    """Where a patch is to be found."""

    file: Path
    x: int  # top-left pixel in the image
    y: int
    size: Size | None  # of the image; None where unknown
    shows: str  # what is of that size


@dataclass(frozen=True)
class Outputs:
    """The outputs of one tool: row of the dataset → place, without those missing."""

    name: str
    places: Mapping[int, Place]
    patch_size: int  # pixels


def parse_comparisons(texts: Iterable[str]) -> dict[str, Path]:
    """`NAME=DIR`, as the command line has it, to name → folder.

    Raises:
        UsageError: Not of this form, or a name that comes twice.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, _, folder = (part.strip() for part in text.partition("="))
        if not (name and folder):
            raise UsageError(f"--compare {text}: give NAME=DIR, as in apple=outputs/")
        if name in (*folders, *OURS):
            raise UsageError(f"--compare {text}: there is a column {name} already")
        folders[name] = Path(folder)
    return folders


def find_outputs(
    name: str, folder: Path, patches: PatchDataset, roots: Sequence[Path], *, tell: Tell
) -> Outputs:
    """Find the images of a tool's folder that show the patches.

    Args:
        name: The tool's.
        folder: Where its outputs lie.
        patches: The patches that they are held against.
        roots: The `patches` folders that were read, in their order.
        tell: Told which photos are missing.

    Raises:
        UsageError: No such folder.
        DpedBuildError: Nothing in it shows a photo, or not every patch has an image.
    """
    side = patches.patch_size
    labels = np.array([str(photo).rpartition("/")[0] for photo in patches.photos])
    places: dict[int, Place] = {}
    for label in dict.fromkeys(labels.tolist()):  # a folder without the split has none
        root = roots[int(label) - 1 if label else 0]
        rows = np.flatnonzero(labels == label).tolist()
        images = list_photos(folder / label)
        if _are_patches(images, side):
            _require_one_each(folder / label, len(images), len(rows), patches.split)
            for row, image in zip(rows, images, strict=True):
                places[row] = Place(image, 0, 0, (side, side), "its patch")
            continue
        pairs = [str(patches.photos[row]).rpartition("/")[2] for row in rows]
        by_pair = _images_of_pairs(images, dict.fromkeys(pairs))
        if not by_pair:
            raise _unlike(folder / label, images, pairs, side)
        _tell_missing(name, folder / label, by_pair, pairs, tell=tell)
        sizes = _phone_sizes(root.absolute().parent)
        for row, pair in zip(rows, pairs, strict=True):
            if pair in by_pair:
                x, y = patches.window_xy[row].tolist()
                size = sizes.get(pair)
                places[row] = Place(by_pair[pair], x, y, size, "the phone photo")
    return Outputs(name, places, side)


def read_outputs(
    outputs: Outputs, rows: Iterable[int], *, tell: Tell
) -> dict[int, NDArray[np.uint8]]:
    """Row → its patch, uint8 (S, S, 3) RGB, without those that cannot be used.

    Args:
        outputs: Where they lie.
        rows: The rows wanted; all of a photo together, as an image is decoded once.
        tell: Told what is wrong with a file.
    """
    of_files: dict[Path, list[int]] = defaultdict(list)
    for row in rows:
        if row in outputs.places:
            of_files[outputs.places[row].file].append(row)
    read, side = {}, outputs.patch_size
    for file, shown in of_files.items():
        places = [outputs.places[row] for row in shown]
        try:
            image = read_photo(file)
        except PhotoError as error:
            tell(f"{outputs.name}: {error}")
            continue
        wrong = _misfit((image.shape[1], image.shape[0]), places, side)
        if wrong:
            tell(f"{outputs.name}: {file.name} is {wrong}")
            continue
        for row, place in zip(shown, places, strict=True):
            read[row] = image[place.y : place.y + side, place.x : place.x + side].copy()
    return read


def _are_patches(images: Sequence[Path], side: int) -> bool:
    """Whether most images are of the patches' size, by their headers."""
    found = 0
    for image in images:
        try:
            found += photo_size(image) == (side, side)
        except PhotoError:  # told when it is read
            continue
    return 2 * found > len(images)


def _require_one_each(folder: Path, images: int, rows: int, split: str) -> None:
    if images != rows:
        raise DpedBuildError(
            f"{folder} holds {images} patches, the {split} split {rows}: give one for "
            "each, in natural order, or whole photos named like the pairs"
        )


def _images_of_pairs(images: Sequence[Path], pairs: Iterable[str]) -> dict[str, Path]:
    """Pair → its image; the enhanced one where the photo itself lies beside it.

    Raises:
        DpedBuildError: Two images of one name.
    """
    by_stem: dict[str, Path] = {}
    for image in images:
        other = by_stem.setdefault(image.stem, image)
        if other != image:
            raise DpedBuildError(
                f"{image.parent}: {other.name} and {image.name} have the same name; "
                "move one of them away"
            )
    found = {pair: by_stem.get(pair + ENHANCED, by_stem.get(pair)) for pair in pairs}
    return {pair: image for pair, image in found.items() if image is not None}


def _tell_missing(
    name: str,
    folder: Path,
    by_pair: Mapping[str, Path],
    pairs: Sequence[str],
    *,
    tell: Tell,
) -> None:
    wanted = list(dict.fromkeys(pairs))
    missing = [pair for pair in wanted if pair not in by_pair]
    if missing:
        tell(
            f"{name}: {len(missing)} of {len(wanted)} photos are missing in {folder}: "
            f"{_some(missing)}"
        )


def _unlike(
    folder: Path, images: Sequence[Path], pairs: Sequence[str], side: int
) -> DpedBuildError:
    """Neither whole photos nor patches: which names and sizes were looked for."""
    size = ""
    for first in images[:1]:
        with suppress(PhotoError):
            size = "; {} is {}x{} px".format(first.name, *photo_size(first))
    wanted = _some(list(dict.fromkeys(pairs)))
    return DpedBuildError(
        f"{folder}: no image is named like a photo of the split ({wanted}), nor are "
        f"the images patches of {side} px{size}"
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_NAMES
    told = ", ".join(names[:SHOWN_NAMES])
    return f"{told} and {more} more" if more > 0 else told


def _phone_sizes(workspace: Path) -> dict[str, Size]:
    """Pair → upright size of its phone photo; empty without an alignment."""
    path = workspace / ALIGNED / "alignment.jsonl"
    if not path.is_file():
        return {}
    records = read_records(path)
    return {record.pair: record.phone_size for record in records if record.phone_size}


def _misfit(size: Size, places: Sequence[Place], side: int) -> str:
    """What is wrong with an image of this size for these patches; empty if nothing."""
    measured = "{}x{} px".format(*size)
    expected, shows = places[0].size, places[0].shows
    if expected is not None and size != expected:
        return f"{measured}, {shows} {expected[0]}x{expected[1]} px: give it that size"
    beyond = [p for p in places if p.x + side > size[0] or p.y + side > size[1]]
    if beyond:
        first = beyond[0]
        return (
            f"{measured}, too small for the window of {side} px at ({first.x}, "
            f"{first.y}): give outputs of the phone photo's upright size"
        )
    return ""
