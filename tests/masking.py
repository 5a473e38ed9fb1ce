"""Hide parts of simulated windows: masks that a test knows without the refinement."""

import numpy as np

from dped_build.patches import extract

HIDDEN = (0, 1, 16, 64)  # columns of 64, so that 1, 0.984, 0.75 and 0 are valid


def mask_of(x: int, y: int, size: int):
    """The mask (S, S) of the window at (x, y): its last columns are hidden."""
    valid = np.ones((size, size), bool)
    valid[:, size - HIDDEN[(x + 3 * y) // size % len(HIDDEN)] :] = False
    return valid


def hide_parts(monkeypatch) -> None:
    """Let `extract` find these masks in all windows that it refines in this process."""

    def partly(phone, dslr, alignment, windows, settings):
        found, _ = refine(phone, dslr, alignment, windows, settings)
        places = windows.window_xy.tolist()
        return found, np.array([mask_of(x, y, settings.size) for x, y in places])

    refine = extract._refine
    monkeypatch.setattr(extract, "_refine", partly)
