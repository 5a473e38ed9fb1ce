"""What an import reads, block by block, and what is recorded of its source.

A block is the patches of one photo, where metadata names it; else those of a
pseudo-photo: neighbours in the order of their names.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dped_build.align.pairing.by_name import Pair
from dped_build.exchange.import_settings import ImportSettings
from dped_build.patches.manifest import IMPORTED, LISTING

DPED_FOLDERS, PAIRED_FOLDERS = "dped-folders", "paired-folders"
EXPORTED_FOLDERS = "exported-folders"
BLOCK = 50  # patches in a pseudo-photo: the batch of DPED's tables
VERSION = 1  # rises when the same files would give other patches
PIECE_VERSION = 3  # rises when pieces hold other arrays
UNKNOWN_PHOTOS = f"unknown: {BLOCK} neighbours in the order of names count as one"
UNKNOWN_GEOMETRY = "unknown: identity, place (0, 0), refinement NaN"

Files = tuple[Path, Path]  # the phone's and the DSLR's patch of a pair


@dataclass(frozen=True)
class Block:
    """The files of one photo or pseudo-photo."""

    name: str  # of the photo or pseudo-photo
    group: str  # the scene that it shows
    split: str | None  # where it belongs; None where that is to be drawn
    places: tuple[str, str]  # both cameras' folders in the source, for messages
    files: Sequence[Files]  # of each pair
    # Of each pair, a row of `exported_folders.ROW`, as an array would take four times
    # the memory; empty where unknown.
    geometry: Sequence[bytes] = ()
    masks: Sequence[Path] = ()  # of each pair; empty where there are none


@dataclass(frozen=True)
class Refusal:
    """A file or pair that gave no patch, as the manifest lists it."""

    pair: str  # the phone's or the only file, relative to the source, without suffix
    reason: str
    message: str


@dataclass(frozen=True)
class PatchFolders:
    """A source of patch pairs: what it is, and every file in it."""

    source: Path
    kind: str  # DPED_FOLDERS, PAIRED_FOLDERS or EXPORTED_FOLDERS
    cameras: tuple[str, str]
    blocks: Sequence[Block]
    leftovers: Sequence[Refusal]  # files without a partner


@dataclass(frozen=True)
class BlockTask:
    """A block to read; paths in, a piece on the disk out."""

    block: Block  # what to read
    size: int  # side of a patch, px
    compress: str  # as PatchSettings
    key: str  # SHA-256 of the files' names and sizes
    out: Path  # its piece; its name holds the files' times


def block_task(block: Block, size: int, compress: str, scratch: Path) -> BlockTask:
    """Look at every file of a block, and say where in `scratch` its piece goes."""
    paths = [*(path for files in block.files for path in files), *block.masks]
    found = [_size_and_time(path) for path in paths]
    names = [path.name for path in paths]
    rows = [[block.group, row.hex()] for row in block.geometry]
    lengths = [length for length, _ in found]
    stated = [VERSION, size, block.places, names, lengths, *([rows] if rows else [])]
    key = _digest(stated)
    name = _digest([key, [time for _, time in found], compress, PIECE_VERSION])[:32]
    return BlockTask(block, size, compress, key, scratch / f"{name}.h5")


def refusal(block: Block, files: Files, reason: str, message: str) -> Refusal:
    """A pair of a block that gave no patch."""
    return Refusal(f"{block.places[0]}/{files[0].stem}", reason, message)


def without_partner(places: tuple[str, str], pair: Pair) -> Refusal:
    """A file without a partner in the two `places`."""
    place = places[0] if pair.phone else places[1]
    return Refusal(f"{place}/{pair.name}", f"{pair.reason}", f"{place}/{pair.message}")


def recorded_settings(
    folders: PatchFolders, tasks: Sequence[BlockTask], settings: ImportSettings
) -> dict[str, Any]:
    """What was imported and what is assumed of it, as the manifest records it."""
    listed = [[task.block.name, task.key] for task in tasks]
    pairs: Counter[str] = Counter()
    suffixes: Counter[str] = Counter()
    for block in folders.blocks:
        pairs[block.split or "all"] += len(block.files)
        suffixes.update(p.suffix.lower() for files in block.files for p in files)
    as_given = folders.kind != PAIRED_FOLDERS
    exported = folders.kind == EXPORTED_FOLDERS
    return {
        IMPORTED: folders.kind,
        "pairs": dict(pairs),
        "files": dict(sorted(suffixes.items())),
        LISTING: _digest([listed, [line.pair for line in folders.leftovers]]),
        "size": tasks[0].size,
        "pixels": "RGB uint8 as decoded, not resampled, colour values as stored",
        "photos": "as exported" if exported else UNKNOWN_PHOTOS,
        "geometry": "as exported" if exported else UNKNOWN_GEOMETRY,
        "acceptance": "as in the source",
        "split": "as in the source" if as_given else settings.stated_split(),
        "compress": settings.compress,
        "shard_patches": settings.shard_patches,
    }


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere; reading it will say so
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
