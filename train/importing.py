"""Models that others trained → our `generator.pt`."""

from pathlib import Path

from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.train.tensorflow_checkpoint import read_generator


def import_checkpoint(prefix: Path, out: Path) -> Path:
    """Write the generator of an original TensorFlow checkpoint as one small file.

    Args:
        prefix: The checkpoint's prefix, such as `models_orig/iphone_orig`.
        out: The file to write; `load_generator` reads it, without TensorFlow.

    Raises:
        DpedBuildError: No such checkpoint, not a generator's, or no TensorFlow.
    """
    architecture, state = read_generator(prefix)
    generator = build_generator(architecture)
    generator.load_state_dict(state)
    save_generator(out, generator, architecture)
    return out
