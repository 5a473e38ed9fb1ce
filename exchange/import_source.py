"""What others made → our formats: checkpoints → `generator.pt`, patches → shards.

The one place that recognises what a source is.
"""

import glob
from pathlib import Path

from dped_build.workspace.errors import DpedBuildError

INDEX, DATA = ".index", ".data-"  # what follows a checkpoint's prefix
WHAT_CAN_BE = (
    "give a folder that holds training_data/ or test_data/, a folder with two folders "
    "of paired patches, or a TensorFlow checkpoint's path without .index"
)


def is_checkpoint(source: Path) -> bool:
    """Whether `source` is a TensorFlow checkpoint's prefix, or one of its files.

    False says that it is a folder, in which patches may lie.

    Raises:
        DpedBuildError: It is neither, or a folder of checkpoints.
    """
    if Path(f"{source}{INDEX}").is_file():
        return True
    if source.is_dir():
        prefixes = sorted(path.with_suffix("") for path in source.glob(f"*{INDEX}"))
        if prefixes:
            raise DpedBuildError(
                f"{source} is a folder of checkpoints: name one of them, such as "
                f"{prefixes[0]}"
            )
        return False
    parts = source.parent.glob(f"{glob.escape(source.name)}{DATA}*")
    ours = source.is_file() and (source.suffix == INDEX or DATA in source.name)
    if ours or any(parts):
        return True  # whose reader says how to name it, or what is missing
    what = "neither a folder nor a checkpoint" if source.exists() else "no such folder"
    raise DpedBuildError(f"{source}: {what}; {WHAT_CAN_BE}")


def import_checkpoint(
    prefix: Path, out: Path | None = None, *, force: bool = False
) -> Path:
    """Write the generator of an original TensorFlow checkpoint as one small file.

    `prefix` is the checkpoint's, such as `models_orig/iphone_orig`; the file, its name
    with .pt unless `out` is given, is what `load_generator` reads without TensorFlow.
    `force` replaces a file even if it is no generator.

    Raises:
        DpedBuildError: No such checkpoint, not a generator's, no TensorFlow, or
            a file in the way.
    """
    from dped_build.exchange.tensorflow_checkpoint import read_generator
    from dped_build.train.model_file import save_generator  # torch takes seconds
    from dped_build.train.networks import build_generator

    out = out or Path(f"{prefix.name}.pt")
    if out.is_dir() or (out.exists() and not force and not _is_generator(out)):
        raise DpedBuildError(f"{out}: not a model of dped-build; choose another --out")
    architecture, state = read_generator(prefix)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    save_generator(out, generator, architecture)
    return out


def _is_generator(path: Path) -> bool:
    from dped_build.train.model_file import load_generator

    try:
        load_generator(path)
    except DpedBuildError:
        return False
    return True
