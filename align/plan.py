"""Estimate of a run before it starts, and a probe of whether pairs align."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from dped_build.align.homography import implausible
from dped_build.align.pairing.by_name import FoundPairs, Pair
from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.align.worker import PairWork
from dped_build.photos.formats import needs
from dped_build.photos.reading import capture_time, path_key, photo_size
from dped_build.workspace.errors import DpedBuildError, PhotoError
from dped_build.workspace.plan import Plan

PROBE_ABOVE = 50  # pairs; smaller sets are aligned at once
PROBE_PAIRS = 20
PROBE_SHARE = 0.2  # of the probed pairs that must align
SECONDS_PER_MEGAPIXEL = 0.12  # of both photos, on one 2.5 GHz core; for the estimate
WORKER_GB, WORKER_GB_PER_MEGAPIXEL = 0.1, 0.0065  # measured from 12 to 72 megapixels
DEVELOPED = 2  # times as much memory and time for HEIF and RAW, measured
TIMES_SEEN = 10  # photos of each camera that are asked for their capture time
CROP_BYTES_PER_PIXEL = {"jpg": 1.2, "png": 4.0, "none": 0.0}  # both crops


Item = TypeVar("Item")


@dataclass(frozen=True)
class AlignPlan(Plan):
    """What an alignment would do, and with which pairs."""

    found: FoundPairs = field(default_factory=lambda: FoundPairs([]))
    notes: Sequence[str] = ()  # what of the folders is left out, for people
    seen: Sequence[str] = ()  # of a dry run: what the folders hold


def estimate(
    found: FoundPairs,
    todo: Sequence[Pair],
    roots: Mapping[str, Path],
    settings: AlignSettings,
    jobs: int,
    *,
    work: PairWork,
) -> AlignPlan:
    """How much there is to do, from the headers of a few photos."""
    megapixels, crop_pixels = [], []
    for pair in spread(todo, PROBE_PAIRS):
        if pair.phone is None or pair.dslr is None:
            continue
        try:
            limit = settings.max_megapixels
            sizes = [
                photo_size(roots[camera] / photo, max_megapixels=limit)
                for camera, photo in pair.photos()
            ]
        except PhotoError:
            continue
        weights = [DEVELOPED if needs(photo) else 1 for _, photo in pair.photos()]
        megapixels.append(
            sum(w * h * n for (w, h), n in zip(sizes, weights, strict=True)) / 1e6
        )
        crop_pixels.append(sizes[0][0] * sizes[0][1])
    count, seen = len(todo), max(len(megapixels), 1)
    per_pixel = CROP_BYTES_PER_PIXEL[settings.crops] + work.bytes_per_pixel
    each = sum(megapixels) / seen * SECONDS_PER_MEGAPIXEL
    each += sum(crop_pixels) / seen * work.seconds_per_pixel
    seconds = each * count / jobs
    size = int(sum(crop_pixels) / seen * per_pixel * count)
    memory = work.memory * worker_gb(max(megapixels, default=0))
    return AlignPlan(len(found.matched), count, size, seconds, memory, found)


def worker_gb(megapixels: float) -> float:
    """About what a worker holds for a pair whose photos have so many together, GB."""
    return WORKER_GB + WORKER_GB_PER_MEGAPIXEL * megapixels


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """About `count` of them, evenly over the set."""
    step = max(len(items) / count, 1)
    chosen = sorted({int(i * step) for i in range(count) if int(i * step) < len(items)})
    return [items[i] for i in chosen]


def refuse_hopeless(records: Sequence[Alignment], advice: Callable[[], str]) -> None:
    """Stop where fewer than one in five of the readable probed pairs aligned."""
    readable = [record for record in records if record.status != "failed"]
    aligned = sum(record.aligned for record in readable)
    if is_hopeless(readable):
        swapped = any(map(seems_swapped, readable))
        hint = (
            "the folders seem to be swapped: name the phone's first; if it is, and the "
            "phone has more pixels than the DSLR, add --reduce-phone 2"
            if swapped
            else f"paired photos do not seem to show one scene: {advice()}"
        )
        raise DpedBuildError(
            f"only {aligned} of {len(readable)} probed pairs align; {hint} "
            "(--no-probe continues anyway)"
        )


def seems_swapped(record: Alignment) -> bool:
    """Whether a pair was refused because its DSLR photo looks like the phone's."""
    known = record.phone_to_dslr is not None and record.phone_size is not None
    if record.reason != "implausible_homography" or not known:
        return False
    with np.errstate(all="ignore"):  # a stranger's record may state any numbers
        found = implausible(record.matrix(), record.phone_size or (0, 0))
    return found is not None and found.swapped


def is_hopeless(records: Sequence[Alignment]) -> bool:
    """Whether fewer than one in five of the readable pairs aligned."""
    readable = [record for record in records if record.status != "failed"]
    aligned = sum(record.aligned for record in readable)
    return bool(readable) and aligned < PROBE_SHARE * len(readable)


def other_pairing(
    found: FoundPairs, roots: Mapping[str, Path], pairing: PairingSettings
) -> str:
    """What to try where these pairs do not match: the next way that can fit them."""
    if pairing.pairs_csv is not None:
        return f"check the lines of {pairing.pairs_csv.name}"
    photos: dict[str, list[Path]] = {"phone": [], "dslr": []}
    for pair in found.pairs:
        for camera, photo in pair.photos() if pair.name not in found.edits else ():
            photos[camera].append(photo)
    phone, dslr = (sorted(side, key=path_key) for side in photos.values())
    if pairing.pair_by == "name" and len(phone) == len(dslr):
        by_place = set(zip(phone, dslr, strict=True))
        if by_place != {(pair.phone, pair.dslr) for pair in found.pairs}:
            return f"try --pair-by order: both folders hold {len(phone):,} photos"
    sides = (("phone", phone), ("dslr", dslr))
    if pairing.pair_by in ("name", "order") and all(
        _have_times(side, roots[camera]) for camera, side in sides
    ):
        return "try --pair-by time: the photos have capture times"
    if pairing.pair_by != "sequence":
        return "try --pair-by sequence: it looks at what the photos show"
    return "name the pairs with --pairs CSV"


def _have_times(photos: Sequence[Path], root: Path) -> bool:
    """Whether most of a few photos, spread over the set, say when they were taken."""
    seen = [capture_time(root / photo) for photo in spread(photos, TIMES_SEEN)]
    return 2 * sum(time is not None for time in seen) > len(seen)
