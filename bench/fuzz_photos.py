"""Read damaged photos until the time is up, and keep every one that does harm.

    python bench/fuzz_photos.py --seconds 300 --seed 0 --out found
    python bench/fuzz_photos.py --seconds 300 --kinds .heic .dng

A photo may come out or be refused with a reason. Harm is any other exception, a dead
process, more than `SECONDS`, or more memory than `allowed_bytes`. Files are read by a
process of its own; the mutations are those of the tests.
"""

import argparse
import json
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from mutations import bombs, mutate, seeds, seeds_of_extras

from dped_build.photos.reading import capture_time, photo_size, read_photo
from dped_build.workspace.errors import PhotoError

REASONS = ("unreadable", "truncated", "too_large")
SECONDS = 10.0  # for one file; a photo of this size takes milliseconds
RENAMED = 0.1  # of the files: called by another format's suffix
MEGAPIXELS = 20.0  # larger ones are refused
BASE_BYTES, BYTES_PER_PIXEL, BYTES_PER_BYTE = 2**26, 32, 8
ADDRESS_BYTES = 2**32  # beyond what the process has at its start
SOUND = ("photo", *REASONS)


def allowed_bytes(file_bytes: int, pixels: int) -> int:
    """What reading a file may add to the resident memory."""
    return BASE_BYTES + BYTES_PER_BYTE * file_bytes + BYTES_PER_PIXEL * pixels


def judge(path: Path) -> str:
    """Read a file: `photo`, the reason of its refusal, or what else happened."""
    _status("clear_refs", "5")  # the peak starts anew
    before, pixels = _resident("VmRSS"), 0
    try:
        width, height = photo_size(path, max_megapixels=MEGAPIXELS)
        pixels = width * height
        capture_time(path)
        photo = read_photo(path, max_megapixels=MEGAPIXELS)
        outcome = "photo" if photo.shape == (height, width, 3) else f"{photo.shape}"
    except PhotoError as error:
        outcome = error.reason
        if outcome not in REASONS or not str(error).isprintable():
            outcome = f"reason {error.reason}: {str(error)!r}"
    except BaseException as error:  # what must not happen is told, not handled
        return f"{type(error).__name__}: {error}"
    used = _resident("VmHWM") - before
    size = path.stat().st_size if path.exists() else 0
    limit = allowed_bytes(size, pixels) if pixels else BASE_BYTES + size  # read once
    return outcome if used <= limit else f"memory: {used / 1e6:.0f} MB"


def _status(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text)


def _resident(name: str) -> int:
    """A line of this process's status, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(name)) * 1024


def serve() -> None:
    """Judge the paths that come in, a line of JSON each."""
    address = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    )
    limit = address + ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        print(json.dumps(judge(Path(json.loads(line)))), flush=True)


class Reader:
    """A process that reads files, started again where one ends it."""

    def __enter__(self) -> Self:
        """Start it."""
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._stop()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _stop(self) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):  # what it was not told before it died
            self._process.communicate()

    def read(self, path: Path) -> str:
        """As `judge`, but also `hang` and `crash`."""
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise OSError("the process has no pipes")
        try:
            print(json.dumps(str(path)), file=sink, flush=True)
        except BrokenPipeError:  # it died between two files
            self._stop()
            self._start()
            return "crash"
        start = time.monotonic()
        ready = select.select([source], [], [], 6 * SECONDS)[0]
        line = source.readline() if ready else ""
        took = time.monotonic() - start
        if line and took <= SECONDS:
            return str(json.loads(line))
        self._stop()
        self._start()
        return f"hang: {took:.0f} s" if line or not ready else "crash"


def mutations(
    rng: random.Random, kinds: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """(suffix, bytes) without end: seeds and bombs, damaged once or again and again."""
    known, large = (
        [(Path(name).suffix, data) for name, data in photos.items()]
        for photos in (seeds() | seeds_of_extras(), bombs())
    )
    if kinds:
        known, large = [photo for photo in known if photo[0] in kinds], []
    if not known:
        raise ValueError(f"no photos of these kinds: {', '.join(kinds)}")
    while True:
        suffix, data = rng.choice(known if rng.random() < 0.9 or not large else large)
        if rng.random() < RENAMED:
            suffix = rng.choice(known)[0]
        for _ in range(rng.choice((1, 1, 2, 5))):
            data = mutate(data, rng)
        yield suffix, data


def fuzz(
    seconds: float, seed: int, out: Path, kinds: Collection[str] = ()
) -> Counter[str]:
    """Outcomes of mutated photos; those that do harm are written to `out`.

    Args:
        seconds: How long.
        seed: Of the mutations.
        out: A folder.
        kinds: Suffixes of the photos to mutate; empty: all.
    """
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + seconds
    inputs = mutations(random.Random(seed), kinds)
    with Reader() as reader, tempfile.TemporaryDirectory() as folder:
        for number, (suffix, data) in enumerate(inputs):
            if time.monotonic() > end:
                return outcomes
            path = Path(folder, f"{number}{suffix}")
            path.write_bytes(data)
            outcome = reader.read(path)
            if outcome not in SOUND:
                out.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, out / f"{seed}-{path.name}")
                print(f"{seed}-{path.name}: {outcome}", flush=True)
            outcomes[outcome if outcome in SOUND else outcome.split(":")[0]] += 1
            path.unlink()
    return outcomes


def main() -> None:
    """Fuzz as the command line says; exit 1 where something did harm."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=Path("fuzz-found"))
    options.add_argument("--kinds", nargs="*", default=(), help="only these suffixes")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve()
        return
    outcomes = fuzz(given.seconds, given.seed, given.out, given.kinds)
    print(f"{outcomes.total()} files: {dict(outcomes.most_common())}")
    sys.exit(any(name not in SOUND for name in outcomes))


if __name__ == "__main__":
    main()
