"""The photos to enhance, and the output file of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dped_build.photos.listing import list_photos
from dped_build.photos.names import ENHANCED, is_enhanced
from dped_build.workspace.errors import UsageError
from dped_build.workspace.text import natural_key


@dataclass
class PhotoList:
    """Photos with their results' paths, in the order of the request."""

    targets: dict[Path, Path] = field(default_factory=dict)
    enhanced: list[Path] = field(default_factory=list)  # earlier results, passed over
    empty: list[Path] = field(default_factory=list)  # folders without photos
    # of a folder: photo → another one of it whose result would have the same name
    clashing: dict[Path, Path] = field(default_factory=dict)


def list_targets(
    requested: Sequence[str | Path],
    *,
    out: str | Path | None,
    suffix: str,
    recursive: bool = False,
) -> PhotoList:
    """Find the photos in files and folders, each once.

    Results go beside their photos, or into `out`; there the photos below a folder keep
    the subfolder that they lie in.

    Args:
        requested: Files, taken as they are, and folders, whose photos are taken in
            natural order. A `*-enhanced` file of either is passed over.
        out: Folder for the results; None: each photo's own.
        suffix: Of the results' names.
        recursive: Look below the folders as well.

    Raises:
        UsageError: Two photos named by the user would be written to one file.
        DpedBuildError: A folder cannot be listed.
    """
    found, photo_of = PhotoList(), dict[Path, Path]()
    for path in map(Path, requested):
        photos = list(_photos(path, recursive=recursive))
        if not photos:
            found.empty.append(path)
        for photo, below in photos:
            if is_enhanced(photo):
                found.enhanced.append(photo)
                continue
            folder = photo.parent if out is None else Path(out) / below
            target = folder / f"{photo.stem}{ENHANCED}{suffix}"
            other = photo_of.setdefault(target, photo)
            if other != photo and path.is_dir():
                found.clashing[photo] = other
                continue
            if other != photo:
                raise UsageError(
                    f"{other} and {photo} would both become {target}: enhance them "
                    "apart, with another --out"
                )
            found.targets[photo] = target
    return found


def _photos(path: Path, *, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """(photo, its folder relative to `path`); a file is itself."""
    if not path.is_dir():
        yield path, Path()
        return
    folders = [path]
    if recursive:
        below = (folder for folder in path.rglob("*") if folder.is_dir())
        shown = (f for f in below if not _is_hidden(f.relative_to(path)))
        folders += sorted(shown, key=lambda folder: natural_key(str(folder)))
    for folder in folders:
        for photo in list_photos(folder):
            yield photo, folder.relative_to(path)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
