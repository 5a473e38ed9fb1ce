"""Read what the other stages left in a workspace; the formats are in data/README.md.

A stage that has not run yet is None or an empty list. A file that is there but cannot
be understood is an error that names it.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dped_build.align.records import Alignment
from dped_build.patches.dataset import NoPatchesError, PatchDataset
from dped_build.patches.exclusions import (
    EXCLUDE_FILE,
    ExcludedLine,
    read_excluded_lines,
)
from dped_build.patches.folder import read_manifest, read_split_rows
from dped_build.patches.manifest import is_imported
from dped_build.patches.settings import PatchSettings
from dped_build.patches.shards import WINDOWS_FILE
from dped_build.patches.split import SPLITS
from dped_build.report.tables import (
    StoredPatches,
    WindowTable,
    damaged,
    read_stored,
    read_windows,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import SUMS, read_sums, sha256
from dped_build.workspace.text import natural_key, quote

LARGEST = 1e100  # no number of ours; infinity and its like are none
SAMPLE_SUFFIXES = (".png", ".jpg")
Record = TypeVar("Record")


@dataclass(frozen=True)
class PatchSet:
    """The folder `patches/`."""

    manifest: dict[str, Any]
    settings: dict[str, Any]  # of the patch stage
    chosen_with: PatchSettings | None  # None: chosen by others, or no windows
    windows: WindowTable | None
    stored: StoredPatches
    split: dict[str, str]  # pair → train, val or test
    training_identity: str | None  # of what a run on these patches learns from

    @property
    def imported(self) -> bool:
        """Whether these patches were cut by others."""
        return is_imported(self.manifest)

    @property
    def window_size(self) -> int:
        """Side of a window, phone pixels."""
        return int(self.settings.get("size", PatchSettings.size))


@dataclass(frozen=True)
class Run:
    """One folder of `runs/`."""

    name: str
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    samples: list[Path]


@dataclass(frozen=True)
class Inputs:
    """All that a report is made of.

    Imported patches have no alignment: then it is empty, and there are no pairs.
    """

    workspace: Path
    alignment: dict[str, Any]
    pairs: list[Alignment]
    patches: PatchSet | None
    runs: list[Run]
    excluded: list[ExcludedLine]
    disk_bytes: dict[str, int]  # of each folder that is there
    sums: dict[str, str]  # SHA-256 of the SHA256SUMS of `aligned` and `patches`
    aligned_sums: dict[str, str]  # what that of `aligned` states
    photo_roots: tuple[Path, Path] | None  # None: the photos lie on another machine

    @property
    def cameras(self) -> dict[str, str]:
        """Names of phone and DSLR."""
        manifests = [
            self.alignment,
            {} if self.patches is None else self.patches.manifest,
        ]
        return {
            kind: next(
                (str(m[f"{kind}_camera"]) for m in manifests if f"{kind}_camera" in m),
                kind,
            )
            for kind in ("phone", "dslr")
        }


def require_something(workspace: Path) -> None:
    """Refuse a workspace with neither `aligned/` nor `patches/` (DpedBuildError)."""
    aligned = (workspace / "aligned" / "alignment.jsonl").is_file()
    if not aligned and not _is_published(workspace / "patches"):
        raise DpedBuildError(
            f"{workspace}: no aligned photos yet; run dped-build align PHONE_DIR "
            f"DSLR_DIR -w {quote(workspace)} first"
        )


def read_workspace(workspace: Path) -> Inputs:
    """Read everything but the pictures; nothing to report or damage is an error."""
    require_something(workspace)
    aligned, patches = workspace / "aligned", workspace / "patches"
    records = aligned / "alignment.jsonl"
    there = records.is_file()
    return Inputs(
        workspace=workspace,
        alignment=_read_alignment(aligned / "manifest.json") if there else {},
        pairs=_parsed_lines(records, Alignment.from_json) if there else [],
        patches=_read_patches(patches) if _is_published(patches) else None,
        runs=_read_runs(workspace / "runs"),
        excluded=read_excluded_lines(workspace / EXCLUDE_FILE),
        disk_bytes={
            name: _size_of(workspace / name)
            for name in ("aligned", "patches", "runs")
            if (workspace / name).is_dir()
        },
        sums={
            folder.name: sha256(folder / SUMS)
            for folder in (aligned, patches)
            if (folder / SUMS).is_file()
        },
        aligned_sums=read_sums(aligned) if (aligned / SUMS).is_file() else {},
        photo_roots=_photo_roots(aligned / "local.json"),
    )


def _photo_roots(path: Path) -> tuple[Path, Path] | None:
    """The folders of phone and DSLR photos, where `local.json` came along."""
    if not path.is_file():
        return None
    local = _read_json(path)
    try:
        return Path(local["phone_root"]), Path(local["dslr_root"])
    except (KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _read_alignment(path: Path) -> dict[str, Any]:
    manifest = _read_json(path)
    if not isinstance(manifest.get("settings", {}), dict):
        raise damaged(path, TypeError("settings is no object"))
    return manifest


def _size_of(folder: Path) -> int:
    """Bytes in all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_published(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _parse(text: str) -> dict[str, Any]:
    """One JSON object; numbers that JSON does not have, or nobody needs, are None."""
    value = _clean(json.loads(text))
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _clean(value: Any) -> Any:  # noqa: ANN401
    """A JSON value whose texts are UTF-8 and whose numbers are finite."""
    if isinstance(value, dict):
        return {_text(name): _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float) and not -LARGEST < value < LARGEST:
        return None
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error


def _parsed_lines(
    path: Path, parse: Callable[[dict[str, Any]], Record], *, growing: bool = False
) -> list[Record]:
    """Parse every line; of a file that is still growing, the unfinished last not."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        if growing:
            lines = lines[:-1]
        return [parse(_parse(line)) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path, error) from error


def _text(value: str) -> str:
    """Text that can be written as UTF-8: file names need not be."""
    return value.encode("utf-8", "replace").decode()


def _read_patches(folder: Path) -> PatchSet:
    manifest = _clean(read_manifest(folder))
    table = folder / WINDOWS_FILE
    try:
        _require_objects(manifest)
        windows = read_windows(table) if table.is_file() else None
        settings = manifest.get("settings", {})
        ours = windows is not None and not is_imported(manifest)
        return PatchSet(
            manifest=manifest,
            settings=settings,
            chosen_with=recorded_settings(settings) if ours else None,
            windows=windows,
            stored=read_stored(
                folder, [str(shard["file"]) for shard in manifest["shards"]]
            ),
            split={row.pair: row.split for row in read_split_rows(folder) or []},
            training_identity=training_identity(folder),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder / "manifest.json", error) from error


def recorded_settings(recorded: Mapping[str, Any]) -> PatchSettings:
    """The settings of a finished patch stage; what they do not name is the default."""
    try:
        return PatchSettings.from_json(recorded)
    except DpedBuildError as error:
        raise DpedBuildError(
            "patches/manifest.json: its settings cannot be understood; run dped-build "
            "patches --force"
        ) from error


def _require_objects(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose size or splits are not as we write them."""
    int(manifest.get("settings", {}).get("size", PatchSettings.size))
    for name, split in manifest.get("splits", {}).items():
        if name not in SPLITS or not isinstance(split["photos"], int):
            raise ValueError(f"{name!r:.80} is no split of ours")
        if not isinstance(split["patches"], int):
            raise ValueError(f"{name} states no number of patches")


def training_identity(folder: Path) -> str | None:
    """What a run on these patches states of them; None where none are to train on."""
    identities = []
    for split in ("train", "val"):
        with contextlib.suppress(NoPatchesError):
            identities.append(PatchDataset(folder, split).identity)
    return " ".join(identities) or None


def _read_runs(folder: Path) -> list[Run]:
    runs = [path.parent for path in folder.glob("*/metrics.jsonl")]
    return [
        _read_run(run) for run in sorted(runs, key=lambda run: natural_key(run.name))
    ]


def _read_run(folder: Path) -> Run:
    samples = [
        path
        for path in (folder / "samples").glob("*")
        if path.suffix.lower() in SAMPLE_SUFFIXES
        and path.is_file()
        and not path.is_symlink()
    ]
    config = folder / "config.json"
    return Run(
        name=_text(folder.name),
        config=_read_json(config) if config.is_file() else {},
        metrics=_parsed_lines(folder / "metrics.jsonl", dict, growing=True),
        samples=sorted(samples, key=lambda path: natural_key(path.name)),
    )
