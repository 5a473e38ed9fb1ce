"""Run a generator over a photo strip by strip, with the result of running it whole.

Instance norm needs the mean and variance over the whole photo, which no part of it
knows: normalising parts by their own is off by 7 grey levels of 255. So a layer's
strips are all done before the next layer begins (`inference`). Between layers the
features wait in memory or, with a tile, beyond `BUDGET` in temporary files (in
`TMPDIR`).
"""

import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dped_build.photos.encoding import Picture
from dped_build.train.enhancing.inference import Map, cut, forward
from dped_build.train.enhancing.row_store import VALUE_BYTES, Room, Size, as_rows
from dped_build.train.layers import Chain, Layer
from dped_build.train.pixels import to_levels
from dped_build.workspace.errors import DpedBuildError, UsageError

MIN_TILE = 16  # pixels
BUDGET = 2**30  # bytes of features that stay in memory where there is a tile
STRIP_BYTES = 2**21  # of a layer's output, which a processor's cache holds
MIN_ROWS = 8  # in a strip, else reading a kernel's rows takes longer than convolving
STRIPS_PER_THREAD = 4  # at least, so that none waits long for another


class Photo:
    """A photo as a source of rows."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """Take RGB uint8 (H, W, 3)."""
        self._pixels = pixels
        self.size: Size = pixels.shape[0], pixels.shape[1]

    def read(self, top: int, bottom: int) -> Tensor:
        """Rows from `top` to before `bottom`, (1, 3, bottom - top, W) in [0, 1]."""
        rows = torch.from_numpy(np.ascontiguousarray(self._pixels[top:bottom]))
        return as_rows(rows).float().div_(255)


def forward_in_strips(
    model: Chain,
    photo: NDArray[np.uint8],
    *,
    tile: int | None,
    device: torch.device,
    bits: int = 8,
) -> Picture:
    """Enhance an RGB uint8 (H, W, 3) photo, with little memory where there is a tile.

    Args:
        model: The generator, on `device`.
        photo: The photo.
        tile: Strips hold at most about `tile` squared pixels, and features beyond
            `BUDGET` go to the disk; None: they stay in memory.
        device: Where to compute.
        bits: 8: uint8 comes back; 16: uint16.

    Raises:
        UsageError: `tile` is too small.
        DpedBuildError: The disk for temporary files is full.
    """
    if tile is not None and tile < MIN_TILE:
        raise UsageError(f"--tile {tile}: give {MIN_TILE} or more pixels")
    source = Photo(photo)
    pixels = _strip_pixels(model, source.size, tile=tile, device=device)
    room = Room(budget=None if tile is None else BUDGET)
    enhanced = np.empty(photo.shape, np.uint8 if bits == 8 else np.uint16)
    try:
        with threads(device) as spread:
            result = forward(model, source, room=room, pixels=pixels, spread=spread)

            strips = list(cut(source.size, pixels))

            def publish(place: int) -> None:
                rows = result.read(*strips[place])
                enhanced[slice(*strips[place])] = to_levels(rows, bits=bits)[0]

            list(spread(publish, range(len(strips))))
    except OSError as error:
        raise DpedBuildError(
            f"temporary files for --tile in {tempfile.gettempdir()}: {error.strerror}; "
            "set TMPDIR to a folder with more space"
        ) from error
    return enhanced


@contextmanager
def threads(device: torch.device) -> Iterator[Map]:
    """A `map` that runs in as many threads as torch has, each of which computes alone.

    That keeps cores busy which torch's own threads, meeting after every operation,
    would leave waiting. For a GPU there is one thread, this.
    """
    number = torch.get_num_threads()
    with torch.inference_mode():
        if device.type != "cpu" or number == 1:
            yield map
            return
        alone = partial(torch.set_num_threads, 1)
        try:
            with ThreadPoolExecutor(number, initializer=alone) as pool:
                yield lambda function, places: pool.map(
                    torch.inference_mode()(function), places
                )
        finally:
            torch.set_num_threads(number)


def _strip_pixels(
    model: Chain, size: Size, *, tile: int | None, device: torch.device
) -> int:
    if device.type != "cpu":
        return (tile or 2**12) ** 2
    layers = cast("Iterable[Layer]", model.layers)
    widest = max(layer.convolution.out_channels for layer in layers)
    cached = max(STRIP_BYTES // (VALUE_BYTES * widest), MIN_ROWS * size[1])
    strips = STRIPS_PER_THREAD * torch.get_num_threads()
    pixels = min(cached, size[0] * size[1] // strips)
    return min(pixels, tile**2) if tile else pixels
