"""The `README.md` of an export of whole photos."""

import json
from collections.abc import Mapping
from typing import Any

from dped_build.align.aligned_folder import CAMERA_KEYS
from dped_build.exchange.dataset_card import license_lines, stated_line

CARD = """\
# {phone} | {dslr}: aligned photos

{frames:,} pairs of whole photos: the same scene by a phone ({phone}) and by a better \
camera ({dslr}), {bits} bits a colour.

- Licence: {license}
- Credits: {credits}

{splits}
| file | holds |
|---|---|
| `phone/<pair>.png` | the phone's own pixels, upright, cut to what both cameras show |
| `dslr/<pair>.png` | the DSLR photo on the same grid, sampled once |
| `valid/<pair>.png` | 255 where both show the same point of the scene to within \
0.5 px, else 0 |
| `metadata.jsonl` | a line a pair |

Count the pixels at 255 alone. The others are hidden from one camera, moved, at another
depth, or nothing tells what they are; the DSLR picture is filled there from around.

| of a line | meaning |
|---|---|
| `pair`, `group` | name of the photo, and of its scene |
| `split` | train, val or test, as that of the patches; null before `patches` ran |
| `box` | left, top, width and height of the pictures in the upright phone photo |
| `valid_share` | share of valid pixels |
| `deep` | whether the pair shows depth, and its mask is pixel by pixel |

## Reading

```python
import json
import cv2

for line in open("metadata.jsonl", encoding="utf-8"):
    row = json.loads(line)
    phone, dslr, valid = (
        cv2.imread(row[f"{{side}}_file_name"], cv2.IMREAD_UNCHANGED)
        for side in ("phone", "dslr", "valid")
    )  # BGR, BGR, grey
```
{sixteen}
Exported with {created_with}; `sha256sum -c SHA256SUMS` checks the files. Nobody has
looked for people or private matter in the pictures on behalf of this card.
"""
SIXTEEN = """
The phone's values are its 8 bits times 257; the DSLR's are means over several of its
pixels, which 8 bits would round.
"""


def frames_card(manifest: Mapping[str, Any]) -> str:
    """The card, Markdown below YAML, of the folder with this manifest."""
    settings, splits = manifest["settings"], manifest["splits"]
    phone, dslr = (stated_line(manifest[key]) for key in CAMERA_KEYS)
    table = "".join(f"| {name} | {count:,} |\n" for name, count in splits.items())
    head = [
        "---",
        f"pretty_name: {json.dumps(f'{phone} | {dslr}')}",
        *license_lines(settings["license"]),
        "task_categories:",
        "- image-to-image",
        "---",
        "",
    ]
    card = CARD.format(
        phone=phone,
        dslr=dslr,
        frames=manifest["frames"],
        bits=settings["bits"],
        license=stated_line(settings["license"]),
        credits=stated_line(settings["credits"]),
        splits=f"| split | pairs |\n|---|---|\n{table}" if splits else "",
        sixteen=SIXTEEN if settings["bits"] == 16 else "",
        created_with=manifest["created_with"],
    )
    return "\n".join([*head, card])
