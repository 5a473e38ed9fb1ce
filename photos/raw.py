"""RAW photos through LibRaw, all developed with the same settings into sRGB.

The white balance is the camera's, the rest is the same for every camera and photo: no
brightness or white point by the photo's content, sRGB's curve and primaries.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dped_build.photos.capture_time import raw_exif
from dped_build.photos.truncation import lacks_end

SRGB_GAMMA = (2.4, 12.92)  # power and slope near black, IEC 61966-2-1
MAX_MARGIN = 4  # times the photo's pixels: what a sensor's borders may add
_TURNED = 4  # the bit of LibRaw's `flip` that exchanges width and height
_ONE_AT_A_TIME = threading.Lock()


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

        # Of a file that ends early LibRaw prints a line besides the error.
        quiet = _without_stderr() if lacks_end(self._path) else nullcontext()
        with quiet, self._raw as raw:
            try:
                raw.unpack()
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
        if photo.shape[2] == 1:  # a sensor without colour filters
            return np.repeat(photo, 3, axis=2)
        return np.ascontiguousarray(photo)


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


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Nothing that C code prints is seen; the rest of the process loses it as well."""
    with _ONE_AT_A_TIME, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
