"""Edits and copies: photos that another one of their folder is the original of."""

from collections.abc import Mapping, Sequence
from filecmp import cmp
from pathlib import Path

from dped_build.align.pairing.by_name import Pair, alone, in_order, path_name
from dped_build.photos.listing import stems_beside
from dped_build.photos.names import loose, original_of
from dped_build.photos.reading import capture_time

Edits = Mapping[tuple[str, Path], str]  # (camera, photo): `edit of IMG_0102.JPG`


def find_edits(
    roots: Mapping[str, Path], photos: Mapping[str, Sequence[Path]]
) -> dict[tuple[str, Path], str]:
    """The photos of each camera that are edits or copies of one beside them.

    Names say so. Those that both cameras have are the user's own, and a numbered name
    is a photo of its own where it was taken at another time; equal files are copies.

    Args:
        roots: The folders of both cameras.
        photos: Relative to them.
    """
    names = {
        camera: {loose(path_name(photo)) for photo in side}
        for camera, side in photos.items()
    }
    found = {}
    for (camera, side), others in zip(
        photos.items(), reversed(list(names.values())), strict=True
    ):
        beside = stems_beside(side)
        for photo in side:
            known = beside[photo.parent]
            what, stem = original_of(photo.stem, known) or ("", "")
            if not what:
                continue
            shared = loose(path_name(photo)) in others
            both = roots[camera] / photo, roots[camera] / known[stem]
            if _is_of(what, *both, shared=shared):
                found[camera, photo] = f"{what} of {known[stem].name}"
    return found


def _is_of(what: str, photo: Path, original: Path, *, shared: bool) -> bool:
    if _same(photo, original):
        return True
    if shared or what == "edit":
        return not shared
    times = capture_time(photo), capture_time(original)
    return times[0] == times[1] or None in times


def _same(photo: Path, other: Path) -> bool:
    try:
        if not (photo.is_file() and other.is_file()):  # a pipe would be waited for
            return False
        return cmp(photo, other, shallow=False)
    except OSError:
        return False


def with_edits(pairs: Sequence[Pair], edits: Edits) -> list[Pair]:
    """`pairs` and each edit or copy as one without a partner, in order."""
    taken, found = {pair.name for pair in pairs}, list(pairs)
    for (camera, photo), what in edits.items():
        name, told = path_name(photo), f"{photo.name}: {what}"
        if name in taken:
            sides = ([photo], []) if camera == "phone" else ([], [photo])
            found += alone(*sides, "no_partner", told, taken, path_name)
            continue
        taken.add(name)
        phone, dslr = (photo, None) if camera == "phone" else (None, photo)
        found.append(Pair(name, phone, dslr, "no_partner", told))
    return in_order(found)
