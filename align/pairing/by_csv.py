"""Pairing by a handmade CSV with the columns phone and dslr."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from dped_build.align.pairing.by_name import (
    CAMERAS,
    Pair,
    composed,
    named_after_phones,
    path_name,
)
from dped_build.photos.names import loose
from dped_build.photos.reading import printable
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import read_bounded
from dped_build.workspace.text import table_text

MAX_BYTES = 2**26  # of some hundred thousand lines
COLUMNS = ("phone", "dslr")

Form = Callable[[str], str]  # in which names are compared
Known = Sequence[tuple[Form, Mapping[str, list[Path]]]]


def pair_by_csv(path: Path, phone: Sequence[Path], dslr: Sequence[Path]) -> list[Pair]:
    """Pairs under the phone photos' names as a CSV says; all others are left over.

    UTF-8 or UTF-16, with commas, semicolons or tabs, the first line `phone,dslr`: paths
    relative to the two folders, with or without suffix, or file names alone where only
    one photo has them. They are looked up among the photos that were found; nothing is
    opened by them. Further columns are notes.

    Raises:
        DpedBuildError: It cannot be read, or a line names no photo, several, or one
            that an earlier line has; with the line's number.
    """
    lookup = {
        camera: [(form, _by_any_name(photos, form)) for form in (composed, loose)]
        for camera, photos in (("phone", phone), ("dslr", dslr))
    }
    lines_of: dict[tuple[str, Path], int] = {}
    named: dict[str, int] = {}
    matched = []
    for number, line in _lines(path):
        found = []
        for camera in COLUMNS:
            photo = _looked_up(path, number, camera, line[camera], lookup[camera])
            first = lines_of.setdefault((camera, photo), number)
            if first != number:
                raise _wrong(path, number, f"{photo} is in line {first}, too")
            found.append(photo)
        first = named.setdefault(composed(path_name(found[0])), number)
        if first != number:
            what = f"the phone photo of line {first} has the same name; rename one"
            raise _wrong(path, number, what)
        matched.append((found[0], found[1]))
    told = printable(path.name)
    return named_after_phones(
        matched, phone, dslr, lambda _, photo: f"{photo.name}: not in {told}"
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and columns of every line that is not blank."""
    try:
        text, delimiter = table_text(read_bounded(path, MAX_BYTES))
    except UnicodeDecodeError as error:
        what = f"{path}: not UTF-8 text; save it as UTF-8 (in Excel: CSV UTF-8)"
        raise DpedBuildError(what) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DpedBuildError(f"{path}: cannot be read ({why})") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        cells = next((cells for cells in reader if cells), [])
        header = [name.strip().lower() for name in cells]
        if any(header.count(name) != 1 for name in COLUMNS):
            told = printable(",".join(header))[:80]
            found = f", not {told}" if told else ""
            raise DpedBuildError(f"{path}: the first line must be phone,dslr{found}")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                line = dict(zip(header, cells, strict=False))
                yield reader.line_num, {c: line.get(c, "").strip() for c in COLUMNS}
    except csv.Error as error:
        raise _wrong(path, reader.line_num, str(error)) from error


def _by_any_name(photos: Sequence[Path], form: Form) -> Mapping[str, list[Path]]:
    """Photos by relative path, by that without suffix, and by both of the name."""
    found: dict[str, list[Path]] = defaultdict(list)
    for photo in photos:
        without = photo.with_suffix("").as_posix()
        for name in dict.fromkeys(
            map(form, (photo.as_posix(), without, photo.name, photo.stem))
        ):
            found[name].append(photo)
    return found


def _looked_up(path: Path, number: int, camera: str, name: str, known: Known) -> Path:
    """The photo of a cell; a whole path goes before a name that several share.

    Where no name is equal, case does not count.
    """
    if not name:
        raise _wrong(path, number, f"no {CAMERAS[camera]} photo named")
    form, photos = next((k for k in known if k[0](name) in k[1]), known[0])
    wanted = form(name)
    found = photos.get(wanted, [])
    exact = [p for p in found if form(p.as_posix()) == wanted] or [
        p for p in found if form(p.with_suffix("").as_posix()) == wanted
    ]
    shown = printable(name)[:80]
    if not found:
        what = (
            f"no {CAMERAS[camera]} photo {shown}; paths are relative to the two "
            "folders, and --recursive looks into sub-folders"
        )
        raise _wrong(path, number, what)
    if len(exact or found) > 1:
        names = ", ".join(photo.as_posix() for photo in found[:3])
        what = f"{shown} may be any of {names}; give the path with its suffix"
        raise _wrong(path, number, what)
    return (exact or found)[0]


def _wrong(path: Path, number: int, what: str) -> DpedBuildError:
    return DpedBuildError(f"{path} line {number}: {what}")
