"""A folder → the photos in it, one file a shot, and what of it is left out."""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dped_build.photos.formats import (
    SUFFIXES,
    UNREAD_SUFFIXES,
    needs,
    preferred_kinds,
    refuse_missing,
)
from dped_build.photos.heif import is_heif
from dped_build.photos.names import (
    is_enhanced,
    is_system_folder,
    loose,
    shot_key,
    shot_name,
)
from dped_build.photos.reading import path_key
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.text import counted

# Of a file that is not here yet: what stands in its place, or the part that came.
IN_THE_CLOUD = (".icloud", ".nextcloud", ".owncloud", ".cloud")
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp")
# JPEG content that is no photo of its own: of videos, of tools that keep the original.
_NO_PHOTOS = (".thm", ".lrv", ".bak", ".jpg_original", ".xmp", ".aae", ".mov", ".mp4")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n")
NAMED = 3  # folders and kinds that a note names


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        photos: One file a shot, in natural order.
        companions: The files of a shot beside the one that stands for it.
        unread: Pictures of kinds that nothing here reads.
        absent: What stands for photos that are in the cloud or half copied.
        enhanced: Results of `enhance`.
        system: Photos in folders that hold no photos of their own, by folder.
    """

    photos: list[Path]
    companions: Mapping[Path, Sequence[Path]] = field(default_factory=dict)
    unread: Sequence[Path] = ()
    absent: Sequence[Path] = ()
    enhanced: Sequence[Path] = ()
    system: Mapping[Path, int] = field(default_factory=dict)

    def notes(self) -> Iterator[str]:
        """What is left out and why, a line a reason."""
        if self.unread:
            verb = "is" if len(self.unread) == 1 else "are"
            kinds = Counter(path.suffix.lower() for path in self.unread)
            told = ", ".join(f"{n} {suffix}" for suffix, n in kinds.most_common())
            yield f"{counted(len(self.unread), 'file')} {verb} not read: {told}"
        if self.absent:
            names = _some([path.name for path in self.absent])
            photos = counted(len(self.absent), "photo")
            yield f"{photos} not on this disk yet ({names}): download them first"
        if self.companions:
            files = sum(map(len, self.companions.values()))
            yield f"{counted(files, 'file')} beside another of the same shot"
        if self.enhanced:
            yield f"{counted(len(self.enhanced), 'result')} of enhance"
        if total := sum(self.system.values()):
            names = _some(sorted({path.name for path in self.system}))
            folders = counted(len(self.system), "system folder")
            yield f"{counted(total, 'picture')} in {folders} ({names})"


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def list_photos(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The photos in `folder`, in natural order of their names.

    Of a photo that is there as JPEG and as RAW the JPEG is listed.

    Args:
        folder: Where they lie.
        recursive: Look below it as well, hidden and system folders aside.

    Raises:
        UsageError: `folder` is missing or not a folder.
        DpedBuildError: It cannot be listed, all its photos need an extra that is not
            installed, or a link to a folder leads out of it.
    """
    listing = look_into(folder, recursive=recursive)
    both = [*listing.photos, *listing.enhanced]
    return sorted(both, key=lambda path: path_key(path.relative_to(folder)))


def look_into(
    folder: Path, *, recursive: bool = False, prefer: str | None = None
) -> Listing:
    """The photos in `folder`, and what is left out.

    Args:
        folder: Where they lie.
        recursive: Look below it as well, hidden and system folders aside.
        prefer: Which file of a shot is taken, "jpeg" or "raw"; where not given the
            first kind of which every shot has a file, else as "jpeg".

    Raises:
        As `list_photos`.
    """
    if not folder.exists():
        raise UsageError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; name the folder that holds photos")
    files, system = _walk(folder, recursive=recursive)
    found, unread, absent = _sorted_out(files)
    photos = [path for path in found if not is_enhanced(path)]
    shots = _shots(folder, photos)
    kinds = preferred_kinds(shots, prefer)
    chosen, companions = list[Path](), dict[Path, Sequence[Path]]()
    for shot in shots:
        best = min(kinds.index(needs(path)) for path in shot)
        taken = [path for path in shot if kinds.index(needs(path)) == best]
        chosen += taken
        if rest := [path for path in shot if path not in taken]:
            companions[taken[0]] = rest
    enhanced = [path for path in found if is_enhanced(path)]
    refuse_missing(folder, chosen)
    chosen.sort(key=lambda path: path_key(path.relative_to(folder)))
    return Listing(chosen, companions, unread, absent, enhanced, system)


def _sorted_out(files: Iterable[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Of all files the photos, the pictures not read, and what stands for others."""
    found, unread, absent = list[Path](), list[Path](), list[Path]()
    for path in files:
        suffix = path.suffix.lower()
        if suffix in (*IN_THE_CLOUD, *UNFINISHED):
            inner = Path(path.stem).suffix.lower()
            absent += [path] if inner in (*SUFFIXES, *UNREAD_SUFFIXES) else []
        elif path.name.startswith("."):
            continue
        elif suffix in SUFFIXES or _is_picture(path):
            found.append(path)
        elif suffix in UNREAD_SUFFIXES:
            unread.append(path)
    return found, sorted(unread), sorted(absent)


def unlisted(listing: Listing) -> dict[str, str]:
    """Shots that are there in no readable form: name → why.

    The names are those of `photos.names.shot_name`, without folders.
    """
    why = {}
    for path in listing.unread:
        told = f"{path.name} is not read; save it as JPEG, PNG or TIFF"
        why[shot_name(Path(path.name))] = told
    for path in listing.absent:
        told = f"{path.name} is not on this disk yet; download it"
        why[shot_name(Path(path.stem.removeprefix(".")))] = told
    return why


def _shots(folder: Path, photos: Iterable[Path]) -> list[list[Path]]:
    """The files of each shot, in order of their names."""
    shots: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for photo in sorted(photos):
        shots[shot_key(photo.relative_to(folder))].append(photo)
    return list(shots.values())


def _walk(folder: Path, *, recursive: bool) -> tuple[list[Path], dict[Path, int]]:
    """All files, and the pictures in system folders, by folder."""
    files, system, waiting = list[Path](), dict[Path, int](), [folder]
    while waiting:
        here = waiting.pop()
        try:
            shown = list(here.iterdir())
        except OSError as error:
            what = f"{here}: cannot be read ({error.strerror})"
            raise DpedBuildError(what) from error
        below = {path for path in shown if recursive and path.is_dir()}
        files += [path for path in shown if path not in below]
        for path in sorted(below):
            if is_system_folder(path.name):
                if pictures := _pictures_below(path):
                    system[path] = pictures
            elif not _is_link_within(path, folder):
                waiting.append(path)
    return files, system


def _pictures_below(folder: Path) -> int:
    """How many pictures lie in a folder that nobody need be able to read."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return sum(Path(name).suffix.lower() in SUFFIXES for name in files)


def _is_picture(path: Path) -> bool:
    """Whether a file of another suffix begins as a JPEG, PNG or HEIF photo does."""
    if path.suffix.lower() in (*_NO_PHOTOS, *UNREAD_SUFFIXES):
        return False
    start = b""
    with suppress(OSError):  # it cannot be read, nor tell what it is
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                start = file.read(16)
    return start.startswith(_PICTURES) or is_heif(start)


def _is_link_within(path: Path, folder: Path) -> bool:
    """Whether a link leads to a folder below `folder`, which is entered anyway.

    Raises:
        DpedBuildError: It leads elsewhere: what it shows is no part of the folder.
    """
    if not path.is_symlink():
        return False
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DpedBuildError(
            f"{path}: a link that leads out of {folder}; move the photos there, or "
            "remove the link"
        )
    return True


def stems_beside(photos: Collection[Path]) -> Mapping[Path, Mapping[str, Path]]:
    """By folder, the photos by their stem as `loose` gives it."""
    beside: dict[Path, dict[str, Path]] = defaultdict(dict)
    for photo in photos:
        beside[photo.parent].setdefault(loose(photo.stem), photo)
    return beside
