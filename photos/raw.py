"""RAW photos through LibRaw, all developed with the same settings into sRGB.

The white balance is the camera's, the rest is the same for every camera and photo: no
brightness or white point by the photo's content, sRGB's curve and primaries.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.c_words import caught_words
from dped_build.photos.capture_time import raw_exif
from dped_build.photos.raw_bytes import require_whole

SRGB_GAMMA = (2.4, 12.92)  # power and slope near black, IEC 61966-2-1
MAX_MARGIN = 4  # times the photo's pixels: what a sensor's borders may add
_TURNED = 4  # the bit of LibRaw's `flip` that exchanges width and height
_WORDS = re.compile(  # LibRaw's and, of lossy DNGs, libjpeg's
    r": Unexpected end of file$|: data corrupted at -?\d+$"
    r"|^Premature end of JPEG file|^Corrupt JPEG data: "
)


class RawImage(Image.Image):
    """A RAW file of which the header is read; `pixels` develops it."""

    format = "RAW"

    def __init__(self, path: Path) -> None:
        """Read a file's header; the import fails without the extra."""
        import rawpy

        super().__init__()
        self._path, self._raw = path, rawpy.RawPy()
        try:
            self._raw.open_file(str(path))
            sizes = self._raw.sizes
        except rawpy.LibRawError as error:
            raise _as_decode_error(error) from error
        seen = sizes.width * sizes.height
        if sizes.raw_width * sizes.raw_height > MAX_MARGIN * seen:
            raise ValueError("the header states a sensor far larger than the photo")
        turned = sizes.flip & _TURNED
        upright = (sizes.width, sizes.height)
        self._size, self._mode = upright[::-1] if turned else upright, "RGB"

    def getexif(self) -> Image.Exif:
        """The EXIF data; empty where it is not found.

        Raises:
            One of DECODE_ERRORS: The data is damaged.
        """
        return raw_exif(self._path)

    def pixels(self) -> NDArray[np.uint8]:
        """Develop it: upright sRGB values, (H, W, 3).

        Raises:
            One of DECODE_ERRORS: The data is damaged.
        """
        import rawpy

        require_whole(self._path)
        with self._raw as raw, caught_words(_WORDS) as words:
            try:
                raw.unpack()
                if raw.raw_type == rawpy.RawType.Flat:
                    _refuse_empty_rows(raw.raw_image_visible)
                photo = raw.postprocess(
                    demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
                    # Without one, LibRaw would balance by content; daylight then.
                    use_camera_wb=raw.camera_whitebalance[0] > 0,
                    no_auto_bright=True,
                    adjust_maximum_thr=0.0,  # else a bright photo's white point moves
                    gamma=SRGB_GAMMA,
                    output_color=rawpy.ColorSpace.sRGB,
                    output_bps=8,
                )
            except rawpy.LibRawError as error:
                raise _as_decode_error(error) from error
        if words:  # it goes on with what it has
            raise ValueError(words[0].rpartition(": ")[2].lower())
        if photo.shape[2] == 1:  # a sensor without colour filters
            return np.repeat(photo, 3, axis=2)
        return np.ascontiguousarray(photo)


def _refuse_empty_rows(values: NDArray[np.uint16]) -> None:
    """Of data that ends early LibRaw leaves the rest zero, which no sensor says.

    Raises:
        EOFError: A quarter of a row of a sensor's values (H, W) holds nothing.
    """
    quarters = np.array_split(values, 4, axis=1)
    if not all(part.any(axis=1).all() for part in quarters):
        raise EOFError("unexpected end of the data")


def _as_decode_error(error: Exception) -> Exception:
    """LibRaw's error as one that every reader of photos knows."""
    import rawpy

    if isinstance(error, rawpy.LibRawUnsufficientMemoryError):
        return MemoryError()
    if isinstance(error, rawpy.LibRawIOError):
        return EOFError("unexpected end of the file")
    told = error.args[0] if error.args else b""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    return ValueError(text)
