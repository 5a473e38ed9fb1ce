"""Pairing of two folders of photos, by the requested method."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2

from dped_build.align.pairing.by_csv import pair_by_csv
from dped_build.align.pairing.by_name import (
    CAMERAS,
    FoundPairs,
    in_order,
    pair_by_name,
    path_name,
    set_aside,
)
from dped_build.align.pairing.by_order import pair_by_order
from dped_build.align.pairing.by_sequence import pair_by_sequence
from dped_build.align.pairing.by_time import pair_by_time
from dped_build.align.pairing.edits import Edits, find_edits, with_edits
from dped_build.align.pairing.kept import Photos, Roots, keep, pairing_key, read_kept
from dped_build.align.pairing.visual_words import Sketch, sketch
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.parallel.executor import Workers, run_all
from dped_build.photos.capture_time import Taken, on_one_clock
from dped_build.photos.formats import NAMES
from dped_build.photos.listing import Listing, look_into, unlisted
from dped_build.photos.orientation import reduced
from dped_build.photos.reading import (
    capture_time,
    is_plain_text,
    path_key,
    read_photo,
    when_taken,
)
from dped_build.workspace.errors import DpedBuildError, PhotoError, UsageError
from dped_build.workspace.plan import OnProgress
from dped_build.workspace.text import counted

Seen = tuple[datetime | None, Sketch | None]  # when a photo was taken, what it shows


@dataclass(frozen=True)
class Look:
    """A photo to look at, and how."""

    path: Path
    color: str
    max_megapixels: float
    reduce: int = 1  # to one Nth of its size


@dataclass(frozen=True)
class Listed:
    """What both folders hold, by camera; photos relative to them, in natural order."""

    photos: Photos
    edits: Edits  # which are not among the photos
    listings: Mapping[str, Listing]

    def notes(self) -> list[str]:
        """What of both folders is left out, for people."""
        return [
            f"{CAMERAS[camera]}: {note}"
            for camera, listing in self.listings.items()
            for note in listing.notes()
        ]

    def companions(self, roots: Roots) -> dict[tuple[str, str], str]:
        """(camera, photo) → the first of the other files of the same shot."""
        return {
            (camera, photo.relative_to(roots[camera]).as_posix()): others[0].name
            for camera, listing in self.listings.items()
            for photo, others in listing.companions.items()
        }


def list_both(roots: Roots, *, workspace: Path, pairing: PairingSettings) -> Listed:
    """The photos of both folders.

    Raises:
        UsageError: A folder is missing, one is given twice, or one lies in another
            whose sub-folders are to be searched.
        DpedBuildError: A folder holds no photos.
    """
    recursive = pairing.recursive
    listings = {
        camera: look_into(root, recursive=recursive, prefer=pairing.prefer)
        for camera, root in roots.items()
    }
    for root in roots.values():
        if not is_plain_text(str(root.resolve())):
            raise UsageError(f"{str(root)!r}: the name is not plain UTF-8; rename it")
    if roots["phone"].samefile(roots["dslr"]):
        raise UsageError(
            f"{roots['phone']}: given for both cameras; name the phone's folder, then "
            "the DSLR's"
        )
    if recursive:
        _require_apart((*roots.values(), workspace))
    for camera, root in roots.items():
        if not listings[camera].photos:
            below = "" if recursive else "; --recursive looks into sub-folders"
            there = "; ".join(listings[camera].notes())
            raise DpedBuildError(
                f"{root}: no photos in it ({there or NAMES}); name the folder that "
                f"holds them{below}"
            )
    photos = {
        camera: [photo.relative_to(roots[camera]) for photo in listing.photos]
        for camera, listing in listings.items()
    }
    edits = {} if pairing.pairs_csv else find_edits(roots, photos)
    kept = {
        camera: [photo for photo in side if (camera, photo) not in edits]
        for camera, side in photos.items()
    }
    return Listed(kept, edits, listings)


def _require_apart(folders: tuple[Path, ...]) -> None:
    *roots, _ = folders
    for root in roots:
        for other in folders:
            if other is not root and other.resolve().is_relative_to(root.resolve()):
                raise UsageError(
                    f"{other} lies in {root}: with --recursive its pictures would be "
                    "taken for photos; keep them apart"
                )


def find_pairs(
    roots: Roots,
    listed: Listed,
    *,
    pairing: PairingSettings,
    settings: AlignSettings,
    workers: Workers,
    workspace: Path,
    force: bool = False,
    progress: OnProgress = lambda done, total: None,
) -> FoundPairs:
    """All photos of two folders, as `list_both` found them, as pairs and leftovers.

    What took long is kept in the workspace; `force` ignores it.

    Raises:
        DpedBuildError: They cannot be paired that way.
    """
    found = _paired(
        roots, listed, pairing, settings, workers, workspace, progress, force=force
    )
    pairs = with_edits(found.pairs, listed.edits)
    edits = [pair.name for pair in pairs if pair not in found.pairs]
    return replace(found, pairs=pairs, edits=edits)


def _paired(
    roots: Roots,
    listed: Listed,
    pairing: PairingSettings,
    settings: AlignSettings,
    workers: Workers,
    workspace: Path,
    progress: OnProgress,
    *,
    force: bool,
) -> FoundPairs:
    """The pairs of `find_pairs`, but for edits and copies."""
    photos = listed.photos
    if pairing.pairs_csv is None and pairing.pair_by == "name":
        why = {camera: unlisted(each) for camera, each in listed.listings.items()}
        pairs = pair_by_name(*photos.values(), name_of=path_name, unlisted=why)
        return FoundPairs(pairs)
    alike = pairing.pairs_csv is None
    phone, dslr, aside = set_aside(*photos.values(), alike=alike)
    if pairing.pairs_csv is not None:
        pairs = pair_by_csv(pairing.pairs_csv, phone, dslr)
        return FoundPairs(in_order([*pairs, *aside]), "by list")
    if pairing.pair_by == "order":
        if aside:
            raise DpedBuildError(f"--pair-by order: {aside[0].message}")
        return FoundPairs(pair_by_order(phone, dslr), "by order")
    key = pairing_key(roots, photos, pairing, settings)
    kept = None if force else read_kept(workspace, key, photos)
    if kept is not None:
        return kept
    looks = {
        camera: [
            Look(roots[camera] / photo, settings.color, settings.max_megapixels, reduce)
            for photo in side
        ]
        for camera, side, reduce in (
            ("phone", phone, settings.reduce_phone),
            ("dslr", dslr, 1),
        )
    }
    if pairing.pair_by == "time":
        found = _by_time(phone, dslr, looks, pairing, progress)
    else:
        found = _by_sequence(phone, dslr, looks, settings, workers, progress)
    found = FoundPairs(in_order([*found.pairs, *aside]), found.how, found.stated)
    keep(workspace, key, found)
    return found


def part_of(found: FoundPairs, pairing: PairingSettings) -> FoundPairs:
    """The pairs of `--part`, which then state what set they are a part of."""
    if pairing.part is None:
        return found
    names = "\n".join(pair.name for pair in found.pairs)
    whole = hashlib.sha256(names.encode()).hexdigest()[:16]
    return replace(
        found,
        pairs=found.pairs[pairing.share(len(found.pairs))],
        stated={**found.stated, "set": whole},
    )


Looks = Mapping[str, list[Look]]


def _by_time(
    phone: list[Path],
    dslr: list[Path],
    looks: Looks,
    pairing: PairingSettings,
    progress: OnProgress,
) -> FoundPairs:
    total, shot = len(phone) + len(dslr), list[Taken | None]()
    for look in (*looks["phone"], *looks["dslr"]):
        shot.append(when_taken(look.path))
        progress(len(shot), total)
    first, second = shot[: len(phone)], shot[len(phone) :]
    pairs, offset = pair_by_time(
        dict(zip(phone, on_one_clock(first), strict=True)),
        dict(zip(dslr, on_one_clock(second), strict=True)),
        tolerance_s=pairing.time_tolerance_s,
        offset_s=pairing.clock_offset_s,
    )
    given = pairing.clock_offset_s is not None
    matches = sum(each.matches for each in offset.all)
    how = (
        f"by time: DSLR clock minus phone clock {offset.told()}, "
        f"{'given' if given else 'estimated'}; {counted(matches, 'pair')} agree"
    )
    stated: dict[str, Any] = {"clock_offset_s": offset.seconds, "matches": matches}
    if offset.jumps:
        stated["clock_offsets_s"] = [each.seconds for each in offset.all]
    if not given:
        how += f", at the next best {offset.second_best:,}"
        stated["matches_at_second_best_offset"] = offset.second_best
    for name in ("digitised", "modified"):
        if count := sum(each is not None and each.tag == name for each in shot):
            how += f"; {counted(count, 'photo')} by the time {name}"
    return FoundPairs(pairs, how, stated)


def _by_sequence(
    phone: list[Path],
    dslr: list[Path],
    looks: Looks,
    settings: AlignSettings,
    workers: Workers,
    progress: OnProgress,
) -> FoundPairs:
    tasks = [*looks["phone"], *looks["dslr"]]
    seen: list[Seen] = [(None, None)] * len(tasks)
    results = run_all(look_at, tasks, workers)
    lost = 0
    for done, (index, result) in enumerate(results, start=1):
        lost += result is None
        seen[index] = result or (None, None)
        progress(done, len(tasks))
    if lost:  # kept, a failure of the machine would last
        raise DpedBuildError(
            f"--pair-by sequence: the worker process died on {counted(lost, 'photo')} "
            "(out of memory?); lower --jobs or --max-megapixels and run again"
        )
    phone_shown, phone_by = _as_taken(phone, seen[: len(phone)])
    dslr_shown, dslr_by = _as_taken(dslr, seen[len(phone) :])
    pairs, came_to = pair_by_sequence(
        phone_shown, dslr_shown, settings=settings, jobs=workers.jobs
    )
    by_place = f", {came_to.by_place:,} by place" if came_to.by_place else ""
    how = (
        f"by sequence: phone photos in order of {phone_by}, DSLR photos of "
        f"{dslr_by}; {counted(came_to.matches, 'pair')} look alike{by_place}"
    )
    stated = {"matches": came_to.matches, "by_place": came_to.by_place}
    return FoundPairs(pairs, how, stated)


def _as_taken(
    photos: Sequence[Path], seen: Sequence[Seen]
) -> tuple[dict[Path, Sketch | None], str]:
    """A camera's sketches in the order taken, and by what: time or name.

    Where most photos state a time, one that does not stays behind its neighbour by
    name.
    """
    times = [time for time, _ in seen if time]
    shown = dict(zip(photos, (sketched for _, sketched in seen), strict=True))
    if 2 * len(times) <= len(photos):
        return shown, "name"
    taken, last = {}, min(times)
    for photo, (time, _) in zip(photos, seen, strict=True):
        taken[photo] = last = time or last
    in_time = sorted(photos, key=lambda photo: (taken[photo], path_key(photo)))
    return {photo: shown[photo] for photo in in_time}, "time"


def look_at(look: Look) -> Seen:
    """When a photo was taken and what it shows; None if unknown."""
    time = capture_time(look.path)
    try:
        photo = read_photo(
            look.path, color=look.color, max_megapixels=look.max_megapixels
        )
        return time, sketch(reduced(photo, look.reduce))
    except (PhotoError, MemoryError, cv2.error):
        return time, None
