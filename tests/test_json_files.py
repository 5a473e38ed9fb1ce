"""JSON from strangers is read as what is declared, or refused with a ValueError."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from msgspec import Meta

from dped_build.workspace.json_files import (
    Count,
    Share,
    converted,
    decoded,
    parse_object,
)


@dataclass(frozen=True)
class Entry:
    """A document to be read."""

    name: Annotated[str, Meta(min_length=1)]
    counts: list[Count]
    share: Share | None = None


HOSTILE = {
    "nothing": b"",
    "a list": b"[]",
    "torn": b'{"name": "a", "counts": [1',
    "not UTF-8": b'{"name": "\xff", "counts": []}',
    "half a character": rb'{"name": "\ud800", "counts": []}',
    "NaN": b'{"name": "a", "counts": [], "share": NaN}',
    "infinity": b'{"name": "a", "counts": [], "share": Infinity}',
    "beyond float": b'{"name": "a", "counts": [], "share": 1e400}',
    "digits": b'{"name": "a", "counts": [' + b"9" * 10_000 + b"]}",
    "nested": b'{"name": "a", "counts": [], "later": ' + b"[" * 100_000,
    "two values": b'{"name": "a", "counts": []} {}',
    "truth for a number": b'{"name": "a", "counts": [true]}',
    "a float for a count": b'{"name": "a", "counts": [1.0]}',
    "null": b'{"name": null, "counts": []}',
    "a key is missing": b'{"name": "a"}',
    "an empty name": b'{"name": "", "counts": []}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_we_would_not_have_written_is_refused_in_one_line(content):
    with pytest.raises(ValueError) as caught:
        decoded(content, Entry)
    assert "\n" not in str(caught.value)


def test_sound_documents_are_read_and_later_keys_passed_over():
    content = b'\xef\xbb\xbf{"name": "a", "counts": [1, 2], "share": 1, "later": {}}'
    assert decoded(content, Entry) == Entry("a", [1, 2], 1.0)
    assert converted(parse_object(content), Entry) == Entry("a", [1, 2], 1.0)


def test_the_message_names_the_place_and_what_was_expected():
    for read in (decoded, lambda data, kind: converted(parse_object(data), kind)):
        with pytest.raises(ValueError, match=r"^counts\[1\]: expected int, got str$"):
            read(b'{"name": "a", "counts": [1, "2"]}', Entry)
    with pytest.raises(ValueError, match=r"^counts is missing$"):
        decoded(b'{"name": "a"}', Entry)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object(b'{"a":' * 100_000)


@dataclass(frozen=True)
class Mistaken:
    """A document whose check is wrong itself."""

    name: str

    def __post_init__(self):
        """Ask for what there is not."""
        self.nickname  # noqa: B018


def test_a_mistake_of_ours_is_no_damage():
    with pytest.raises(AttributeError):
        decoded(b'{"name": "a"}', Mistaken)
