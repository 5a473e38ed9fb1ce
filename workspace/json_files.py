"""JSON from strangers: documents and lines, read within bounds, as what is declared.

Nothing here takes what we would not have written.
"""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec
from msgspec import Meta

Kind = TypeVar("Kind")
Count = Annotated[int, Meta(ge=0, lt=2**53)]  # that every reader of JSON holds exactly
Number = Annotated[float, Meta(gt=-1e300, lt=1e300)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Program = Annotated[
    str,
    Meta(pattern="^dped-build "),
    "Name and version of the program that wrote the file.",
]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]

MAX_DOCUMENT = 2**25  # bytes of a JSON document: of some 100,000 pairs
MAX_LINE = 2**20  # bytes of a line


def is_plain_name(name: object) -> bool:
    """Whether this is one name that stays in its folder: no path, no NUL."""
    plain = isinstance(name, str) and name not in ("", "..") and "\0" not in name
    return plain and Path(str(name)).name == name


def is_plain_path(name: object) -> bool:
    """Whether this is a relative path, with `/`, that stays in its folder.

    Links aside: they are for whoever opens it to judge.
    """
    if not isinstance(name, str) or "/" not in name:
        return is_plain_name(name)
    return "\\" not in name and all(map(is_plain_name, name.split("/")))


def decoded(data: bytes, kind: type[Kind]) -> Kind:
    """One JSON value of the declared kind.

    Raises:
        ValueError: It is none, is nested without end, or holds what JSON does not know.
    """
    try:
        return msgspec.json.decode(data.removeprefix(BOM_UTF8), type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(error)) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def converted(value: object, kind: type[Kind]) -> Kind:
    """A value that came from JSON as what is declared; ValueError if it is not."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(error)) from error


def _in_words(error: msgspec.ValidationError) -> str:
    """`shards[0].patches: expected int, got str`."""
    what, _, place = str(error).replace("`", "").partition(" - at ")
    place = place.removeprefix("$").removeprefix(".")
    lacking = what.removeprefix("Object missing required field ")
    what = f"{lacking} is missing" if lacking != what else what[0].lower() + what[1:]
    return f"{place}: {what}" if place else what


def parse_object(data: bytes) -> dict[str, Any]:
    """One JSON object; raises as `decoded`."""
    return decoded(data, dict[str, Any])


def read_document(path: Path) -> dict[str, Any]:
    """A file that is one JSON object.

    Raises:
        OSError: It is missing or no regular file.
        ValueError: As `decoded`, or it is longer than any of ours.
    """
    return parse_object(read_bounded(path, MAX_DOCUMENT))


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises:
        OSError: It is missing or no regular file.
        ValueError: It is longer.
    """
    with _opened(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"longer than {limit >> 10:,} KiB")
    return data


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, one at a time, with their ends.

    Raises:
        OSError: It is missing or not a regular file.
        ValueError: One is longer than any of ours.
    """
    with _opened(path) as file:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise ValueError(f"a line is longer than {MAX_LINE >> 20} MiB")
            yield line


def _opened(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError("not a regular file")
    return path.open("rb")


def json_bytes(value: object, *, indent: int | None = 1) -> bytes:
    """JSON as we write it everywhere: UTF-8, key order as given, no NaN."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return (text + "\n").encode()


def fingerprint(value: object) -> str:
    """SHA-256 of a value's JSON, hexadecimal: names what a result was made from."""
    return hashlib.sha256(json_bytes(value)).hexdigest()


def as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it comes back from JSON: tuples are lists."""
    found: dict[str, Any] = json.loads(json_bytes(dict(value)))
    return found
