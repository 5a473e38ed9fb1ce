"""Run a trained generator over photos, from file to file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dped_build.photos.formats import NAMES
from dped_build.photos.names import ENHANCED
from dped_build.photos.reading import is_transparent, read_photo
from dped_build.train.devices import choose_device
from dped_build.train.enhancing.enhance_settings import EnhanceSettings
from dped_build.train.enhancing.in_memory import enhance
from dped_build.train.enhancing.photo_list import list_targets
from dped_build.train.enhancing.picture_files import (
    check_writable,
    is_name_too_long,
    read_exif,
    write_picture,
)
from dped_build.train.model_file import load_generator
from dped_build.workspace.durable import STALE_SECONDS, drop_temporaries
from dped_build.workspace.errors import Interrupted, PhotoError
from dped_build.workspace.plan import OnProgress

# What the CPU enhances whole. With the 64 channels of `dped`, a layer's output for 4
# megapixels takes 1 GB, and several are there at a time.
WHOLE_PIXELS = 4_000_000
AUTO_TILE = 1024  # pixels, for larger photos


@dataclass(frozen=True)
class EnhancedFiles:
    """What came of a list of photos, in its order."""

    written: list[Path]  # pictures
    skipped: list[Path]  # results that were there and are left as they were
    passed_over: list[Path]  # earlier results among the photos
    failed: dict[str, str]  # photo → why, one line
    notes: dict[str, str]  # photo that was enhanced → what is wrong with it, one line


def enhance_files(
    model_path: str | Path,
    photos: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    settings: EnhanceSettings | None = None,
    progress: OnProgress = lambda done, total: None,
) -> EnhancedFiles:
    """Enhance photos into `<stem>-enhanced.png`, beside each or all in `out`.

    A photo that cannot be read is recorded and the others go on. Results that exist are
    replaced, unless the settings say otherwise.

    Args:
        model_path: A run folder or a `generator.pt`.
        photos: The photos' files, and folders of photos.
        out: Folder for the results; None: each photo's own.
        settings: EnhanceSettings() where not given.
        progress: Called with photos done and photos to do.

    Raises:
        DpedBuildError: The model cannot be read, the device not be used, a result not
            be written, or the memory does not suffice.
        UsageError: Two photos would be written to one file.
        Interrupted: By Ctrl-C or SIGTERM; what is written is whole.
    """
    settings = settings or EnhanceSettings()
    listed = list_targets(
        photos, out=out, suffix=settings.suffix, recursive=settings.recursive
    )
    result = EnhancedFiles([], [], listed.enhanced, {}, {})
    for photo, other in listed.clashing.items():
        result.failed[str(photo)] = (
            f"{photo}: would become the same file as {other.name}; rename one"
        )
    for folder in listed.empty:
        below = "" if settings.recursive else "; --recursive looks into sub-folders"
        result.failed[str(folder)] = f"{folder}: no {NAMES} photos in it{below}"
    todo = listed.targets
    for photo in [photo for photo, path in todo.items() if is_name_too_long(path)]:
        result.failed[str(photo)] = (
            f"{photo}: with {ENHANCED} its name is too long for this disk; rename it"
        )
        del todo[photo]
    if settings.skip_existing:
        result.skipped.extend(path for path in todo.values() if path.exists())
        todo = {photo: path for photo, path in todo.items() if not path.exists()}
    folders = {target.parent for target in todo.values()}
    check_writable(folders)
    for folder in folders:
        drop_temporaries(folder, idle_seconds=STALE_SECONDS)
    model, done = load_generator(model_path), 0
    where = choose_device(settings.device)
    try:
        for done, (photo, target) in enumerate(todo.items()):
            progress(done, len(todo))
            _enhance_file(model, photo, target, where, settings, result)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"Interrupted; {done} of {len(todo)} photos are done. Run the same "
            "command with --skip-existing to resume."
        ) from error
    progress(len(todo), len(todo))
    return result


def _enhance_file(
    model: nn.Module,
    photo: Path,
    target: Path,
    device: torch.device,
    settings: EnhanceSettings,
    result: EnhancedFiles,
) -> None:
    """Enhance one photo and record the outcome in the result."""
    try:
        pixels = read_photo(photo, max_megapixels=settings.max_megapixels)
        transparent = is_transparent(photo)
    except PhotoError as error:
        result.failed[str(photo)] = str(error)
        return
    exif, problem = read_exif(photo)
    if transparent:
        dropped = f"{photo.name}: transparency is dropped"
        problem = f"{problem}; {dropped}" if problem else dropped
    if problem:
        result.notes[str(photo)] = problem
    tile = settings.tile or _choose_tile(pixels, device)
    picture = enhance(model, pixels, tile=tile, device=device, bits=settings.bits)
    write_picture(target, picture, source=exif, settings=settings)
    result.written.append(target)


def _choose_tile(photo: NDArray[np.uint8], device: torch.device) -> int | None:
    """A full GPU says so, whereas a CPU starts to swap or the system ends the process.

    Strips go through files, which would cost a GPU more time than the network does.
    """
    large = photo.shape[0] * photo.shape[1] > WHOLE_PIXELS
    return AUTO_TILE if large and device.type == "cpu" else None
