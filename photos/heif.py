"""HEIF photos (.heic, .heif, .hif) through libheif, which turns them upright itself."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.heif_items import require_whole
from dped_build.photos.iso_boxes import Box, boxes, brand

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

MAX_MARGIN, BLOCK = 4, 64**2  # times the photo and px: what an encoder may add
_DEEP_GREY = "I;16"
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, _DEEP_GREY: 1}


def is_heif(start: bytes) -> bool:
    """Whether a file that begins so is a HEIF photo, regardless of its name."""
    return brand(start) in BRANDS


class HeifImage(Image.Image):
    """A HEIF file of which the header is read; `pixels` decodes its primary photo."""

    format = "HEIF"

    def __init__(self, file: io.BufferedReader) -> None:
        """Read a file that `is_heif`; the import fails without the extra."""
        import pillow_heif

        super().__init__()
        pillow_heif.options.DECODE_THREADS = 1  # the cores are for the workers
        container = pillow_heif.open_heif(file)
        self._photo: Any = container[container.primary_index]
        self._file = file
        self._size, self._mode = self._photo.size, self._photo.mode
        if _declared(file) > MAX_MARGIN * self.width * self.height + BLOCK:
            raise ValueError("the header states a picture far larger than the photo")
        for key in ("exif", "icc_profile", "nclx_profile"):
            if self._photo.info.get(key):
                self.info[key] = self._photo.info[key]

    def pixels(self) -> NDArray[np.uint8]:
        """Upright RGB values as stored, (H, W, 3); 8 of 10 bits are kept.

        Raises:
            One of DECODE_ERRORS: The data is damaged.
        """
        require_whole(self._file, self.width * self.height)
        photo, self._photo = self._photo, None
        data = photo.data  # decoded now; only then its size is certain
        if photo.size != self.size:
            raise ValueError("the header states a different size from the picture's")
        channels = _CHANNELS.get(photo.mode)
        if channels is None:
            raise ValueError(f"pixels of an unsupported kind, {photo.mode}")
        stored = np.frombuffer(data, np.uint8)
        if photo.mode == _DEEP_GREY:  # which alone comes out with 16 bits
            stored = (stored.view(np.uint16) >> 8).astype(np.uint8)
        rows = stored.reshape(self.height, -1)
        used = rows[:, : self.width * channels]
        values = used.reshape(self.height, self.width, channels)
        grey = channels < 3
        return np.repeat(values[..., :1], 3, axis=2) if grey else values[..., :3].copy()


def _declared(file: io.BufferedReader) -> int:
    """Pixels of the largest picture in the file, before it is cropped.

    libheif decodes nothing larger (ISO/IEC 23008-12, 6.5.3).
    """
    end = file.seek(0, io.SEEK_END)
    places = [Box(b"", 0, end)]
    for kind in (b"meta", b"iprp", b"ipco", b"ispe"):
        places = [
            box
            for place in places
            for box in boxes(file, place.start + 4 * (place.kind == b"meta"), place.end)
            if box.kind == kind
        ]
    sizes = []
    for place in places:
        file.seek(place.start + 4)  # behind version and flags
        width, height = file.read(4), file.read(4)
        sizes.append(int.from_bytes(width, "big") * int.from_bytes(height, "big"))
    return max(sizes, default=0)
