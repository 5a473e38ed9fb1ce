"""What HEIC costs a whole set, in two commands and in one pass, beside JPEG.

    python bench/one_pass.py --pairs 12 --sizes 12+24

Makes photo pairs, the phone's once as HEIC (Display P3, as iPhones write) and once as
JPEG of the pixels that the HEIC is read as. Prints Markdown: CPU seconds a pair with
one worker, of `align` and `patches` and of `build`.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cost import sized_scenes
from decoding import decode_seconds
from pictures import list_pictures
from PIL import Image
from processes import in_workers, run_build, run_ours
from scenes import Scene, write
from tables import machine, table

from dped_build.photos.reading import read_photo

HEIC_QUALITY, JPEG_QUALITY = 75, 95  # about what an iPhone's HEIC takes on the disk
P3_CICP = {"color_primaries": 12, "transfer_characteristics": 13}  # ITU-T H.273
MATRIX_CICP = {"matrix_coefficients": 6, "full_range_flag": 1}


def as_heic_and_jpeg(scene: Scene, folder: Path) -> list[tuple[Path, Path]]:
    """Write a pair below heic/ and jpeg/; returns both pairs of paths."""
    from pillow_heif import from_pillow

    pairs = []
    phone, dslr = write(scene, folder / "jpeg")
    with Image.open(phone) as image:
        upright = image.convert("RGB")
    heic = folder / "heic" / "phone" / f"{scene.name}.heic"
    heic.parent.mkdir(parents=True, exist_ok=True)
    from_pillow(upright).save(
        heic, quality=HEIC_QUALITY, **P3_CICP, **MATRIX_CICP, chroma=420
    )
    Image.fromarray(read_photo(heic)).save(phone, quality=JPEG_QUALITY)
    copy = folder / "heic" / "dslr" / dslr.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dslr, copy)
    pairs += [(heic, copy), (phone, dslr)]
    return pairs


def rows(
    pictures: Sequence[Path], *, sizes: str, pairs: int, seed: int
) -> Iterator[str]:
    """The table and the quotient that counts."""
    scenes = sized_scenes(pictures, sizes, count=pairs, seed=seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = in_workers(partial(as_heic_and_jpeg, folder=folder), scenes, jobs=1)
        heic, jpeg = zip(*made, strict=True)
        read = {
            "HEIC": decode_seconds(heic, read_photo),
            "JPEG": decode_seconds(jpeg, read_photo),
        }
        two, one = {}, {}
        for name in read:
            photos, work = folder / name.lower(), folder / f"{name}-data"
            two[name] = sum(u.cpu_s for u in run_ours(photos, work, jobs=1)) / pairs
            shutil.rmtree(work)
            one[name] = run_build(photos, work, jobs=1).cpu_s / pairs
            shutil.rmtree(work)
    yield table(
        ("phone's photos", "read both once", "align + patches", "build"),
        [(name, *(f"{each[name]:.3f}" for each in (read, two, one))) for name in read],
    )
    for name, spent in (("align + patches", two), ("build", one)):
        above = (spent["HEIC"] - two["JPEG"]) / read["HEIC"]
        yield f"\n{name}: above the JPEG set's two commands by {above:.2f} readings"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = options.add_argument
    add("--pictures", type=Path, metavar="DIR", help="photographs, best of 4-20 MP")
    add("--pairs", type=int, default=12, help="pairs [12]")
    add("--sizes", default="12+24", help="megapixels of phone and DSLR [12+24]")
    add("--seed", type=int, default=0, help="draws the scenes [0]")
    given = options.parse_args()
    print(f"{machine()}\n\n{given.pairs} pairs, {given.sizes} megapixels, one worker\n")
    pictures = list_pictures(given.pictures)
    for line in rows(pictures, sizes=given.sizes, pairs=given.pairs, seed=given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
