"""Whether workspaces are the parts of one set, as `align --part K/N` makes them."""

from collections.abc import Mapping
from typing import Any

from dped_build.align.aligned_folder import Aligned
from dped_build.workspace.errors import DpedBuildError


def are_parts(alignments: Mapping[str, Aligned]) -> bool:
    """Whether these alignments, by workspace, are all parts of one set.

    Raises:
        DpedBuildError: They are parts, but not all of them, or of different sets.
    """
    parts = {
        workspace: aligned.manifest["settings"].get("part")
        for workspace, aligned in alignments.items()
    }
    if not all(isinstance(part, str) for part in parts.values()):
        return False
    count = len(parts)
    if set(parts.values()) != {f"{number}/{count}" for number in range(1, count + 1)}:
        raise DpedBuildError(
            f"{', '.join(sorted(parts.values()))}: not all parts of one set; name the "
            "workspace of every part once"
        )
    sets = {
        (one.phone_root, one.dslr_root, one.manifest.get("pairing", {}).get("set"))
        for one in alignments.values()
    }
    if len(sets) > 1:
        raise DpedBuildError(
            f"{', '.join(parts)}: parts of different sets of photos (were some added "
            "meanwhile?); run dped-build align --part again for each"
        )
    return True


def whole_pairing(stated: Mapping[str, Any]) -> dict[str, Any]:
    """What all sources state about their pairing, without what makes them parts."""
    return {key: value for key, value in stated.items() if key != "set"}
