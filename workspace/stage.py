"""A stage's folder: published atomically, with checksums, never over user files.

A stage's folder (`aligned/`, `patches/`, `report/`) holds finished files only. Locks
and temporary files live in `<workspace>/.dped-build/`. `SHA256SUMS` is written last:
where it stands, the stage is complete.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dped_build.workspace.durable import (
    SCRATCH,
    STALE_SECONDS,
    drop,
    reason_of,
    sync_folder,
    write_atomic,
    writing,
)
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import (
    as_json,
    json_bytes,
    parse_object,
    read_document,
    read_lines,
)

SUMS = "SHA256SUMS"


@cache
def created_with() -> str:
    """Name and version of this package, as manifests state it."""
    from importlib.metadata import version  # slow, and workers never need it

    return f"dped-build {version('dped-build')}"


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Stage:
    """One stage's folder in a workspace, and where it is built before publication."""

    workspace: Path
    name: str  # of the folder: aligned, patches, report
    format: str  # as `manifest.json` states it
    option: str = "--workspace"  # that chooses another place

    @property
    def folder(self) -> Path:
        """Folder of the finished stage."""
        return self.workspace / self.name

    @property
    def scratch(self) -> Path:
        """Finished pieces of an unfinished run; gone after publication."""
        return self.workspace / SCRATCH / f"{self.name}-work"

    @property
    def build(self) -> Path:
        """The folder in the making."""
        return self.workspace / SCRATCH / f"{self.name}-build"

    @property
    def complete(self) -> bool:
        """Whether the stage is finished."""
        return (self.folder / SUMS).is_file()

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the finished stage; None where there is none.

        Raises:
            DpedBuildError: It cannot be read or is not this stage's.
        """
        if not self.complete:
            return None
        path = self.folder / "manifest.json"
        try:
            manifest = read_document(path)
        except (OSError, ValueError) as error:
            raise DpedBuildError(
                f"{path}: cannot be read ({error}); run the stage again with --force"
            ) from error
        if manifest.get("format") != self.format:
            raise DpedBuildError(f"{path}: not a {self.format} manifest")
        if manifest.get("version") != 1:
            raise DpedBuildError(
                f"{path}: version {manifest.get('version')} of the format; "
                "update dped-build to read it"
            )
        return manifest


@contextmanager
def opened(stage: Stage) -> Iterator[None]:
    """Hold the workspace for one command; refuse a folder with files not ours.

    Raises:
        DpedBuildError: Another command runs here, or the stage's folder is foreign.
    """
    from filelock import FileLock, Timeout  # brings asyncio; workers need neither

    scratch = stage.workspace / SCRATCH
    _refuse_links((scratch, *scratch.glob("*")))
    lock = FileLock(scratch / "lock", timeout=0)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise DpedBuildError(
            f"{stage.workspace}: another dped-build is at work in this workspace; "
            f"wait for it or choose another {stage.option}"
        ) from error
    except OSError as error:
        raise DpedBuildError(
            f"{stage.workspace}: cannot be written ({reason_of(error)}); choose "
            f"another {stage.option}"
        ) from error
    try:
        _refuse_links(stage.scratch.rglob("*"))
        with writing(stage.folder):
            _finish_publication(stage)
        _refuse_foreign(stage)
        yield
    finally:
        lock.release()


def _refuse_links(paths: Iterable[Path]) -> None:
    """What a link points to is not ours to clear; a pipe would be waited for."""
    for path in paths:
        if path.is_symlink() or path.is_fifo():
            raise DpedBuildError(f"{path}: a link or pipe; remove it and run again")


def _refuse_foreign(stage: Stage) -> None:
    if not stage.folder.exists():
        return
    if not stage.folder.is_dir():
        raise DpedBuildError(
            f"{stage.folder}: not a folder; move it away or choose another "
            f"{stage.option}"
        )
    ours = set(read_sums(stage.folder)) | {SUMS} if stage.complete else set()
    for path in sorted(stage.folder.rglob("*")):
        name = path.relative_to(stage.folder).as_posix()
        folder = path.is_dir() and not path.is_symlink()
        if not folder and name not in ours:
            raise DpedBuildError(
                f"{path}: not written by dped-build; move it away or choose another "
                f"{stage.option}"
            )


def _finish_publication(stage: Stage) -> None:
    """Complete a swap that was interrupted between its two renames; clear leftovers.

    Only then is the old folder moved away and the new one not yet in place. Where the
    user took the folder away, what was built before must not come back.
    """
    old = _replaced(stage.build)
    if not stage.folder.exists() and old.exists() and (stage.build / SUMS).is_file():
        stage.build.replace(stage.folder)
        sync_folder(stage.workspace)
    for leftover in (stage.build, old):
        shutil.rmtree(leftover, ignore_errors=True)
    drop((stage.workspace / SCRATCH).glob("tmp-*"), STALE_SECONDS)


def _replaced(built: Path) -> Path:
    """Temporary place of the folder that `built` replaces."""
    return built.with_name(f"{built.name}-old")


def refuse_other_settings(
    stage: Stage,
    recorded: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    slow: Collection[str] | None = None,
) -> None:
    """Stop where a finished stage was made otherwise; names the first difference.

    Where no setting in `slow` differs, the line says that the work is kept.
    """
    wanted = as_json(wanted)
    quick = slow is not None and all(recorded.get(k) == wanted.get(k) for k in slow)
    kept = " (measurements are kept: quick)" if quick else ""
    for name in (*wanted, *recorded):
        old, new = recorded.get(name), wanted.get(name)
        if old != new:
            raise DpedBuildError(
                f"{stage.folder}: made with {name.replace('_', '-')} = {_short(old)}, "
                f"now {_short(new)}; add --force to make it again{kept}, or choose "
                f"another {stage.option}"
            )


def _short(value: object) -> str:
    return "the default" if value is None else str(value)


def read_sums(folder: Path) -> dict[str, str]:
    """File names (relative, POSIX) → SHA-256 as the folder's SHA256SUMS states them.

    Raises:
        DpedBuildError: The file is damaged.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DpedBuildError(
            f"{folder / SUMS}: damaged ({error}); move {folder} away and run again"
        ) from error
    parts = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in parts}


def write_sums(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """State the SHA-256 of every other file, in the format of `sha256sum`; comes last.

    `known` gives sums of files that are known not to have changed.
    """
    known = known or {}
    files = (path for path in folder.rglob("*") if path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    lines = [
        f"{known.get(name) or sha256(folder / name)}  {name}\n"
        for name in names
        if name != SUMS
    ]
    write_atomic(folder / SUMS, "".join(lines).encode())


def publish_folder(built: Path, target: Path) -> None:
    """Move a finished folder into place; the one before it goes away whole."""
    old = _replaced(built)
    with writing(target):
        for folder in (built, *(path for path in built.rglob("*") if path.is_dir())):
            sync_folder(folder)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.replace(old)
        try:
            built.replace(target)
        except OSError:
            if old.exists():
                old.replace(target)
            raise
        sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def fresh_folder(path: Path) -> Path:
    """Make `path` an empty folder, replacing what was there."""
    with writing(path):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    return path


@contextmanager
def rebuilt(stage: Stage) -> Iterator[Path]:
    """An empty folder, which takes the place of the stage's when the block ends."""
    with opened(stage):
        built = fresh_folder(stage.build)
        yield built
        write_sums(built)
        publish_folder(built, stage.folder)
        shutil.rmtree(stage.scratch, ignore_errors=True)


def link_file(source: Path, target: Path) -> None:
    """A second name for a finished file, or a copy; DpedBuildError where it is gone."""
    if not source.is_file():
        raise DpedBuildError(
            f"{source}: disappeared while the command ran; run the same command again"
        )
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        with writing(target):
            shutil.copyfile(source, target)


class Journal:
    """Finished pieces of an unfinished run: one JSON object a line, appended.

    What is no line of ours, as one cut short by a crash, is passed over when read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """All whole lines, oldest first; none behind one that is longer than ours."""
        found = []
        with suppress(OSError, ValueError):
            for line in read_lines(self.path):
                with suppress(ValueError):  # a torn one is not UTF-8
                    found.append(parse_object(line))
        return found

    def append(self, value: Mapping[str, Any]) -> None:
        """Add a line; on disk when this returns."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() and not self._ends_whole():
                    file.write(b"\n")
                file.write(json_bytes(value, indent=None))
                file.flush()
                os.fsync(file.fileno())

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
