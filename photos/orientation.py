"""Turning pixels upright by the EXIF orientation, and reducing photos."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIDEWAYS = (5, 6, 7, 8)  # width and height change places
_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda photo: cv2.flip(photo, 1),
    3: lambda photo: cv2.rotate(photo, cv2.ROTATE_180),
    4: lambda photo: cv2.flip(photo, 0),
    5: cv2.transpose,
    6: lambda photo: cv2.rotate(photo, cv2.ROTATE_90_CLOCKWISE),
    7: lambda photo: cv2.rotate(cv2.transpose(photo), cv2.ROTATE_180),
    8: lambda photo: cv2.rotate(photo, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def known_orientation(value: object) -> int:
    """An EXIF orientation, 1 to 8; an odd value counts as upright."""
    return value if isinstance(value, int) and value in _TURNS else 1


def upright(photo: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A photo (H, W, 3) as it is to be looked at."""
    turn = _TURNS.get(orientation)
    return photo if turn is None else turn(photo)


def reduced(photo: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Means over blocks of `factor` x `factor` px; what is left at the end is cut off.

    For sensors whose neighbours share a colour filter, and for digital zoom: their
    files hold more pixels than the lens resolves.
    """
    if factor == 1:
        return photo
    width, height = (side // factor for side in photo.shape[1::-1])
    whole = photo[: height * factor, : width * factor]
    found = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(found, np.uint8)
