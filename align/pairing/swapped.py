"""Detection of pairs whose DSLR photos seem to be exchanged."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from dped_build.align.pairing.find import Look, look_at
from dped_build.align.pairing.visual_words import Sketch, likeness
from dped_build.align.records import Alignment
from dped_build.align.settings import AlignSettings

MAX_REJECTED = 10  # more are another trouble, and would take long


def find_exchanged(
    records: Sequence[Alignment], roots: Mapping[str, Path], settings: AlignSettings
) -> list[tuple[str, str]]:
    """Names of two rejected pairs each that match once their photos change places.

    Looks at the photos of a few rejected pairs; at none where there are more.
    """
    rejected = [record for record in records if record.status == "rejected"]
    if not 2 <= len(rejected) <= MAX_REJECTED:
        return []
    sketches = {
        (record.pair, camera): _sketched(roots[camera] / str(photo), settings, camera)
        for record in rejected
        for camera, photo in (("phone", record.phone), ("dslr", record.dslr))
    }

    def match(phone: str, dslr: str) -> bool:
        one, other = sketches[phone, "phone"], sketches[dslr, "dslr"]
        return bool(one and other and likeness(one, other, settings))

    names = [record.pair for record in rejected]
    return [(a, b) for a, b in combinations(names, 2) if match(a, b) and match(b, a)]


def _sketched(path: Path, settings: AlignSettings, camera: str) -> Sketch | None:
    reduce = settings.reduce_phone if camera == "phone" else 1
    look = Look(path, settings.color, settings.max_megapixels, reduce)
    return look_at(look)[1]
