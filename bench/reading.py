"""What a photo costs to read, beside the same pixels as a JPEG.

    python bench/reading.py photo.heic photo.jpg photo.dng

CPU milliseconds, the best of `ROUNDS`: decoded with the values as stored, its colours
converted besides, and both of the same picture saved as a JPEG (quality 95).
"""

import argparse
import tempfile
import time
from pathlib import Path

from PIL import Image

from dped_build.photos.reading import read_photo, read_with_colours

ROUNDS = 5


def cpu_ms(path: Path, color: str) -> float:
    """The least that reading a photo cost, CPU milliseconds."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        read_photo(path, color=color)
        found.append(1000 * (time.process_time() - start))
    return min(found)


def row(path: Path, folder: Path) -> str:
    """A photo's line of the table."""
    photo, colours = read_with_colours(path)
    jpeg = folder / "same.jpg"
    Image.fromarray(photo).save(jpeg, quality=95)
    stored, converted, plain = (
        cpu_ms(path, "keep"),
        cpu_ms(path, "srgb"),
        cpu_ms(jpeg, "srgb"),
    )
    megapixels = photo.shape[0] * photo.shape[1] / 1e6
    return (
        f"| {path.name} | {megapixels:.1f} | {colours} | {stored:.0f} "
        f"| {converted - stored:.0f} | {plain:.0f} |"
    )


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("photos", nargs="+", type=Path)
    print("| photo | megapixels | colours | decoding | to sRGB | as JPEG |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in options.parse_args().photos:
            print(row(path, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
