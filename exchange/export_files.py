"""The files of an export in the making: what every format's writer writes through."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dped_build.exchange.encoded_pictures import Encode, Encoded, encoded
from dped_build.exchange.export_settings import ExportSettings
from dped_build.exchange.patch_source import Patch, PatchSource
from dped_build.workspace.durable import writing
from dped_build.workspace.json_files import json_bytes

ROWS_A_FILE = 4096  # of formats that gather patches in files, as our shards do


@dataclass(frozen=True)
class Output:
    """A folder that is being filled, and where its patches come from."""

    folder: Path  # empty at first; published as a whole
    source: PatchSource  # of the patches
    settings: ExportSettings  # the user's choices
    jobs: int  # threads that encode pictures
    advance: Callable[[], None]  # called after every patch
    # File name → SHA-256 of what `write` wrote.
    sums: dict[str, str] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """The splits that have patches."""
        return list(self.source.datasets)

    def patches(self, split: str) -> Iterator[Patch]:
        """The rows of a split, counted for the progress bar."""
        for patch in self.source.rows(split):
            yield patch
            self.advance()

    def encoded(self, split: str, encode: Encode) -> Iterator[Encoded]:
        """The rows of a split with the files of their pictures, in order."""
        masks = self.source.masked
        return encoded(self.patches(split), encode, masks=masks, jobs=self.jobs)

    def write(self, name: str, data: bytes) -> None:
        """Write one file below the folder; its sum needs no second reading."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.sums[name] = hashlib.sha256(data).hexdigest()

    @contextmanager
    def lines(self, name: str) -> Iterator[Callable[[object], object]]:
        """A file of JSON lines; hands out what appends one."""
        with self.stream(name) as file:
            yield lambda value: file.write(json_bytes(value, indent=None))

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """A file below the folder that grows."""
        path = self.folder / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                yield file


@dataclass(frozen=True)
class Written:
    """What a writer made of the patches."""

    reading: str  # how to read it, Markdown for the card
    masks: str = ""  # where those of the patches are, likewise; empty: none is written
    # JSON lines from which `import` knows every patch.
    metadata: list[str] = field(default_factory=list)
    psnr_db: float | None = None  # of the pictures, both cameras; None: lossless
    # Split → pattern, for `datasets`; empty: it reads none.
    data_files: dict[str, str] = field(default_factory=dict)


def sync_all() -> None:
    """Put everything written on the disk; a call a file would take minutes."""
    if hasattr(os, "sync"):
        os.sync()
