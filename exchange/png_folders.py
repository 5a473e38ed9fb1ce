"""Patches → `<split>/phone/<key>.png` and `<split>/dslr/<key>.png`: nothing is lost."""

from dped_build.exchange.encoded_pictures import png_bytes
from dped_build.exchange.export_files import Output, Written
from dped_build.exchange.patch_json import METADATA, metadata

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
            for patch, phone, dslr in output.encoded(split, png_bytes):
                names = f"phone/{patch.key}.png", f"dslr/{patch.key}.png"
                for name, data in zip(names, (phone, dslr), strict=True):
                    output.write(f"{split}/{name}", data)
                append(metadata(patch, names))
    return Written(
        READING,
        metadata=[f"{split}/{METADATA}" for split in output.splits],
        data_files={split: f"{split}/**" for split in output.splits},
    )
