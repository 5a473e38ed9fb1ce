"""Patches → `<split>/phone/<key>.png` and `<split>/dslr/<key>.png`: nothing is lost.

Masks stand in `<split>/valid/`, all of them where any hides a pixel, else none.
"""

from dped_build.exchange.encoded_pictures import png_bytes
from dped_build.exchange.export_files import Output, Written
from dped_build.exchange.patch_json import METADATA, metadata

PLACES = ("phone", "dslr", "valid")
READING = """\
`<split>/phone/<key>.png` and `<split>/dslr/<key>.png` are one pair; a line of
`<split>/metadata.jsonl` describes it. `dped-build import` gives the shards back.

```python
from datasets import load_dataset

rows = load_dataset("imagefolder", data_dir="FOLDER", split="train")
rows[0]["phone"], rows[0]["dslr"]  # two PIL images
```"""


def write(output: Output) -> Written:
    """Write all splits."""
    for split in output.splits:
        with output.lines(f"{split}/{METADATA}") as append:
            for patch, *files in output.encoded(split, png_bytes):
                written = [
                    (f"{place}/{patch.key}.png", data)
                    for place, data in zip(PLACES, files, strict=True)
                    if data is not None
                ]
                for name, data in written:
                    output.write(f"{split}/{name}", data)
                append(metadata(patch, [name for name, _ in written]))
    return Written(
        READING,
        masks="`<split>/valid/<key>.png`" if output.source.masked else "",
        metadata=[f"{split}/{METADATA}" for split in output.splits],
        data_files={split: f"{split}/**" for split in output.splits},
    )
