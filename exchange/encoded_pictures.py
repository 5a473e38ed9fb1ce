"""Patches → the bytes of PNG and JPEG files, on many threads, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dped_build.exchange.patch_source import Patch

PNG_LEVEL = 1  # 41 % of the raw pixels; level 9 takes seven times as long for 37 %
AHEAD = 8  # patches a thread may be ahead

Encode = Callable[[NDArray[np.uint8]], bytes]
Encoded = tuple[Patch, bytes, bytes]


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """A PNG file of RGB, (H, W, 3) u8."""
    return _encoded(picture, ".png", [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])


def jpeg_bytes(picture: NDArray[np.uint8], *, quality: int) -> bytes:
    """A JPEG file of RGB, (H, W, 3) u8; colours at full resolution (4:4:4)."""
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    return _encoded(picture, ".jpg", options)


def picture_of(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG or JPEG file of ours, RGB, (H, W, 3) u8."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def encoded(
    patches: Iterable[Patch], encode: Encode, *, jobs: int
) -> Iterator[Encoded]:
    """Every patch with the files of its phone's and its DSLR's picture, in order."""
    waiting: deque[tuple[Patch, Future[bytes], Future[bytes]]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for patch in patches:
                phone = pool.submit(encode, patch.phone)
                waiting.append((patch, phone, pool.submit(encode, patch.dslr)))
                if len(waiting) > AHEAD * jobs:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(task: tuple[Patch, Future[bytes], Future[bytes]]) -> Encoded:
    return task[0], task[1].result(), task[2].result()


def _encoded(picture: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data: Any = cv2.imencode(suffix, bgr, options)[1]
    return bytes(data)
