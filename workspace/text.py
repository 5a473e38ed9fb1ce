"""Number formatting and natural sort order."""

import codecs
import re
import shlex
from pathlib import Path

_SPREADSHEETS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
_SEPARATOR = re.compile(r"\A\"?sep=.\"?(?=[\r\n])", re.IGNORECASE)  # Excel's own line
LINE = 200  # characters of what a library or a file says


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def one_line(text: object, limit: int = LINE) -> str:
    """What a library or a file says, fit for a message of one line."""
    return " ".join(str(text).split())[:limit]


def size_text(number: float) -> str:
    """Bytes as people read them, in powers of 1000: `3.4 GB`."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:  # else three digits would say 1000
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def duration_text(seconds: float) -> str:
    """Seconds as people read them: `40 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which IMG_2 comes before IMG_10; ties break by spelling."""
    parts = re.split(r"([0-9]+)", name)
    key = [(0, int(p)) if i % 2 else (1, p) for i, p in enumerate(parts) if p]
    return (*key, (-1, name))


def table_text(raw: bytes) -> tuple[str, str]:
    """Text and delimiter of a CSV as spreadsheets save it: UTF-8 or UTF-16; , ; or tab.

    A line `sep=;` before the header is emptied; lines keep their numbers.

    Raises:
        ValueError: It is neither, or a spreadsheet itself.
    """
    if raw.startswith(_SPREADSHEETS):
        raise ValueError("a spreadsheet, not text; save it as CSV")
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    bare = "utf-16-le" if raw[1:2] == b"\0" else "utf-8-sig"
    text = _SEPARATOR.sub("", raw.decode("utf-16" if wide else bare))
    header = text.lstrip().partition("\n")[0]
    return text, max(",;\t", key=header.count)


def quote(path: Path) -> str:
    """A path as a shell takes it, for commands to copy."""
    return shlex.quote(str(path))
