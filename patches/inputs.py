"""The inputs of the patch stage."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.align.aligned_folder import (
    CAMERA_KEYS,
    Aligned,
    aligned_stage,
    read_aligned,
)
from dped_build.align.pairing.by_name import composed, path_name
from dped_build.align.records import Alignment
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    Exclusions,
    read_exclusions,
)
from dped_build.patches.pieces import (
    MEASUREMENT,
    measuring_key,
    piece_name,
    reasons_of,
)
from dped_build.patches.records import Windows
from dped_build.patches.scenes import SAME_SCENE, Content
from dped_build.patches.settings import PatchSettings
from dped_build.photos.likeness import picture_hash
from dped_build.photos.reading import capture_time, read_photo
from dped_build.workspace.errors import DpedBuildError, PhotoError
from dped_build.workspace.json_files import fingerprint
from dped_build.workspace.text import quote

READING = ("color", "max_megapixels", "reduce_phone")  # how photos are read
SHOWN_NAMES = 5  # that exclude.csv has and no pair


@dataclass(frozen=True)
class Inputs:
    """The alignment, the settings, and what is taken out by hand."""

    aligned: Aligned
    settings: PatchSettings
    exclusions: Exclusions

    @cached_property
    def records(self) -> list[Alignment]:
        """The pairs to cut, in order."""
        return [record for record in self.aligned.records.values() if record.aligned]

    @cached_property
    def paired(self) -> list[Alignment]:
        """The pairs with both photos, aligned or not, in order."""
        return [r for r in self.aligned.records.values() if r.phone and r.dslr]

    @cached_property
    def scenes(self) -> list[Alignment]:
        """The pairs with a DSLR photo, with or without the phone's, in order."""
        return [r for r in self.aligned.records.values() if r.dslr]

    @cached_property
    def scene_names(self) -> dict[str, str]:
        """Names of scenes that all phones of a rig share, where pairs' are others.

        Pairs that were not made by name are called after the phone's photos.
        """
        return {
            r.pair: path_name(Path(r.dslr))
            for r in self.scenes
            if r.dslr and r.phone and _stem(r.phone) != _stem(r.dslr)
        }

    @cached_property
    def reading(self) -> dict[str, Any]:
        """How photos are read: as they were for the alignment."""
        stated = self.aligned.manifest["settings"]
        return {key: stated[key] for key in READING if key in stated}

    @cached_property
    def keys(self) -> dict[str, str]:
        """Pair → name of everything that its measurements depend on."""
        return {
            record.pair: measuring_key(record, self.reading, self.settings)
            for record in self.records
        }

    @cached_property
    def recorded_settings(self) -> dict[str, Any]:
        """As the function of this name."""
        return recorded_settings(self.settings, self.exclusions)

    @property
    def cameras(self) -> dict[str, str]:
        """Names of the two cameras."""
        return {key: str(self.aligned.manifest[key]) for key in CAMERA_KEYS}

    def excluded(self, pair: str) -> Exclusions:
        """What is taken out by hand of one pair."""
        return {entry for entry in self.exclusions if entry[0] == pair}

    def note(
        self, groups: Collection[str], windows: Mapping[str, Windows]
    ) -> str | None:
        """What the user should know of scenes and of exclude.csv."""
        notes = (
            self.scene_note(groups),
            self._unknown_exclusions(),
            self._unknown_windows(windows),
        )
        return "; ".join(note for note in notes if note) or None

    def _unknown_exclusions(self) -> str | None:
        """Names in exclude.csv that no pair has, and which may be meant."""
        pairs = list(self.aligned.records)
        known = {*pairs, *map(str.strip, pairs)}
        named = {name.strip() for name, *_ in self.exclusions if name not in known}
        unknown = sorted(named - known)
        if not unknown:
            return None
        told = [
            f"{name} (did you mean {near[0]}?)" if near else name
            for name in unknown[:SHOWN_NAMES]
            for near in [get_close_matches(name, pairs, n=1)]
        ]
        more = " …" if len(unknown) > SHOWN_NAMES else ""
        return (
            f"{EXCLUDE_FILE} names no pair of this workspace: {', '.join(told)}{more}"
        )

    def _unknown_windows(self, windows: Mapping[str, Windows]) -> str | None:
        """Places in exclude.csv where their pair has no window."""
        unknown = [
            f"{pair} {x},{y}"
            for pair, x, y in sorted(e for e in self.exclusions if len(e) > 1)
            if pair in windows
            and [int(x), int(y)] not in windows[pair].window_xy.tolist()
        ]
        if not unknown:
            return None
        more = " …" if len(unknown) > SHOWN_NAMES else ""
        told = "; ".join(unknown[:SHOWN_NAMES])
        return f"{EXCLUDE_FILE} names windows that do not exist: {told}{more}"

    def reasons(self, pair: str, windows: Windows) -> NDArray[np.str_]:
        """Which windows of a pair are kept, or why not, (N,)."""
        return reasons_of(pair, windows, self.settings, self.excluded(pair))

    def piece_name(self, pair: str) -> str:
        """File name of a pair's piece."""
        return piece_name(self.keys[pair], self.settings, self.excluded(pair))

    def times(self) -> Mapping[str, datetime | None]:
        """When each scene was taken.

        By the DSLR's clock, which the phones of a rig share, where most of its photos
        state a time and it did not stand still; else by the phone's.
        """
        return self._times

    @cached_property
    def _times(self) -> Mapping[str, datetime | None]:
        root = self.aligned.dslr_root
        dslr = {r.pair: capture_time(root / str(r.dslr)) for r in self.scenes}
        if _is_stated(dslr) and not _is_one_scene(dslr):
            return dslr
        root = self.aligned.phone_root
        phone = {r.pair: capture_time(root / str(r.phone)) for r in self.paired}
        stands = _is_stated(dslr) and (not _is_stated(phone) or _is_one_scene(phone))
        return dslr if stands else phone

    def contents(self) -> Mapping[str, Content]:
        """What the DSLR photo of each scene holds.

        One that was not compared is looked at here, if no time tells its scene: other
        phones of the rig may have it.
        """
        found = {}
        for record in self.scenes:
            shown = record.dslr_hash
            if not shown and not record.aligned and not self.times().get(record.pair):
                shown = self._shown(record)
            found[record.pair] = Content(record.dslr_sha256, shown)
        return found

    def _shown(self, record: Alignment) -> str | None:
        try:
            path = self.aligned.dslr_root / str(record.dslr)
            reading = {k: v for k, v in self.reading.items() if k != "reduce_phone"}
            return picture_hash(read_photo(path, **reading))
        except PhotoError:
            return None

    def scene_note(self, groups: Collection[str]) -> str | None:
        """What the user should know of how scenes were told apart."""
        times = self.times()
        if not any(times.values()):
            return (
                "no photo states when it was taken: shots of one scene stay together "
                "only where they look alike (the groups in split.csv)"
            )
        if len(groups) == 1 and _is_one_scene(times):
            folder = quote(self.aligned.dslr_root)
            return (
                f"the times make all {len(times)} pairs one scene, which cannot be "
                "split: all within 60 s. If a clock stood still, take its times out "
                f"(exiftool -time:all= {folder}), then run dped-build align, and "
                "dped-build patches --split-seed 1 --force"
            )
        return None


def recorded_settings(
    settings: PatchSettings, exclusions: Exclusions
) -> dict[str, Any]:
    """The settings as the manifest states them, hand exclusions by their hash."""
    excluded, stated = sorted(exclusions), "none"
    if excluded:
        stated = f"{len(excluded)} entries, SHA-256 {fingerprint(excluded)[:16]}"
    return {**settings.to_json(), EXCLUDE_FILE: stated, "measurement": MEASUREMENT}


def _is_stated(times: Mapping[str, datetime | None]) -> bool:
    """Whether most photos state a time."""
    return 2 * sum(time is not None for time in times.values()) > len(times)


def _is_one_scene(times: Mapping[str, datetime | None]) -> bool:
    """Whether all times that there are lie within one scene's."""
    known = [time for time in times.values() if time]
    return len(known) > 1 and max(known) - min(known) <= SAME_SCENE


def _stem(photo: str) -> str:
    return composed(Path(photo).stem)


def read_inputs(workspace: Path, settings: PatchSettings, *, rehash: bool) -> Inputs:
    """The inputs of a workspace.

    Raises:
        DpedBuildError: There is no finished alignment, or a photo changed since.
    """
    aligned = read_aligned(workspace)
    if aligned is None:
        raise _no_alignment(workspace)
    inputs = Inputs(aligned, settings, read_exclusions(workspace / EXCLUDE_FILE))
    changed = [
        path
        for record in inputs.records
        if (path := aligned.changed(record, rehash=rehash))
    ]
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise DpedBuildError(
            f"{changed[0]}{more}: changed or gone since it was aligned; run "
            "dped-build align again"
        )
    return inputs


def require_aligned(workspace: Path) -> None:
    """Stop before anything is written where there is nothing to cut.

    Raises:
        DpedBuildError: There is no finished alignment.
    """
    if not aligned_stage(workspace).complete:
        raise _no_alignment(workspace)


def _no_alignment(workspace: Path) -> DpedBuildError:
    return DpedBuildError(
        f"{workspace / 'aligned'}: no finished alignment; run dped-build align "
        f"PHONE_DIR DSLR_DIR -w {quote(workspace)} first"
    )
