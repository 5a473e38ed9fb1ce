"""What pairs of several workspaces are called in one, and where all photos lie."""

import os
from collections.abc import Sequence
from pathlib import Path

from dped_build.align.pairing.by_name import MAX_NAME
from dped_build.photos.reading import is_plain_text, printable
from dped_build.workspace.errors import DpedBuildError


def name_prefixes(
    workspaces: Sequence[Path], pairs: Sequence[Sequence[str]]
) -> list[str]:
    """What comes before each workspace's names of pairs, so that none comes twice.

    Nothing where they are all different; else `<workspace>-`.

    Raises:
        DpedBuildError: That does not keep them apart, or cannot be written.
    """
    if _apart(pairs):
        return ["" for _ in workspaces]
    prefixes = [f"{label}-" for label in labels_of(workspaces)]
    named = [
        [prefix + pair for pair in found]
        for prefix, found in zip(prefixes, pairs, strict=True)
    ]
    for name in (name for names in named for name in names):
        if not is_plain_text(name) or len(name.encode()) > MAX_NAME:
            raise DpedBuildError(
                f"{printable(name)}: too long a name for a pair, or not plain UTF-8 "
                "text; rename the workspace"
            )
    if not _apart(named):
        raise DpedBuildError(
            f"names would still come twice behind {' and '.join(prefixes)}; rename one "
            "of these workspaces"
        )
    return prefixes


def _apart(names: Sequence[Sequence[str]]) -> bool:
    """Whether no name comes twice."""
    return len({name for found in names for name in found}) == sum(map(len, names))


def labels_of(workspaces: Sequence[Path]) -> list[str]:
    """The workspaces' names, with as many parents' as tell them apart."""
    parts = [path.resolve().parts[1:] for path in workspaces]
    for depth in range(1, max(map(len, parts)) + 1):
        labels = ["-".join(part[-depth:]) or "root" for part in parts]
        if len(set(labels)) == len(labels):
            return labels
    raise DpedBuildError("the workspaces' names are too much alike; rename one of them")


def shared_folder(paths: Sequence[Path]) -> Path | None:
    """The deepest folder that holds all of them; None for a file system's root."""
    try:
        common = Path(os.path.commonpath(paths))
    except ValueError:  # other drives
        return None
    return None if common == Path(common.anchor) else common


def common_folder(roots: Sequence[Path]) -> Path:
    """The deepest folder that holds all photos; the file system's root is none."""
    common = shared_folder(roots)
    if common is None:
        told = " and ".join(dict.fromkeys(map(str, roots)))
        raise DpedBuildError(
            f"the photos lie in {told}, which have no folder in common: move them "
            "below one, and run dped-build align on each again (nothing is aligned "
            "twice)"
        )
    return common
