"""The original's reference outputs, as the benchmark of fidelity reads them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from reference import first_discriminator, first_state, real_patches, replay

__all__ = ["first_discriminator", "first_state", "real_patches", "replay"]
