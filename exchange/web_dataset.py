"""Patches → tar files as the library `webdataset` and many loaders read them."""

import io
import tarfile
from itertools import groupby

from dped_build.exchange.encoded_pictures import Encoded, png_bytes
from dped_build.exchange.export_files import ROWS_A_FILE, Output, Written
from dped_build.exchange.patch_json import metadata
from dped_build.workspace.json_files import json_bytes

READING = """\
`<split>-<number>.tar` holds `<key>.phone.png`, `<key>.dslr.png` and `<key>.json` of
every pair, photo after photo: let the loader shuffle.

```python
import webdataset

files = "{example}"
rows = webdataset.WebDataset(files, shardshuffle=False).shuffle(5000).decode("rgb8")
for phone, dslr, columns in rows.to_tuple("phone.png", "dslr.png", "json"):
    ...  # (S, S, 3) uint8 RGB each, and a dict
```"""


def write(output: Output) -> Written:
    """Write all splits."""
    for split in output.splits:
        rows = enumerate(output.encoded(split, png_bytes))
        for number, part in groupby(rows, lambda row: row[0] // ROWS_A_FILE):
            with (
                output.stream(f"{split}-{number:05d}.tar") as file,
                tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                for _, row in part:
                    _add(tar, row)
    first = output.splits[0]
    last = (output.source.counts()[first]["patches"] - 1) // ROWS_A_FILE
    numbers = f"{{00000..{last:05d}}}" if last else "00000"
    return Written(
        READING.format(example=f"{first}-{numbers}.tar"),
        masks="`<key>.valid.png`" if output.source.masked else "",
        data_files={split: f"{split}-*.tar" for split in output.splits},
    )


def _add(tar: tarfile.TarFile, row: Encoded) -> None:
    """The files of one key, without times and owners."""
    patch, phone, dslr, valid = row
    files = {"phone.png": phone, "dslr.png": dslr}
    if valid is not None:
        files["valid.png"] = valid
    files["json"] = json_bytes(metadata(patch), indent=None)
    for suffix, data in files.items():
        entry = tarfile.TarInfo(f"{patch.key}.{suffix}")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
