"""Patches → the bytes of PNG and JPEG files, on many threads, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.exchange.patch_source import Patch
from dped_build.photos.encoding import encode

PNG_LEVEL = 1  # 41 % of the raw pixels; level 9 takes seven times as long for 37 %
AHEAD = 8  # patches a thread may be ahead

Encode = Callable[[NDArray[np.uint8]], bytes]


class Encoded(NamedTuple):
    """A patch with its files."""

    patch: Patch
    phone: bytes
    dslr: bytes
    valid: bytes | None  # PNG; None where no mask is written


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """A PNG file of RGB, (H, W, 3) u8."""
    return encode(picture, level=PNG_LEVEL)


def mask_bytes(valid: NDArray[np.bool_]) -> bytes:
    """A grey PNG file of a mask, (S, S): 255 where it is valid, else 0."""
    _, data = cv2.imencode(".png", valid.astype(np.uint8) * 255)
    return bytes(data)


def picture_of(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG or JPEG file of ours, RGB, (H, W, 3) u8."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def encoded(
    patches: Iterable[Patch], encoder: Encode, *, masks: bool, jobs: int
) -> Iterator[Encoded]:
    """Every patch with the files of both its pictures and its mask, in order."""
    waiting: deque[tuple[Patch, list[Future[bytes]]]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for patch in patches:
                files = [pool.submit(encoder, p) for p in (patch.phone, patch.dslr)]
                if masks:
                    files.append(pool.submit(mask_bytes, patch.valid))
                waiting.append((patch, files))
                if len(waiting) > AHEAD * jobs:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(patch: Patch, files: Sequence[Future[bytes]]) -> Encoded:
    phone, dslr, *valid = (file.result() for file in files)
    return Encoded(patch, phone, dslr, valid[0] if valid else None)
