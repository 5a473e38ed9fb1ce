"""Recognise folders of ready-made patch pairs, and list what they hold.

`dped-folders`: SOURCE holds `training_data/{phone,dslr}/` or
`test_data/patches/{phone,dslr}/`, or both, and is split as it stands.
`paired-folders`: SOURCE holds two folders of images with equal names.
`exported-folders`: `exported_folders` recognises them.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dped_build.align.pairing.by_name import Pair, pair_by_name
from dped_build.exchange.import_blocks import (
    BLOCK,
    DPED_FOLDERS,
    PAIRED_FOLDERS,
    Block,
    Files,
    PatchFolders,
    Refusal,
    without_partner,
)
from dped_build.exchange.import_settings import OF_PAIRED_FOLDERS, ImportSettings
from dped_build.exchange.out_folder import with_name
from dped_build.photos.formats import SUFFIXES
from dped_build.photos.listing import list_photos
from dped_build.photos.reading import photo_size
from dped_build.workspace.errors import DpedBuildError, PhotoError, UsageError
from dped_build.workspace.text import natural_key

DPED_PARTS = {"training_data": "train", "test_data/patches": "test"}
LOOKED_AT = 64  # pairs, for the common size
SMALLEST, LARGEST = 16, 1024  # px; sides of a patch
# What the sharper side is called: at the start of a word of the folder's name.
DSLR_NAME = re.compile(
    r"(?<![a-z])(canon|nikon|dslr|targets?(?![a-z])|gt|ground.?truth|high|hr|hq)", re.I
)


def find_patch_folders(source: Path, settings: ImportSettings) -> PatchFolders:
    """Recognise `source` and list its pairs; no image is opened.

    Raises:
        DpedBuildError: It is neither kind, or holds no pair; the message says which
            folder or option to give instead.
        UsageError: An option does not fit the source.
    """
    splits = _dped_splits(source)
    kind = DPED_FOLDERS if splits else PAIRED_FOLDERS
    option = settings.changed(OF_PAIRED_FOLDERS)
    if splits and option:
        raise UsageError(f"{option}: {source} has DPED's layout, whose split is kept")
    if not splits:
        _refuse_neighbours_of_dped(source, settings)
        splits = {"": settings.split}
    first, *others = splits
    phone, dslr = _choose_cameras(source / first, settings.phone, settings.dslr)
    for place in others:  # must have the cameras of the first
        _choose_cameras(source / place, phone, dslr)
    blocks: list[Block] = []
    leftovers: list[Refusal] = []
    for place, split in splits.items():
        places = Path(place, phone).as_posix(), Path(place, dslr).as_posix()
        pairs = pair_by_name(*(list_photos(source / where) for where in places))
        blocks += _pseudo_photos(split, places, pairs)
        leftovers += [without_partner(places, pair) for pair in pairs if pair.reason]
    if not blocks:
        raise DpedBuildError(
            f"{source}: no image in {phone}/ has a partner of the same name in {dslr}/"
        )
    return PatchFolders(source, kind, (phone, dslr), blocks, leftovers)


def _pseudo_photos(
    split: str | None, places: tuple[str, str], pairs: Sequence[Pair]
) -> Iterator[Block]:
    whole = (pair for pair in pairs if pair.reason is None)
    files = [(pair.phone, pair.dslr) for pair in whole if pair.phone and pair.dslr]
    for number, start in enumerate(range(0, len(files), BLOCK)):
        name = f"{split or 'group'}-{number:05d}"
        yield Block(name, name, split, places, files[start : start + BLOCK])


def common_size(folders: PatchFolders) -> int:
    """The most frequent side of the patches, px, from the headers of some.

    Raises:
        DpedBuildError: No pair can be read, or patches are not square.
    """
    pairs = [files for block in folders.blocks for files in block.files]
    some = pairs[:: max(len(pairs) // LOOKED_AT, 1)]
    found = [_size_of(pair) for pair in some]
    if not any(found):
        found = [next(filter(None, map(_size_of, pairs)), None)]
    sizes = Counter(size for size in found if size)
    if not sizes:
        raise DpedBuildError(
            f"{folders.source}: none of {len(pairs)} pairs can be read as two JPEG, "
            "PNG or TIFF images of one size"
        )
    (width, height), _ = sizes.most_common(1)[0]
    if width != height or not SMALLEST <= width <= LARGEST:
        raise DpedBuildError(
            f"{folders.source}: its images are {width}x{height} px; patches are "
            f"square, {SMALLEST} to {LARGEST} px a side. For whole photos, use "
            "dped-build align"
        )
    return width


def _size_of(files: Files) -> tuple[int, int] | None:
    """Width and height of a pair of patches; None where they differ or are broken."""
    try:
        phone, dslr = map(photo_size, files)
    except PhotoError:
        return None
    return phone if phone == dslr else None


def _dped_splits(source: Path) -> dict[str, str | None]:
    """The parts of DPED's layout that are there, and the split of each."""
    return {
        place: split
        for place, split in DPED_PARTS.items()
        if (source / place).is_dir() and _image_folders(source / place)
    }


def _refuse_neighbours_of_dped(source: Path, settings: ImportSettings) -> None:
    """Point from what holds DPED's layout, or is a part of it, to what is meant."""
    cameras = [child for child in _folders(source) if _dped_splits(child)]
    if cameras:
        names = ", ".join(child.name for child in cameras)
        raise DpedBuildError(
            f"{source} holds DPED's folders of {names}: name one of them, such as "
            f"{cameras[0]}"
        )
    own = with_name(source).as_posix()
    for place, split in DPED_PARTS.items():
        for ending in (place, place.split("/")[0]):
            whole = Path(own.removesuffix(f"/{ending}"))
            if whole == Path(own) or settings.split or not _dped_splits(whole):
                continue
            raise DpedBuildError(
                f"{source} is a part of DPED's layout: name {whole}, whose split is "
                f"kept, or {whole / place} with --split {split}"
            )


def _choose_cameras(
    folder: Path, phone: str | None, dslr: str | None
) -> tuple[str, str]:
    """Which of the folders in `folder` holds the phone's patches, which the DSLR's."""
    names = _image_folders(folder)
    for option, name in (("--phone", phone), ("--dslr", dslr)):
        if name is not None and name not in names:
            raise UsageError(
                f"{folder} holds images in {_listed(names)}, not in {name}/ ({option})"
            )
    if phone is None and dslr is None and len(names) == 2:
        sharper = [name for name in names if DSLR_NAME.search(name)]
        dslr = sharper[0] if len(sharper) == 1 else None
    others = [name for name in names if name not in (phone, dslr)]
    if len(others) == 1 and (phone or dslr):
        phone, dslr = phone or others[0], dslr or others[0]
    if phone is not None and dslr is not None:
        return phone, dslr
    if len(names) < 2:
        if next(folder.glob("*-[0-9]*.h5"), None):
            raise DpedBuildError(
                f"{folder} already holds shards: dped-build train {folder} reads them"
            )
        raise DpedBuildError(
            f"{folder}: does not hold two folders of JPEG, PNG or TIFF patches; name "
            "the folder that holds training_data/ or test_data/patches/, or one that "
            "holds a folder of each camera"
        )
    raise DpedBuildError(
        f"{folder} holds images in {_listed(names)}: say which is which with "
        "--phone NAME --dslr NAME"
    )


def _image_folders(folder: Path) -> list[str]:
    """Names of the folders in `folder` that hold an image."""
    return [path.name for path in _folders(folder) if any(_images(path))]


def _images(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if Path(entry.name).suffix.lower() in SUFFIXES:
                yield entry.name


def _folders(folder: Path) -> list[Path]:
    """The folders in `folder`, hidden ones aside, in natural order."""
    found = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted(found, key=lambda path: natural_key(path.name))


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name}/" for name in names) or "no folder"
