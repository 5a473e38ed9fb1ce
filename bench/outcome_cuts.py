"""Photos cut in every way that outcome.py compares, once, and what each way yields."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
from depth import PLAIN, cut_folder
from depth_targets import Patches, exact_patches
from processes import DPED_BUILD, run, run_plain
from stored import shards

EXACT, OURS, MASKED, PAPER = "exact", "ours", "ours, masks", "paper rule"
REFINED = {  # options of `patches`, all from the same measurements
    OURS: (),
    MASKED: ("--min-valid", "0.5"),
    "--min-valid 0.25, masks": ("--min-valid", "0.25"),
    "--max-sigma 0.5": ("--max-sigma", "0.5"),
    "--min-corr 0.5": ("--min-corr", "0.5"),
}


def cut(folder: Path, *, jobs: int) -> None:
    """Cut the photos of a folder in every way; nothing where that was done."""
    common = ("--jobs", str(jobs), "--workspace")
    photos = (folder / "phone", folder / "dslr")

    def aligned(made: Path) -> None:
        run([DPED_BUILD, "align", *photos, "--crops", "none", *common, made])

    def patches(made: Path, begun: str, *given: str) -> None:
        shutil.copytree(cut_folder(folder, begun), made)
        run([DPED_BUILD, "patches", *given, *common, made])

    _once(cut_folder(folder, PLAIN), lambda made: run_plain(folder, made, ()))
    _once(cut_folder(folder, "aligned"), aligned)
    _once(
        cut_folder(folder, PAPER),
        lambda made: patches(made, "aligned", "--rule", "paper"),
    )
    _once(cut_folder(folder, OURS), lambda made: patches(made, "aligned"))
    for way, given in REFINED.items():
        _once(
            cut_folder(folder, way),
            lambda made, given=given: patches(made, OURS, "--force", *given),
        )


def _once(made: Path, make: Callable[[Path], object]) -> None:
    """Have a folder made, complete or absent."""
    if not made.is_dir():
        begun = made.with_name(f"{made.name}.part")
        shutil.rmtree(begun, ignore_errors=True)
        make(begun)
        begun.rename(made)


def patch_files(folder: Path, way: str) -> list[Path]:
    """Where the patches lie that were cut in a way."""
    made = cut_folder(folder, way)
    return sorted(made.glob("*.h5")) if way == PLAIN else shards(made / "patches")


def yielded(folder: Path, way: str, pairs: Sequence[str] | None = None) -> Patches:
    """All patches of a way as they are, of some pairs or of all."""
    if way == EXACT:
        return exact_patches(folder)
    found = [_read(path, pairs) for path in patch_files(folder, way)]
    whole = Patches.joined(found)
    if "--min-valid" in REFINED.get(way, ()):
        return whole
    return whole._replace(valid=np.ones_like(whole.valid))


def _read(path: Path, pairs: Sequence[str] | None) -> Patches:
    with h5py.File(path) as file:
        phone, dslr = file["phone"][:], file["dslr"][:]
        valid = file["valid"][:] > 0
        kept = np.ones(len(phone), bool)
        if pairs is not None and "photo" in file:
            kept = np.isin(file["photos"].asstr()[:][file["photo"][:]], pairs)
        elif pairs is not None and path.stem not in pairs:
            kept[:] = False
    return Patches(phone[kept], dslr[kept], valid[kept])
