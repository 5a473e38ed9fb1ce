"""The decode limit: what reading a pair's photos costs, and nothing else."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

ROUNDS = 3  # of which the fastest counts
STRICT = "simplejpeg, strict"

Decoder = Callable[[Path], object]


def decode_strictly(path: Path) -> object:
    """RGB pixels of a JPEG file; a file that ends early is an error."""
    return simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB", strict=True)


def _pillow(path: Path) -> object:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


DECODERS: dict[str, Decoder] = {
    STRICT: decode_strictly,
    "cv2.imread": lambda path: cv2.imread(str(path)),
    "Pillow": _pillow,
}


def decode_seconds(pairs: Sequence[Sequence[Path]], decoder: Decoder) -> float:
    """CPU seconds to decode a pair of photos, the mean over the pairs, one thread."""
    best = []
    for pair in pairs:
        seconds = []
        for _ in range(ROUNDS):
            start = time.process_time()
            for path in pair:
                decoder(path)
            seconds.append(time.process_time() - start)
        best.append(min(seconds))
    return float(np.mean(best))
