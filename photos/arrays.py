"""Photos as arrays, as every function takes them."""

import numpy as np


def require_photos(**photos: object) -> None:
    """Refuse what is no RGB uint8 (H, W, 3), by its name (ValueError)."""
    for name, photo in photos.items():
        if not isinstance(photo, np.ndarray):
            raise ValueError(
                f"{name} must be an array, not {type(photo).__name__}: "
                "read_photo(path) returns one"
            )
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise ValueError(
                f"{name} must be RGB uint8 (H, W, 3), not {photo.dtype} {photo.shape}"
            )
