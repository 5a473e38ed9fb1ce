"""What folders of photos hold, from the files' headers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median

from dped_build.align.pairing.by_name import CAMERAS, Pair
from dped_build.align.pairing.by_time import told_offset
from dped_build.photos.capture_time import Taken, on_one_clock
from dped_build.photos.reading import Header, read_header
from dped_build.workspace.errors import PhotoError
from dped_build.workspace.plan import OnProgress
from dped_build.workspace.text import counted

TOLD = 3  # kinds, sizes, colours; of more, how many there are
ODD_S = 60.0  # s by which a pair's clocks may differ from those of the others

Headers = Mapping[Path, Header | None]  # None: it cannot be read


def survey(
    pairs: Sequence[Pair],
    roots: Mapping[str, Path],
    *,
    progress: OnProgress = lambda done, total: None,
) -> list[str]:
    """Kinds, sizes, colours and times of each camera's photos, and both clocks.

    Args:
        pairs: All photos of both folders.
        roots: The folders.
        progress: Called with photos read and photos to read.
    """
    headers: dict[str, dict[Path, Header | None]] = {camera: {} for camera in roots}
    photos = [each for pair in pairs for each in pair.photos()]
    read = _headers([roots[camera] / photo for camera, photo in photos], progress)
    for (camera, photo), header in zip(photos, read, strict=True):
        headers[camera][photo] = header
    lines = [_camera(CAMERAS[camera], found) for camera, found in headers.items()]
    return [*lines, *_clocks(pairs, headers)]


def survey_folder(
    folder: Path,
    photos: Sequence[Path],
    *,
    progress: OnProgress = lambda done, total: None,
) -> str:
    """The same of one folder's photos, relative to it, in a line."""
    read = _headers([folder / photo for photo in photos], progress)
    return _camera(str(folder), dict(zip(photos, read, strict=True)))


def _headers(paths: Sequence[Path], progress: OnProgress) -> Iterator[Header | None]:
    for done, path in enumerate(paths, start=1):
        yield _header(path)
        progress(done, len(paths))


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except PhotoError:
        return None


def _camera(name: str, headers: Headers) -> str:
    """One camera's photos in a line."""
    known = [header for header in headers.values() if header]
    parts = [
        _most(header.kind for header in known),
        _most(f"{header.size[0]}x{header.size[1]} px" for header in known),
        _most(header.colours for header in known),
        _times([header.taken for header in known]),
    ]
    if missing := len(headers) - len(known):
        parts.append(f"{missing:,} cannot be read")
    return f"{name}: {counted(len(headers), 'photo')}: {'; '.join(filter(None, parts))}"


def _most(values: Iterator[str]) -> str:
    """The most frequent values; with their counts where there are several."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    told = ", ".join(f"{count:,} {value}" for value, count in counts[:TOLD])
    rest = sum(count for _, count in counts[TOLD:])
    return f"{told}, {rest:,} others" if rest else told


def _times(shot: Sequence[Taken | None]) -> str:
    """From when to when, by which tag, in which zone."""
    known = [each for each in shot if each]
    if not known:
        return "no capture times"
    times = [each.time for each in known]
    first, last = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (min(times), max(times)))
    told = f"taken {first} to {last}"
    tags = Counter(each.tag for each in known)
    others = [f"{n:,} by the time {t}" for t, n in tags.items() if t != "original"]
    if len(known) < len(shot):
        others.append(f"{len(shot) - len(known):,} without a time")
    zones = {each.zone for each in known if each.zone is not None}
    others += [f"UTC{_zone(zone)}" for zone in sorted(zones)]
    return f"{told} ({', '.join(others)})" if others else told


def _zone(zone: timedelta) -> str:
    minutes = round(zone.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02d}"


def _clocks(pairs: Sequence[Pair], headers: Mapping[str, Headers]) -> Iterator[str]:
    """How far both clocks are apart, and pairs that do not fit in."""
    times = {}
    for camera, found in headers.items():
        clock = on_one_clock([each.taken if each else None for each in found.values()])
        times[camera] = dict(zip(found, clock, strict=True))
    apart = {}
    for pair in pairs:
        if pair.phone and pair.dslr:
            phone, dslr = times["phone"][pair.phone], times["dslr"][pair.dslr]
            if phone and dslr:
                apart[pair.name] = (dslr - phone).total_seconds()
    if not apart:
        return
    usual = median(apart.values())
    line = f"clocks: DSLR minus phone {told_offset(usual)} (median)"
    odd = [name for name, away in apart.items() if abs(away - usual) > ODD_S]
    if odd:
        names = ", ".join(odd[:TOLD]) + (", …" if len(odd) > TOLD else "")
        line += f"; {counted(len(odd), 'pair')} off by more than {ODD_S:g} s: {names}"
    yield line
