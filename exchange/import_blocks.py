"""Listed patch pairs → blocks, and what is recorded of a source.

A block is a pseudo-photo: neighbours in the order of their names, which may once have
been cut from one photo; or the very photo, where metadata names it. Its piece is like
that of a pair (`pieces`), all rows accepted; pairs that cannot be used stand in a JSON
file beside it.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from dped_build.align.pairing.by_name import Pair
from dped_build.exchange.import_settings import ImportSettings
from dped_build.exchange.paired_folders import (
    EXPORTED_FOLDERS,
    PAIRED_FOLDERS,
    Part,
    PatchFolders,
)
from dped_build.patches.manifest import IMPORTED, LISTING
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.text import natural_key

BLOCK = 50  # patches in a pseudo-photo: the batch of DPED's tables
VERSION = 1  # rises when the same files would give other pieces
UNKNOWN_PHOTOS = f"unknown: {BLOCK} neighbours in the order of names count as one"
UNKNOWN_GEOMETRY = "unknown: identity, place (0, 0), refinement NaN"


@dataclass(frozen=True)
class Block:
    """The files of one photo or pseudo-photo.

    Attributes:
        name: Of the photo or pseudo-photo.
        group: The scene that it shows.
        split: Where it belongs; None where that is to be drawn.
        files: The phone's and the DSLR's patch of each pair.
        places: Their folders relative to the source, for messages.
        size: Side of a patch, px.
        key: SHA-256 of the files' names and sizes.
        piece_name: File name of its piece, from their times too: a piece that exists is
            of these very files.
        geometry: Of each pair, a row of `import_exported.ROW`; empty where unknown.
    """

    name: str
    group: str
    split: str | None
    files: Sequence[tuple[Path, Path]]
    places: tuple[str, str]
    size: int
    key: str
    piece_name: str
    geometry: Sequence[bytes] = ()


@dataclass(frozen=True)
class BlockTask:
    """A block to read; paths in, a piece on the disk out."""

    block: Block
    out: Path


@dataclass(frozen=True)
class Refusal:
    """A file or pair that gave no patch, as the manifest lists it."""

    pair: str  # the phone's or the only file, relative to the source, without suffix
    reason: str
    message: str


def list_blocks(folders: PatchFolders, size: int) -> list[Block]:
    """All pairs in blocks of one photo or of neighbours; one look at every file.

    Args:
        folders: The source.
        size: Side of its patches, px.

    Returns:
        The blocks in natural order of their names, part by part; known photos in that
        of all their names.
    """
    found = [
        _block(name, folders, part, pairs, size)
        for part in folders.parts
        for name, pairs in _members(folders, part)
    ]
    if folders.origins:
        found.sort(key=lambda block: natural_key(block.name))
    return found


def _members(folders: PatchFolders, part: Part) -> Iterator[tuple[str, list[Pair]]]:
    """Name and pairs of every block of a part."""
    if folders.origins:
        photos = defaultdict(list)
        for pair in part.pairs:
            if pair.phone:
                photos[folders.origins[pair.phone].pair].append(pair)
        yield from photos.items()
        return
    for number, start in enumerate(range(0, len(part.pairs), BLOCK)):
        name = f"{part.split or 'group'}-{number:05d}"
        yield name, part.pairs[start : start + BLOCK]


def _block(
    name: str, folders: PatchFolders, part: Part, pairs: Sequence[Pair], size: int
) -> Block:
    files = [(pair.phone, pair.dslr) for pair in pairs if pair.phone and pair.dslr]
    names = [path.name for pair in files for path in pair]
    found = [_size_and_time(path) for pair in files for path in pair]
    places = folders.places(part)
    origins = [folders.origins[phone] for phone, _ in files if folders.origins]
    stated = [[[o.group, o.geometry.hex()] for o in origins]] if origins else []
    lengths = [length for length, _ in found]
    key = _digest([VERSION, size, places, names, lengths, *stated])
    piece = _digest([key, [time for _, time in found]])[:32]
    return Block(
        name,
        origins[0].group if origins else name,
        part.split,
        files,
        places,
        size,
        key,
        f"{piece}.npz",
        [origin.geometry for origin in origins],
    )


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere; reading it will say so
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def refusal(
    block: Block, files: tuple[Path, Path], reason: str, message: str
) -> Refusal:
    """A pair of a block that gave no patch."""
    return Refusal(f"{block.places[0]}/{files[0].stem}", reason, message)


def read_refusals(piece: Path) -> list[Refusal]:
    """The pairs of a block's piece that gave no patch, in order.

    Raises:
        DpedBuildError: Their file is damaged.
    """
    path = piece.with_suffix(".json")
    if not path.exists():
        return []
    try:
        found = [Refusal(**line) for line in json.loads(path.read_bytes())]
        if not all(isinstance(text, str) for line in found for text in astuple(line)):
            raise TypeError("more than text")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DpedBuildError(
            f"{path}: damaged; delete the folder that it lies in and run again"
        ) from error
    return found


def leftovers(folders: PatchFolders) -> Iterator[Refusal]:
    """The files without a partner."""
    for part in folders.parts:
        places = folders.places(part)
        for pair in part.leftovers:
            place = places[0] if pair.phone else places[1]
            yield Refusal(
                f"{place}/{pair.name}", f"{pair.reason}", f"{place}/{pair.message}"
            )


def recorded_settings(
    folders: PatchFolders, blocks: Sequence[Block], settings: ImportSettings
) -> dict[str, Any]:
    """What was imported and what is assumed of it, as the manifest records it."""
    listed = [[block.name, block.key] for block in blocks]
    lonely = [line.pair for line in leftovers(folders)]
    pairs: Counter[str] = Counter()
    suffixes: Counter[str] = Counter()
    for block in blocks:
        pairs[block.split or "all"] += len(block.files)
        suffixes.update(p.suffix.lower() for pair in block.files for p in pair)
    as_given = folders.kind != PAIRED_FOLDERS
    exported = folders.kind == EXPORTED_FOLDERS
    return {
        IMPORTED: folders.kind,
        "pairs": dict(pairs),
        "files": dict(sorted(suffixes.items())),
        LISTING: _digest([listed, lonely]),
        "size": blocks[0].size,
        "pixels": "RGB uint8 as decoded, not resampled, colour values as stored",
        "photos": "as exported" if exported else UNKNOWN_PHOTOS,
        "geometry": "as exported" if exported else UNKNOWN_GEOMETRY,
        "acceptance": "as in the source",
        "split": "as in the source" if as_given else settings.stated_split(),
        "compress": settings.compress,
        "shard_patches": settings.shard_patches,
    }
