"""The `README.md` of an export: a dataset card with licence, credits and columns."""

import json
from collections.abc import Mapping
from typing import Any

from dped_build.exchange.patch_json import MEANINGS
from dped_build.patches.manifest import is_imported

KNOWN_LICENSES = (  # by the names that Hugging Face has for them
    "apache-2.0",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "mit",
    "odbl",
    "odc-by",
    "pddl",
)
NOT_STATED = "not stated"
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))
MADE = """\
Two cameras on one rig took the same scenes. dped-build aligned each pair of photos,
cut windows from the phone photo without resampling, found each in the DSLR photo by
sub-pixel shift and rotation, sampled the DSLR photo once, and kept the windows that
pass the tests below. Train, val and test are split by scene."""
IMPORTED = """\
The patches were cut by others and imported into dped-build; what it knows of their
origin stands below."""
CARD = """\
# {phone} | {dslr}: aligned photo patches

{total:,} pairs of {size}x{size} px, RGB: the same place seen by a phone ({phone}) and \
by a better camera ({dslr}).

- Licence: {license}
- Credits: {credits}

| split | photos | patches |
|---|---|---|
{counts}

{left_out}## Reading

{reading}

## Columns

| column | meaning |
|---|---|
{columns}

## How it was made

{made}

```json
{settings}
```

Dataset id: {dataset_id}. Exported with {created_with}; `sha256sum -c SHA256SUMS` \
checks the files.

## Limits

Colours and exposure of the two cameras differ; that is what there is to learn. A depth
of field that differs leaves some DSLR patches less sharp than the phone's
(`sharpness_ratio` below 1). Nobody has looked for people or private matter in the
pictures on behalf of this card.
"""

NEED_MASKS = "because they need a mask, which this format has not"
MASKS = """\
Each pair has a mask: {place}. It is 255 where both patches show the same point of the
scene and 0 elsewhere: hidden from one camera, moved, or at another depth. Count the
pixels at 255 alone."""


def dataset_card(
    manifest: Mapping[str, Any],
    *,
    reading: str,
    masks: str,
    data_files: Mapping[str, str],
) -> str:
    """The card, Markdown below YAML; `reading` says how the format is read, Markdown.

    `masks` says where the patches' masks are; empty: the format has none.
    `data_files`: split → pattern of its files, for `datasets`; empty: it reads none.
    """
    source, splits = manifest["source"], manifest["splits"]
    total = sum(split["patches"] for split in splits.values())
    card = CARD.format(
        phone=_phone(manifest),
        dslr=_dslr(manifest),
        total=total,
        size=manifest["size"],
        license=stated_line(manifest["license"]),
        credits=stated_line(manifest["credits"]),
        counts="\n".join(
            f"| {name} | {split['photos']:,} | {split['patches']:,} |"
            for name, split in splits.items()
        ),
        left_out=_left_out(manifest["excluded"], "by hand")
        + _left_out(manifest["masked_out"], NEED_MASKS),
        reading=f"{reading}\n\n{MASKS.format(place=masks)}" if masks else reading,
        columns="\n".join(f"| `{name}` | {text} |" for name, text in MEANINGS.items()),
        made=IMPORTED if is_imported(source) else MADE,
        settings=json.dumps(source["settings"], indent=1, ensure_ascii=False),
        dataset_id=source["dataset_id"] or "unknown",
        created_with=manifest["created_with"],
    )
    return "\n".join([*_front_matter(manifest, total, data_files), card])


def _front_matter(
    manifest: Mapping[str, Any], total: int, data_files: Mapping[str, str]
) -> list[str]:
    """What Hugging Face reads of a card; JSON's texts are YAML's."""
    size = next((text for limit, text in SIZES if total < limit), "n>1M")
    name = json.dumps(f"{_phone(manifest)} | {_dslr(manifest)}")
    lines = [
        "---",
        f"pretty_name: {name}",
        *license_lines(manifest["license"]),
        "task_categories:",
        "- image-to-image",
        "size_categories:",
        f"- {size}",
        "tags:",
        "- image-enhancement",
        "- paired-images",
        "- dped-build",
    ]
    if data_files:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, pattern in data_files.items():
            lines += [f"  - split: {split}", f'    path: "{pattern}"']
    return [*lines, "---", ""]


def license_lines(stated: str | None) -> list[str]:
    """The licence as Hugging Face's front matter has it."""
    if stated is None:
        return ["license: unknown"]
    if stated.lower() in KNOWN_LICENSES:
        return [f"license: {stated.lower()}"]
    return ["license: other", f"license_name: {json.dumps(stated)}"]


def _left_out(count: int, why: str) -> str:
    return f"{count:,} more were left out {why}.\n\n" if count else ""


def _phone(manifest: Mapping[str, Any]) -> str:
    return stated_line(manifest["phone_camera"])


def _dslr(manifest: Mapping[str, Any]) -> str:
    return stated_line(manifest["dslr_camera"])


def stated_line(text: str | None) -> str:
    """Text on one line of Markdown; None: that it is not stated."""
    return NOT_STATED if text is None else " ".join(text.split())
