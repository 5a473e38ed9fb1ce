"""16-bit PNG and TIFF → 8 bits, rounded; Pillow alone would truncate."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.matrix_profiles import Shaper
from dped_build.workspace.errors import UnfitPhotoError

WHITE = 65_535
TWELVE_BITS = 4095  # 12-bit data that nobody scaled shows as black
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _PLANAR = 258, 262, 281, 284  # TIFF tags
_WHITE_IS_ZERO, _SEPARATE = 0, 2
_NATIVE = "16L" if sys.byteorder == "little" else "16B"
_GREY_AND_ALPHA = "LA;16B"  # of a PNG; Pillow knows no other order to read it in
# Read in the other byte order, the byte that Pillow keeps is the lower one.
_SWAPPED = {"16B": "16L", "16L": "16B"}


def eight_bits_of(
    path: Path,
    image: Image.Image,
    *,
    formats: tuple[str, ...],
    scaled: bool = True,
    shaper: Shaper | None = None,
) -> NDArray[np.uint8] | None:
    """The RGB values of a 16-bit grey or RGB image, (H, W, 3); None for others.

    Values are multiplied by 255 / 65535, or by 255 / what a TIFF states as its largest
    value, and rounded; alpha is dropped. `image` is the photo, opened, not yet loaded.
    With `scaled`, data of 12 bits that was not scaled to 16 is refused. A `shaper`
    converts the colours.

    Raises:
        UnfitPhotoError: It was not scaled, or its colours lie in planes.
    """
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if tags.get(_PLANAR) == _SEPARATE and max(tags.get(_BITS, (8,)), default=8) > 8:
        raise UnfitPhotoError(
            "16-bit colours in planes; save it with interleaved colours"
        )
    values = _values(path, image, tags, formats)
    if values is None:
        return None
    white = tags.get(_MAX_SAMPLE, WHITE)
    white = max(white) if isinstance(white, tuple) else white
    if not isinstance(white, int) or not TWELVE_BITS // 16 < white < WHITE:
        white = WHITE
    if scaled and white == WHITE and values.max() <= TWELVE_BITS:
        raise UnfitPhotoError(
            f"no value above {values.max()} of {WHITE}: 12-bit data not scaled to 16; "
            "scale it, or use --color keep"
        )
    if shaper is not None:
        colours = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
        return shaper.convert_words(np.ascontiguousarray(colours[..., :3]), white)
    levels = (np.arange(WHITE + 1) * 255 + white // 2) // white
    photo = levels.clip(0, 255).astype(np.uint8)[values[..., :3]]
    return np.repeat(photo, 3, axis=2) if photo.shape[2] == 1 else photo


def _values(
    path: Path, image: Image.Image, tags: Mapping[int, Any], formats: tuple[str, ...]
) -> NDArray[np.uint16] | None:
    """What is stored, (H, W, 1), (H, W, 3) or (H, W, 4)."""
    if image.mode.startswith("I;16"):
        image.load()
        grey = np.asarray(image).astype(np.uint16)[..., None]
        return WHITE - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey
    if [tile.args for tile in getattr(image, "tile", ())] == [_GREY_AND_ALPHA]:
        with Image.open(path, formats=formats) as again:
            again.tile = [again.tile[0]._replace(args="RGBA")]  # a pixel's four bytes
            stored = np.asarray(again).astype(np.uint16)
        image.load()
        return np.asarray(stored[..., :1] << 8 | stored[..., 1:2], np.uint16)
    lower = _lower_bytes(image)
    if image.mode not in ("RGB", "RGBA") or not lower:
        return None
    image.load()
    values = np.asarray(image).astype(np.uint16)
    values <<= 8
    with Image.open(path, formats=formats) as again:
        again.tile = lower
        again.load()
        values |= np.asarray(again)
    return values


def _lower_bytes(image: Image.Image) -> list[Any]:
    """The tiles of a 16-bit image as if its byte order were the other; else empty."""
    tiles = []
    for tile in getattr(image, "tile", ()):
        mode, *rest = (tile.args,) if isinstance(tile.args, str) else tile.args
        kind, _, depth = str(mode).rpartition(";")
        other = _SWAPPED.get(_NATIVE if depth == "16N" else depth)
        if other is None:
            return []
        mode = f"{kind};{other}"
        args = mode if isinstance(tile.args, str) else (mode, *rest)
        tiles.append(tile._replace(args=args))
    return tiles
