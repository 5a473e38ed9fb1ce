"""Summary of an alignment run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dped_build.align.pairing.by_name import FoundPairs
from dped_build.align.plan import is_hopeless, seems_swapped
from dped_build.align.records import Alignment, counts_of


@dataclass(frozen=True)
class AlignSummary:
    """Summary of an alignment run."""

    folder: Path
    pairs: int
    aligned: int
    reasons: Mapping[str, int]
    newly_done: int
    swapped: bool  # most pairs look as if phone and DSLR were swapped
    advice: str = ""  # what to try where hardly any pair aligned
    exchanged: Sequence[tuple[str, str]] = ()  # pairs whose photos fit crosswise


def summarize(
    folder: Path,
    found: FoundPairs,
    records: Sequence[Alignment],
    newly_done: int,
    *,
    advice: Callable[[], str],
    exchanged: Sequence[tuple[str, str]] = (),
) -> AlignSummary:
    """The summary of a run, of `newly_done` pairs.

    `advice` says which other pairing might fit; asked only where none does.
    """
    counts = counts_of(records)
    swapped = [record for record in records if seems_swapped(record)]
    paired = len(found.matched)
    hopeless = not swapped and (not paired or is_hopeless(records))
    return AlignSummary(
        folder,
        paired,
        counts["aligned"],
        {k: v for k, v in counts.items() if k not in ("photos", "aligned")},
        newly_done,
        2 * len(swapped) > paired,
        advice() if hopeless else "",
        exchanged,
    )
