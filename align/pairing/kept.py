"""Cache of a slow pairing, valid until a photo or a setting changes.

It lies in the workspace's scratch folder, as `pairing.json`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from dped_build.align.aligned_folder import file_state
from dped_build.align.pairing.by_name import FoundPairs, Pair
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.workspace.durable import SCRATCH, write_atomic
from dped_build.workspace.json_files import (
    converted,
    fingerprint,
    is_plain_name,
    json_bytes,
    read_document,
)
from dped_build.workspace.stage import created_with

Photos = Mapping[str, list[Path]]  # of each camera, relative to its folder
Roots = Mapping[str, Path]  # of each camera, the folder
PAIRING_FILE = "pairing.json"
Row = tuple[str, str | None, str | None, str | None, str | None]  # of Pair


@dataclass(frozen=True)
class KeptPairs:
    """FoundPairs as JSON."""

    pairs: list[Row]
    how: str
    stated: dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """`pairing.json`: a pairing, and the hash of what it depends on."""

    key: str
    found: KeptPairs


def pairing_key(
    roots: Roots, photos: Photos, pairing: PairingSettings, settings: AlignSettings
) -> str:
    """What a pairing depends on, as a hash."""
    states = []
    for camera, side in photos.items():
        for photo in side:
            state = None
            with suppress(OSError):  # a dangling link
                state = file_state(roots[camera] / photo)
            states.append((camera, ascii(photo.as_posix()), state))  # any bytes
    return fingerprint([created_with(), pairing.to_json(), settings.to_json(), states])


def keep(workspace: Path, key: str, found: FoundPairs) -> None:
    """Write a pairing down for the next run, under what it depends on."""
    rows = [
        [None if value is None else str(value) for value in astuple(pair)]
        for pair in found.pairs
    ]
    stated = {"pairs": rows, "how": found.how, "stated": dict(found.stated)}
    document = json_bytes({"key": key, "found": stated})
    write_atomic(workspace / SCRATCH / PAIRING_FILE, document)


def read_kept(workspace: Path, key: str, photos: Photos) -> FoundPairs | None:
    """An earlier run's pairing of the very same photos; None where there is none."""
    try:
        document = read_document(workspace / SCRATCH / PAIRING_FILE)
        kept = converted(document, Kept)
    except (OSError, ValueError):
        return None
    pairs = [
        Pair(
            name,
            Path(phone) if phone else None,
            Path(dslr) if dslr else None,
            reason,
            message,
        )
        for name, phone, dslr, reason, message in kept.found.pairs
    ]
    listed = {(camera, photo) for camera, side in photos.items() for photo in side}
    named = [
        item for pair in pairs if pair.reason != "unreadable" for item in pair.photos()
    ]
    sound = len(set(named)) == len(named) and listed.issuperset(named)
    names = {pair.name for pair in pairs}
    unique = len(names) == len(pairs) and all(map(is_plain_name, names))
    whole = sum(1 for pair in pairs for _ in pair.photos()) == len(listed)
    if kept.key != key or not (sound and unique and whole):
        return None
    return FoundPairs(pairs, kept.found.how, kept.found.stated)
