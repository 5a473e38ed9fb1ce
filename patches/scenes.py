"""Which pairs show one scene: by their times, by equal files, by what they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SAME_SCENE = timedelta(seconds=60)
ALIKE_BITS = 64  # of the 256 of a picture hash, in which shots of a scene may differ


@dataclass(frozen=True)
class Content:
    """What a scene's DSLR photo holds, as far as known.

    Attributes:
        sha256: Of the file.
        shown: `photos.likeness.picture_hash`.
    """

    sha256: str | None = None
    shown: str | None = None

    def bits(self) -> int | None:
        """`shown` as a number."""
        return None if self.shown is None else int(self.shown, 16)


def group_scenes(
    pairs: Sequence[str],
    times: Mapping[str, datetime | None],
    known: Mapping[str, str],
    *,
    scenes: Mapping[str, str] | None = None,
    contents: Mapping[str, Content] | None = None,
) -> dict[str, str]:
    """The scene of every pair: the name of the first pair taken of it.

    Equal files are one scene. Else a scene reaches 60 s from its first photo, so that a
    series without pauses does not become one; a pair without a time belongs to the
    first scene whose first photo looks like its own. Pairs that `known` places stay
    there. `scenes` names scenes by their first pair, where they are not called like it.
    """
    scenes, found = scenes or {}, Scenes(contents or {})
    starts: list[tuple[datetime, str]] = []
    for pair in pairs:
        if pair in known:
            found.add(pair, known[pair])
            time = times.get(pair)
            starts += [(time, known[pair])] if time else []
    timed = [(time, pair) for pair in pairs if (time := times.get(pair)) is not None]
    for time, pair in sorted(timed, key=lambda item: item[0]):
        if pair in known:
            continue
        near = (group for start, group in starts if abs(time - start) <= SAME_SCENE)
        group = found.sharing(pair) or next(near, None)
        if group is None:
            group = scenes.get(pair, pair)
            starts.append((time, group))
        found.add(pair, group)
    for pair in pairs:
        if pair not in found.groups:
            group = found.sharing(pair) or found.alike(pair) or scenes.get(pair, pair)
            found.add(pair, group)
    return {pair: found.groups[pair] for pair in pairs}


class Scenes:
    """The scenes so far: their pairs, files, and what the first photo of each shows."""

    def __init__(self, contents: Mapping[str, Content]) -> None:
        self.groups: dict[str, str] = {}  # by pair
        self._contents, self._by_sum = contents, dict[str, str]()
        self._begun: dict[str, int | None] = {}  # hashes of the first photos

    def add(self, pair: str, group: str) -> None:
        """Place a pair in a scene, which begins with it where it is new."""
        content = self._contents.get(pair, Content())
        self.groups[pair] = group
        self._begun.setdefault(group, content.bits())
        if content.sha256:
            self._by_sum.setdefault(content.sha256, group)

    def sharing(self, pair: str) -> str | None:
        """The scene that has the very file of this pair."""
        return self._by_sum.get(self._contents.get(pair, Content()).sha256 or "")

    def alike(self, pair: str) -> str | None:
        """The first scene whose first photo looks like this pair's."""
        bits = self._contents.get(pair, Content()).bits()
        if bits is None:
            return None
        for group, others in self._begun.items():
            if others is not None and (bits ^ others).bit_count() <= ALIKE_BITS:
                return group
        return None
