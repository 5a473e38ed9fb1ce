"""The pairs of a finished export of whole photos, which the next run need not make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dped_build.exchange.frame_files import PLACES
from dped_build.exchange.patch_json import METADATA
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import parse_object, read_lines
from dped_build.workspace.stage import Stage, read_sums, sha256


@dataclass(frozen=True)
class KeptFrame:
    """A pair of the export as it stands."""

    key: str
    stated: Mapping[str, Any]  # its record, without sums
    sums: Mapping[str, str]


def kept_frames(stage: Stage, *, proven: bool) -> dict[str, KeptFrame]:
    """The pairs whose pictures a finished export holds; if `proven`, by their sums."""
    found = dict[str, KeptFrame]()
    if not stage.complete:
        return found
    try:
        sums = read_sums(stage.folder)
        for text in read_lines(stage.folder / METADATA):
            line = parse_object(text)
            names = {place: f"{place}/{line['pair']}.png" for place in PLACES}
            told = stated(line)
            own = {place: sums[name] for place, name in names.items()}
            paths = {place: stage.folder / name for place, name in names.items()}
            if all(path.is_file() for path in paths.values()) and not (
                proven and any(sha256(paths[place]) != own[place] for place in PLACES)
            ):
                found[line["pair"]] = KeptFrame(line["key"], told, own)
    except (OSError, ValueError, KeyError, DpedBuildError) as error:
        if proven:
            return {}
        raise DpedBuildError(
            f"{stage.folder / METADATA}: damaged ({error}); add --force to export again"
        ) from error
    return found


def stated(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of `metadata.jsonl` says of the pictures."""
    return {name: record[name] for name in ("box", "valid_share", "deep")}
