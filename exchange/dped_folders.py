"""Patches → the folders of the DPED dataset, which the original code reads.

`<phone>/training_data/<camera>/<number>.jpg`, `<phone>/test_data/patches/<camera>/…`,
numbered from 0. DPED has no `val`: its patches are for training there.
"""

from functools import partial

import numpy as np

from dped_build.exchange.encoded_pictures import picture_of, png_bytes
from dped_build.exchange.export_files import Output, Written
from dped_build.exchange.paired_folders import DPED_PARTS
from dped_build.exchange.patch_json import METADATA, metadata
from dped_build.photos.encoding import encode

READING = """\
`{phone}/training_data/{phone}/<number>.{suffix}` and
`{phone}/training_data/{dslr}/<number>.{suffix}` are one pair, numbered from 0, as in
the DPED dataset; test patches stand below `{phone}/test_data/patches/`. The patches of
`val` are in `training_data`, too: DPED has no third part. A line of `metadata.jsonl`
describes each pair, from which `dped-build import` knows photos and splits.{loss}"""
LOSS = """

The pictures are JPEG of quality {quality}, 4:4:4: {psnr:.1f} dB against the patches
that they were made of. `--pictures png` loses nothing."""


def write(output: Output) -> Written:
    """Write all splits; train and val are numbered on."""
    settings, (phone, dslr) = output.settings, output.source.cameras
    lossless = settings.pictures == "png"
    encoder = png_bytes if lossless else partial(encode, quality=settings.quality)
    places = {"val": f"{phone}/training_data"}
    places |= {split: f"{phone}/{place}" for place, split in DPED_PARTS.items()}
    numbers, squares, values = dict.fromkeys(places.values(), 0), 0, 0
    with output.lines(METADATA) as append:
        for split in output.splits:
            place = places[split]
            for patch, *files, _ in output.encoded(split, encoder):
                name = f"{numbers[place]}.{settings.pictures}"
                names = f"{place}/{phone}/{name}", f"{place}/{dslr}/{name}"
                for path, data in zip(names, files, strict=True):
                    output.write(path, data)
                append(metadata(patch, names))
                numbers[place] += 1
                for pixels, data in zip((patch.phone, patch.dslr), files, strict=True):
                    if not lossless:
                        off = picture_of(data).astype(np.int64) - pixels
                        squares, values = (
                            squares + int((off**2).sum()),
                            values + off.size,
                        )
    psnr = None if lossless else _psnr(squares, values)
    loss = "" if psnr is None else LOSS.format(quality=settings.quality, psnr=psnr)
    reading = READING.format(
        phone=phone, dslr=dslr, suffix=settings.pictures, loss=loss
    )
    return Written(reading, metadata=[METADATA], psnr_db=psnr)


def _psnr(squares: int, values: int) -> float:
    """Of all pixels together, dB; at least one square counts, so that it is finite."""
    return float(10 * np.log10(255.0**2 * values / max(squares, 1)))
