"""What the simulated cameras look at: photographs from disk, and what is done to them.

Pictures are RGB uint8 (H, W, 3), landscape.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.photos.listing import list_photos
from dped_build.photos.reading import read_photo
from dped_build.selftest.demo_set import SCENES, picture_folder
from dped_build.workspace.errors import DpedBuildError

Picture = NDArray[np.uint8]

GRAIN = 0.5  # detail of an octave that enlarging adds, relative to the one before
TILES = 12  # repetitions of a repeated picture along its width
TILE_WEIGHT = 0.7  # of the repetition; the rest tells its places apart
OBJECT_EDGE_PX = 2.0  # softness of a moving object's outline, picture px
BACKGROUND_CYCLES = 1.2  # of the wave that divides a picture into near and far


def list_pictures(folder: Path | None) -> list[Path]:
    """The photographs to look at: those in `folder`, else those of scikit-image.

    Raises:
        DpedBuildError: There are none.
    """
    if folder is None:
        root = picture_folder()
        return [root / name for name in sorted({s.picture for s in SCENES})]
    found = list_photos(folder)
    if not found:
        raise DpedBuildError(f"{folder}: no photos; name a folder of photographs")
    return found


def read_picture(
    path: Path, *, crop: tuple[float, float, float], width: int, seed: int
) -> Picture:
    """A part of a photograph, landscape, at least about `width` px wide.

    Args:
        path: The photograph.
        crop: Left, top and side of the part, each a share of what is there.
        width: Smaller parts are enlarged.
        seed: Of the detail that enlarging adds.
    """
    picture = read_photo(path)
    if picture.shape[0] > picture.shape[1]:
        picture = np.rot90(picture)
    height, full = picture.shape[:2]
    left, top, share = crop
    x, y = int(left * (1 - share) * full), int(top * (1 - share) * height)
    part = picture[y : y + int(share * height), x : x + int(share * full)]
    rng = np.random.default_rng(seed)
    while part.shape[1] < width / np.sqrt(2):
        part = _doubled(np.ascontiguousarray(part), rng)
    return np.ascontiguousarray(part)


def _doubled(picture: Picture, rng: np.random.Generator) -> Picture:
    """Twice the size, with grain where the picture has detail.

    An enlarged picture alone has nothing near the pixel, which photographs have.
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 1.0))
    amount = GRAIN * cv2.GaussianBlur(detail, (0, 0), 2.0)
    size = (2 * picture.shape[1], 2 * picture.shape[0])
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = rng.standard_normal((size[1], size[0]), dtype=np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 0.7)
    grain *= cv2.resize(amount, size) / grain.std()
    seen = np.clip(large + grain[..., None], 0, 255)
    return np.asarray(seen, dtype=np.uint8)


def repeated(picture: Picture) -> Picture:
    """A facade of equal tiles, which differ only by a faint other picture."""
    height, width = picture.shape[:2]
    side = width // TILES
    top, left = (height - side) // 2, (width - side) // 2
    tile = picture[top : top + side, left : left + side]
    tiled = np.tile(tile, (-(-height // side), TILES + 1, 1))[:height, :width]
    return np.asarray(
        cv2.addWeighted(tiled, TILE_WEIGHT, picture, 1 - TILE_WEIGHT, 0),
        dtype=np.uint8,
    )


def with_objects(
    picture: Picture, places: NDArray[np.floating], radius: float
) -> Picture:
    """Discs of the picture's mirror image laid over it, as objects that can move.

    Args:
        picture: The scene.
        places: Centres (N, 2), picture px.
        radius: Of every disc, picture px.
    """
    seen = picture.copy()
    reach = int(radius + 2 * OBJECT_EDGE_PX)
    line = np.arange(-reach, reach + 1)
    inside = radius - np.hypot(*np.meshgrid(line, line))
    weight = np.clip(inside / OBJECT_EDGE_PX + 0.5, 0, 1)[..., None]
    height, width = picture.shape[:2]
    for number, (x, y) in enumerate(np.rint(places).astype(int)):
        # What the object shows is its own: taken from a place that does not move.
        x0 = (number * 2 + 1) * width // (2 * len(places))
        x0 = int(np.clip(x0, reach, width - reach - 1))
        y0 = height // 2
        looks = picture[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
        part = seen[y - reach : y + reach + 1, x - reach : x + reach + 1]
        mixed = weight * looks[:, ::-1] + (1 - weight) * part
        part[:] = np.rint(mixed).astype(np.uint8)
    return seen


def defocused(picture: Picture, sigma: float, seed: int) -> Picture:
    """The picture with its background blurred by `sigma` picture px."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / width)
    phases = rng.uniform(0, 2 * np.pi, 2)
    wave = sum(
        np.sin(2 * np.pi * BACKGROUND_CYCLES * axis + phase)
        for axis, phase in zip((x + y / 2, y - x / 3), phases, strict=True)
    )
    far = (1 / (1 + np.exp(-20 * np.asarray(wave))))[..., None].astype(np.float32)
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma)
    mixed = far * blurred + (1 - far) * picture
    return np.asarray(np.rint(mixed), dtype=np.uint8)
